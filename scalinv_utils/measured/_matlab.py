"""Read the scalograms of MATLAB's cwt (Wavelet Toolbox) from a .mat file.

MATLAB extends a signal of N samples by its mirror image on both sides, filters it on the DFT grid
of the extended signal, and cuts the coefficients to the signal:

    pad   =  floor(N / 2)          ceil(log2 N) where N > 100000         (each side)
    wt_j  =  IDFT( psi_hat(s_j w) DFT(extended x) )
    s_j   =  w_psi / (2 pi f_j / f_s)

    morse   psi_hat(w) = 2 (w / w_psi)^beta exp(w_psi^gamma - w^gamma),   w_psi^gamma = beta / gamma
    amor    psi_hat(w) = 2 exp(-(w - 6)^2 / 2) for w > 0,                 w_psi = 6
    bump    psi_hat(w) = 2 exp(1 - 1 / (1 - ((w - 5) / 0.6)^2)),          w_psi = 5

MATLAB's time-bandwidth product of a Morse wavelet is beta gamma: its default (3, 60) has beta 20.
The mirror image repeats the edge sample, as numpy's "symmetric" does; with N even, the DFT of the
extended signal vanishes at the Nyquist frequency, so that nothing hangs on that bin.
"""

import math
import os
from collections.abc import Mapping
from os import PathLike
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from .._room import for_file
from .._validation import check_choice, check_positive
from .._whole_file import check_path
from ..transforms._wavelets import WaveletLike
from ..transforms.scalogram import Scalogram
from ._files import listed
from ._mat import OtherFormat, variables
from ._measured import Measured
from ._planes import check_plane, check_rows

__all__ = ["from_matlab"]

# Above this length MATLAB extends a signal by the logarithm of its length only.
LONGEST_MIRRORED = 10**5

# The advice for a small file that holds much: variables have no limit but the memory.
GIVE_THEM = "scipy.io.loadmat reads the file, and from_matlab takes the variables that it returns"

# Centre of the analytic Morlet wavelet, and centre and width of the bump, in rad per sample.
AMOR_CENTRE, BUMP_CENTRE, BUMP_WIDTH = 6.0, 5.0, 0.6


def from_matlab(
    path: str | PathLike[str] | Mapping[str, ArrayLike],
    *,
    sample_rate: float,
    variable: str = "wt",
    frequencies: str = "f",
    wavelet: Literal["morse", "amor", "bump"] = "morse",
    time_bandwidth: float = 60,
    gamma: float = 3,
    extend: bool = True,
) -> Measured:
    """Read the scalogram that ``[wt, f] = cwt(x, fs); save('wt.mat', 'wt', 'f')`` leaves.

    Parameters
    ----------
    path : str, path-like or mapping
        A .mat file of version 7 or older (``save(..., '-v7')``), or the variables by their names,
        as other readers return them. With h5py the axes of a file of version 7.3 are reversed:
        ``{name: np.array(file[name]).T for name in ("wt", "f")}``.
    sample_rate : float
        The fs of the call, in Hz.
    variable : str
        Name of the matrix of coefficients, or of their modulus, in the file.
    frequencies : str
        Name of the centre frequencies of its rows, in Hz.
    wavelet : "morse", "amor" or "bump"
        As in the call of cwt.
    time_bandwidth, gamma : float
        MATLAB's TimeBandwidth and symmetry of a Morse wavelet.
    extend : bool
        MATLAB's ExtendSignal.

    Returns
    -------
    Measured

    Raises
    ------
    TypeError
        If a variable of the file is not numeric.
    ValueError
        If the file is no such .mat file or lacks a variable, the frequencies do not fit the rows of
        the matrix or exceed the Nyquist frequency, or a parameter is out of range.
    OSError
        If the file cannot be opened.

    Notes
    -----
    The formulas are those of MATLAB's documentation of cwt and cwtfilterbank (R2024a). The
    transform of a complex signal has a third axis and is not read. For Morse wavelets see Lilly and
    Olhede (2009), doi:10.1109/TSP.2008.2007607.

    Examples
    --------
    >>> import numpy as np, scipy.io, tempfile, pathlib
    >>> from scalinv_utils.measured import from_matlab
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "wt.mat"
    >>> f = 400 * 2.0 ** -(np.arange(40) / 10)
    >>> scipy.io.savemat(path, {"wt": np.ones((40, 256)), "f": f[:, None]})
    >>> M = from_matlab(path, sample_rate=1000)
    >>> M.W.wavelet, M.W.shape, M.n_samples
    (('gmw', {'gamma': 3, 'beta': 20.0}), (40, 512), 256)
    """
    with for_file(_size(path), GIVE_THEM):
        wt, f = _variables(path, (variable, frequencies))
        S = check_plane(wt, variable)
        f = check_rows(f, frequencies, len(S), variable)
        sample_rate = check_positive(sample_rate, "sample_rate")
        if f.max() > sample_rate / 2:
            raise ValueError(
                f"{frequencies} must be in Hz, at most the Nyquist frequency {sample_rate / 2:g} "
                f"Hz, got {f.max():.4g}"
            )
        n_samples = S.shape[-1]
        pad = _extension(n_samples) if check_choice(extend, (True, False), "extend") else 0
        W = Scalogram.from_frequencies(
            n_samples + 2 * pad,
            sample_rate,
            frequencies=f,
            wavelet=_wavelet(wavelet, time_bandwidth, gamma),
        )
        ends = "symmetric" if extend else "periodic"
        return Measured(S, W, ends=ends, pad=(pad, pad), n_samples=n_samples)


def _size(path: str | PathLike[str] | Mapping[str, ArrayLike]) -> float:
    """Return how many bytes a file has; variables that are given are as large as they are."""
    return math.inf if isinstance(path, Mapping) else os.path.getsize(check_path(path))


def _variables(
    path: str | PathLike[str] | Mapping[str, ArrayLike], names: tuple[str, ...]
) -> list[Any]:
    """Return variables of a .mat file, or say why that is impossible."""
    held, told = (path, "variables") if isinstance(path, Mapping) else (_read(path, names), path)
    lacking = [name for name in names if name not in held]
    if lacking:
        raise ValueError(
            f"path must hold the variable {lacking[0]!r}, got {told} with {listed(held)}"
        )
    for name in names:
        if held[name] is None:
            raise TypeError(
                f"{name} must be a matrix of numbers in {told}, got one of another kind"
            )
    return [held[name] for name in names]


def _read(path: str | PathLike[str], names: tuple[str, ...]) -> dict[str, np.ndarray | None]:
    with open(check_path(path), "rb") as file:
        try:
            return variables(file, names)
        except OtherFormat:
            raise ValueError(
                f"path must be a .mat file of version 7 or older, got one of version 7.3: "
                f"{path}; in MATLAB, save(..., '-v7') writes such a file"
            ) from None
        except ValueError as error:
            raise ValueError(f"path must be a .mat file, got {path}: {error}") from None


def _extension(n_samples: int) -> int:
    """Count the samples that MATLAB adds on each side."""
    return n_samples // 2 if n_samples <= LONGEST_MIRRORED else math.ceil(math.log2(n_samples))


def _wavelet(name: str, time_bandwidth: float, gamma: float) -> WaveletLike:
    """Make the wavelet of MATLAB's name and parameters."""
    check_choice(name, ("morse", "amor", "bump"), "wavelet")
    if name != "morse":
        return amor if name == "amor" else bump
    gamma = check_positive(gamma, "gamma")
    return "gmw", {"gamma": gamma, "beta": check_positive(time_bandwidth, "time_bandwidth") / gamma}


def amor(w: ArrayLike) -> np.ndarray:
    """Compute the response of MATLAB's analytic Morlet wavelet at scale 1, w in rad per sample.

    Examples
    --------
    >>> amor([-6.0, 6.0])
    array([0., 2.])
    """
    w = np.asarray(w, dtype=float)
    return np.where(w > 0, 2 * np.exp(-((w - AMOR_CENTRE) ** 2) / 2), 0.0)


def bump(w: ArrayLike) -> np.ndarray:
    """Compute the response of MATLAB's bump wavelet at scale 1, w in rad per sample.

    Examples
    --------
    >>> bump([4.4, 5.0, 5.6])
    array([0., 2., 0.])
    """
    inside = 1 - ((np.asarray(w, dtype=float) - BUMP_CENTRE) / BUMP_WIDTH) ** 2
    # The clip keeps the division outside the bump finite; there the response is zero.
    return np.where(inside > 0, 2 * np.exp(1 - 1 / inside.clip(1e-9)), 0.0)
