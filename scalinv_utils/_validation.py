"""Check arguments in one place, so that bad input gets the same answer everywhere.

Every public function here returns the checked value in the form that the rest of the package uses.
It raises ``ValueError`` (``TypeError`` for types) with a sentence that names the argument, says
what it got and says what it takes.
"""

import math
import re
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from numbers import Integral, Real
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike

from ._arrays import labels_of, numbers_of, require_order, type_name
from ._tensors import WITHOUT_DOUBLE

__all__ = [
    "check_callable",
    "check_choice",
    "check_coefficients",
    "check_count",
    "check_flag",
    "check_instance",
    "check_labels",
    "check_magnitudes",
    "check_mask",
    "check_number",
    "check_numbers",
    "check_plane",
    "check_positive",
    "check_share",
    "check_signal",
    "columns_hint",
    "squeezed_hint",
]

Choice = TypeVar("Choice")
Function = TypeVar("Function", bound=Callable)
Instance = TypeVar("Instance")

# The largest count: one more than it still is an index, and a seed of torch's and numpy's draws.
LARGEST_COUNT = 2**62

# Pictures have this many channels: red, green, blue, and often an opacity.
CHANNELS = (3, 4)

# No batch is one of so many signals of two samples each.
LEAST_SAMPLES = 16

# Positive numbers are taken from this range: products of them with others neither under- nor
# overflow.
SMALLEST_NUMBER, LARGEST_NUMBER = 1e-290, 1e290

# A value is written into a message with at most so many characters.
LONGEST_TEXT = 200

# The names of the unit of levels, in small letters.
DECIBELS = ("db", "decibel", "decibels")

# Noise around zero is no deeper than this many times the mean modulus.
DEEPEST_NOISE = 0.5

# The largest grey value of a picture, and how far from a whole number it may be after a division.
WHITE, NEARLY_WHOLE = 255, 1e-3


def check_numbers(
    values: ArrayLike, name: str, wanted: str = "real numbers, an array of any shape"
) -> torch.Tensor:
    """Return real, finite numbers as a floating-point tensor of one axis or more.

    Parameters
    ----------
    values : tensor, numpy array or (nested) sequence of real numbers
        A tensor keeps its device and its place in the autograd graph.
    name, wanted : str
        The caller's name for this argument, and the words for a right one.

    Returns
    -------
    Tensor
        float32 and float64 are kept; every other real type becomes float64.

    Raises
    ------
    TypeError
        If they are complex, booleans or no numbers.
    ValueError
        If they are masked, NaN or infinite, or there is none of them.

    Examples
    --------
    >>> check_numbers([[1], [2]], "levels").shape
    torch.Size([2, 1])
    """
    x = _as_real_tensor(values, name, wanted)
    if x.ndim == 0:
        raise ValueError(f"{name} must be {wanted}, got shape ()")
    if x.numel() == 0:
        raise ValueError(
            f"{name} must hold at least one sample, got the empty shape {tuple(x.shape)}"
        )
    _require_finite(x, name)
    return x


def check_signal(
    x: ArrayLike,
    min_samples: int = 1,
    name: str = "x",
    ndim: int | None = None,
    n_samples: int | None = None,
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
    n_samples : int, optional
        Required length of the last axis.

    Returns
    -------
    Tensor, shape (..., n_samples)
        float32 and float64 are kept; every other real type becomes float64.

    Raises
    ------
    TypeError
        If x is complex, boolean or not numeric.
    ValueError
        If x has masked, NaN or infinite samples, is empty or shorter than `min_samples`, has the
        wrong number of axes, or has its samples on another axis than the last.

    Examples
    --------
    >>> check_signal([1, 2, 3])
    tensor([1., 2., 3.], dtype=torch.float64)
    """
    given = x
    x = check_numbers(x, name, "a real signal of shape (..., n_samples)")
    shape: Sequence[int] = tuple(x.shape)
    if ndim == 1 and x.ndim != 1:
        raise ValueError(
            f"{name} must be one mono signal of shape (n_samples,), got shape {shape}"
            f"{_mono_hint(shape, name)}"
        )
    if ndim is not None and x.ndim != ndim:
        raise ValueError(f"{name} must have a shape with {ndim} axes, got shape {shape}")
    if n_samples is not None and shape[-1] != n_samples:
        raise ValueError(
            f"{name} must have n_samples = {n_samples} on its last axis, got shape {shape}"
            f"{_length_hint(shape, n_samples, name)}"
        )
    if x.ndim > 1 and x.shape[-1] == 1 < x.shape[-2]:
        raise ValueError(
            f"{name} must have its samples on the last axis, got a column of shape {shape}; "
            f"give {name}[..., 0]"
        )
    if x.ndim > 1 and shape[-1] == 2 and shape[-2] >= LEAST_SAMPLES:
        raise ValueError(
            f"{name} must have its samples on the last axis, got two columns of shape {shape}; "
            f"give {name}.T, or a channel, {name}[..., 0]"
        )
    if shape[-1] < min_samples:
        raise ValueError(
            f"{name} must be at least {min_samples} samples long, got {x.shape[-1]} samples"
        )
    require_order(given, name)
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
        If S has masked, NaN, infinite or negative entries, is empty, does not fit `shape`, or is
        a picture in colours.

    Examples
    --------
    >>> check_magnitudes([[1.0, 2.0]], (2, 1))
    Traceback (most recent call last):
        ...
    ValueError: S must fit the transform: last two axes (n_freqs, n_samples) = (2, 1), got shape \
(1, 2); it looks transposed: give S.T
    """
    wanted = "real magnitudes of shape (..., n_freqs, n_samples)"
    tensor = _as_real_tensor(S, name, wanted, "abs({}) is their modulus")
    _require_plane(tensor, shape, name, _moduli_hint)
    _require_finite(tensor, name, "; Measured takes what is known of it, NaN where nothing is")
    moduli = tensor[..., : tensor.shape[-2] - n_signed, :]
    if (moduli < 0).any():
        raise ValueError(
            f"{name} must not be negative, being a modulus; its smallest entry is "
            f"{moduli.min():.3g}{_negative_hint(moduli, name)}"
        )
    if _is_picture(tensor, S):
        raise ValueError(
            f"{name} must be scalograms, got shape {tuple(tensor.shape)} with the values of a "
            "picture's colours; measured.from_image reads pictures"
        )
    return tensor


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
    _require_plane(c, shape, name, _plane_hint)
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


def check_labels(
    S: ArrayLike, frequencies: torch.Tensor, name: str, *, is_modulus: bool = True
) -> None:
    """Refuse a scalogram whose own labels contradict what it is taken for.

    Raises
    ------
    ValueError
        If its rows are labelled with the frequencies of W in another order, its columns with times
        out of order, or its unit is dB although it is taken for a modulus.

    Examples
    --------
    >>> check_labels(np.ones((2, 3)), torch.tensor([2.0, 1.0]), "S")
    """
    require_order(S, name)
    if is_modulus:
        _require_no_decibels(S, name)
    labels = labels_of(S, -2 if len(getattr(S, "shape", ())) > 1 else 0)
    if labels is None or labels.dtype.kind != "f" or len(labels) != len(frequencies):
        return
    own = frequencies.cpu().double().numpy()
    if np.allclose(np.sort(labels), np.sort(own)) and not np.allclose(labels, own):
        way = f"give {name}[::-1]" if np.allclose(labels[::-1], own) else "put them in that order"
        raise ValueError(
            f"{name} must have its rows from {own[0]:.5g} to {own[-1]:.5g} Hz as W.frequencies "
            f"are, got rows labelled from {labels[0]:.5g} to {labels[-1]:.5g}; {way}"
        )


def _require_no_decibels(S: ArrayLike, name: str) -> None:
    """Refuse a modulus whose own unit, or whose attribute "units", is the decibel."""
    told: Any = getattr(S, "units", None) or getattr(S, "attrs", {})
    unit = told.get("units") if hasattr(told, "get") else told
    if str(unit).lower() in DECIBELS:
        raise ValueError(
            f"{name} must be a modulus, got one whose unit is {unit}; Measured({name}, W, "
            "scale='db') takes decibels"
        )


def check_mask(mask: ArrayLike, shape: tuple[int, ...], name: str) -> torch.Tensor:
    """Return an array of booleans of the right shape as a tensor on the CPU.

    Raises
    ------
    TypeError
        If it is not one of booleans.
    ValueError
        If it has another shape.

    Examples
    --------
    >>> check_mask([[True, False]], (1, 2), "known")
    tensor([[ True, False]])
    """
    tensor = numbers_of(mask, name, f"booleans of the shape {shape}").detach().cpu()
    if tensor.dtype != torch.bool or tuple(tensor.shape) != shape:
        error = ValueError if tensor.dtype == torch.bool else TypeError
        raise error(
            f"{name} must be booleans of the shape {shape}, got {type_name(tensor)} of shape "
            f"{tuple(tensor.shape)}"
        )
    return tensor


def check_choice(value: object, choices: Iterable[Choice], name: str) -> Choice:
    """Return `value` if it is one of `choices`; otherwise raise a ``ValueError`` that lists them.

    Examples
    --------
    >>> check_choice("fft", ("fft", "direct"), "method")
    'fft'
    """
    choices, value = list(choices), _scalar(value)
    for choice in choices:
        # Types are compared first: an array would answer == with an array, and 0 == False.
        if type(value) is type(choice) and value == choice:
            return choice
    raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {_short(value)}")


def check_flag(value: object, name: str) -> bool:
    """Return `value` as a bool if it is True or False, Python's or numpy's.

    Raises
    ------
    TypeError
        If it is neither.

    Examples
    --------
    >>> check_flag(np.True_, "progress")
    True
    """
    flag = _scalar(value)
    if not isinstance(flag, bool):
        raise TypeError(f"{name} must be True or False, got {_short(value)}")
    return flag


def check_instance(value: object, kind: type[Instance], name: str) -> Instance:
    """Return `value` if it is an instance of a class of this package.

    Raises
    ------
    TypeError
        If it is not.

    Examples
    --------
    >>> check_instance(3, torch.nn.Module, "W")
    Traceback (most recent call last):
        ...
    TypeError: W must be a Module, got 3
    """
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be {_article(kind.__name__)}, got {_short(value)}")
    return value


def check_count(value: object, name: str, minimum: int = 1, maximum: int = LARGEST_COUNT) -> int:
    """Return `value` as an int if it is a whole number from `minimum` to `maximum`.

    Raises
    ------
    TypeError
        If it is not an integer (booleans are not numbers here).
    ValueError
        If it is too small or too large.

    Examples
    --------
    >>> check_count(np.int64(3), "n_iter")
    3
    """
    number, wanted = _scalar(value), f"a whole number of at least {minimum}"
    if not _is_number(number, Integral):
        raise TypeError(f"{name} must be {wanted}, got {_short(value)}{_whole_hint(number)}")
    if number < minimum:
        raise ValueError(f"{name} must be {wanted}, got {_short(number)}")
    if number > maximum:
        raise ValueError(f"{name} must be at most {maximum}, got {_short(number)}")
    return int(number)


def check_number(value: object, name: str, wanted: str = "a finite number") -> float:
    """Return `value` if it is a finite number: Python's, numpy's or a tensor without axes.

    Raises
    ------
    TypeError
        If it is not a real number (booleans are not numbers here).
    ValueError
        If it is NaN or infinite, or beyond double precision.

    Examples
    --------
    >>> check_number(torch.tensor(2.5), "snr_db")
    2.5
    """
    number = _scalar(value)
    if not _is_number(number, Real):
        raise TypeError(f"{name} must be {wanted}, got {_short(value)}{_float_hint(number)}")
    if not _is_finite(number):
        raise ValueError(f"{name} must be {wanted}, got {_short(number)}")
    return number if isinstance(number, int) and abs(number) <= LARGEST_COUNT else float(number)


def check_positive(value: object, name: str, *, limited: bool = True) -> float:
    """Return `value` if it is a finite number above zero.

    `limited` tells to refuse numbers next to the ends of double precision.

    Raises
    ------
    TypeError
        If it is not a real number (booleans are not numbers here).
    ValueError
        If it is zero, negative, NaN or infinite, or next to where double precision ends.

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
    if limited and not SMALLEST_NUMBER <= number <= LARGEST_NUMBER:
        raise ValueError(
            f"{name} must be from {SMALLEST_NUMBER:g} to {LARGEST_NUMBER:g}, got {number!r}"
        )
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
        raise ValueError(f"{name} must be between 0 and 1, got {_short(value)}")
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
        raise TypeError(f"{name} must be {wanted}, got {_short(value)}")
    return value


# -- numbers -------------------------------------------------------------------------------------


def _scalar(value: Any) -> Any:
    """Turn numpy's numbers and tensors without axes into Python's numbers; keep all else."""
    if getattr(value, "ndim", None) != 0 or not hasattr(value, "item"):
        return value
    if isinstance(value, torch.Tensor) and value.is_meta or np.ma.is_masked(value):
        return value
    return value.item()


def _is_number(value: object, kind: type) -> bool:
    """Tell numbers of a kind from all else, booleans included, which Python counts as integers."""
    return isinstance(value, kind) and not isinstance(value, bool)


def _is_finite(number: Any) -> bool:
    """Tell whether a number is finite in double precision."""
    try:
        return math.isfinite(number)
    except OverflowError:  # a whole number or a fraction of more than 308 digits
        return False


def _short(value: Any) -> str:
    """Write a value into a message: short ones as they are, others by their type and shape."""
    if isinstance(value, torch.nn.Module):
        return _kind(value)
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and len(shape):
        return f"{type(value).__name__} of shape {tuple(shape)}"
    if isinstance(value, int) and abs(value) > LARGEST_COUNT:
        return f"a number of about 2**{value.bit_length()}"
    try:
        text = repr(value)
    except Exception as error:  # a message must not fail because a foreign repr does
        text = f"an object whose repr fails ({error})"
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}... ({_kind(value)})"


def _article(noun: str) -> str:
    return f"an {noun}" if noun[0] in "AEIOU" else f"a {noun}"


def _kind(value: object) -> str:
    return type(value).__name__


def _float_hint(number: Any) -> str:
    """Say how a text or a decimal that is a number is given."""
    try:
        value = float(number) if isinstance(number, (str, bytes, Decimal)) else math.nan
    except ValueError:  # a word, or a number with its unit
        return "; give the number alone" if re.match(r"\s*[\d.]", str(number)) else ""
    return f"; float() makes {value:g} of it" if math.isfinite(value) else ""


def _whole_hint(number: object) -> str:
    """Say how a float that is a whole number is given."""
    whole = isinstance(number, float) and number.is_integer()
    return f"; int() makes {int(number)} of it" if whole else ""  # type: ignore[call-overload]


# -- arrays --------------------------------------------------------------------------------------


def _as_real_tensor(
    value: ArrayLike,
    name: str,
    wanted: str,
    of_complex: str = "give {0}.real, or {0}.real and {0}.imag (I and Q) one after the other",
) -> torch.Tensor:
    """Return `value` as a float32 or float64 tensor; refuse all but arrays of real numbers."""
    tensor = _as_tensor(value, name, wanted)
    if tensor.is_complex():
        is_real = not (torch.view_as_real(tensor.detach().resolve_conj())[..., 1] != 0).any()
        way = "its imaginary part is zero: give {0}.real" if is_real else of_complex
        raise TypeError(f"{name} must be {wanted}, got {type_name(tensor)}; {way.format(name)}")
    if tensor.dtype in (torch.float32, torch.float64):
        return tensor
    # Half precision and whole numbers stay on their device, in single precision if it has no other.
    return tensor.float() if tensor.device.type in WITHOUT_DOUBLE else tensor.double()


def _as_tensor(value: ArrayLike, name: str, wanted: str) -> torch.Tensor:
    """Return `value` as a tensor; refuse all but arrays of numbers."""
    tensor = numbers_of(value, name, wanted)
    if tensor.dtype == torch.bool:
        raise TypeError(
            f"{name} must be {wanted}, got bool; 1.0 * {name} makes numbers of truth values"
        )
    return tensor


def _require_plane(
    plane: torch.Tensor,
    shape: tuple[int, int] | None,
    name: str,
    hint: Callable[[tuple[int, ...], tuple[int, int], str], str] | None = None,
) -> None:
    """Raise unless there are two axes or more, no empty one, and the last two fit `shape`."""
    given = tuple(plane.shape)
    reason = hint(given, shape, name) if hint is not None and shape is not None else ""
    if plane.ndim < 2 or plane.numel() == 0:
        raise ValueError(
            f"{name} must have the shape (..., n_freqs, n_samples), got shape {given}{reason}"
        )
    if shape is not None and given[-2:] != tuple(shape):
        raise ValueError(
            f"{name} must fit the transform: last two axes (n_freqs, n_samples) = {tuple(shape)}, "
            f"got shape {given}{reason}"
        )


def _require_finite(x: torch.Tensor, name: str, hint: str = "") -> None:
    """Raise if any entry is NaN or infinite."""
    # A NaN or infinite entry makes the sum NaN or infinite, and a sum takes a tenth of the time
    # of a look at each entry. A sum of finite entries may overflow, so the entries are counted.
    if torch.isfinite(x.detach().sum()):
        return
    bad = int((~torch.isfinite(x)).sum())
    if bad:
        raise ValueError(
            f"{name} must be finite, got {bad} NaN or infinite of {x.numel()} values{hint}"
        )


# -- the usual reasons ---------------------------------------------------------------------------


def _mono_hint(shape: Sequence[int], name: str) -> str:
    """Say how several channels, or a column, become one signal."""
    if len(shape) != 2:
        return ""
    if 1 in shape:
        return f"; give {name}[:, 0]" if shape[1] == 1 else f"; give {name}[0]"
    first, mixed = (f"{name}[0]", 0) if shape[0] <= shape[1] else (f"{name}[:, 0]", 1)
    return f"; choose a channel, {first}, or mix them down, {name}.mean({mixed})"


def _length_hint(shape: Sequence[int], n_samples: int, name: str) -> str:
    """Say why the last axis of a signal may have another length than the transform takes."""
    if len(shape) > 1 and shape[-2] == n_samples:
        return f"; its samples are on the axis before: give {name}" + (
            "[..., 0]" if shape[-1] == 1 else ".T" if len(shape) == 2 else ".swapaxes(-1, -2)"
        )
    longer = "cut" if shape[-1] > n_samples else "pad"
    return f"; {longer} it, or make a transform for {shape[-1]} samples, W.like({shape[-1]})"


def _plane_hint(given: tuple[int, ...], shape: tuple[int, int], name: str) -> str:
    """Say why an array may have another shape than coefficients have."""
    if given[-2:] == (shape[1], shape[0]):
        turned = f"{name}.T" if len(given) == 2 else f"{name}.swapaxes(-1, -2)"
        return f"; it looks transposed: give {turned}"
    return ""


def _moduli_hint(given: tuple[int, ...], shape: tuple[int, int], name: str) -> str:
    """Say why an array may have another shape than the scalogram has."""
    (n_freqs, n_samples), n_columns = shape, given[-1] if given else 0
    if given == (n_samples,):
        return f"; a signal has this shape: W.magnitude({name}) is its scalogram"
    if given[-2:] == (n_samples, n_freqs):
        return _plane_hint(given, shape, name)
    if hint := squeezed_hint(given, name):
        return hint
    if given == (*shape, 2):
        return (
            f"; with real and imaginary parts on the last axis, numpy.hypot({name}[..., 0], "
            f"{name}[..., 1]) is the modulus; leading axes are a batch"
        )
    if len(given) == 3 and n_columns in CHANNELS:
        return "; a picture in colours has such a shape: measured.from_image reads pictures"
    if given[-2:] == (n_freqs, n_columns) and n_columns not in (0, n_samples):
        return columns_hint(n_columns, n_samples, name)
    if len(given) > 1 and n_columns == n_samples:
        return f"; W has {n_freqs} rows: Scalogram.from_frequencies makes a transform of others"
    return ""


def squeezed_hint(given: tuple[int, ...], name: str) -> str:
    """Say how a scalogram loses a last axis of one."""
    return f"; give {name}[..., 0]" if len(given) == 3 and given[-1] == 1 else ""


def columns_hint(n_columns: int, n_samples: int, name: str) -> str:
    """Say how a scalogram with more columns is given, or with fewer, one for each sample or not."""
    if n_columns > n_samples:
        return (
            f"; it has more columns: cut off what was padded, or take W.like({n_columns}) for a "
            f"signal of {n_columns} samples"
        )
    hop = round(n_samples / n_columns)
    if hop > 1 and -(-n_samples // hop) == n_columns:
        return f"; with a column every {hop} samples, give Measured({name}, W, hop={hop})"
    return (
        f"; columns are missing: Measured({name}, W, hop=...) takes every hop-th one, and "
        f"W.like({n_columns}) is a transform of {n_columns} samples"
    )


def _negative_hint(moduli: torch.Tensor, name: str) -> str:
    """Say why a modulus may be negative: decibels, a logarithm, or noise around zero."""
    if moduli.min() < -DEEPEST_NOISE * moduli.abs().mean():
        return (
            f"; is it in dB? Measured({name}, W, scale='db') takes decibels, scale='power' "
            f"squares; exp({name}) undoes a natural logarithm, and abs(c) is the modulus of "
            "coefficients c"
        )
    return "; noise around zero? recover(S, W, noise='gaussian') takes it, and clipping removes it"


def _is_picture(tensor: torch.Tensor, given: Any) -> bool:
    """Tell whether three or four planes hold the colours of a picture, with 8 bits for each.

    A batch of three scalograms has the same shape; but its values are no 8-bit grey values, and
    none of its members is one number throughout, as the opacity is.
    """
    if tensor.ndim != 3 or tensor.shape[0] not in CHANNELS:
        return False
    if getattr(given, "dtype", None) in (np.uint8, torch.uint8):
        return True
    values = tensor.detach()
    if not 0 < float(values.max()) <= 1:
        return False
    greys = WHITE * values
    between = ((values > 0) & (values < 1)).any()
    return bool(between and ((greys - greys.round()).abs() < NEARLY_WHOLE).all())
