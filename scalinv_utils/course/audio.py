"""Players that let level differences be heard, and sound files that do not clip.

A player that scales every sound to full level hides a loss of amplitude and turns near-silence into
loud noise. Here all the sounds of a table share ONE gain. The levels stand below the players in
decibels, for those who cannot listen.

Where scripts run, the table becomes cards on one clock (web/sounds.js): each sound has its waveform
and its scalogram, and a key switches to another sound in the middle of a word. Elsewhere, as in a
notebook that JupyterLab does not trust yet, the table stays: the browser's own player for each
sound, under the picture of its scalogram.
"""

import base64
import html
import io
import math
import os
import warnings
from collections.abc import Iterable
from typing import BinaryIO, Literal

import numpy as np
import soundfile
import torch
from numpy.typing import ArrayLike

from .._band import check_kept
from .._validation import check_choice, check_flag, check_positive, check_signal
from .._whole_file import write_whole
from . import _web
from ._thumbnails import thumbnails
from .signals import polyphase

__all__ = ["FULL_SCALE", "Players", "player", "players", "save_wav"]

#: Nothing is played or saved above this share of full scale.
FULL_SCALE = 0.9

# A gain above 40 dB would make the rounding errors of a silent signal audible.
LARGEST_GAIN = 100.0

# The subtype of libsndfile, and the bytes per sample.
ENCODINGS = {"pcm16": ("PCM_16", 2), "float64": ("DOUBLE", 8)}

# The size of a WAV file is stored in 32 bits; its header takes less than this.
LARGEST_WAV = 2**32 - 2**12

# A rate is stored as a whole number if that is nearer than this share, two cents of a semitone.
RATE_TOLERANCE = 1e-3

# A peak below so many steps of 16 bits (-60 dB of full scale) is stored coarsely.
COARSE = 2**5

# This many players of this width fit side by side into a cell of JupyterLab on a laptop.
COLUMNS, WIDTH = 3, "16em"

# Browsers refuse rates below 3 kHz; all of them play 8 to 48 kHz.
LOWEST_RATE, PLAYED_RATES = 3000, (8000, 48000)

# An amplitude of 1 in 16 bits; FULL_SCALE keeps samples below it.
UNIT = 2**15


class Players:
    """Players of sounds on one clock and at one gain, which `player` and `players` return.

    Attributes
    ----------
    gain : float
        The factor by which all the sounds were multiplied.
    levels : dict of str to str
        RMS and peak of each sound in words. The levels of the first sound are relative to an
        amplitude of 1, those of the others are relative to the first sound.
    differences : dict of str to str
        The level of the first sound minus each other one in words, if that was asked for.

    Examples
    --------
    >>> from scalinv_utils.course import audio, signals
    >>> table = audio.player(signals.tones(800), 8000)
    >>> print(table.levels["sound"])
    RMS -7.8 dB, peak +0.0 dB
    """

    def __init__(
        self,
        sources: dict[str, str],
        gain: float,
        levels: dict[str, str],
        *,
        pictures: dict[str, str] | None = None,
        differences: dict[str, str] | None = None,
    ):
        self._sources, self._pictures = sources, pictures or {}
        self.gain = gain
        self.levels = levels
        self.differences = differences or {}

    def _repr_html_(self) -> str:
        sounds = [
            {"label": label, "level": level, "difference": self.differences.get(label)}
            for label, level in self.levels.items()
        ]
        data = {"note": self._note(), "sounds": sounds}
        return _web.element("sounds", data, self._table())

    def _table(self) -> str:
        """Write the players of the browser, which need no script."""
        # Everything stands in th and td: JupyterLab strips scripts, style sheets and most ARIA
        # attributes from the outputs of notebooks that it does not trust yet.
        columns = [self._column(label) for label in self._sources]
        blocks = [columns[k : k + COLUMNS] for k in range(0, len(columns), COLUMNS)]
        rows = "".join(f"<tr>{''.join(row)}</tr>" for block in blocks for row in zip(*block))
        return f"<table><tbody>{rows}</tbody></table><p><small>{self._note()}</small></p>"

    def _column(self, label: str) -> tuple[str, str, str]:
        """Write the head, the player and the level of one sound."""
        name, words = html.escape(label), [self.levels[label], self.differences.get(label)]
        picture = self._pictures.get(label)
        shown = f"{picture}<br>" if picture else ""
        return (
            f'<th scope="col">{name}</th>',
            f"<td>{shown}{_audio(name, self._sources[label])}</td>",
            f"<td>{'<br>'.join(html.escape(text) for text in words if text)}</td>",
        )

    def __repr__(self) -> str:
        lines = [f"{label}: {level}" for label, level in self.levels.items()]
        return "\n".join([*lines, *self.differences.values(), self._gain_note()])

    def _note(self) -> str:
        return f"{self._gain_note()} Lower your volume before the first one."

    def _gain_note(self) -> str:
        subject = "Played with a gain" if len(self._sources) == 1 else "All played with one gain"
        return f"{subject} of {_db(self.gain, 1.0)}."


def player(x: ArrayLike, sample_rate: float, label: str = "sound", speed: float = 1.0) -> Players:
    """Show one sound with its player.

    `label` is the text above the player. The other parameters and the errors are those of
    `players`.

    Examples
    --------
    >>> from scalinv_utils.course import audio, signals
    >>> audio.player(0.5 * signals.tones(800), 8000, "three tones")
    three tones: RMS -13.8 dB, peak -6.0 dB
    Played with a gain of +5.1 dB.
    """
    return players({str(label): x}, sample_rate, speed)


def players(
    sounds: dict[str, ArrayLike] | dict[str, torch.Tensor],
    sample_rate: float,
    speed: float = 1.0,
    *,
    difference: bool = False,
    pictures: bool = True,
) -> Players:
    """Show labelled players side by side, all with the same gain.

    Parameters
    ----------
    sounds : dict of str to array, each of shape (n_samples,)
        Real mono signals; their lengths may differ.
    sample_rate : float
        Samples per second.
    speed : float
        The sounds are played this many times faster, and so higher: this makes an
        electrocardiogram audible.
    difference : bool
        Let the listener hear the first sound minus the others, sample by sample, at the same gain.
        Nothing is aligned here. A scalogram leaves one rotation open, so that a recovered sound may
        differ from the original by as much as the original is loud, although nothing is wrong with
        it: pass what ``metrics.align`` returns.
    pictures : bool
        Draw the scalogram of each sound, all relative to the loudest point of them all. This takes
        about 0.04 s for a second of sound at 16 kHz. Sounds of less than 128 or more than 131,072
        samples get no picture.

    Returns
    -------
    Players
        A notebook shows it as cards, or as a table where no script runs. The gain brings the
        loudest peak to 0.9 of full scale, but amplifies by 40 dB at most; silence is left alone.

    Raises
    ------
    TypeError
        `sounds` is no dict, or a signal is complex.
    ValueError
        A signal is not mono or not finite, no browser plays the rate, or a difference is asked for
        and the lengths differ.

    Examples
    --------
    >>> from scalinv_utils.course import audio, signals
    >>> x = signals.tones(800)
    >>> audio.players({"original": x, "half": x / 2}, 8000, difference=True)
    original: RMS -7.8 dB, peak +0.0 dB
    half: RMS -6.0 dB, peak -6.0 dB re original
    original minus half: RMS -6.0 dB, peak -6.0 dB re original
    All played with one gain of -0.9 dB.
    """
    if not isinstance(sounds, dict):
        raise TypeError(
            f"sounds must be a dict of label to signal, got {type(sounds).__name__}; "
            f"player(x, sample_rate) takes a single signal"
        )
    if not sounds:
        raise ValueError("sounds must hold at least one signal, got an empty dict")
    given = {str(label): _mono(x, f"sounds[{label!r}]") for label, x in sounds.items()}
    sample_rate = check_positive(sample_rate, "sample_rate")
    speed = check_positive(speed, "speed")
    difference, pictures = check_flag(difference, "difference"), check_flag(pictures, "pictures")
    rate = _played_rate(sample_rate, speed)
    # Resampling overshoots between the samples, so the gain is computed after it.
    played = {label: polyphase(x, sample_rate * speed, rate) for label, x in given.items()}
    for label, x in given.items():
        check_kept(x, played[label], rate, f"sounds[{label!r}]")
    gain = _shared_gain(played.values())
    heard = {label: _in_16_bits(gain * x) for label, x in played.items()}
    drawn = thumbnails(heard, rate) if pictures else {}
    return Players(
        {label: _flac_uri(samples, rate) for label, samples in heard.items()},
        gain,
        _levels(given),
        pictures={label: picture.img(f"width:{WIDTH}") for label, picture in drawn.items()},
        differences=_differences(given) if difference else None,
    )


def save_wav(
    path: str | os.PathLike[str] | BinaryIO,
    x: ArrayLike,
    sample_rate: float,
    encoding: Literal["pcm16", "float64"] = "pcm16",
) -> float:
    """Write a mono WAV file that does not clip.

    Parameters
    ----------
    path : str, path or binary file object
    x : array, shape (n_samples,)
        A file of this name is replaced when the new one is complete.
    sample_rate : float
        Samples per second, rounded to whole hertz, since the format stores no fraction.
    encoding : "pcm16" or "float64"
        "pcm16" plays everywhere. The level is kept, unless the peak exceeds 0.9: then the whole
        signal is turned down to that. "float64" stores the samples as they are.

    Warns
    -----
    UserWarning
        The signal is so quiet that 16 bits store it coarsely.

    Returns
    -------
    float
        The gain that was applied; 1 means that the level is the signal's own.

    Raises
    ------
    TypeError
        The signal is complex.
    ValueError
        The signal is not mono or not finite, or too quiet or too long for the file; the rate is no
        whole number of hertz, not even nearly, or too high; or the encoding is unknown.
    OSError
        The file cannot be written. An earlier file of this name is as it was.

    Examples
    --------
    >>> import io
    >>> from scalinv_utils.course import audio, signals
    >>> audio.save_wav(io.BytesIO(), 2 * signals.tones(800), 8000)
    0.45
    """
    x = _mono(x, "x").double()
    subtype, width = ENCODINGS[check_choice(encoding, ENCODINGS, "encoding")]
    rate = _stored_rate(sample_rate, width)
    if len(x) * width > LARGEST_WAV:
        raise ValueError(
            f"x must have at most {LARGEST_WAV // width:,} samples, as a WAV file holds 4 GB, got "
            f"{len(x):,}; save it in pieces"
        )
    peak = float(x.abs().max())
    gain = FULL_SCALE / peak if encoding == "pcm16" and peak > FULL_SCALE else 1.0
    if encoding == "pcm16" and peak > 0:
        _say_if_coarse(peak)
    content = io.BytesIO()
    soundfile.write(content, (gain * x).numpy(), rate, format="WAV", subtype=subtype)
    write_whole(path, content.getvalue())
    return gain


def _stored_rate(sample_rate: float, width: int) -> int:
    """Return the whole number of hertz that a WAV file stores, if it is near enough."""
    rate = round(check_positive(sample_rate, "sample_rate"))
    highest = min(2**31 - 1, (2**32 - 1) // width)  # bytes per second have 32 bits
    if rate > highest:
        raise ValueError(
            f"sample_rate must be at most {highest:,} Hz in a WAV file, got {sample_rate:.6g} Hz"
        )
    if abs(rate - sample_rate) > RATE_TOLERANCE * sample_rate:
        raise ValueError(
            f"sample_rate must be a whole number of Hz, which is all that a WAV file stores, got "
            f"{sample_rate:.6g} Hz; signals.resample brings x to one that is, and a multiple of "
            f"the rate plays x faster and higher"
        )
    return rate


def _say_if_coarse(peak: float) -> None:
    """Refuse a signal that 16 bits would store as silence, and warn of one near that."""
    steps = peak * 2**15
    way_out = "save x / x.abs().max(), or take encoding='float64'"
    if steps < 1:
        raise ValueError(
            f"x must reach one step of 16 bits, {2**-15:.2g}, or be silence, got a peak of "
            f"{peak:.2g}, which would be stored as silence; {way_out}"
        )
    if steps < COARSE:
        warnings.warn(
            f"x has a peak of {peak:.2g}, which is {steps:.0f} steps of 16 bits: it is stored "
            f"coarsely and sounds very soft; {way_out}",
            stacklevel=3,
        )


def _audio(label: str, uri: str) -> str:
    """Write the player of the browser; `label` is escaped already."""
    return (
        f'<audio controls preload="metadata" style="width:{WIDTH}" title="{label}" '
        f'src="{uri}"></audio>'
    )


def _mono(x: ArrayLike, name: str) -> torch.Tensor:
    return check_signal(x, name=name, ndim=1).detach().cpu()


def _shared_gain(sounds: Iterable[torch.Tensor]) -> float:
    """Find the gain that brings the loudest of all peaks to full scale, 40 dB at most."""
    peak = max(float(x.abs().max()) for x in sounds)
    return 1.0 if peak == 0 else min(FULL_SCALE / peak, LARGEST_GAIN)


def _played_rate(sample_rate: float, speed: float) -> int:
    """Choose the whole samples per second of the file that the browser gets."""
    rate = sample_rate * speed
    if rate < LOWEST_RATE:
        enough = math.ceil(PLAYED_RATES[0] / sample_rate)
        raise ValueError(
            f"sample_rate must be at least {LOWEST_RATE} Hz for a browser to play it, got "
            f"{sample_rate:.6g} Hz at speed {speed:g}; speed={enough} makes it {enough} times "
            f"faster and higher"
        )
    lowest, highest = PLAYED_RATES
    return min(max(round(rate), lowest), highest)


def _levels(sounds: dict[str, torch.Tensor]) -> dict[str, str]:
    """Put RMS and peak of each sound in words; the first one is the reference of the others."""
    measured = {label: _rms_and_peak(x) for label, x in sounds.items()}
    first, reference = next(iter(measured.items()))
    texts = {first: _level(*reference)}
    for label in list(measured)[1:]:
        if reference[1] > 0:
            texts[label] = _level(*measured[label], *reference, f" re {first}")
        else:
            texts[label] = _level(*measured[label])
    return texts


def _differences(sounds: dict[str, torch.Tensor]) -> dict[str, str]:
    """Put the level of the first sound minus each of the others in words."""
    (first, x), *others = sounds.items()
    lengths = {label: len(y) for label, y in sounds.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(
            f"difference=True takes sounds of one length, got {lengths} samples: cut them first"
        )
    minus = {first: x} | {f"{first} minus {label}": x - y for label, y in others}
    texts = _levels(minus)
    return {
        label: f"{first} minus {label}: {texts[f'{first} minus {label}']}" for label, _ in others
    }


def _level(
    rms: float,
    peak: float,
    reference_rms: float = 1.0,
    reference_peak: float = 1.0,
    note: str = "",
) -> str:
    if peak == 0:
        return "silence"
    return f"RMS {_db(rms, reference_rms)}, peak {_db(peak, reference_peak)}{note}"


def _rms_and_peak(x: torch.Tensor) -> tuple[float, float]:
    """Return RMS and peak in the units of x; dividing by the peak avoids under- and overflow."""
    peak = float(x.abs().max())
    return (peak * float((x / peak).square().mean().sqrt()) if peak else 0.0), peak


def _db(value: float, reference: float) -> str:
    return f"{20 * (math.log10(value) - math.log10(reference)):+.1f} dB"


def _in_16_bits(x: torch.Tensor) -> np.ndarray:
    """Round samples between -1 and 1 to whole numbers of 16 bits."""
    return (x.double().numpy() * UNIT).round().astype(np.int16)


def _flac_uri(samples: np.ndarray, rate: int) -> str:
    """Write the samples, exactly, as a FLAC inside a data URI: a third less than a WAV."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="FLAC", subtype="PCM_16")
    return "data:audio/flac;base64," + base64.b64encode(buffer.getvalue()).decode()
