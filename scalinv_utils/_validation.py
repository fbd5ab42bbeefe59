"""Check arguments in one place, so that bad input gets the same answer everywhere.

Every public function here returns the checked value in the form that the rest of the package uses.
It raises ``ValueError`` (``TypeError`` for types) with a sentence that names the argument, says
what it got and says what it takes.
"""

import math
from collections.abc import Callable, Iterable
from numbers import Integral, Real
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike

from ._tensors import WITHOUT_DOUBLE

__all__ = [
    "check_callable",
    "check_choice",
    "check_coefficients",
    "check_count",
    "check_magnitudes",
    "check_number",
    "check_plane",
    "check_positive",
    "check_share",
    "check_signal",
]

Choice = TypeVar("Choice")
Function = TypeVar("Function", bound=Callable)


def check_signal(
    x: ArrayLike, min_samples: int = 1, name: str = "x", ndim: int | None = None
) -> torch.Tensor:
    """Return a real, finite signal as a floating-point tensor.

    Parameters
    ----------
    x : tensor, numpy array or (nested) sequence of real numbers, shape (..., n_samples)
        Leading axes are a batch. A tensor keeps its device and its place in the autograd graph.
    min_samples : int
        Shortest acceptable length of the last axis.
    name : str
        Name that the caller gives this argument; the messages use it.
    ndim : int, optional
        Required number of axes. ``ndim=1`` means one mono signal.

    Returns
    -------
    Tensor, shape (..., n_samples)
        float32 and float64 are kept; every other real type becomes float64.

    Raises
    ------
    TypeError
        If x is complex or not numeric.
    ValueError
        If x has NaN or infinite samples, is empty or shorter than `min_samples`, or has the wrong
        number of axes.

    Examples
    --------
    >>> check_signal([1, 2, 3])
    tensor([1., 2., 3.], dtype=torch.float64)
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


def check_magnitudes(
    S: ArrayLike, shape: tuple[int, int] | None = None, name: str = "S", n_signed: int = 0
) -> torch.Tensor:
    """Return a real, finite, non-negative scalogram of the right shape as a tensor.

    Parameters
    ----------
    S : tensor, numpy array or nested sequence, shape (..., n_freqs, n_samples)
    shape : (int, int), optional
        The (n_freqs, n_samples) that the transform produces.
    name : str
        Name that the caller gives this argument; the messages use it.
    n_signed : int
        Number of last rows that may be negative (the row of a "signed" lowpass keeps its sign).

    Returns
    -------
    Tensor, shape (..., n_freqs, n_samples)
        float32 and float64 are kept; every other real type becomes float64.

    Raises
    ------
    TypeError
        If S is complex or not numeric.
    ValueError
        If S has NaN, infinite or negative entries, is empty, or does not fit `shape`.

    Examples
    --------
    >>> check_magnitudes([[1.0, -2.0]])
    Traceback (most recent call last):
        ...
    ValueError: S must not be negative, being a modulus; its smallest entry is -2
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


def check_coefficients(
    c: ArrayLike, shape: tuple[int, int] | None = None, name: str = "c"
) -> torch.Tensor:
    """Return finite wavelet coefficients of the right shape as a tensor.

    Parameters
    ----------
    c : tensor, numpy array or nested sequence, shape (..., n_freqs, n_samples)
    shape : (int, int), optional
        The (n_freqs, n_samples) that the transform takes.
    name : str
        Name that the caller gives this argument; the messages use it.

    Returns
    -------
    complex or real Tensor, shape (..., n_freqs, n_samples)

    Raises
    ------
    TypeError
        If c is not numeric.
    ValueError
        If c has NaN or infinite entries, is empty, or does not fit `shape`.

    Examples
    --------
    >>> check_coefficients([[1j, 2.0]]).dtype
    torch.complex128
    """
    c = _as_tensor(c, name, "coefficients of shape (..., n_freqs, n_samples)")
    _require_plane(c, shape, name)
    _require_finite(c, name)
    return c


def check_plane(values: ArrayLike, name: str) -> torch.Tensor:
    """Return an array of numbers with two axes or more as a tensor, whatever its values are.

    Raises
    ------
    TypeError
        If it is not numeric.
    ValueError
        If it has fewer than two axes, or is empty.

    Examples
    --------
    >>> check_plane([[1, float("inf")]], "S").dtype
    torch.float64
    """
    values = _as_tensor(values, name, "numbers of shape (..., n_freqs, n_samples)")
    _require_plane(values, None, name)
    return values


def check_choice(value: object, choices: Iterable[Choice], name: str) -> Choice:
    """Return `value` if it is one of `choices`; otherwise raise a ``ValueError`` that lists them.

    Examples
    --------
    >>> check_choice("fft", ("fft", "direct"), "method")
    'fft'
    """
    choices = list(choices)
    for choice in choices:
        # Types are compared first: an array would answer == with an array, and 0 == False.
        if type(value) is type(choice) and value == choice:
            return choice
    raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")


def check_count(value: object, name: str, minimum: int = 1) -> int:
    """Return `value` as an int if it is a whole number of at least `minimum`.

    Raises
    ------
    TypeError
        If it is not an integer (booleans are not numbers here).
    ValueError
        If it is too small.

    Examples
    --------
    >>> check_count(np.int64(3), "n_iter")
    3
    """
    number = _scalar(value)
    if not _is_number(number, Integral):
        raise TypeError(f"{name} must be a whole number of at least {minimum}, got {number!r}")
    if number < minimum:
        raise ValueError(f"{name} must be a whole number of at least {minimum}, got {number}")
    return int(number)


def check_number(value: object, name: str, wanted: str = "a finite number") -> float:
    """Return `value` if it is a finite number: Python's, numpy's or a tensor without axes.

    Raises
    ------
    TypeError
        If it is not a real number (booleans are not numbers here).
    ValueError
        If it is NaN or infinite.

    Examples
    --------
    >>> check_number(torch.tensor(2.5), "snr_db")
    2.5
    """
    number = _scalar(value)
    if not _is_number(number, Real):
        raise TypeError(f"{name} must be {wanted}, got {number!r}")
    if not math.isfinite(number):
        raise ValueError(f"{name} must be {wanted}, got {number!r}")
    return number


def check_positive(value: object, name: str) -> float:
    """Return `value` if it is a finite number above zero.

    Raises
    ------
    TypeError
        If it is not a real number (booleans are not numbers here).
    ValueError
        If it is zero, negative, NaN or infinite.

    Examples
    --------
    >>> check_positive(0, "sample_rate")
    Traceback (most recent call last):
        ...
    ValueError: sample_rate must be a positive, finite number, got 0
    """
    wanted = "a positive, finite number"
    number = check_number(value, name, wanted)
    if number <= 0:
        raise ValueError(f"{name} must be {wanted}, got {number!r}")
    return number


def check_share(value: object, name: str) -> float:
    """Return `value` if it is a number between 0 and 1, neither of them included.

    Raises
    ------
    TypeError
        If it is not a real number (booleans are not numbers here).
    ValueError
        If it is NaN, infinite or not between 0 and 1.

    Examples
    --------
    >>> check_share(0.25, "tolerance")
    0.25
    """
    number = check_number(value, name)
    if not 0 < number < 1:
        raise ValueError(f"{name} must be between 0 and 1, got {value!r}")
    return number


def check_callable(value: Function, name: str, wanted: str) -> Function:
    """Return `value` if it can be called; `wanted` says in the ``TypeError`` how it is called.

    Examples
    --------
    >>> check_callable(3, "callback", "a function of the iteration and the signal")
    Traceback (most recent call last):
        ...
    TypeError: callback must be a function of the iteration and the signal, got 3
    """
    if not callable(value):
        raise TypeError(f"{name} must be {wanted}, got {value!r}")
    return value


def _scalar(value: Any) -> Any:
    """Turn numpy's numbers and tensors without axes into Python's numbers; keep all else."""
    return value.item() if getattr(value, "ndim", None) == 0 else value


def _is_number(value: object, kind: type) -> bool:
    """Tell numbers of a kind from all else, booleans included, which Python counts as integers."""
    return isinstance(value, kind) and not isinstance(value, bool)


def _as_real_tensor(value: ArrayLike, name: str, wanted: str) -> torch.Tensor:
    """Return `value` as a float32 or float64 tensor; refuse all but arrays of real numbers."""
    tensor = _as_tensor(value, name, wanted)
    if tensor.is_complex():
        raise TypeError(f"{name} must be {wanted}, got {_type_name(tensor)}")
    if tensor.dtype in (torch.float32, torch.float64):
        return tensor
    # Half precision and whole numbers stay on their device, in single precision if it has no other.
    return tensor.float() if tensor.device.type in WITHOUT_DOUBLE else tensor.double()


def _as_tensor(value: ArrayLike, name: str, wanted: str) -> torch.Tensor:
    """Return `value` as a tensor; refuse all but arrays of numbers."""
    tensor = value if isinstance(value, torch.Tensor) else _tensor_from_array(value, name, wanted)
    if tensor.device.type == "meta":
        raise ValueError(f"{name} must be {wanted}, got a tensor on 'meta', which has no values")
    if tensor.dtype == torch.bool:
        raise TypeError(f"{name} must be {wanted}, got {_type_name(tensor)}")
    return tensor


def _tensor_from_array(value: Any, name: str, wanted: str) -> torch.Tensor:
    """Copy a numpy array or a sequence into a tensor that owns its memory."""
    if isinstance(value, (list, tuple)) and any(isinstance(v, torch.Tensor) for v in value):
        value = [v.detach().cpu().numpy() if isinstance(v, torch.Tensor) else v for v in value]
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError(f"{name} must be {wanted}, got rows of different lengths") from None
    if array.dtype.kind not in "iufcb":
        raise TypeError(f"{name} must be {wanted}, got {type(value).__name__}")
    # The array is copied because torch takes neither negative strides nor foreign byte orders, and
    # because later changes of the caller's array must not reach the tensor.
    return torch.from_numpy(np.array(array, dtype=_tensor_dtype(array.dtype), order="C"))


def _tensor_dtype(dtype: np.dtype) -> np.dtype:
    """Choose the numpy type for a tensor: booleans and single precision stay, others are double."""
    native = dtype.newbyteorder("=")
    if dtype.kind == "b" or native in (np.float32, np.complex64):
        return native
    return np.dtype(np.complex128 if dtype.kind == "c" else np.float64)


def _type_name(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _require_plane(plane: torch.Tensor, shape: tuple[int, int] | None, name: str) -> None:
    """Raise unless there are two axes or more, no empty one, and the last two fit `shape`."""
    if plane.ndim < 2 or plane.numel() == 0:
        raise ValueError(
            f"{name} must have the shape (..., n_freqs, n_samples), got shape {tuple(plane.shape)}"
        )
    if shape is not None and tuple(plane.shape[-2:]) != tuple(shape):
        raise ValueError(
            f"{name} must fit the transform: last two axes (n_freqs, n_samples) = {tuple(shape)}, "
            f"got shape {tuple(plane.shape)}"
        )


def _require_finite(x: torch.Tensor, name: str) -> None:
    """Raise if any entry is NaN or infinite."""
    # A NaN or infinite entry makes the sum NaN or infinite, and a sum takes a tenth of the time
    # of a look at each entry. A sum of finite entries may overflow, so the entries are counted.
    if torch.isfinite(x.detach().sum()):
        return
    bad = int((~torch.isfinite(x)).sum())
    if bad:
        raise ValueError(f"{name} must be finite, got {bad} NaN or infinite of {x.numel()} values")
