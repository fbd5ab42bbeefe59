"""One place where arguments are checked, so that bad input is answered alike everywhere.

Every function here returns the checked value in the form that the rest of the package uses, or
raises ``ValueError`` (``TypeError`` for types) with a sentence that names the argument, says what
it got and what it takes.
"""

import math
from numbers import Integral, Real

import numpy as np
import torch

__all__ = [
    "check_callable",
    "check_choice",
    "check_coefficients",
    "check_count",
    "check_magnitudes",
    "check_number",
    "check_positive",
    "check_share",
    "check_signal",
]


def check_signal(x, min_samples=1, name="x", ndim=None):
    """A real, finite signal as a floating-point tensor.

    Parameters
    ----------
    x : tensor, numpy array or (nested) sequence of real numbers, shape (..., n_samples)
        Leading axes are a batch. A tensor keeps its device and its place in the autograd graph.
    min_samples : int
        Shortest acceptable length of the last axis.
    name : str
        What the caller calls this argument; used in the messages.
    ndim : int, optional
        Demand exactly this many axes. ``ndim=1`` means one mono signal.

    Returns
    -------
    Tensor, shape (..., n_samples)
        float32 and float64 are kept; every other real type becomes float64.

    Raises
    ------
    TypeError
        Complex or not numeric.
    ValueError
        NaN or infinite samples, empty, shorter than `min_samples`, or the wrong number of axes.
    """
    x = _as_real_tensor(x, name, "a real signal of shape (..., n_samples)")
    shape = tuple(x.shape)
    if ndim == 1 and x.ndim != 1:
        raise ValueError(
            f"{name} must be one mono signal of shape (n_samples,), got shape {shape}; "
            f"mix its channels down first, e.g. {name}.mean(0)"
        )
    if x.ndim == 0 or (ndim is not None and x.ndim != ndim):
        wanted = "(..., n_samples)" if ndim is None else f"with {ndim} axes"
        raise ValueError(f"{name} must have a shape {wanted}, got shape {shape}")
    if x.numel() == 0:
        raise ValueError(f"{name} must hold at least one sample, got the empty shape {shape}")
    if x.shape[-1] < min_samples:
        raise ValueError(
            f"{name} must be at least {min_samples} samples long, got {x.shape[-1]} samples"
        )
    _require_finite(x, name)
    return x


def check_magnitudes(S, shape=None, name="S", n_signed=0):
    """A scalogram: real, finite, non-negative, and fitting its transform.

    Parameters
    ----------
    S : tensor, numpy array or nested sequence, shape (..., n_freqs, n_samples)
    shape : (int, int), optional
        The (n_freqs, n_samples) that the transform produces.
    name : str
        What the caller calls this argument; used in the messages.
    n_signed : int
        How many of the last rows keep a sign (that of a "signed" lowpass does).

    Returns
    -------
    Tensor, shape (..., n_freqs, n_samples)
        float32 and float64 are kept; every other real type becomes float64.

    Raises
    ------
    TypeError
        Complex or not numeric.
    ValueError
        NaN, infinite or negative entries, empty, or a shape that does not fit.
    """
    S = _as_real_tensor(S, name, "real magnitudes of shape (..., n_freqs, n_samples)")
    _require_plane(S, shape, name)
    _require_finite(S, name)
    moduli = S[..., : S.shape[-2] - n_signed, :]
    if (moduli < 0).any():
        raise ValueError(
            f"{name} must not be negative, being a modulus; "
            f"its smallest entry is {moduli.min():.3g}"
        )
    return S


def check_coefficients(c, shape=None, name="c"):
    """Wavelet coefficients: finite, and fitting their transform.

    Parameters
    ----------
    c : tensor, numpy array or nested sequence, shape (..., n_freqs, n_samples)
    shape : (int, int), optional
        The (n_freqs, n_samples) that the transform takes.
    name : str
        What the caller calls this argument; used in the messages.

    Returns
    -------
    complex or real Tensor, shape (..., n_freqs, n_samples)

    Raises
    ------
    TypeError
        Not numeric.
    ValueError
        NaN or infinite entries, empty, or a shape that does not fit.
    """
    c = _as_tensor(c, name, "coefficients of shape (..., n_freqs, n_samples)")
    _require_plane(c, shape, name)
    _require_finite(c, name)
    return c


def check_choice(value, choices, name):
    """`value` if it is one of `choices`, else a ``ValueError`` that lists them."""
    choices = list(choices)
    # A comparison of strings only: an array would answer == with an array.
    if not any(type(value) is type(choice) and value == choice for choice in choices):
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")
    return value


def check_count(value, name, minimum=1):
    """`value` as an int, if it is a whole number of at least `minimum`.

    Raises
    ------
    TypeError
        Not an integer (booleans are not numbers here).
    ValueError
        Too small.
    """
    value = _scalar(value)
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be a whole number of at least {minimum}, got {value!r}")
    if value < minimum:
        raise ValueError(f"{name} must be a whole number of at least {minimum}, got {value}")
    return int(value)


def check_number(value, name, wanted="a finite number"):
    """`value` if it is a finite number, be it Python's, numpy's or a tensor of no axes.

    Raises
    ------
    TypeError
        Not a real number (booleans are not numbers here).
    ValueError
        NaN or infinite.
    """
    value = _scalar(value)
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be {wanted}, got {value!r}")
    if not math.isfinite(value):
        raise ValueError(f"{name} must be {wanted}, got {value!r}")
    return value


def check_positive(value, name):
    """`value` if it is a finite number above zero.

    Raises
    ------
    TypeError
        Not a real number (booleans are not numbers here).
    ValueError
        Zero, negative, NaN or infinite.
    """
    wanted = "a positive, finite number"
    value = check_number(value, name, wanted)
    if value <= 0:
        raise ValueError(f"{name} must be {wanted}, got {value!r}")
    return value


def check_share(value, name):
    """`value` if it is a number between 0 and 1, neither of them included.

    Raises
    ------
    TypeError, ValueError
        As `check_number`; not between 0 and 1.
    """
    if not 0 < check_number(value, name) < 1:
        raise ValueError(f"{name} must be between 0 and 1, got {value!r}")
    return value


def check_callable(value, name, wanted):
    """`value` if it can be called, else a ``TypeError``; `wanted` says what it is called with."""
    if not callable(value):
        raise TypeError(f"{name} must be {wanted}, got {value!r}")
    return value


def _scalar(value):
    """numpy's numbers and tensors of no axes as Python's numbers; all else as it is."""
    return value.item() if getattr(value, "ndim", None) == 0 else value


def _as_real_tensor(value, name, wanted):
    """`value` as a float32 or float64 tensor; refuse what is not an array of real numbers."""
    value = _as_tensor(value, name, wanted)
    if value.is_complex():
        raise TypeError(f"{name} must be {wanted}, got {_type_name(value)}")
    return value if value.dtype in (torch.float32, torch.float64) else value.double()


def _as_tensor(value, name, wanted):
    """`value` as a tensor; refuse what is not an array of numbers."""
    if not isinstance(value, torch.Tensor):
        value = _tensor_from_array(value, name, wanted)
    if value.dtype == torch.bool:
        raise TypeError(f"{name} must be {wanted}, got {_type_name(value)}")
    return value


def _tensor_from_array(value, name, wanted):
    """A numpy array or sequence as a tensor that owns its memory."""
    if isinstance(value, (list, tuple)) and any(isinstance(v, torch.Tensor) for v in value):
        value = [v.detach().cpu().numpy() if isinstance(v, torch.Tensor) else v for v in value]
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError(f"{name} must be {wanted}, got rows of different lengths") from None
    if array.dtype.kind not in "iufcb":
        raise TypeError(f"{name} must be {wanted}, got {type(value).__name__}")
    # A copy: views with negative strides and foreign byte orders are no tensors otherwise, and
    # what happens later to the caller's array must not reach into the tensor.
    return torch.from_numpy(np.array(array, dtype=_tensor_dtype(array.dtype), order="C"))


def _tensor_dtype(dtype):
    """The numpy type that a tensor can hold: booleans and single precision stay what they are."""
    if dtype.kind == "b" or dtype.newbyteorder("=") in (np.float32, np.complex64):
        return dtype.newbyteorder("=")
    return np.complex128 if dtype.kind == "c" else np.float64


def _type_name(tensor):
    return str(tensor.dtype).removeprefix("torch.")


def _require_plane(plane, shape, name):
    """Two axes at least, not empty, the last two as the transform has them."""
    if plane.ndim < 2 or plane.numel() == 0:
        raise ValueError(
            f"{name} must have the shape (..., n_freqs, n_samples), got shape {tuple(plane.shape)}"
        )
    if shape is not None and tuple(plane.shape[-2:]) != tuple(shape):
        raise ValueError(
            f"{name} must fit the transform: last two axes (n_freqs, n_samples) = {tuple(shape)}, "
            f"got shape {tuple(plane.shape)}"
        )


def _require_finite(x, name):
    # One NaN or infinite value makes the sum one, and a sum is ten times as fast as a look at each.
    if torch.isfinite(x.detach().sum()):
        return
    bad = int((~torch.isfinite(x)).sum())
    if bad:
        raise ValueError(f"{name} must be finite, got {bad} NaN or infinite of {x.numel()} values")
