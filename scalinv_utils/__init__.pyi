"""The public names for type checkers, which cannot see those that __init__.py looks up on use."""

from . import (
    app as app,
    benchmark as benchmark,
    bounds as bounds,
    course as course,
    diagnosis as diagnosis,
    measured as measured,
    metrics as metrics,
    recovery as recovery,
    tools as tools,
    transforms as transforms,
)
from .diagnosis import diagnose as diagnose
from .recovery import (
    Recovery as Recovery,
    griffin_lim as griffin_lim,
    invert_gradient as invert_gradient,
    phase_gradient as phase_gradient,
    recover as recover,
)
from .transforms import Scalogram as Scalogram, Scattering as Scattering

__all__ = [
    "Recovery",
    "Scalogram",
    "Scattering",
    "diagnose",
    "griffin_lim",
    "invert_gradient",
    "metrics",
    "phase_gradient",
    "recover",
]

__version__: str
