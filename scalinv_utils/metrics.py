"""The only place where errors are computed.

Levels are in dB, 20 log10 of a ratio of norms. Three questions, three scores:

- `consistency_db`: does the scalogram of the answer match the given one? (`misfit_db` asks the
  same of any other transform.)
- `waveform_error_db`: is it the same waveform, up to the one phase that no scalogram keeps?
- `island_error_db`: the same with one phase per connected part of the scalogram.

A fourth, `frequency_error_db`, asks how fast the phase turns, and forgives where it stands.

Strictly analytic wavelets give the same scalogram to x and to every Hilbert rotation
Re(exp(i theta) x_analytic) of it, a circle and not just a sign: a score that removes only the
sign (`sign_error_db`, kept for comparison) calls perfect recoveries wrong.
"""

import cmath

import numpy as np
import torch
from scipy import ndimage

from ._validation import check_choice, check_magnitudes, check_number, check_signal
from .transforms._derivatives import time_derivative

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
    "mean_error_db",
    "misfit_by_order",
    "misfit_db",
    "sign_error_db",
    "waveform_error_db",
]

ISLAND_FLOOR_DB = -40.0


def decibels(ratio):
    """20 log10 of a ratio of norms; a float for one number, a tensor for a batch."""
    ratio = torch.as_tensor(ratio, dtype=torch.float64)
    if not (ratio >= 0).all():
        raise ValueError(f"ratio must be of norms, zero or positive, got {ratio}")
    level = 20 * torch.log10(ratio)
    return level if level.ndim else float(level)


def analytic(x):
    """The analytic signal of x: real part x, imaginary part its Hilbert transform.

    Parameters
    ----------
    x : real array, shape (..., n_samples)

    Returns
    -------
    complex Tensor, shape (..., n_samples)
        Positive frequencies doubled, negative ones removed; 0 Hz and the Nyquist frequency,
        which have no partner, stay as they are (Gabor 1946).
    """
    x = check_signal(x)
    n = x.shape[-1]
    weights = torch.zeros(n, dtype=x.dtype, device=x.device)
    weights[0] = 1
    weights[1 : (n + 1) // 2] = 2
    if n % 2 == 0:
        weights[n // 2] = 1
    return torch.fft.ifft(torch.fft.fft(x) * weights)


def hilbert_rotation(x, theta):
    """Re(exp(i theta) x_analytic) = cos(theta) x - sin(theta) H x, shape as x.

    Every strictly analytic wavelet gives it the scalogram of x (theta in radians). 0 Hz and the
    Nyquist frequency cannot turn: they shrink by cos(theta).
    """
    return (cmath.exp(1j * check_number(theta, "theta")) * analytic(x)).real


def best_phase(a, b, dim=-1):
    """The unit number u that brings u a closest to b in least squares: the phase of <a, b>.

    Complex Tensors of one shape; the result keeps `dim` with length 1 and is 1 where <a, b> = 0.
    """
    inner = (a.conj() * b).sum(dim, keepdim=True)
    return torch.where(inner == 0, torch.ones_like(inner), torch.sgn(inner))


def align(x, ref, *, by="rotation"):
    """Turn x into the phase of a reference: remove what no scalogram can tell.

    Parameters
    ----------
    x, ref : real arrays, shape (..., n_samples)
    by : "rotation" or "sign"
        "rotation": the Hilbert rotation of x that is closest to `ref`, for analytic wavelets.
        "sign": x or -x, for transforms that fix the phase but for its sign (a lowpass does).

    Returns
    -------
    Tensor, shape, dtype and device of x

    Raises
    ------
    ValueError, TypeError
        NaN, infinite or complex input, shapes that differ, or an unknown `by`.

    Examples
    --------
    >>> import torch
    >>> x = torch.cos(2 * torch.pi * torch.arange(64) / 16).double()
    >>> turned = hilbert_rotation(x, 1.0)
    >>> bool(torch.allclose(align(turned, x), x))
    True
    """
    check_choice(by, ("rotation", "sign"), "by")
    own = check_signal(x)
    x, ref = _same_shape(x, ref)
    if by == "sign":
        turned = torch.where((x * ref).sum(-1, keepdim=True) < 0, -x, x)
    else:
        a = analytic(x)
        turned = (best_phase(a, analytic(ref)) * a).real
    return turned.to(own.dtype)


def consistency_db(x, S, W):
    """How well the scalogram of x fits S: 20 log10(|| |Wx| - S || / ||S||).

    Also called spectral convergence (Sturmel and Daudet 2011). A good fit says little about
    the waveform: see `waveform_error_db`.

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
        NaN, infinite or complex input, or shapes that do not fit W.
    """
    target = W.check_scalogram(S)
    return _relative_error_db(W.magnitude(x) - target, target, dim=(-2, -1))


def misfit_db(output, target):
    """How well the coefficients of any transform fit: 20 log10(||output - target|| / ||target||).

    `consistency_db` for transforms that are no `Scalogram`, such as kymatio's scattering.

    Parameters
    ----------
    output : real array, shape (..., *target.shape)
        Leading axes beyond those of `target` are a batch.
    target : real array, any shape

    Returns
    -------
    float (a Tensor for a batch), in dB

    Raises
    ------
    ValueError, TypeError
        NaN, infinite or complex input, or an output that does not end in the target's shape.
    """
    output, target = check_signal(output, name="output"), check_signal(target, name="target")
    if output.shape[output.ndim - target.ndim :] != target.shape:
        raise ValueError(
            f"output must have a shape (..., *target.shape) with target.shape "
            f"{tuple(target.shape)}, got shape {tuple(output.shape)}"
        )
    return _relative_error_db(output - target, target, dim=tuple(range(-target.ndim, 0)))


def misfit_by_order(output, target, scattering):
    """`misfit_db` of each order: dict of int to dB (a Tensor for a batch)."""
    output, target = scattering.split(output), scattering.split(target)
    return {order: misfit_db(output[order], target[order]) for order in scattering.orders}


def waveform_error_db(x, ref):
    """Error of the analytic signals after removing ONE global phase.

    min over theta of || exp(i theta) x_a - ref_a || / || ref_a ||, in dB. It does not change when
    x is replaced by a Hilbert rotation of itself, given that x has nothing at 0 Hz and at the
    Nyquist frequency, which cannot turn (``W.project`` removes them).

    Parameters
    ----------
    x, ref : real arrays, shape (..., n_samples)

    Returns
    -------
    float (a Tensor for a batch), in dB; -inf for silence recovered as silence

    Raises
    ------
    ValueError, TypeError
        NaN, infinite or complex input, or shapes that differ.
    """
    a, b = (analytic(v) for v in _same_shape(x, ref))
    return _relative_error_db(best_phase(a, b) * a - b, b)


def sign_error_db(x, ref):
    """Error after removing one global sign, in dB: too strict a score for analytic wavelets."""
    x, ref = _same_shape(x, ref)
    return _relative_error_db(align(x, ref, by="sign") - ref, ref)


def islands(S, *, floor_db=ISLAND_FLOOR_DB):
    """Connected components of the part of a scalogram above a floor.

    Parameters
    ----------
    S : real array, shape (n_freqs, n_samples)
    floor_db : float
        Points this far below the maximum are sea. Default -40 dB.

    Returns
    -------
    (labels, n_islands): integer array of the shape of S, 0 for the sea, and the count. Time is
    periodic, as the transform is: an island that leaves on the right comes back on the left.

    Raises
    ------
    ValueError, TypeError
        Not one scalogram of two axes, NaN, infinite or negative, or a floor above 0 dB.
    """
    S = check_magnitudes(S).detach().cpu().numpy()
    if S.ndim != 2:
        raise ValueError(f"S must be one scalogram (n_freqs, n_samples), got shape {S.shape}")
    if check_number(floor_db, "floor_db") > 0:
        raise ValueError(f"floor_db must be at most 0, the level of the maximum, got {floor_db}")
    land = (S >= S.max() * 10 ** (floor_db / 20)) & (S > 0)
    # The first column once more behind the last one: what touches across the seam gets two
    # names there, and the loop gives it one.
    labels, _ = ndimage.label(np.column_stack([land, land[:, 0]]), structure=np.ones((3, 3)))
    for left, right in zip(labels[:, 0], labels[:, -1]):
        if left != right:
            labels[labels == right] = left
    names, labels = np.unique(labels[:, :-1], return_inverse=True)
    labels = labels.reshape(S.shape) + (names[0] != 0)
    return labels, int(labels.max())


def island_error_db(x, ref, W, *, floor_db=ISLAND_FLOOR_DB):
    """Error of the coefficients after removing one phase per island of the reference's scalogram.

    Across silence the relative phase of two components is not determined in any stable way
    (Alaifari, Daubechies, Grohs, Yin 2019, doi:10.1007/s10208-018-9399-7); this score forgives
    it and nothing else. Points below the floor do not count.

    Parameters
    ----------
    x, ref : real arrays, shape (n_samples,)
    W : Scalogram
    floor_db : float
        What counts as sea, relative to the maximum of |W ref|. Default -40 dB.

    Returns
    -------
    float, in dB; inf where anything stands for a silent reference

    Raises
    ------
    ValueError, TypeError
        NaN, infinite or complex input, not one mono signal, or a length that does not fit W.
    """
    check_signal(x, ndim=1)
    a, b = (W(v) for v in _same_shape(x, ref))
    labels, n_islands = islands(b.abs(), floor_db=floor_db)
    if n_islands == 0:
        return _relative_error_db(a.flatten(), b.flatten())
    labels = torch.as_tensor(labels, device=b.device)
    error = torch.zeros_like(b)
    for island in range(1, n_islands + 1):
        land = labels == island
        error[land] = best_phase(a[land], b[land]) * a[land] - b[land]
    return _relative_error_db(error.flatten(), torch.where(labels > 0, b, 0).flatten())


def frequency_error_db(x, ref, W, *, floor_db=ISLAND_FLOOR_DB):
    """Error of the instantaneous frequency of the coefficients, weighted by the reference's.

    20 log10(|| |c| (w_x - w) || / || |c| w ||) with c = W ref, w = dphi/dt its instantaneous
    frequency and w_x that of W x, over the points of |c| above the floor. Both are limited to
    what a sampled signal can have, from 0 to the Nyquist frequency: next to zeros of c phases
    turn arbitrarily fast.

    Parameters
    ----------
    x, ref : real arrays, shape (n_samples,)
    W : Scalogram
    floor_db : float
        What does not count, relative to the maximum of |W ref|. Default -40 dB.

    Returns
    -------
    float, in dB; -inf where nothing is above the floor, as in silence

    Raises
    ------
    ValueError, TypeError
        NaN, infinite or complex input, not one mono signal, or a length that does not fit W.
    """
    check_signal(x, ndim=1)
    a, b = (W(v).detach().cpu() for v in _same_shape(x, ref))
    weight = torch.where(torch.from_numpy(islands(b.abs(), floor_db=floor_db)[0]) > 0, b.abs(), 0)
    wrong, right = (weight * _instantaneous_frequency(c) for c in (a, b))
    return _relative_error_db((wrong - right).flatten(), right.flatten())


def _instantaneous_frequency(c):
    """Im(c'/c) in rad/sample, limited to 0 ... pi; 0 where c is zero."""
    c = c.numpy()
    power = np.abs(c) ** 2
    turning = (time_derivative(c) * c.conj()).imag
    frequency = np.divide(turning, power, out=np.zeros_like(power), where=power > 0)
    return torch.from_numpy(np.clip(frequency, 0, np.pi))


def mean_error_db(levels):
    """Level of the mean squared error of several runs, and its standard error.

    What a bound on the mean squared error speaks of. One run that went wrong rules it: look at
    the median as well.

    Parameters
    ----------
    levels : real array, shape (n_runs,), in dB
        Two runs or more.

    Returns
    -------
    (float, float): 10 log10 of the mean of the squares, and how far it is off on average, in dB

    Raises
    ------
    ValueError, TypeError
        Fewer than two runs, NaN or infinite levels.
    """
    levels = check_signal(levels, min_samples=2, name="levels", ndim=1).double()
    top = levels.max()  # so that no square is too small for a float
    squares = 10 ** ((levels - top) / 10)
    spread = squares.std() / squares.mean() / len(squares) ** 0.5
    return float(top + 10 * torch.log10(squares.mean())), float(10 / np.log(10) * spread)


def _relative_error_db(error, reference, dim=-1):
    """20 log10(||error|| / ||reference||): silence matched by silence is -inf, missed is inf."""
    error = torch.linalg.vector_norm(error.detach(), dim=dim)
    reference = torch.linalg.vector_norm(reference.detach(), dim=dim)
    return decibels(torch.where(error == 0, error, error / reference))


def _same_shape(x, ref):
    x, ref = check_signal(x), check_signal(ref, name="ref")
    if x.shape != ref.shape:
        raise ValueError(
            f"x and ref must have one shape, got {tuple(x.shape)} and {tuple(ref.shape)}"
        )
    return x.double(), ref.to(x.device).double()
