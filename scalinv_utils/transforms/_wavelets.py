"""Turn the name of a wavelet into ssqueezepy's wavelet and into a function of frequency.

The names are ssqueezepy's ("gmw", "morlet", "bump", ...) and "cauchy", the generalised Morse
wavelet with gamma = 1. A `ssqueezepy.Wavelet` and a function of frequency are wavelets, too.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar

from .._compiled import serial, ssqueezepy
from .._validation import check_choice

__all__ = [
    "MORSE",
    "Named",
    "Response",
    "WaveletLike",
    "named",
    "peak_frequency",
    "response",
    "ssqueezepy_wavelet",
    "time_spread",
    "understood",
]

# Default parameters of the generalised Morse wavelets, w^beta exp(-w^gamma), by name.
MORSE = {"gmw": {"gamma": 3, "beta": 60}, "cauchy": {"gamma": 1, "beta": 30}}

# A wavelet spelt out, (name, {parameters}), and its psi_hat.
Named = tuple[str, dict[str, Any]]
Response = Callable[[ArrayLike], np.ndarray]
WaveletLike = str | tuple[str, Mapping[str, Any]] | ssqueezepy.Wavelet | Response

# The parameters in a `ssqueezepy.Wavelet` that are not the wavelet's own.
NOT_PARAMETERS = {"dtype", "centered_scale"}


def understood(wavelet: WaveletLike) -> tuple[Named, Response]:
    """Spell out a wavelet, and make its psi_hat; a function of frequency keeps its own name.

    Examples
    --------
    >>> name, psi = understood(lambda w: np.exp(-((w - 6) ** 2) / 2))
    >>> name, round(float(psi(6.0)), 3)
    (('<lambda>', {}), 1.0)
    """
    if isinstance(wavelet, (NamedResponse, GivenResponse)):
        return wavelet.wavelet, wavelet
    if isinstance(wavelet, ssqueezepy.Wavelet):
        return _of_ssqueezepy(wavelet)
    if callable(wavelet):
        given = GivenResponse(wavelet)
        return given.wavelet, given
    spelt = named(wavelet)
    return spelt, response(spelt)


def _of_ssqueezepy(wavelet: ssqueezepy.Wavelet) -> tuple[Named, Response]:
    """Spell out a `ssqueezepy.Wavelet`; defaults that change nothing are left out."""
    name = wavelet.name.split()[0].lower()
    config: Any = wavelet.config
    parameters = {k: v for k, v in config.items() if k not in NOT_PARAMETERS}
    if name == "gmw" and parameters.get("norm") == "bandpass" and not parameters.get("order"):
        parameters = {k: parameters[k] for k in ("gamma", "beta")}
    spelt = name, {k: _whole(v) for k, v in parameters.items()}
    return spelt, response(spelt)


def _whole(value: Any) -> Any:
    """Turn a float that is a whole number into an int, as parameters are printed."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


class GivenResponse:
    """A function of frequency whose values are checked to be finite real numbers."""

    def __init__(self, psi: Callable[[np.ndarray], Any]) -> None:
        self._psi = psi
        self.wavelet: Named = (getattr(psi, "__name__", "custom"), {})

    def __call__(self, w: ArrayLike) -> np.ndarray:
        """Evaluate psi_hat."""
        w = np.asarray(w, float)
        values = np.asarray(self._psi(w))
        real = values.dtype.kind in "iuf" and values.shape == w.shape
        if not real or not np.isfinite(values).all():
            raise ValueError(
                "wavelet must be a function that gives one finite real number for each angular "
                f"frequency of an array, got {values.dtype} of shape {values.shape} for shape "
                f"{w.shape}; complex filters go into Scalogram.from_filters"
            )
        return values


def named(wavelet: str | tuple[str, Mapping[str, Any]]) -> Named:
    """Spell out a wavelet as (name, {parameters}), keeping the name that was asked for.

    Examples
    --------
    >>> named(("cauchy", {"beta": 20}))
    ('cauchy', {'gamma': 1, 'beta': 20})
    """
    name, parameters = (wavelet, {}) if isinstance(wavelet, str) else _pair(wavelet)
    check_choice(name, sorted({*MORSE, *ssqueezepy.Wavelet.SUPPORTED}), "wavelet")
    parameters = {**MORSE.get(name, {}), **parameters}
    if name == "cauchy" and parameters["gamma"] != 1:
        raise ValueError(
            f"wavelet must have gamma 1 where it is 'cauchy', got {parameters['gamma']!r}; "
            f"('gmw', {parameters}) takes any gamma"
        )
    return name, parameters


def _pair(wavelet: Any) -> Named:
    """Take a (name, {parameters}) apart, or say what a wavelet must be."""
    try:
        name, parameters = wavelet
        return name, dict(parameters)
    except (TypeError, ValueError):
        raise TypeError(
            f"wavelet must be a name or (name, {{parameters}}), got {wavelet!r}"
        ) from None


def ssqueezepy_wavelet(wavelet: Named, dtype: str = "float64") -> ssqueezepy.Wavelet:
    """Make the `ssqueezepy.Wavelet` of a (name, {parameters})."""
    name, parameters = wavelet
    spelt: Any = ("gmw" if name in MORSE else name, parameters)
    try:
        with serial(), np.errstate(all="ignore"):
            made = ssqueezepy.Wavelet(spelt, dtype=dtype)
            made(np.ones(1))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"wavelet must have parameters that ssqueezepy's {name} takes, "
            f"got {parameters}: {error}"
        ) from error
    return made


class NamedResponse:
    """psi_hat of a (name, {parameters}); unlike ssqueezepy's wavelets it can be pickled.

    Two of one name and the same parameters are equal: what is kept for one wavelet is found again
    by the copies that come to other processes, one with each task.
    """

    def __init__(self, wavelet: Named) -> None:
        self.wavelet = wavelet
        self._function = ssqueezepy_wavelet(wavelet)

    def __call__(self, w: ArrayLike) -> np.ndarray:
        """Evaluate psi_hat."""
        # flatten() copies, because ssqueezepy writes into its argument. Errors are ignored because
        # "bump" is 0/0 at its ends.
        with np.errstate(all="ignore"):
            values = np.real(self._function(np.asarray(w).flatten()))
        return np.nan_to_num(values).reshape(np.shape(w))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NamedResponse) and self.wavelet == other.wavelet

    def __hash__(self) -> int:
        name, parameters = self.wavelet
        return hash((name, frozenset(parameters.items())))

    def __reduce__(self) -> tuple[type, tuple[Named]]:
        """Pickle the name and make the function anew."""
        return NamedResponse, (self.wavelet,)


def response(wavelet: Named) -> Response:
    """Make psi_hat of a (name, {parameters}): angular frequency at scale 1 -> real response."""
    return NamedResponse(wavelet)


def peak_frequency(psi: Response) -> float:
    """Find the angular frequency where psi_hat is largest.

    The maximum is searched numerically because each kind of wavelet has another closed form.
    """
    grid = np.geomspace(0.05, 5000, 10001)
    response = psi(grid)
    k = int(np.argmax(response))
    if k in (0, len(grid) - 1) or response[k] <= 0:
        raise ValueError(
            f"wavelet must peak between {grid[0]:g} and {grid[-1]:g} radians per "
            f"sample at scale 1; with these parameters it does not"
        )
    best = minimize_scalar(
        lambda w: -float(psi(w)),
        bounds=(grid[k - 1], grid[k + 1]),
        method="bounded",
        options={"xatol": 1e-12},
    )
    return float(best.x)


def time_spread(psi: Response, peak: float) -> float:
    """Compute the standard deviation in time of |psi|^2, in periods of the peak frequency."""
    w = np.linspace(0, 8 * peak, 20001)
    response = psi(w)
    spread = np.sqrt(np.sum(np.gradient(response, w) ** 2) / np.sum(response**2))
    return float(spread * peak / (2 * np.pi))
