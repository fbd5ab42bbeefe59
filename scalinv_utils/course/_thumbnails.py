"""Small pictures of the scalograms of sounds, quickly made, with their words.

The wavelets are Cauchy wavelets, as in the first notebook, written out here: to build a `Scalogram`
by name takes 0.4 s for a second of sound, since ssqueezepy searches for the peak of the wavelet.
"""

import base64
import html
import io
import math
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib import colormaps
from PIL import Image

from ..transforms.scalogram import Scalogram
from .plotting import level_db

__all__ = ["Thumbnail", "thumbnails"]

# Cauchy wavelets of this beta, 12 to the octave: two lines of pixels to the row.
BETA, ROWS_PER_OCTAVE = 30, 12
LOWEST_HERTZ, DARKEST_DB, COLOUR_MAP = 60.0, -60.0, "magma"

# A wavelet of frequency f lasts about 5 / f seconds: eight standard deviations.
PERIODS = 5.0

# From MANY_DRAWN samples on there are half as many rows. Beyond MOST_DRAWN there is no picture: it
# would take a third of a second. Below FEWEST_DRAWN there is nothing to see.
FEWEST_DRAWN, MANY_DRAWN, MOST_DRAWN = 128, 2**15, 2**17

# Lossy: a picture of a spoken word takes about 3 kB.
THUMBNAIL_SIZE, THUMBNAIL_QUALITY = (360, 90), 40


@dataclass(frozen=True)
class Thumbnail:
    """WebP picture of a scalogram, and what it shows in words.

    Examples
    --------
    >>> from scalinv_utils.course import _thumbnails
    >>> print(_thumbnails.Thumbnail(b"RIFF", "A tone.").img())
    <img alt="A tone." class="as-it-is" src="data:image/webp;base64,UklGRg==">
    """

    webp: bytes
    alt: str

    def img(self, style: str = "") -> str:
        """Write the picture as an HTML element that needs no other file.

        Its class keeps the dark theme of the web pages from turning dark into light.
        """
        uri = "data:image/webp;base64," + base64.b64encode(self.webp).decode()
        shape = f' style="{style}"' if style else ""
        return f'<img alt="{html.escape(self.alt)}" class="as-it-is"{shape} src="{uri}">'


def thumbnails(
    sounds: dict[str, np.ndarray],
    sample_rate: float,
    size: tuple[int, int] = THUMBNAIL_SIZE,
    quality: int = THUMBNAIL_QUALITY,
) -> dict[str, Thumbnail]:
    """Draw the scalograms of sounds, all relative to the loudest point of them all.

    Parameters
    ----------
    sounds : dict of str to array, each of shape (n_samples,)
    sample_rate : float
        Samples per second.
    size : (int, int)
        Width and height of a picture in pixels.
    quality : int
        The quality of the WebP pictures, from 0 to 100.

    Returns
    -------
    dict of str to Thumbnail
        Empty if a sound is too short or too long for a picture: either all have one, or none.

    Examples
    --------
    >>> from scalinv_utils.course import _thumbnails, signals
    >>> click = signals.clicks(4000, 8000, [0.25]).numpy()
    >>> print(_thumbnails.thumbnails({"a click": click}, 8000)["a click"].alt)
    Scalogram of a click: 0 to 0.5 s, 62 Hz to 4 kHz; loudest at 0.25 s, 3 kHz.
    """
    if not all(FEWEST_DRAWN <= len(x) <= MOST_DRAWN for x in sounds.values()):
        return {}
    found = {label: _magnitude(x, sample_rate, size[0]) for label, x in sounds.items()}
    peak = max(float(S.max()) for S, _ in found.values())
    return {
        label: Thumbnail(
            _webp(S, peak, size, quality),
            _in_words(label, S, hertz, len(sounds[label]) / sample_rate),
        )
        for label, (S, hertz) in found.items()
    }


def _magnitude(x: np.ndarray, sample_rate: float, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the scalogram, the maximum of each column, and the frequencies of its rows."""
    n_samples = len(x)
    voices = ROWS_PER_OCTAVE if n_samples < MANY_DRAWN else ROWS_PER_OCTAVE // 2
    lowest = max(LOWEST_HERTZ, PERIODS * sample_rate / n_samples)
    octaves = math.log2(sample_rate / 2 / lowest)
    hertz = sample_rate / 2 / 2 ** (np.arange(int(octaves * voices) + 1) / voices)
    bins = np.arange(1, n_samples // 2 + 1) * sample_rate / n_samples
    ratio = bins / hertz[:, None]
    responses = 2 * np.exp(BETA * (np.log(ratio) + 1 - ratio))
    filters = torch.from_numpy(np.pad(responses, ((0, 0), (1, 0))))
    W = Scalogram.from_filters(filters, hertz, sample_rate, n_samples=n_samples).float()
    # A player shows what there is, also where that is next to nothing: `magnitude` would refuse it.
    S = W.modulus(W(torch.as_tensor(x, dtype=torch.float32))).numpy()
    starts = np.arange(min(columns, n_samples)) * n_samples // min(columns, n_samples)
    return np.maximum.reduceat(S, starts, axis=-1), hertz


def _webp(S: np.ndarray, peak: float, size: tuple[int, int], quality: int) -> bytes:
    """Colour a scalogram in dB; silence is the darkest colour."""
    levels = level_db(S, peak or 1.0, DARKEST_DB)
    colours = colormaps[COLOUR_MAP](1 - levels / DARKEST_DB, bytes=True)[..., :3]
    buffer = io.BytesIO()
    Image.fromarray(colours).resize(size, Image.Resampling.BILINEAR).save(
        buffer, format="WEBP", quality=quality
    )
    return buffer.getvalue()


def _in_words(label: str, S: np.ndarray, hertz: np.ndarray, seconds: float) -> str:
    """Say what the picture spans and where its loudest point is."""
    spans = f"0 to {seconds:.2g} s, {_hertz(hertz[-1])} to {_hertz(hertz[0])}"
    row, column = np.unravel_index(np.argmax(S), S.shape)
    at = f"{(column + 0.5) / S.shape[1] * seconds:.2g} s, {_hertz(hertz[row])}"
    return f"Scalogram of {label}: {spans}; {f'loudest at {at}' if S.any() else 'silence'}."


def _hertz(value: float) -> str:
    return f"{value / 1000:.2g} kHz" if value >= 1000 else f"{float(f'{value:.2g}'):g} Hz"
