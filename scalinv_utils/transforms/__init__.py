"""Transform signals: scalograms and their inverse, decimated scalograms, scattering."""

from ._derivatives import scale_derivative, time_derivative
from .decimated import Decimated
from .long import magnitude_of_long
from .scalogram import Scalogram
from .scattering import Renormalized, Scattering

__all__ = [
    "Decimated",
    "Renormalized",
    "Scalogram",
    "Scattering",
    "magnitude_of_long",
    "scale_derivative",
    "time_derivative",
]
