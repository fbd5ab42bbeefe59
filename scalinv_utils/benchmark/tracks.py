"""Define the tracks: scalograms as people have them, and what a recovery is told of each.

A track is a function from (sound, sampling rate, wavelet, grid point, seed) to a `Problem`, with a
small grid of points and at most two wavelets. Where a scalogram is no plain |W x|, the problem
holds a `Measured`, which says what is known of it: rounding, columns, ends, or the library it came
from. Contestants that take no `Measured` are left out of such a track.

The sound is recovered as far as the filters see it. With noise on the sound, what is to be
recovered is the noisy sound. Edited scalograms belong to no sound: there only the fit counts.
"""

import functools
import importlib.util
import math
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import count, product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib import image

from .. import measured
from .._levels import norm
from .._validation import check_choice
from ..bounds import noisy
from ..course.signals import white_noise
from ..measured import Measured
from ..transforms.scalogram import Scalogram
from .cuts import CUTS, sound
from .methods import MANY, Problem, available, cwt

__all__ = ["TRACKS", "Track", "TrackCell", "cells", "posed"]

MORSE_3_20 = "morse(3,20)"
PARAMETERS: dict[str, Any] = {MORSE_3_20: ("gmw", {"gamma": 3, "beta": 20})}

# Points of the grid that need a package; without it they are left out.
OPTIONAL = {"pywt", "librosa"}

Pose = Callable[[torch.Tensor, float, str, str, int], Problem]


def exact(
    x: torch.Tensor,
    rate: float,
    wavelet: str,
    point: str,
    seed: int,
    voices: int = 32,
    lowpass: Any = None,
) -> Problem:
    """Take all of |W x|; with a lowpass, which hears 0 Hz, only a sign is open."""
    wavelet = PARAMETERS.get(wavelet, wavelet)
    W = Scalogram(len(x), rate, wavelet=wavelet, voices_per_octave=voices, lowpass=lowpass)
    x = W.project(x)
    return Problem(x, W.magnitude(x), W, "sign" if lowpass else "rotation")


def noise_on_scalogram(x: torch.Tensor, *settings: Any) -> Problem:
    """Add white noise to |W x|, and put negative values to zero. recover() is not told."""
    problem, snr_db = exact(x, *settings), float(settings[2])
    return replace(problem, S=noisy(problem.S, snr_db, settings[3]), snr_db=snr_db)


def noise_on_sound(x: torch.Tensor, *settings: Any) -> Problem:
    """Add white noise to the sound, and take the exact scalogram of the sum."""
    noise = white_noise(len(x), seed=settings[3])
    return exact(x + noise * 10 ** (-float(settings[2]) / 20) * norm(x) / norm(noise), *settings)


def with_lowpass(x: torch.Tensor, *settings: Any) -> Problem:
    """Add a row for what lies below the lowest wavelet."""
    return exact(x, *settings, lowpass=settings[2])


def few_rows(x: torch.Tensor, *settings: Any) -> Problem:
    """Take a given number of voices per octave."""
    return exact(x, *settings, voices=int(settings[2]))


def other_rate(x: torch.Tensor, rate: float, wavelet: str, point: str, seed: int) -> Problem:
    """Take the samples for those of another rate: earthquakes, music, bats."""
    return exact(x, float(point), wavelet, point, seed)


# --- Rounding -------------------------------------------------------------------------------------

# The steps of half precision are 2^-11 to 2^-10 of the value; this is their rms on a log axis, in
# dB. Values below 2^-14 have one step.
HALF_STEP_DB, HALF_STEP = 0.7355 * 2**-10 * 20 / math.log(10), 2.0**-24
DB_RANGE, GREYS = 80.0, 255


def rounded(
    x: torch.Tensor, rate: float, wavelet: str, point: str, seed: int, n_rows: int = 224
) -> Problem:
    """Round |W x| over its maximum; a picture has 224 rows and at most 256 columns."""
    problem = exact(x, rate, wavelet, point, seed)
    W = problem.W
    if point == "picture":
        f = np.geomspace(0.475 * rate, 0.01 * rate, n_rows)
        W = Scalogram.from_frequencies(len(x), rate, frequencies=f, wavelet=wavelet)
    x = W.project(x)
    S = W.magnitude(x)
    M = ROUNDINGS[point](S / S.max(), W)
    return Problem(x / S.max(), M, M.W)


def _half(S: torch.Tensor, W: Scalogram) -> Measured:
    return Measured(S.half().double(), W, step=HALF_STEP, step_db=HALF_STEP_DB)


def _bytes_db(S: torch.Tensor, W: Scalogram) -> Measured:
    step = DB_RANGE / GREYS
    S_db = ((20 * S.log10() + DB_RANGE) / step).round().clamp_min(0) * step - DB_RANGE
    return Measured(S_db, W, scale="db", step_db=step, floor=-DB_RANGE)


def _bytes(S: torch.Tensor, W: Scalogram) -> Measured:
    return Measured((S * GREYS).round() / GREYS, W, step=1 / GREYS)


def _picture(S: torch.Tensor, W: Scalogram) -> Measured:
    """Draw S by matplotlib, lowest frequency last, and read the file."""
    n_samples, (top, *_, bottom) = W.n_samples, W.frequencies.tolist()
    drawn = 20 * S[:, :: max(1, n_samples // 256)].log10()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "S.png"
        image.imsave(path, drawn.numpy(), vmin=-DB_RANGE, vmax=0)
        return measured.from_image(
            path,
            sample_rate=W.sample_rate,
            seconds=n_samples / W.sample_rate,
            f_min=bottom,
            f_max=top,
            db_range=DB_RANGE,
            wavelet=W.wavelet,
        )


ROUNDINGS = {"float16": _half, "8-bit dB": _bytes_db, "8-bit linear": _bytes, "picture": _picture}


# --- Columns and ends -----------------------------------------------------------------------------


def few_columns(x: torch.Tensor, *settings: Any) -> Problem:
    """Keep of 16 voices every h-th column, or of each row columns of its own, R per sample."""
    problem, (kind, number) = exact(x, *settings, voices=16), settings[2].split()
    hop = int(number) if kind == "hop" else own_columns(problem.W, float(number))
    return replace(problem, S=Measured(problem.S, problem.W, hop=hop))


def own_columns(W: Scalogram, per_sample: float) -> list[tuple[int, int]]:
    """Choose for each row a power of two near a share of its period, and offsets that differ.

    Examples
    --------
    >>> from scalinv_utils import Scalogram
    >>> W = Scalogram(512, 8000)
    >>> hops = [hop for hop, _ in own_columns(W, 5.0)]
    >>> bool(5 <= sum(1 / hop for hop in hops) < 5.5), hops[0] < hops[-1]
    (True, True)
    """
    periods = (W.sample_rate / W.frequencies).numpy()
    for share in np.geomspace(64, 1 / 64, 1000):
        hops = 2.0 ** np.floor(np.log2(share * periods)).clip(0, 6)
        if (1 / hops).sum() >= per_sample:
            break
    golden = (np.arange(len(hops)) * (5**0.5 - 1) / 2) % 1
    return [(int(hop), int(part * hop)) for hop, part in zip(hops, golden)]


def extended(x: torch.Tensor, *settings: Any) -> Problem:
    """Extend the sound by its mirror image or zeros, to twice its length, as ssqueezepy does."""
    plain, ends = exact(x, *settings), settings[2]
    return _analysed(Measured(plain.S, plain.W, ends=ends), plain.x)


def _analysed(M: Measured, x: torch.Tensor) -> Problem:
    """Give a description the modulus of x. A mirror image turns with x only by half a turn."""
    M.S = M.magnitude(x)
    return Problem(x, M, M.W, "rotation" if M.ends == "zero" else "sign")


# --- Other libraries ------------------------------------------------------------------------------


def foreign(x: torch.Tensor, rate: float, wavelet: str, point: str, seed: int) -> Problem:
    """Let another library analyse the sound by a wavelet that is its own, and read the modulus."""
    return LIBRARIES[point](exact(x, rate, "gmw", point, seed).x, rate)


def _ssqueezepy(x: torch.Tensor, rate: float) -> Problem:
    Wx, scales = cwt(x.numpy(), "gmw")
    M = measured.from_ssqueezepy(np.abs(Wx), "gmw", scales, sample_rate=rate)
    return Problem(x, M, M.W, "sign")


def _matlab(x: torch.Tensor, rate: float) -> Problem:
    """Compute what MATLAB's formulas give, which is not installed: Morse (3, 60), 10 voices."""
    f = 0.43 * rate * 2.0 ** -(np.arange(10 * math.log2(0.05 * len(x))) / 10)
    wt = {"wt": np.ones((len(f), len(x))), "f": f}
    return _analysed(measured.from_matlab(wt, sample_rate=rate), x)


def _pywt(x: torch.Tensor, rate: float) -> Problem:
    import pywt  # pyright: ignore[reportMissingImports]  # It is optional.

    scales, name = 2.0 ** (1 + np.arange(61) / 12), "cmor1.5-1.0"
    c, _ = pywt.cwt(x.numpy(), scales, name, sampling_period=1 / rate, method="fft")
    M = measured.from_pywt(np.abs(c), scales, name, sampling_period=1 / rate)
    return Problem(x, M, M.W)


def _hearing(x: torch.Tensor, rate: float, n_rows: int = 64) -> Problem:
    """Take gammatones of order 4 on the ERB scale (Glasberg and Moore 1990), made here."""
    f = torch.fft.rfftfreq(len(x), 1 / 8000).double()
    ends = np.log10([1 + 0.00437 * f for f in (3800, 100)])
    centres = torch.from_numpy(np.logspace(ends[0], ends[1], n_rows) - 1)[:, None] / 0.00437
    filters = (1 + 1j * (f - centres) / (1.019 * 24.7 * (1 + 0.00437 * centres))) ** -4
    own = centres.flatten() * rate / 8000
    W = Scalogram.from_filters(filters, own, rate, n_samples=len(x))
    return Problem(W.project(x), W.magnitude(x), W)


LIBRARIES = {"ssqueezepy": _ssqueezepy, "MATLAB": _matlab, "pywt": _pywt, "ERB": _hearing}


def constant_q(x: torch.Tensor, rate: float, *_: Any) -> Problem:
    """Let librosa compute a constant-Q transform with 12 rows per octave."""
    import librosa  # pyright: ignore[reportMissingImports]  # It is optional.

    C = librosa.cqt(x.numpy(), sr=rate, hop_length=64, fmin=rate / 60, n_bins=58)
    names: dict[str, Any] = {"hop_length": 64, "bins_per_octave": 12, "length": len(x)}
    M = measured.from_librosa(np.abs(C), sample_rate=rate, fmin=rate / 60, **names)
    return Problem(x, M, M.W)


# --- Scalograms that no signal has ----------------------------------------------------------------


def edited(x: torch.Tensor, *settings: Any) -> Problem:
    """Edit |W x|: cut a hole, add the scalogram of the reversed sound, or move all rows up."""
    problem = exact(x, *settings)
    return replace(problem, S=EDITS[settings[2]](problem), leaves_open="all")


def _hole(problem: Problem) -> torch.Tensor:
    (n_rows, n_samples), S = problem.S.shape, problem.S.clone()
    S[n_rows // 4 : n_rows // 2, n_samples // 4 : n_samples // 2] = 0
    return S


EDITS: dict[str, Callable[[Problem], torch.Tensor]] = {
    "hole": _hole,
    "sum": lambda problem: problem.S + problem.S.flip(-1),
    "moved": lambda problem: problem.S.roll(-8, 0),  # by a quarter of an octave
}


# --- All tracks -----------------------------------------------------------------------------------

TAKE_MEASURED = ("recover", "heap, corrected", "L-BFGS", "fast Griffin-Lim")
TAKE_ALL = ("recover", "phase equation", *TAKE_MEASURED[1:])
# Where recover() takes longer than these, they may take as long. LTFAT takes dense wavelets.
LONG_TIME = (f"L-BFGS, {MANY}", f"fast Griffin-Lim, {MANY}")
DENSE = (*TAKE_ALL, "LTFAT")


@dataclass(frozen=True)
class Track:
    """A small grid of problems.

    Attributes
    ----------
    pose : callable
        Makes a problem of (sound, rate, wavelet, point, seed).
    points, wavelets, methods : tuple of str
        The grid, and the contestants that can take its problems.
    n_seeds, n_samples : int
        Seeds of each run, and samples of each cut.
    n_stored : int
        Cuts in the stored table, each with one wavelet and point of the grid in turn.
    """

    pose: Pose
    points: tuple[str, ...] = ("",)
    wavelets: tuple[str, ...] = ("cauchy", "gmw")
    methods: tuple[str, ...] = DENSE
    n_seeds: int = 1
    n_samples: int = 2048
    n_stored: int = 24


THINNINGS = (*(f"hop {2**k}" for k in range(1, 7)), "R 5", "R 10", "R 30")

#: The tracks by name.
TRACKS = {
    "exact": Track(exact, n_seeds=2, n_stored=36),
    "other wavelets": Track(exact, wavelets=(MORSE_3_20, "morlet"), n_stored=18),
    "noise on S": Track(
        noise_on_scalogram, ("10", "20", "30", "40", "50", "60"), methods=(*DENSE, *LONG_TIME)
    ),
    "noise on the sound": Track(noise_on_sound, ("20", "40"), n_stored=18),
    "rounding": Track(rounded, tuple(ROUNDINGS), methods=(*TAKE_MEASURED, *LONG_TIME)),
    "rows": Track(few_rows, ("4", "6", "8", "12", "16", "24")),
    "columns": Track(few_columns, THINNINGS, methods=(*TAKE_MEASURED, *LONG_TIME)),
    "lowpass": Track(
        with_lowpass, ("modulus", "signed"), methods=(*TAKE_ALL, *LONG_TIME), n_stored=18
    ),
    "rates": Track(other_rate, ("100", "44100", "250000"), n_stored=12),
    "edited": Track(edited, tuple(EDITS), methods=(*DENSE, *LONG_TIME), n_stored=18),
    "ends": Track(extended, ("reflect", "zero"), methods=(*TAKE_MEASURED, *LONG_TIME), n_stored=12),
    "foreign": Track(
        foreign, tuple(LIBRARIES), ("own",), (*TAKE_MEASURED, *LONG_TIME), n_stored=12
    ),
    "long": Track(exact, n_samples=16384, n_stored=3),
    "constant Q": Track(constant_q, ("librosa",), ("own",), TAKE_MEASURED, 1, 4096, 3),
}


@dataclass(frozen=True)
class TrackCell:
    """One run in a track; the fields tell it from others."""

    track: str
    point: str
    cut: str
    wavelet: str
    seed: int
    n_samples: int
    method: str


@functools.lru_cache(maxsize=2)
def posed(track: str, point: str, cut: str, wavelet: str, seed: int, n_samples: int) -> Problem:
    """Make the problem of a cell.

    Examples
    --------
    >>> from scalinv_utils.benchmark.tracks import posed
    >>> problem = posed("columns", "hop 4", "glass 1", "gmw", 0, 512)
    >>> problem.S.columns.hop, problem.S.n_samples
    (4, 512)
    """
    return TRACKS[track].pose(*sound(cut, n_samples), wavelet, point, seed)


def cells(
    names: Iterable[str] = TRACKS, preset: str = "full", n_samples: int | None = None
) -> list[TrackCell]:
    """List the runs of tracks, those of one problem next to each other.

    Parameters
    ----------
    names : sequence of str
        Keys of `TRACKS`.
    preset : "full", "stored" or "tiny"
        "full": all cuts on all points of the grid. "stored": each cut on one point in turn,
        separately for those held out. "tiny": one problem of a track.
    n_samples : int, optional
        Samples of each cut. Default: the track's own number.

    Returns
    -------
    list of TrackCell

    Raises
    ------
    ValueError
        If a name or the preset is unknown.

    Examples
    --------
    >>> from scalinv_utils.benchmark.tracks import cells
    >>> len(cells(["long"], "tiny")), len(cells(preset="full")) < 20_000
    (5, True)
    """
    check_choice(preset, ("full", "stored", "tiny"), "preset")
    return [
        TrackCell(name, point, cut, wavelet, seed, n_samples or track.n_samples, method)
        for name in names
        for track in [TRACKS[check_choice(name, TRACKS, "track")]]
        for cut, (wavelet, point) in _problems(track, preset)
        for seed, method in product(range(track.n_seeds if preset != "tiny" else 1), track.methods)
        if available(method) and (point not in OPTIONAL or importlib.util.find_spec(point))
    ]


def _problems(track: Track, preset: str) -> list[tuple[str, tuple[str, str]]]:
    """List (cut, (wavelet, point)); long tracks have only the cuts that are long enough."""
    grid = list(product(track.wavelets, track.points))
    usable = [c for c in CUTS.values() if track.n_samples <= 2048 or c.samples >= track.n_samples]
    parts = [[cut.cut for cut in usable if cut.held_out == held_out] for held_out in (0, 1)]
    if preset == "full":
        return list(product(sum(parts, []), grid))
    # Steps of about half of the grid that meet all of it: few cuts have points all over it.
    step = next(k for k in count(math.ceil(0.55 * len(grid))) if math.gcd(k, len(grid)) == 1)
    sizes = (2 * track.n_stored // 3, track.n_stored // 3) if preset == "stored" else (1, 0)
    turns = [enumerate(part[:size]) for part, size in zip(parts, sizes)]
    return [(cut, grid[k * step % len(grid)]) for part in turns for k, cut in part]
