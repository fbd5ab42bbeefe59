"""Read the constant-Q and variable-Q transforms of librosa.

librosa filters the top octave of a signal y_0, halves the sampling rate, filters the next octave at
the new rate, and so on:

    y_{i+1}(n)  =  sqrt(2) (lowpass * y_i)(2 n)
    V_k(t)      =  sum_m g_k(m) y_i(t hop / 2^i + m - M / 2)
    g_k         =  DFT of ( the M / 2 + 1 non-negative bins of DFT(wavelet), the smallest set to 0 )
    wavelet     =  window exp(2 pi j f_k n / rate_i), L_k samples long, in the middle of M = 2^m
    L_k         =  Q rate_i / (f_k + gamma / alpha),    Q = filter_scale / alpha

Frames are centred, and zeros surround the signal. A filter after a decimation is one filter at the
full rate: its taps lie 2^i samples apart, and the lowpass leaves one of the 2^i copies of its
response. The lowpass of librosa's default, soxr_hq, passes what lies below 0.91 of the new Nyquist
frequency unchanged, and wavelets end far below that; a sharp edge stands for it here.

Two things are left out. The wavelets' responses at negative frequencies are small (-75 dB for
white noise) and would double the memory; with them, rows of the top octave agree with librosa 0.11
to -145 dB. And librosa cuts each decimated signal to its length, and with it the ringing of the
lowpass beyond the ends. Two seconds of the recordings at 22,050 Hz that begin and end in silence
agree to -52 to -91 dB, the same cut out without fading to -43 to -72 dB. The difference lies at
the ends of the lower octaves: with only_exact, 5 % of the columns of seven octaves are left out,
and the others agree to -80 dB.
"""

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple, cast

import numpy as np
from numpy.typing import ArrayLike
from scipy import fft
from scipy.signal import get_window

from .._room import check_room
from .._validation import check_choice, check_count, check_flag, check_number, check_positive
from ..transforms.scalogram import Scalogram
from ._measured import Measured
from ._planes import check_plane

__all__ = ["from_librosa"]

# With gamma=None, the bandwidth of a row of alpha exceeds alpha f by this many Hz times alpha,
# which makes it one of hearing (Glasberg and Moore 1990).
HEARING_HZ = 24.7 / 0.108


class Rows(NamedTuple):
    """The numbers that librosa makes its wavelets of, one for each row."""

    frequencies: np.ndarray  # Hz
    lengths: np.ndarray  # seconds
    bins_per_octave: int


class Octave(NamedTuple):
    """The rows that are filtered at one rate, and how often the rate was halved before them."""

    rows: slice
    halvings: int


def from_librosa(
    C: ArrayLike,
    *,
    sample_rate: float,
    hop_length: int,
    fmin: float,
    bins_per_octave: int,
    kind: Literal["cqt", "vqt"] = "cqt",
    length: int | None = None,
    filter_scale: float = 1.0,
    gamma: float | None = None,
    tuning: float = 0.0,
    window: Any = "hann",
    norm: float | None = 1,
    scale: bool = True,
    sparsity: float = 0.01,
    only_exact: bool = False,
) -> Measured:
    """Read what ``C = librosa.cqt(y)`` or ``C = librosa.vqt(y)`` returns.

    Parameters
    ----------
    C : complex or real array, shape (n_bins, n_frames)
        The coefficients or their modulus, lowest frequency first.
    sample_rate : float
        The sr of the call, in Hz.
    hop_length : int
        Samples from one column to the next.
    fmin : float
        Lowest frequency in Hz, before the tuning.
    bins_per_octave : int
        Rows per octave.
    kind : "cqt" or "vqt"
        The function that made C.
    length : int, optional
        Samples of y. Default: the most that n_frames columns allow.
    filter_scale, tuning, window, norm, scale, sparsity
        As in the call of librosa. The window is a name, or what else scipy.signal.get_window takes.
    gamma : float, optional
        Offset of the bandwidths of vqt in Hz. Default: librosa's, which follows hearing.
    only_exact : bool
        Count columns as unknown where a wavelet of a decimated octave reaches beyond the ends.

    Returns
    -------
    Measured
        A column that lies beyond the end of y is left out.

    Raises
    ------
    TypeError
        If C is not numeric.
    ValueError
        If C is negative or not finite, length does not fit its columns, the highest row exceeds the
        Nyquist frequency, or another parameter is out of range.

    Notes
    -----
    ``res_type`` and ``pad_mode`` are taken to be librosa's defaults, "soxr_hq" and "constant".
    pseudo_cqt and hybrid_cqt multiply moduli by moduli: no linear map gives them, and they are not
    read. The formulas are those of librosa 0.11 (McFee et al. 2015,
    doi:10.25080/Majora-7b98e3ed-003), after Schoerkhuber and Klapuri, Constant-Q transform toolbox
    for music processing (2010).

    Examples
    --------
    >>> import numpy as np
    >>> from scalinv_utils.measured import from_librosa
    >>> options = dict(sample_rate=8000, hop_length=64, fmin=200, bins_per_octave=12)
    >>> M = from_librosa(np.ones((36, 33)), **options, length=2048)
    >>> [round(float(f)) for f in M.W.frequencies[::12]], M.n_samples
    ([200, 400, 800], 2048)
    """
    S = check_plane(C, "C")
    sample_rate = check_positive(sample_rate, "sample_rate")
    hop = check_count(hop_length, "hop_length")
    n_samples = _length(length, hop, S.shape[-1])
    rows = _rows(len(S), fmin, bins_per_octave, tuning, filter_scale, _offset(kind, gamma))
    early = _early_halvings(rows, sample_rate, hop, window)
    bank = Bank(rows, sample_rate, window, norm, _share(sparsity))
    octaves = list(_octaves(len(S), rows.bins_per_octave, hop, early))
    bank.check_room(n_samples, hop)
    n_padded = bank.padded(n_samples, hop)
    filters = bank.responses(n_padded, n_samples, octaves)
    if check_flag(scale, "scale"):
        filters /= np.sqrt(rows.lengths * sample_rate)[:, None]
    W = Scalogram.from_filters(filters, rows.frequencies, sample_rate, n_samples=n_padded)
    pad = (0, n_padded - n_samples)
    S = S[:, : -(-n_samples // hop)]
    known = None
    if check_flag(only_exact, "only_exact"):
        known = _inside(
            rows.lengths * sample_rate, octaves, hop * np.arange(S.shape[-1]), n_samples
        )
    return Measured(S, W, known=known, hop=hop, ends="zero", pad=pad, n_samples=n_samples)


# --- The parameters -------------------------------------------------------------------------------


def _length(length: int | None, hop: int, n_columns: int) -> int:
    """Return the number of samples; librosa makes 1 + length // hop columns of them."""
    if length is None:
        return n_columns * hop - 1 if hop > 1 else n_columns
    length = check_count(length, "length")
    # After an early decimation of a signal of odd length there may be one column more.
    if n_columns - (1 + length // hop) not in (0, 1):
        raise ValueError(
            f"length must fit the {n_columns} columns of C, which are those of "
            f"{(n_columns - 1) * hop} to {n_columns * hop - 1} samples at hop_length {hop}, got "
            f"{length}"
        )
    return length


def _offset(kind: str, gamma: float | None) -> float | None:
    """Return the gamma of librosa's vqt for a kind of transform."""
    if isinstance(kind, str) and kind in ("pseudo_cqt", "hybrid_cqt"):
        raise ValueError(
            f"kind must be 'cqt' or 'vqt', got {kind!r}, which multiplies moduli by moduli: no "
            f"linear map of the signal gives it"
        )
    if check_choice(kind, ("cqt", "vqt"), "kind") == "vqt":
        return gamma if gamma is None else check_number(gamma, "gamma")
    if gamma is not None and check_number(gamma, "gamma") != 0:
        raise ValueError(f"gamma must be None for kind='cqt', got {gamma!r}; is C a vqt?")
    return 0.0


def _share(sparsity: float) -> float:
    """Check librosa's sparsity."""
    sparsity = check_number(sparsity, "sparsity")
    if not 0 <= sparsity < 1:
        raise ValueError(f"sparsity must be at least 0 and below 1, got {sparsity!r}")
    return sparsity


def _rows(
    n_bins: int,
    fmin: float,
    bins_per_octave: int,
    tuning: float,
    filter_scale: float,
    gamma: float | None,
) -> Rows:
    """Compute the centre frequencies and how long the wavelets last."""
    per_octave = check_count(bins_per_octave, "bins_per_octave")
    steps = (np.arange(n_bins) + check_number(tuning, "tuning")) / per_octave
    frequencies = check_positive(fmin, "fmin") * 2.0**steps
    ratio = 2.0 ** (2 / per_octave)
    alpha = (ratio - 1) / (ratio + 1)
    offset = HEARING_HZ if gamma is None else gamma / alpha
    if offset < 0:
        raise ValueError(f"gamma must not be negative, got {gamma!r}")
    lengths = check_positive(filter_scale, "filter_scale") / alpha / (frequencies + offset)
    return Rows(frequencies, lengths, per_octave)


def _early_halvings(rows: Rows, sample_rate: float, hop: int, window: Any) -> int:
    """Count how often librosa halves the rate before the first octave."""
    w = _window(window, 1000)
    bandwidth = len(w) * np.sum(w**2) / np.sum(np.abs(w)) ** 2
    cutoff = (rows.frequencies + bandwidth / (2 * rows.lengths)).max()
    nyquist = sample_rate / 2
    if cutoff > nyquist:
        raise ValueError(
            f"fmin must leave the highest row below the Nyquist frequency {nyquist:g} Hz, got "
            f"{rows.frequencies[0]:g} Hz and {len(rows.frequencies)} rows, which reach "
            f"{cutoff:.4g} Hz"
        )
    n_octaves = -(-len(rows.frequencies) // rows.bins_per_octave)
    in_band = max(0, int(np.ceil(np.log2(nyquist / cutoff))) - 2)
    return min(in_band, max(0, _twos(hop) - n_octaves + 1))


def _twos(number: int) -> int:
    """Count how often 2 divides a number."""
    return (number & -number).bit_length() - 1


def _octaves(n_bins: int, per_octave: int, hop: int, early: int) -> Iterator[Octave]:
    """Yield octaves from the top; the rate is halved before each as long as the hop is even."""
    for k, end in enumerate(range(n_bins, 0, -per_octave)):
        yield Octave(slice(max(0, end - per_octave), end), min(early + k, _twos(hop)))


def _inside(
    lengths: np.ndarray, octaves: list[Octave], places: np.ndarray, n_samples: int
) -> np.ndarray:
    """Find the coefficients whose wavelets lie inside the signal or see no decimated one."""
    inside = np.minimum(places, n_samples - places) >= lengths[:, None] / 2
    for rows, halvings in octaves:
        inside[rows] |= halvings == 0
    return inside


def _window(window: Any, n_samples: int) -> np.ndarray:
    """Sample a window, or say that there is none of this name."""
    try:
        return get_window(window, n_samples)
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(
            f"window must be one that scipy.signal.get_window takes, got {window!r}: {error}"
        ) from None


# --- The filters ----------------------------------------------------------------------------------


class Bank:
    """librosa's wavelets as filters at the full sampling rate.

    Parameters
    ----------
    rows : Rows
    sample_rate : float
        Hz.
    window, norm, sparsity
        As librosa takes them.
    """

    def __init__(
        self, rows: Rows, sample_rate: float, window: Any, norm: float | None, sparsity: float
    ) -> None:
        self.rows, self.sample_rate, self.window = rows, sample_rate, window
        infinite = isinstance(norm, float) and norm == np.inf
        self.norm = norm if norm is None or infinite else check_positive(norm, "norm")
        self.sparsity = sparsity

    def check_room(self, n_samples: int, hop: int) -> None:
        """Refuse parameters that call for filters beyond the free memory."""
        longest = float(self.rows.lengths.max() * self.sample_rate)
        taps = 2 * longest * min(self.rows.bins_per_octave, len(self.rows.lengths))
        responses = (n_samples + min(longest, n_samples) + hop) * len(self.rows.lengths)
        check_room(
            16 * (3 * taps + 2 * responses),
            "sample_rate, hop_length and bins_per_octave",
            f"filters for {n_samples:,} samples, the longest of {longest:,.0f},",
            "see that they are those of the call of librosa, and cut C into pieces",
        )

    def padded(self, n_samples: int, hop: int) -> int:
        """Return a multiple of the hop at which no tap reaches the signal from its wrong end."""
        longest = 2.0 ** np.ceil(np.log2(self.rows.lengths.max() * self.sample_rate))
        # The longest wavelet is rounded up to a power of two at its own, lower rate: the same here.
        least = n_samples + min(int(longest) // 2 + 1, n_samples)
        return hop * cast(int, fft.next_fast_len(-(-least // hop)))

    def responses(self, n: int, n_samples: int, octaves: list[Octave]) -> np.ndarray:
        """Compute the responses, shape (n_bins, n // 2 + 1), on a DFT grid of n padded samples.

        Each halving multiplies the signal by sqrt(2) and, because librosa makes up for the shorter
        wavelets, the wavelets by sqrt(2) as well.
        """
        H = np.zeros((len(self.rows.frequencies), n // 2 + 1), complex)
        for rows, halvings in octaves:
            stride, taps = 2**halvings, self._taps(rows, halvings)
            times = -stride * (np.arange(taps.shape[1]) - taps.shape[1] // 2)
            near, passed = np.abs(times) < n_samples, np.arange(n // 2 + 1) * 2 * stride < n
            for row, h in zip(H[rows], taps):
                spread = np.zeros(n, complex)
                spread[times[near]] = stride * h[near]
                row[passed] = np.fft.fft(spread)[: n // 2 + 1][passed]
        return H

    def _taps(self, rows: slice, halvings: int) -> np.ndarray:
        """Compute what librosa's frames are multiplied by, shape (n_rows, n_fft)."""
        rate = self.sample_rate / 2**halvings
        lengths = self.rows.lengths[rows] * rate
        n_fft = int(2.0 ** np.ceil(np.log2(lengths.max())))
        wavelets = np.zeros((len(lengths), n_fft), np.complex64)  # librosa's precision
        for row, frequency, length in zip(wavelets, self.rows.frequencies[rows], lengths):
            wavelet = self._wavelet(2 * np.pi * frequency / rate, length)
            first = (n_fft - len(wavelet)) // 2
            row[first : first + len(wavelet)] = wavelet
        # The order of these roundings is librosa's: where two bins are equally small, a rounding
        # decides which of them is set to zero.
        wavelets *= lengths[:, None] / n_fft
        spectrum = cast(np.ndarray, fft.fft(wavelets))
        spectrum[:, n_fft // 2 + 1 :] = 0
        _thin_out(spectrum[:, : n_fft // 2 + 1], self.sparsity)
        return np.fft.fft(spectrum.astype(complex))

    def _wavelet(self, angular: float, length: float) -> np.ndarray:
        """Make a windowed oscillation of a length in samples, which need not be whole."""
        wavelet = np.exp(1j * angular * np.arange(-length // 2, length // 2))
        wavelet *= _window(self.window, len(wavelet))
        return wavelet if self.norm is None else wavelet / np.linalg.norm(wavelet, self.norm)


def _thin_out(spectrum: np.ndarray, share: float) -> None:
    """Set to zero, in place, the smallest bins that together hold this share of each row's sum."""
    sizes = np.abs(spectrum)
    rising = np.sort(sizes)
    held = np.cumsum(rising / rising.sum(-1, keepdims=True), axis=-1)
    last = np.argmin(held < share, axis=-1)
    spectrum[sizes < np.take_along_axis(rising, last[:, None], -1)] = 0
