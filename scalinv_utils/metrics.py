"""Compute all errors and scores of the package in one place.

Levels are in dB, 20 log10 of a ratio of norms. Each score answers one question:

- `consistency_db`: does the scalogram of the result match the given one? (`misfit_db` answers the
  same for any other transform.)
- `waveform_error_db`: is it the same waveform, up to the one phase that no scalogram keeps?
- `island_error_db`: is it the same waveform, up to one phase per connected part of the scalogram?
- `frequency_error_db`: does the phase of the coefficients turn equally fast? The phase itself does
  not matter.

Strictly analytic wavelets give x the same scalogram as every Hilbert rotation
Re(exp(i theta) x_analytic). These rotations are a circle, not only the two signs x and -x: a score
that removes only the sign (`sign_error_db`, kept for comparison) calls perfect recoveries wrong.

Levels do not depend on the units of what is compared, and -inf means that nothing differs. They
carry no gradient. Those of a batch are computed for each member alone.
"""

import cmath
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy import ndimage

from . import _levels
from ._arrays import numbers_of
from ._band import hears
from ._tensors import double
from ._validation import (
    check_choice,
    check_instance,
    check_magnitudes,
    check_number,
    check_numbers,
    check_signal,
)
from .transforms._derivatives import time_derivative
from .transforms.scalogram import Scalogram
from .transforms.scattering import Scattering

__all__ = [
    "align",
    "analytic",
    "best_phase",
    "consistency_db",
    "decibels",
    "frequency_error_db",
    "hilbert_rotation",
    "island_error_db",
    "islands",
    "level_db",
    "mean_error_db",
    "misfit_by_order",
    "misfit_db",
    "sign_error_db",
    "waveform_error_db",
]

# A level in dB is a float for one signal and a Tensor for a batch. The shapes of the arguments
# decide which, and type checkers do not see shapes: Any accepts both uses.
Level = Any

# Level below which a point of a scalogram belongs to no island, relative to the maximum.
ISLAND_FLOOR_DB = -40.0

# Differences below this level, relative to the reference, may be rounding errors.
ROUNDING_DB = -250.0


def decibels(ratio: ArrayLike) -> Level:
    """Convert a ratio of norms to dB, 20 log10 of it.

    Parameters
    ----------
    ratio : real array of any shape, zero or positive

    Returns
    -------
    float for a single number, otherwise a Tensor of the shape of `ratio`

    Raises
    ------
    ValueError
        If a ratio is negative or NaN.

    Examples
    --------
    >>> decibels(0.1)
    -20.0
    """
    if isinstance(ratio, float):
        ratio = torch.tensor(ratio, dtype=torch.float64)
    else:
        ratio = double(numbers_of(ratio, "ratio", "of norms, zero or positive"))
    if ratio.is_complex():
        raise TypeError("ratio must be of norms, zero or positive, got complex numbers")
    if not (ratio >= 0).all():
        raise ValueError(f"ratio must be of norms, zero or positive, got {ratio}")
    level = 20 * torch.log10(ratio)
    return level if level.ndim else float(level)


def analytic(x: ArrayLike) -> torch.Tensor:
    """Compute the analytic signal: its real part is x, its imaginary part the Hilbert transform.

    Parameters
    ----------
    x : real array, shape (..., n_samples)

    Returns
    -------
    complex Tensor, shape (..., n_samples)
        Positive frequencies are doubled and negative ones removed; 0 Hz and the Nyquist frequency
        have no partner and stay as they are (Gabor 1946).

    Examples
    --------
    >>> angle = 2 * torch.pi * 5 * torch.arange(64).double() / 64
    >>> bool(torch.allclose(analytic(angle.cos()).imag, angle.sin()))
    True
    """
    x = check_signal(x)
    n = x.shape[-1]
    weights = x.new_zeros(n)
    weights[0] = 1
    weights[1 : (n + 1) // 2] = 2
    if n % 2 == 0:
        weights[n // 2] = 1
    return torch.fft.ifft(torch.fft.fft(x) * weights)


def hilbert_rotation(x: ArrayLike, theta: float) -> torch.Tensor:
    """Turn the phase of all frequencies of x by theta radians.

        Re(exp(i theta) x_analytic)  =  cos(theta) x - sin(theta) H x

    Every strictly analytic wavelet gives the result the same scalogram as x. 0 Hz and the Nyquist
    frequency cannot turn: they shrink by cos(theta).

    Parameters
    ----------
    x : real array, shape (..., n_samples)
    theta : float

    Returns
    -------
    Tensor, shape and dtype of x

    Examples
    --------
    >>> angle = 2 * torch.pi * 5 * torch.arange(64).double() / 64
    >>> bool(torch.allclose(hilbert_rotation(angle.cos(), 0.3), (angle + 0.3).cos()))
    True
    """
    return (cmath.exp(1j * check_number(theta, "theta")) * analytic(x)).real


def best_phase(a: torch.Tensor, b: torch.Tensor, dim: int = -1) -> torch.Tensor:
    """Find the unit number u that brings u a closest to b in least squares, the phase of <a, b>.

    Parameters
    ----------
    a, b : complex Tensors of one shape
    dim : int
        The axis of the inner product.

    Returns
    -------
    complex Tensor, shape of a but with length 1 along `dim`; 1 where <a, b> = 0

    Examples
    --------
    >>> a = torch.tensor([1.0, 2j])
    >>> best_phase(a, 1j * a)
    tensor([0.+1.j])
    """
    check_instance(a, torch.Tensor, "a")
    check_instance(b, torch.Tensor, "b")
    inner = (a.conj() / _levels.unit(a, dim) * (b / _levels.unit(b, dim))).sum(dim, keepdim=True)
    return torch.where(inner == 0, torch.ones_like(inner), torch.sgn(inner))


def align(
    x: ArrayLike, ref: ArrayLike, *, by: Literal["rotation", "sign"] = "rotation"
) -> torch.Tensor:
    """Turn x to the phase of a reference, because no scalogram determines this phase.

    Parameters
    ----------
    x, ref : real arrays, shape (..., n_samples)
    by : "rotation" or "sign"
        "rotation" gives the Hilbert rotation of x that is closest to `ref`, for analytic wavelets.
        "sign" gives x or -x, for transforms that determine all of the phase but a sign, such as
        those with a lowpass.

    Returns
    -------
    Tensor, shape, dtype and device of x

    Raises
    ------
    ValueError, TypeError
        If input is NaN, infinite or complex, shapes differ, or `by` is unknown.

    Examples
    --------
    >>> x = torch.cos(2 * torch.pi * torch.arange(64) / 16).double()
    >>> turned = hilbert_rotation(x, 1.0)
    >>> bool(torch.allclose(align(turned, x), x))
    True
    """
    check_choice(by, ("rotation", "sign"), "by")
    own = check_signal(x)
    x, ref = _same_shape(x, ref)
    if by == "sign":
        turned = torch.where(best_phase(x, ref) < 0, -x, x)
    else:
        a = analytic(x)
        turned = (best_phase(a, analytic(ref)) * a).real
    return turned.to(own)


def consistency_db(x: ArrayLike, S: ArrayLike, W: Scalogram) -> Level:
    """Measure how well the scalogram of x fits S: 20 log10(|| |Wx| - S || / ||S||).

    This level is also called spectral convergence (Sturmel and Daudet 2011). A good fit says
    little about the waveform: see `waveform_error_db`.

    Parameters
    ----------
    x : real array, shape (..., n_samples)
    S : real array, shape (..., n_freqs, n_samples)
    W : Scalogram

    Returns
    -------
    float (a Tensor for a batch), in dB

    Raises
    ------
    ValueError, TypeError
        If input is NaN, infinite or complex, or shapes do not fit W.

    Examples
    --------
    >>> W = Scalogram(64)
    >>> x = torch.arange(64).double().sin()
    >>> round(consistency_db(1.1 * x, W.magnitude(x), W), 6)
    -20.0
    """
    target = check_instance(W, Scalogram, "W").check_scalogram(S)
    modulus = W.modulus(W.coefficients(W.check_signal(x)))
    return level_db(modulus - target, target, dim=(-2, -1))


def misfit_db(output: ArrayLike, target: ArrayLike) -> Level:
    """Measure how well any coefficients fit: 20 log10(||output - target|| / ||target||).

    This is `consistency_db` for transforms other than `Scalogram`, such as kymatio's scattering.

    Parameters
    ----------
    output : real array, shape ``(..., *target.shape)``
        Leading axes beyond those of `target` are a batch.
    target : real array, any shape

    Returns
    -------
    float (a Tensor for a batch), in dB

    Raises
    ------
    ValueError, TypeError
        If input is NaN, infinite or complex, or the output does not end in the target's shape.

    Examples
    --------
    >>> misfit_db([[1.1, 2.2], [1.0, 2.0]], [1.0, 2.0])
    tensor([-20.0000,     -inf], dtype=torch.float64)
    """
    output = double(check_numbers(output, "output"))
    target = double(check_numbers(target, "target")).to(output.device)
    if output.shape[output.ndim - target.ndim :] != target.shape:
        raise ValueError(
            f"output must have a shape (..., *target.shape) with target.shape "
            f"{tuple(target.shape)}, got shape {tuple(output.shape)}"
        )
    return level_db(output - target, target, dim=tuple(range(-target.ndim, 0)))


def misfit_by_order(
    output: ArrayLike, target: ArrayLike, scattering: Scattering
) -> dict[int, Level]:
    """Compute `misfit_db` separately for each order of scattering coefficients.

    Parameters
    ----------
    output, target : real arrays, shape (..., n_paths, n_frames)
    scattering : Scattering

    Returns
    -------
    dict of int to float (a Tensor for a batch), in dB

    Examples
    --------
    >>> from scalinv_utils import Scattering
    >>> scattering = Scattering(128, J=4, Q=4)
    >>> S = scattering(torch.arange(128).double().sin())
    >>> levels = misfit_by_order(1.1 * S, S, scattering)
    >>> [(order, round(level)) for order, level in levels.items()]
    [(1, -20), (2, -20)]
    """
    check_instance(scattering, Scattering, "scattering")
    outputs, targets = scattering.split(output, "output"), scattering.split(target, "target")
    return {order: misfit_db(outputs[order], targets[order]) for order in scattering.orders}


def waveform_error_db(x: ArrayLike, ref: ArrayLike) -> Level:
    """Measure the error of the analytic signals after removing ONE global phase.

        min over theta of || exp(i theta) x_a - ref_a || / || ref_a ||, in dB

    The error does not change if x is replaced by a Hilbert rotation of itself, provided that x has
    no energy at 0 Hz and at the Nyquist frequency, which cannot turn (``W.project`` removes them).

    Parameters
    ----------
    x, ref : real arrays, shape (..., n_samples)

    Returns
    -------
    float (a Tensor for a batch), in dB; -inf for silence recovered as silence

    Raises
    ------
    ValueError, TypeError
        If input is NaN, infinite or complex, or shapes differ.

    Examples
    --------
    >>> angle = 2 * torch.pi * 5 * torch.arange(64).double() / 64
    >>> round(waveform_error_db(1.1 * angle.sin(), angle.cos()), 6)
    -20.0
    """
    x, ref = _same_shape(x, ref)
    a, b = analytic(x), analytic(ref)
    turned, as_it_is, negative = (
        torch.as_tensor(level_db(*pair), dtype=torch.float64)
        for pair in ((best_phase(a, b) * a - b, b), (x - ref, ref), (x + ref, ref))
    )
    level = _sharpened(turned, torch.minimum(as_it_is, negative))
    return level if level.ndim else float(level)


def sign_error_db(x: ArrayLike, ref: ArrayLike) -> Level:
    """Measure the error in dB after removing one global sign; too strict for analytic wavelets.

    Parameters
    ----------
    x, ref : real arrays, shape (..., n_samples)

    Returns
    -------
    float (a Tensor for a batch), in dB

    Examples
    --------
    >>> angle = 2 * torch.pi * 5 * torch.arange(64).double() / 64
    >>> sign_error_db(-angle.cos(), angle.cos())
    -inf
    >>> round(sign_error_db(angle.sin(), angle.cos()), 2)  # a perfect recovery
    3.01
    """
    x, ref = _same_shape(x, ref)
    return level_db(align(x, ref, by="sign") - ref, ref)


def islands(S: ArrayLike, *, floor_db: float = ISLAND_FLOOR_DB) -> tuple[np.ndarray, int]:
    """Find the islands of a scalogram: the connected components of the part above a floor.

    Parameters
    ----------
    S : real array, shape (n_freqs, n_samples)
    floor_db : float
        Level relative to the maximum; points below it belong to no island. Default -40 dB.

    Returns
    -------
    labels : integer array of the shape of S
        Number of the island of each point, 0 for none. Time is periodic, as the transform is: an
        island that leaves on the right comes back on the left.
    n_islands : int

    Raises
    ------
    ValueError, TypeError
        If S is not one scalogram of two axes, has NaN, infinite or negative entries, or the floor
        is above 0 dB.

    Examples
    --------
    >>> labels, n_islands = islands([[1, 0, 0, 1, 0, 1], [0, 0, 0, 0, 0, 0]])
    >>> n_islands, labels[0].tolist()
    (2, [1, 0, 0, 2, 0, 1])
    """
    S = check_magnitudes(S).detach().cpu().numpy()
    if S.ndim != 2:
        raise ValueError(f"S must be one scalogram (n_freqs, n_samples), got shape {S.shape}")
    floor_db = check_number(floor_db, "floor_db")
    if floor_db > 0:
        raise ValueError(f"floor_db must be at most 0, the level of the maximum, got {floor_db}")
    land = (S >= S.max() * 10 ** (floor_db / 20)) & (S > 0)
    # The first column is appended behind the last one. An island that crosses the seam gets two
    # labels, one in each copy of that column, and the loop merges them.
    found: Any = ndimage.label(np.column_stack([land, land[:, 0]]), structure=np.ones((3, 3)))
    labels = found[0]  # of (labels, count)
    for left, right in zip(labels[:, 0], labels[:, -1]):
        if left != right:
            labels[labels == right] = left
    names, labels = np.unique(labels[:, :-1], return_inverse=True)
    labels = labels.reshape(S.shape) + (names[0] != 0)
    return labels, int(labels.max())


def island_error_db(
    x: ArrayLike, ref: ArrayLike, W: Scalogram, *, floor_db: float = ISLAND_FLOOR_DB
) -> float:
    """Measure the error of the coefficients after removing one phase per island of the reference.

    If silence separates two components, their relative phase cannot be determined stably
    (Alaifari, Daubechies, Grohs, Yin 2019, doi:10.1007/s10208-018-9399-7). This score ignores that
    phase and nothing else. Points outside the islands of |W ref| do not count.

    Parameters
    ----------
    x, ref : real arrays, shape (n_samples,)
    W : Scalogram
    floor_db : float
        Level relative to the maximum of |W ref|; points below it belong to no island. Default
        -40 dB.

    Returns
    -------
    float, in dB; inf if the reference is silent and x is not

    Raises
    ------
    ValueError, TypeError
        If input is NaN, infinite or complex, not one mono signal, or its length does not fit W.

    Examples
    --------
    >>> def two_tones(phase):
    ...     angle = 2 * torch.pi * torch.arange(512).double() / 512
    ...     return (24 * angle).cos() + (180 * angle + phase).cos()
    >>> bool(island_error_db(two_tones(2.0), two_tones(0.0), Scalogram(512)) < -120)
    True
    >>> bool(waveform_error_db(two_tones(2.0), two_tones(0.0)) > -6)
    True
    """
    check_signal(x, ndim=1)
    check_instance(W, Scalogram, "W")
    a, b = _coefficients(x, ref, W)
    change = W.coefficients(W.check_signal(double(check_signal(x)) - double(check_signal(ref))))
    labels, n_islands = islands(b.abs(), floor_db=floor_db)
    if n_islands == 0:
        return level_db(a.flatten(), b.flatten())
    labels = torch.as_tensor(labels, device=b.device)
    error = torch.zeros_like(b)
    for island in range(1, n_islands + 1):
        land = labels == island
        error[land] = best_phase(a[land], b[land]) * a[land] - b[land]
    loud = torch.where(labels > 0, b, 0).flatten()
    levels = (
        torch.tensor(level_db(part.flatten(), loud), dtype=torch.float64)
        for part in (error, torch.where(labels > 0, change, 0))
    )
    return float(_sharpened(*levels))


def frequency_error_db(
    x: ArrayLike, ref: ArrayLike, W: Scalogram, *, floor_db: float = ISLAND_FLOOR_DB
) -> float:
    """Measure the error of the coefficients' instantaneous frequency, weighted by the reference.

        20 log10(|| |c| (w_x - w) || / || |c| w ||)

    Here c = W ref, w = dphi/dt is its instantaneous frequency and w_x that of W x; the norms run
    over the points of |c| above the floor. Both frequencies are limited to the range that a
    sampled signal can have, from 0 to the Nyquist frequency, because the phase turns arbitrarily
    fast next to zeros of c.

    Parameters
    ----------
    x, ref : real arrays, shape (n_samples,)
    W : Scalogram
    floor_db : float
        Level relative to the maximum of |W ref|; points below it do not count. Default -40 dB.

    Returns
    -------
    float, in dB; -inf if no point is above the floor, as in silence

    Raises
    ------
    ValueError, TypeError
        If input is NaN, infinite or complex, not one mono signal, or its length does not fit W.

    Examples
    --------
    >>> angle = 2 * torch.pi * 40 * torch.arange(256).double() / 256
    >>> bool(frequency_error_db((angle + 1.0).cos(), angle.cos(), Scalogram(256)) < -200)
    True
    """
    check_signal(x, ndim=1)
    check_instance(W, Scalogram, "W")
    a, b = (c.detach().cpu() for c in _coefficients(x, ref, W))
    weight = torch.where(torch.from_numpy(islands(b.abs(), floor_db=floor_db)[0]) > 0, b.abs(), 0)
    wrong, right = (weight * _instantaneous_frequency(c) for c in (a, b))
    return level_db((wrong - right).flatten(), right.flatten())


def _instantaneous_frequency(coefficients: torch.Tensor) -> torch.Tensor:
    """Compute Im(c'/c) in rad/sample, limited to 0 ... pi; it is 0 where c is zero."""
    c = (coefficients / _levels.unit(coefficients)).numpy()
    power = np.abs(c) ** 2
    turning = np.imag(time_derivative(c) * c.conj())
    frequency = np.divide(turning, power, out=np.zeros_like(power), where=power > 0)
    return torch.from_numpy(np.clip(frequency, 0, np.pi))


def mean_error_db(levels: ArrayLike) -> tuple[float, float]:
    """Compute the level of the mean squared error of several runs, and its standard error.

    A bound on the mean squared error, such as `bounds.cramer_rao`, limits this level. A single run
    that went wrong dominates it, so look at the median as well.

    Parameters
    ----------
    levels : real array, shape (n_runs,), in dB
        Errors of two runs or more.

    Returns
    -------
    level : float
        10 log10 of the mean of the squared errors.
    standard_error : float
        Standard error of the level, in dB.

    Raises
    ------
    ValueError, TypeError
        If there are fewer than two runs, or a level is NaN or infinite.

    Examples
    --------
    >>> level, standard_error = mean_error_db([-20.0, -20.0, -26.0])
    >>> print(f"{level:.1f} dB, give or take {standard_error:.1f} dB")
    -21.2 dB, give or take 1.4 dB
    """
    levels = double(check_signal(levels, min_samples=2, name="levels", ndim=1)).detach()
    top = levels.max()  # relative to the largest one the squares do not all underflow
    squares = 10 ** ((levels - top) / 10)
    spread = squares.std() / squares.mean() / len(squares) ** 0.5
    return float(top + 10 * torch.log10(squares.mean())), float(10 / np.log(10) * spread)


def level_db(
    error: torch.Tensor, reference: torch.Tensor, dim: int | tuple[int, ...] = -1
) -> Level:
    """Compute 20 log10(||error|| / ||reference||): -inf for no error, inf for a zero reference.

    Parameters
    ----------
    error, reference : real or complex Tensors
    dim : int or tuple of int
        The axes of the norms.

    Returns
    -------
    float (a Tensor for a batch), in dB

    Examples
    --------
    >>> quiet, loud = torch.tensor([[1e-200], [1e200]], dtype=torch.float64)
    >>> level_db(quiet, loud)
    -8000.0
    """
    error, reference = double(_levels.norm(error, dim)), double(_levels.norm(reference, dim))
    ratio = error / reference
    exact = (ratio > torch.finfo(ratio.dtype).tiny) & torch.isfinite(ratio)
    # Where the ratio itself would under- or overflow, the logarithms are subtracted.
    level = 20 * torch.where(exact, ratio.log10(), error.log10() - reference.log10())
    level = torch.where(error == 0, -torch.inf, level)
    return level if level.ndim else float(level)


def _sharpened(turned: torch.Tensor, plain: torch.Tensor) -> torch.Tensor:
    """Return the level of a difference after a turn, or without one where that was but rounding.

    A phase has rounding errors, so that equal signals differ after the turn; and a difference that
    rounding has swallowed on the way is still one.
    """
    least = torch.where(torch.isneginf(turned), plain, torch.minimum(turned, plain))
    return torch.where(turned < ROUNDING_DB, least, turned)


def _same_shape(x: ArrayLike, ref: ArrayLike) -> tuple[torch.Tensor, torch.Tensor]:
    """Return two signals of one shape in double precision, on one device: that of x if it can."""
    x, ref = double(check_signal(x)), double(check_signal(ref, name="ref"))
    if x.shape != ref.shape:
        raise ValueError(
            f"x and ref must have one shape, got {tuple(x.shape)} and {tuple(ref.shape)}"
        )
    return x, ref.to(x.device)


def _coefficients(x: ArrayLike, ref: ArrayLike, W: Scalogram) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute the coefficients of two signals, of which W has to hear the second.

    If W hears nothing of the first, its coefficients are zero, and not rounding errors.
    """
    x, ref = _same_shape(x, ref)
    W.check_heard(ref, "ref")
    heard = torch.where(hears(x, W.band.to(x.device)), x, 0)
    return W.coefficients(W.check_signal(heard)), W.coefficients(W.check_signal(ref))
