"""Find out what is unusual about a scalogram: its scale, order, wavelet, ends, noise, rounding."""

from ._diagnosis import Diagnosis, diagnose

__all__ = ["Diagnosis", "diagnose"]
