"""Examine a scalogram and say in sentences what is unusual about it, and what to do.

The examination goes from the form to the contents. The shape, values that are not finite, decibels,
and the grid of a rounded array are read off directly (`_values`). Then the power, the order of
the rows and the wavelet are judged by the range of the lifted map (`_readings`, `_agreement`), and
S is corrected as far as that is possible. The later tests look at the corrected S: ends
that do not meet, columns left out, noise, and sound beyond the band.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.interpolate import CubicSpline
from scipy.ndimage import distance_transform_edt

from .._levels import unit
from .._validation import check_count, check_instance, check_magnitudes, check_plane
from ..measured import Measured
from ..metrics import decibels, island_error_db, islands, misfit_db, waveform_error_db
from ..recovery import recover
from ..recovery._lifted_power import LONGEST_LIFTED
from ..recovery.denoising import autocorrelation
from ..transforms.scalogram import Scalogram
from ._agreement import Bank, Noisy, bank_of, noise_needed, seam, windowed
from ._readings import Reading, best_reading
from ._values import floor_share, grid_of, high_share, looks_like_decibels, negative_share

__all__ = ["Diagnosis", "diagnose"]

# The order of the findings: what has to be put right first stands first.
ORDER = (
    "complex",
    "not finite",
    "silent",
    "transposed",
    "decibels",
    "power",
    "upside down",
    "another wavelet",
    "no scalogram",
    "hop",
    "ends",
    "negative",
    "rounding",
    "floor",
    "noise",
    "unseen",
    "ambiguous",
)

# Beyond these levels S is not examined as it stands.
EXTREME = 2.0**100

# A row is not aliased if its power reaches lags that columns cannot tell by less than this.
UNALIASED = 1e-9

# Stretch of a long scalogram that the lifted map is tried on.
STRETCH = 4096

# Ends do not meet if at least this share of the impossible power lies there, and this many times
# as much as of the rest. It counts from this level on, relative to the power, in dB.
# Rounded decibels have impossible power of their own, so that a larger share is asked for.
AT_THE_ENDS, MOSTLY_AT_THE_ENDS, MORE_AT_THE_ENDS, IMPOSSIBLE_DB = 0.15, 0.6, 4.0, -90.0

# Noise is told from this level on, in dB relative to S, and where it is this many times larger
# than rounding and a floor explain. Noise above LOUDEST_DB, or chi^2 above UNLIKE, is no scalogram.
FAINTEST_DB, LOUDEST_DB, UNEXPLAINED, UNLIKE = -65.0, -8.0, 3.0, 10.0

# Columns were left out where this share of a loud row varies as fast as columns can tell, and where
# the quietest quarter of the loud rows has this many times less. Loud is LOUD_DB below the loudest.
ALIASED, CONTRAST, LOUD_DB = 0.02, 10.0, -30.0

# The row at an edge of the band is loud above this level, relative to the loudest row.
EDGE_DB = -20.0

# Under the window the map holds about to this level.
FAINTEST_CROPPED_DB = -50.0

# W sees all high frequencies if its band reaches this share of half the sampling rate.
WHOLE = 0.95

# Two recoveries differ above this error. The second may be meant as well if its consistency is
# within so many dB of the first one's, or below TOO_WELL_DB: wrong solutions fit as well as that.
DIFFERENT_DB, AS_WELL_DB, TOO_WELL_DB = -20.0, 3.0, -60.0
# Starts that all fit to TOO_WELL_DB and differ by more than this have found different signals, too.
APART_DB = -30.0

# Any two of its multiples are different angles.
GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))

NOT_WHOLE = (
    "Columns or values are missing, or the signal was extended: only the values were examined."
)

AMBIGUOUS_CURE = (
    "S does not determine the signal: take more voices per octave, less noise, or a known part of "
    "it."
)


@dataclass
class Diagnosis:
    """The findings of one examination of a scalogram.

    ``str()`` of it gives the sentences, one a line.

    Attributes
    ----------
    findings : list of (str, str)
        Name and sentence of each finding: what was found, with its number, and what to do.
    notes : list of str
        Sentences about what was, and what could not be, examined.

    Examples
    --------
    >>> import torch
    >>> from scalinv_utils import diagnose
    >>> diagnosis = diagnose(torch.zeros(4, 64))
    >>> [name for name, sentence in diagnosis.findings]
    ['silent']
    """

    findings: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return "\n".join([*(sentence for _, sentence in self.findings), *self.notes])


def diagnose(S: ArrayLike | Measured, W: Scalogram | None = None, *, starts: int = 0) -> Diagnosis:
    """Find out what is unusual about a scalogram, and say what to do about it.

    Parameters
    ----------
    S : array, shape (n_freqs, n_samples), or Measured
        One scalogram, as it came: of any scale, any row order, rounded, noisy, complex, or with
        columns left out. A `Measured` has its own W; where columns or values are missing, or the
        signal was extended, only its values are examined.
    W : Scalogram, optional
        The transform that S is taken to be of. Without it only the values of S are examined.
    starts : int
        Recover the signal from so many different starts (2 or more), and compare the results. This
        takes as many times as long as `recover`. Default: 0, do not.

    Returns
    -------
    Diagnosis
        Its findings are named "complex", "not finite", "silent", "transposed", "decibels",
        "power", "upside down", "another wavelet", "no scalogram", "hop", "ends", "negative",
        "rounding", "floor", "noise", "unseen" and "ambiguous".

    Raises
    ------
    TypeError
        If S is not numeric, or `starts` is no whole number.
    ValueError
        If S is not one array of two axes, or its shape fits W in no way.

    Notes
    -----
    Derived for this project. A scalogram's power lies in the range of a linear map, which white
    noise leaves evenly and a wrong reading leaves in a way that noise does not explain. Below
    a signal-to-noise ratio of about 20 dB wrong readings hide in the noise, and tones that last all
    through S look nearly alike in every reading.

    Examples
    --------
    >>> from scalinv_utils import Scalogram, diagnose
    >>> from scalinv_utils.course import signals
    >>> W = Scalogram(512, 8000, wavelet="cauchy", voices_per_octave=16)
    >>> x, rate = signals.recording("crow", sample_rate=8000, n_samples=512)
    >>> power = W.magnitude(x) ** 2
    >>> [name for name, sentence in diagnose(power, W).findings]
    ['power']
    """
    starts = check_count(starts, "starts", 0)
    if isinstance(S, Measured):
        return _of_measured(S, W, starts)
    W = None if W is None else check_instance(W, Scalogram, "W")
    given = check_plane(S, "S").detach().cpu().numpy()
    if given.ndim != 2:
        raise ValueError(
            f"S must be one scalogram of shape (n_freqs, n_samples), got shape {given.shape}"
        )
    examination = _Examination(given, W)
    examination.carry_out(starts)
    found = sorted(examination.findings.items(), key=lambda item: ORDER.index(item[0]))
    return Diagnosis(found, examination.notes)


def _of_measured(M: Measured, W: Scalogram | None, starts: int) -> Diagnosis:
    """Examine what is known of a scalogram."""
    if W is not None:
        raise TypeError("W must be left out where S is a Measured, which has its own")
    if M.columns.shape == M.W.shape and M.known.all():
        return diagnose(M.S, M.W, starts=starts)
    whole = M.known.all(0)
    found = diagnose(M.S[:, whole] if whole.any() else M.S)
    # That columns were left out is what M said itself.
    return Diagnosis([each for each in found.findings if each[0] != "hop"], [NOT_WHOLE])


class _Examination:
    """Hold the scalogram while it is examined, corrected as far as is known."""

    def __init__(self, given: np.ndarray, W: Scalogram | None) -> None:
        self.S, self.W = given, W
        self.findings: dict[str, str] = {}
        self.notes: list[str] = []
        self.hop, self.rounding, self.from_db, self.periodic = 1, 0.0, False, True
        self.unit = 1.0
        self.grows = self.gaps = False

    def carry_out(self, starts: int) -> None:
        """Examine S from its form to its contents."""
        self.numbers()
        if self.silent():
            return
        if self.W is not None:
            self.shape(self.W)
        self.decibels()
        self.grid_and_floor()
        if self.W is None:
            self.aliasing()
            self.notes.append("More can be told with the transform: call diagnose(S, W).")
        else:
            self.contents(self.W, starts)

    # -- form ----------------------------------------------------------------------------------

    def numbers(self) -> None:
        """Make all values real and finite."""
        if np.iscomplexobj(self.S):
            self.findings["complex"] = (
                "S is complex, so that it still has its phase: W.inverse(S) gives the signal. "
                "Take abs(S) for the scalogram."
            )
            self.S = np.abs(self.S)
        self.S, finite = self.S.astype(float), np.isfinite(self.S)
        if not finite.all():
            self.findings["not finite"] = (
                f"S has {(~finite).sum()} NaN or infinite of {finite.size} values. Pass "
                "Measured(S, W, known=isfinite(S)); if they are decibels of zero, put them to the "
                "lowest value and pass it as floor."
            )
            self.gaps = not np.isneginf(self.S[~finite]).all()
            self.S = np.where(finite, self.S, self.S[finite].min() if finite.any() else 0.0)
        self._set_level()

    def _set_level(self) -> None:
        """Divide S by a power of two where its fourth powers would under- or overflow."""
        largest = float(unit(torch.from_numpy(self.S)))
        if self.S.any() and not 1 / EXTREME < largest < EXTREME:
            self.S, self.unit = self.S / largest, largest

    def silent(self) -> bool:
        """Whether all values are the same, so that there is nothing to examine."""
        if np.ptp(self.S) > 0:
            return False
        value = self.S.flat[0] * self.unit
        self.findings["silent"] = (
            f"S is silent: all its values are {value:g}, and the signal is zero."
        )
        return True

    def shape(self, W: Scalogram) -> None:
        """Compare the shape of S with that of W."""
        if self.S.shape != W.shape and self.S.T.shape[0] == W.n_freqs != self.S.shape[0]:
            self.findings["transposed"] = (
                f"S has the shape {self.S.shape}, time before frequency: take S.T."
            )
            self.S = self.S.T
        n_rows, n_columns = self.S.shape
        self.hop = -(-W.n_samples // n_columns)
        if n_rows != W.n_freqs or -(-W.n_samples // self.hop) != n_columns:
            check_magnitudes(np.abs(self.S), W.shape)
        self.gaps |= self.hop * n_columns != W.n_samples
        if self.hop > 1:
            self.findings["hop"] = (
                f"S has {n_columns} columns where W has {W.n_samples}: every {self.hop}th was "
                f"kept. Pass Measured(S, W, hop={self.hop})."
            )

    def decibels(self) -> None:
        """Find out what negative values mean, and make moduli of decibels."""
        if self.S.min() >= 0 or self._signed():
            return
        if looks_like_decibels(self.S):
            self._are_decibels()
            return
        lowest = self.S.min() * self.unit
        self.findings["negative"] = (
            f"S has {100 * negative_share(self.S):.1f} % negative values, down to "
            f'{lowest:.3g}. If they are noise, call recover(S, W, noise="gaussian").'
        )

    def _signed(self) -> bool:
        """Whether only a row that may be negative is."""
        signed = self.W is not None and self.W.lowpass == "signed"
        return signed and self.S[:-1].min() >= 0

    def _are_decibels(self) -> None:
        self.findings["decibels"] = (
            f"The values look like decibels, from {self.S.min():.1f} to {self.S.max():.1f}: take "
            "10 ** (S / 20), or pass Measured(S, W, scale='db')."
        )
        self.stored = self.S
        self.S, self.from_db = 10 ** ((self.S - max(self.S.max(), 0)) / 20), True

    def grid_and_floor(self) -> None:
        """Find the step of rounding and the floor, and how much error both explain."""
        values = self.stored if self.from_db else self.S
        self._say_rounding(values)
        share = floor_share(values)
        if share:
            lowest = values.min() * self.unit
            self.findings["floor"] = (
                f"{100 * share:.1f} % of the values are exactly {lowest:.6g}, a floor. Pass "
                f"Measured(S, W, floor={lowest:.6g})."
            )
            self.rounding = math.hypot(self.rounding, self.S.min() * math.sqrt(share))

    def _say_rounding(self, values: np.ndarray) -> None:
        grid = grid_of(values)
        if grid is None:
            return
        in_db = grid.in_db or self.from_db
        step = grid.step if in_db else grid.step * self.unit
        self.findings["rounding"] = (
            f"The values are rounded to steps of {step:.4g}{' dB' if in_db else ''}, "
            f"{grid.levels} levels or {grid.bits} bits. Pass "
            f"Measured(S, W, {'step_db' if in_db else 'step'}={step:.4g})."
        )
        relative, self.grows = grid.step * math.log(10) / 20, in_db
        error = relative * self._rms() if in_db else grid.step
        self.rounding = error / math.sqrt(12)

    def _rms(self) -> float:
        return math.sqrt(np.mean(np.square(self.S)))

    # -- contents ------------------------------------------------------------------------------

    def aliasing(self) -> None:
        """Find out whether loud rows vary faster than columns can tell, and others do not."""
        power = np.square(self.S)
        loud = power.mean(1) > 10 ** (LOUD_DB / 10) * power.mean(1).max()
        shares = np.sort(high_share(power[loud]))
        quiet, fast = shares[len(shares) // 4], shares[-1]
        if "hop" not in self.findings and fast > ALIASED and fast > CONTRAST * quiet:
            self.findings["hop"] = (
                f"Up to {100 * fast:.0f} % of a row's variation is as fast as its columns can "
                "tell: columns seem to be left out. Make W for all samples, and pass "
                "Measured(S, W, hop=...)."
            )

    def contents(self, W: Scalogram, starts: int) -> None:
        """Examine S as a scalogram of W."""
        if self.gaps:
            self.notes.append(
                "Values are missing, or the hop does not divide W.n_samples: power, order of rows, "
                "wavelet, ends and noise could not be examined."
            )
            return
        if self.psi is None:
            self.notes.append(
                "The filters are complex or pass negative frequencies: power, order of rows, "
                "wavelet and ends could not be examined."
            )
        else:
            self.readings(W)
        self.unseen(W)
        if starts > 1:
            self.ambiguous(W, starts)

    @cached_property
    def psi(self) -> np.ndarray | None:
        """The rows on the non-negative bins; None if they need the others, or are complex."""
        assert self.W is not None
        rows = self.W.filters[self.W.frequencies > 0].cpu().double().numpy()
        n_bins = self.W.n_samples // 2 + 1
        outside = np.abs(rows[:, n_bins:]).max(initial=0)
        real = self.W.angles is None and outside < 1e-9 * np.abs(rows).max()
        return rows[:, :n_bins] if real else None

    def readings(self, W: Scalogram) -> None:
        """Judge S as it is, correct it if another reading is better, and go on with that."""
        assert self.psi is not None
        n_wavelets = len(self.psi)
        frequencies = W.frequencies[:n_wavelets].cpu().double().numpy() / W.sample_rate
        plain, best = self._best_reading(frequencies, window=False)
        if not best.exact and self._ends_differ(self.S):
            cropped = self._best_reading(frequencies, window=True)
            plain, best = (plain, best) if cropped[1].fails else cropped
        self._correct(plain, best)
        if best.chi2 > UNLIKE:
            self._unlike(best)
            return
        self.ends()
        self.noise(best, W, frequencies)

    def _best_reading(self, frequencies: np.ndarray, window: bool) -> tuple[Reading, Reading]:
        assert self.psi is not None
        piece, bank = self._piece(self.S[: len(self.psi)], self.psi, window)
        return best_reading(piece, bank, frequencies, from_db=self.from_db)

    def _ends_differ(self, S: np.ndarray) -> bool:
        """Whether impossible power crowds where the end of S meets its start."""
        if self.hop > 1 or self.psi is None:
            return False
        share, excess, level = seam(np.square(S[: len(self.psi)]), self.psi)
        least = MOSTLY_AT_THE_ENDS if self.grows else AT_THE_ENDS
        return level > IMPOSSIBLE_DB and share > least and excess > MORE_AT_THE_ENDS

    def _piece(self, S: np.ndarray, psi: np.ndarray, window: bool) -> tuple[np.ndarray, Bank]:
        """Choose the stretch and the rows that the lifted map is tried on."""
        assert self.W is not None
        n_samples = self.W.n_samples
        if n_samples > LONGEST_LIFTED:
            power = np.square(S).sum(0).cumsum()
            n_columns = STRETCH // self.hop
            first = int(np.argmax(power[n_columns:] - power[:-n_columns]))
            S, n_samples, window = S[:, first : first + n_columns], n_columns * self.hop, True
            bins = np.linspace(0, psi.shape[1] - 1, n_samples // 2 + 1)
            psi = CubicSpline(np.arange(psi.shape[1]), psi, axis=1)(bins)
        bank = bank_of(psi, n_samples, self._unaliased(psi, n_samples), self.hop)
        return S, windowed(bank, _durations(psi, n_samples), S) if window else bank

    def _unaliased(self, psi: np.ndarray, n_samples: int) -> np.ndarray:
        """List the rows whose power the columns that were kept can tell."""
        if self.hop == 1:
            return np.arange(len(psi))
        reach = autocorrelation(torch.from_numpy(psi), n_samples).numpy()
        return np.flatnonzero(reach[:, n_samples // self.hop // 2 :].max(1) < UNALIASED)

    def _correct(self, plain: Reading, best: Reading) -> None:
        """Say what is to be read otherwise, and do so."""
        if best is plain:
            return
        better = (
            f"Signal and noise explain S then to a factor of {best.chi2:.2g}, and as it stands to "
            f"{plain.chi2:.2g}."
        )
        sayings = {
            "power": "The values are the power: take S ** 0.5, or pass "
            "Measured(S, W, scale='power').",
            "decibels": "The values look like decibels: take 10 ** (S / 20), or pass "
            "Measured(S, W, scale='db').",
            "upside down": "The rows are upside down, lowest frequency first: take S[::-1].",
            "transposed": "S is transposed, time before frequency: take S.T.",
        }
        for name in filter(None, (best.scale, best.turn)):
            self.findings[name] = f"{sayings[name]} {better}"
        if best.wavelet is not None:
            self.findings["another wavelet"] = (
                f"The wavelet is another one: of those tried wavelet={best.wavelet} fits best. "
                f"Make W with it. {better}"
            )
        n_wavelets = len(self.psi) if self.psi is not None else len(self.S)
        self.S = np.vstack([best.modulus(self.S[:n_wavelets]), self.S[n_wavelets:]])

    def _unlike(self, best: Reading) -> None:
        """Say that nothing that was tried makes S a scalogram."""
        self.aliasing()
        self.findings["no scalogram"] = (
            "S is not a scalogram of W, nor of any other wavelet, scale or order of rows that was "
            f"tried: it needs noise of {best.noise_db:.0f} dB relative to its rms, which explains "
            f"it to a factor of {best.chi2:.2g}. Compare its frequencies and norm with those of W."
        )

    def ends(self) -> None:
        """Find out whether the end of S meets its start."""
        if not self._ends_differ(self.S):
            return
        assert self.psi is not None
        share, _, _ = seam(np.square(self.S[: len(self.psi)]), self.psi)
        self.periodic = False
        self.findings["ends"] = (
            f"S is not periodic in time: {100 * share:.0f} % of the power that no periodic signal "
            f"has lies at both ends. It was probably padded and cropped: pass "
            "Measured(S, W, ends='zero'), 'reflect' or 'symmetric'."
        )

    def noise(self, best: Reading, W: Scalogram, frequencies: np.ndarray) -> None:
        """Measure the noise, and say so where rounding and a floor do not explain it."""
        assert self.psi is not None
        piece, bank = self._piece(self.S[: len(self.psi)], self.psi, not self.periodic)
        bank = best.bank(bank, frequencies)
        rms = math.sqrt(np.mean(np.square(piece)))
        profile = np.abs(piece) if self.grows else np.full_like(piece, rms)
        sigma = 10 ** (noise_needed([Noisy(piece, np.abs, profile)], bank)[0] / 20) * rms
        level = decibels(sigma / self._rms())
        if level > LOUDEST_DB:
            self._unlike(best)
        elif (
            level > (FAINTEST_DB if self.periodic else FAINTEST_CROPPED_DB)
            and sigma > UNEXPLAINED * self.rounding
        ):
            self.findings["noise"] = (
                f"S has noise of standard deviation {sigma * self.unit:.3g}, {-level:.0f} dB below "
                "its rms: recover(S, W) finds its level by itself, and error_bars tells how good "
                "the signal is."
            )
        elif not self.findings:
            self.notes.append(f"S is a scalogram of W, to {level:.0f} dB.")

    def unseen(self, W: Scalogram) -> None:
        """Say what of a sound W sees, and where the sound probably goes on."""
        seen = torch.nonzero(W.band).flatten().cpu().numpy() * W.sample_rate / W.n_samples
        low, high = float(seen.min()), float(seen.max())
        self.notes.append(f"W sees {low:.4g} to {high:.4g} Hz; S tells nothing about the rest.")
        order = W.frequencies[W.frequencies > 0].cpu().numpy().argsort()
        level = np.square(self.S[: len(order)]).mean(1)
        level = 10 * np.log10(np.maximum(level / level.max(), np.finfo(float).tiny))
        edges = {
            f"below {low:.4g} Hz": level[order[0]] if W.lowpass is None else -math.inf,
            f"above {high:.4g} Hz": (
                level[order[-1]] if high < WHOLE * W.sample_rate / 2 else -math.inf
            ),
        }
        loud = {edge: db for edge, db in edges.items() if db > EDGE_DB}
        if loud and "no scalogram" not in self.findings:
            where = " and ".join(f"{edge} (row {db:.0f} dB)" for edge, db in loud.items())
            self.findings["unseen"] = (
                f"The sound probably goes on {where}, where W does not see it: the recovered "
                "signal will lack that part. Take W with a wider band if you can."
            )

    def ambiguous(self, W: Scalogram, starts: int) -> None:
        """Recover the signal from several starts, and compare them after the one rotation."""
        faults = {"no scalogram", "another wavelet", "ends", "hop"} & set(self.findings)
        if faults:
            self.notes.append(f"Starts were not compared, because of {', '.join(sorted(faults))}.")
            return
        S = torch.from_numpy(np.ascontiguousarray(self.S))
        noise = "gaussian" if "negative" in self.findings else "clipped"
        first, *others = (
            recover(S, W, seed=seed, noise=noise, progress=False).signal for seed in range(starts)
        )
        worst = max(others, key=lambda x: waveform_error_db(x, first))
        error, within = waveform_error_db(worst, first), island_error_db(worst, first, W)
        turned = _islands_turned(first, W)
        cost, same, fit = (misfit_db(W.magnitude(y), S) for y in (turned, first, worst))
        # A good fit leaves little room: signals that differ although all fit are no one signal.
        if error > (APART_DB if max(same, fit) < TOO_WELL_DB else DIFFERENT_DB):
            self.findings["ambiguous"] = (
                f"{starts} starts led to signals that differ by {error:.0f} dB after one rotation, "
                f"and by {within:.0f} dB if each island is turned by itself. {AMBIGUOUS_CURE}"
            )
        elif waveform_error_db(turned, first) > DIFFERENT_DB and (
            cost < max(same + AS_WELL_DB, TOO_WELL_DB)
        ):
            self.findings["ambiguous"] = (
                f"{starts} starts led to the same signal, to {error:.0f} dB, but by chance: with "
                f"its islands turned by angles of their own, it fits S to {cost:.0f} dB instead of "
                f"{same:.0f} dB. {AMBIGUOUS_CURE}"
            )
        else:
            self.notes.append(f"{starts} starts led to the same signal, to {error:.0f} dB.")


def _islands_turned(x: torch.Tensor, W: Scalogram) -> torch.Tensor:
    """Turn each island of a signal by an angle of its own, with all that lies nearest to it.

    Starts may agree by chance, because the search has few places where it comes to rest. Where
    silence parts the islands, this signal has nearly the same scalogram.
    """
    c = W(x)
    labels, _ = islands(c.abs())
    nearest = np.asarray(
        distance_transform_edt(labels == 0, return_distances=False, return_indices=True)
    )
    angles = GOLDEN_ANGLE * torch.from_numpy(labels[tuple(nearest)])
    return W.inverse(c * torch.exp(1j * angles))


def _durations(psi: np.ndarray, n_samples: int) -> np.ndarray:
    """Compute the standard deviation in time of each row's wavelet, in samples."""
    slope = np.diff(psi, axis=1) * n_samples / (2 * np.pi)
    return np.sqrt(np.square(slope).sum(1) / np.square(psi).sum(1))
