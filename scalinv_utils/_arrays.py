"""Turn arrays of every kind into tensors of numbers, and refuse those that carry more than numbers.

A mask, a rate beside the samples, objects, channels of a record or a sparse layout have a meaning
that a plain tensor would lose. Such an array is refused with the way to a plain one.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

__all__ = ["labels_of", "numbers_of", "require_order", "type_name"]

# So many entries of an array of objects are looked at to say what they are.
LOOKED_AT_OBJECTS = 1000

# An object with the method or the attribute on the left gives its numbers by that on the right.
WAYS_OUT = {
    "toarray": "{}.toarray() makes an ordinary array",
    "todense": "{}.todense() makes an ordinary array",
    "signal": "give its signal, {}.signal",
    "at_most": "give its modulus, {}.S",
    "__fspath__": "read the file first",
    "items": "give one of its values",
    "to_numpy": "{}.to_numpy() makes an ordinary array",
    "values": "give its values, {}.values",
    "__next__": "list({}) makes a list",
}

# A step from one label to the next that is longer than this many usual ones leaves samples out:
# times that were rounded to whole units have steps up to twice the usual one.
GAP = 2.5

KINDS = {"M": "dates", "m": "times with a unit", "U": "text", "S": "text", "T": "text"}


def numbers_of(value: Any, name: str, wanted: str) -> torch.Tensor:
    """Return `value` as a tensor of numbers or booleans.

    Parameters
    ----------
    value : Tensor, or all that numpy makes an array of
        A tensor keeps its device and its place in the autograd graph.
    name : str
        Name that the caller gives this argument; the messages use it.
    wanted : str
        The words for a right argument; the messages use them.

    Returns
    -------
    Tensor
        float32, float64 and their complex types, booleans, and a tensor's own type are kept;
        every other type becomes double.

    Raises
    ------
    TypeError
        If `value` holds anything but numbers, or its layout is not the ordinary one.
    ValueError
        If a part of it is masked, or its rows have different lengths.

    Examples
    --------
    >>> numbers_of(np.ma.array([1.0, 2.0], mask=[False, True]), "x", "a real signal")
    Traceback (most recent call last):
        ...
    ValueError: x must have all its values, got 1 of 2 masked; fill them, e.g. x.filled(0)
    """
    if isinstance(value, torch.Tensor):
        return _strided(value, name, wanted)
    array = _array(value, name, wanted)
    if isinstance(value, (bytearray, memoryview)) and array.dtype.itemsize == 1:
        raise TypeError(
            f"{name} must be {wanted}, got bytes; numpy.frombuffer({name}, dtype=...) makes numbers"
        )
    if array.dtype.kind not in "iufcb":
        raise TypeError(f"{name} must be {wanted}, got {_told(value, array, name)}")
    # The array is copied because torch takes neither negative strides nor foreign byte orders, and
    # because later changes of the caller's array must not reach the tensor. Numbers beyond double
    # precision become infinite, and are refused as such.
    with np.errstate(over="ignore"):
        return torch.from_numpy(np.array(array, dtype=_tensor_dtype(array.dtype), order="C"))


def labels_of(value: Any, axis: int) -> np.ndarray | None:
    """Return the numbers or dates that label an axis of a pandas or xarray object, if it has them.

    Whole numbers are left out: they count rows, and mean nothing once rows were chosen.

    Examples
    --------
    >>> labels_of(np.ones((2, 3)), 0) is None
    True
    """
    try:
        if hasattr(value, "coords"):
            held = value.coords[value.dims[axis]]
        else:
            held = value.columns if axis == -1 and len(value.shape) > 1 else value.index
        labels, n_labels = np.asarray(held), value.shape[axis]
    except Exception:  # foreign objects raise what they like, and most have no labels
        return None
    fits = labels.shape == (n_labels,) and labels.dtype.kind in "fMm" and n_labels > 1
    return labels if fits else None


def require_order(value: Any, name: str) -> None:
    """Refuse samples whose own labels say that they are not in order, or that some are missing.

    Raises
    ------
    ValueError
        If the labels of the last axis go up and down, or one step is a gap.
    """
    labels = labels_of(value, -1)
    if labels is None:
        return
    steps = np.diff(labels).astype(float)
    steps = steps if steps.sum() > 0 else -steps  # a sound may be played backwards
    said = "are out of order" if (steps < 0).any() else "leave samples out"
    if (steps < 0).any() or steps.max() > GAP * np.median(steps) > 0:
        raise ValueError(
            f"{name} must have its samples in order and none missing, got labels that {said} next "
            f"to {labels[np.argmax(np.where(steps < 0, np.inf, steps))]}; numpy.asarray({name}) "
            f"takes them as they stand"
        )


def type_name(tensor: torch.Tensor) -> str:
    """Say the type of a tensor's numbers."""
    return str(tensor.dtype).removeprefix("torch.")


def _strided(tensor: torch.Tensor, name: str, wanted: str) -> torch.Tensor:
    """Refuse tensors that do not hold one number for each place."""
    if tensor.is_nested or torch.masked.is_masked_tensor(tensor):
        kind = "nested" if tensor.is_nested else "masked"
        raise TypeError(f"{name} must be {wanted}, got a {kind} tensor; give an ordinary one")
    if tensor.layout != torch.strided:
        raise TypeError(
            f"{name} must be {wanted}, got a tensor of the layout {tensor.layout}; "
            f"{name}.to_dense() makes an ordinary one"
        )
    if tensor.is_meta:
        raise TypeError(f"{name} must be {wanted}, got a tensor on the device meta: it has no data")
    if tensor.is_quantized:
        return tensor.dequantize()
    return tensor.resolve_conj().resolve_neg()


def _array(value: Any, name: str, wanted: str) -> np.ndarray:
    """Make numpy's array of what is no tensor; what numpy cannot read is refused in our words."""
    plain = _without_tensors(value, name, wanted)
    try:
        array = np.asanyarray(plain)
    except Exception as error:  # foreign arrays raise what they like
        if isinstance(error, ValueError) and isinstance(value, Sequence):
            told = _told_ragged(value, name)
            raise ValueError(f"{name} must be {wanted}, got {told}") from None
        raise TypeError(
            f"{name} must be {wanted}, got {type(value).__name__}, which numpy cannot read "
            f"({error}){_way_out(value, name)}"
        ) from error
    return _unmasked(array, name)


def _without_tensors(value: Any, name: str, wanted: str) -> Any:
    """Replace tensors and masked arrays within lists, because numpy drops gradients and masks."""
    if not isinstance(value, (list, tuple)) or set(map(type, value)) <= {float, int}:
        return value
    return [_entry(part, name, wanted) for part in value]


def _entry(part: Any, name: str, wanted: str) -> Any:
    """Return one entry of a list without tensors and masks."""
    if isinstance(part, torch.Tensor):
        part = _strided(part, name, wanted).detach().cpu()
        return (part.double() if part.dtype == torch.bfloat16 else part).numpy()
    if isinstance(part, np.ndarray):
        return _unmasked(part, name)
    return _without_tensors(part, name, wanted)


def _unmasked(array: np.ndarray, name: str) -> np.ndarray:
    """Refuse an array with masked entries; one without loses its mask."""
    mask = getattr(array, "mask", False) if type(array) is not np.ndarray else False
    if isinstance(mask, (bool, np.bool_, np.ndarray)) and np.any(mask):
        n_masked = int(np.broadcast_to(mask, array.shape).sum())
        raise ValueError(
            f"{name} must have all its values, got {n_masked} of {array.size} masked; "
            f"fill them, e.g. {name}.filled(0)"
        )
    return np.asarray(array)


def _tensor_dtype(dtype: np.dtype) -> np.dtype:
    """Choose the numpy type for a tensor: booleans and single precision stay, others are double."""
    native = dtype.newbyteorder("=")
    if dtype.kind == "b" or native in (np.float32, np.complex64):
        return native
    return np.dtype(np.complex128 if dtype.kind == "c" else np.float64)


def _told(value: Any, array: np.ndarray, name: str) -> str:
    """Say what an array holds that is no array of numbers, and the way to one."""
    kind, fields = array.dtype.kind, array.dtype.names
    if array.ndim == 0 and not isinstance(value, np.ndarray):
        return type(value).__name__ + _way_out(value, name)
    if fields:
        return (
            f"an array of records with the fields {', '.join(fields)}; give one of them, e.g. "
            f"{name}[{fields[0]!r}]"
        )
    if kind == "O":
        types = sorted({type(entry).__name__ for entry in array.flat[:LOOKED_AT_OBJECTS]})
        told = f"{type(value).__name__} of objects ({', '.join(types)})"
        if types == ["ndarray"]:
            return f"{told}; numpy.stack({name}) makes one array of them"
        if hasattr(value, "to_numpy"):
            way = f"{name}.to_numpy(dtype=float, na_value=numpy.nan)"
        else:
            way = f"numpy.asarray({name}, dtype=float)"
        return f"{told}; where all are real numbers, {way} converts them"
    return f"{type(value).__name__} of {KINDS.get(kind, 'bytes')}"


def _way_out(value: Any, name: str) -> str:
    """Say how an object gives its numbers, if that is known."""
    if isinstance(value, (str, bytes)):
        return "; read the file first" if isinstance(value, str) else ""
    for attribute, way in WAYS_OUT.items():
        if hasattr(value, attribute) and not isinstance(value, type):
            return "; " + way.format(name)
    return ""


def _told_ragged(value: Sequence[Any], name: str) -> str:
    """Say what a sequence holds whose parts have different shapes."""
    shapes = [getattr(part, "shape", None) for part in value]
    arrays = [k for k, shape in enumerate(shapes) if shape]
    if not arrays or len(value) > 4:
        return "rows of different lengths"
    parts = [
        f"an array of shape {tuple(shape)}" if shape else type(part).__name__
        for part, shape in zip(value, shapes)
    ]
    which = f"{name}[{arrays[0]}]" if len(arrays) == 1 else f"one of them, e.g. {name}[0]"
    return f"a {type(value).__name__} of {' and '.join(parts)}; give {which} alone"
