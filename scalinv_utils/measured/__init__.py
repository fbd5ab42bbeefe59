"""Scalograms that were measured, rounded, thinned out or made by other libraries."""

from ._files import load, save
from ._image import from_image
from ._librosa import from_librosa
from ._matlab import from_matlab
from ._measured import Measured
from ._pywt import from_pywt
from ._ssqueezepy import from_ssqueezepy

__all__ = [
    "Measured",
    "from_image",
    "from_librosa",
    "from_matlab",
    "from_pywt",
    "from_ssqueezepy",
    "load",
    "save",
]
