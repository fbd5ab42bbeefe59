"""Recover signals from scalograms and scattering coefficients by every method of the course."""

from ._dense_start import phase_gradient
from ._error_bars import ErrorBars, error_bars
from ._gradient_descent import invert_gradient, random_start
from ._griffin_lim import RULES, griffin_lim, settle
from ._heap_integration import Paths
from ._local_refinement import mend
from ._objective import griffin_lim_step, spectral_gain
from ._phase_equation import PhaseEquation, solve_phase_equation, spectral_gap
from ._phase_gradient import integrate_phase
from ._phase_relations import phase_derivatives
from ._pipeline import recover
from ._result import Recovery
from .long import recover_long
from .many import recover_many
from .segments import Slices

__all__ = [
    "RULES",
    "ErrorBars",
    "Paths",
    "PhaseEquation",
    "Recovery",
    "Slices",
    "error_bars",
    "griffin_lim",
    "griffin_lim_step",
    "integrate_phase",
    "invert_gradient",
    "mend",
    "phase_derivatives",
    "phase_gradient",
    "random_start",
    "recover",
    "recover_long",
    "recover_many",
    "settle",
    "solve_phase_equation",
    "spectral_gain",
    "spectral_gap",
]
