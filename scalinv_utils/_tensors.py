"""Convert tensors between types and devices, take them out of the autograd graph, compare them."""

import functools
import hashlib
import os
import warnings
from collections.abc import Sequence

import numpy as np
import torch

from ._levels import unit

__all__ = [
    "WITHOUT_DOUBLE",
    "detached",
    "double",
    "doubles_on",
    "like",
    "repetitions",
    "require_single_or_double",
]

# Devices that know no double precision.
WITHOUT_DOUBLE = ("mps",)

# Single precision holds levels from here to its inverse, with room for sums.
MINUTE = 1e-30

# A forked process has none of the threads of OpenMP that its parent has, and waits for them forever
# as soon as it needs them. torch's own workers have one thread each for that reason.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=functools.partial(torch.set_num_threads, 1))


def doubles_on(device: torch.device) -> torch.device:
    """Find where double precision computes: on the device, or on the CPU if that has none.

    Examples
    --------
    >>> doubles_on(torch.device("cuda")).type, doubles_on(torch.device("mps")).type
    ('cuda', 'cpu')
    """
    return torch.device("cpu") if device.type in WITHOUT_DOUBLE else device


def double(x: torch.Tensor) -> torch.Tensor:
    """Convert to double precision, on the CPU if the device of x has none, as Apple's has not.

    Examples
    --------
    >>> double(torch.ones(2, dtype=torch.half)).dtype
    torch.float64
    """
    return x.to(doubles_on(x.device)).to(torch.complex128 if x.is_complex() else torch.float64)


def detached(x: torch.Tensor, name: str, where: str) -> torch.Tensor:
    """Take x out of the autograd graph; warn if it was in one, as no gradient will reach it.

    Parameters
    ----------
    x : Tensor
    name : str
        The name of the argument.
    where : str
        The method, through which nothing is differentiated.

    Examples
    --------
    >>> detached(torch.ones(2), "S", "griffin_lim")
    tensor([1., 1.])
    """
    if x.requires_grad:
        warnings.warn(
            f"{name} requires a gradient, but none flows through {where}: {name} is detached. Pass "
            f"{name}.detach(), or differentiate W.magnitude instead.",
            stacklevel=4,
        )
    return x.detach()


def require_single_or_double(dtype: torch.dtype, name: str) -> None:
    """Raise a ``TypeError`` for other floating-point types: their FFTs are missing or too coarse.

    Examples
    --------
    >>> require_single_or_double(torch.half, "W")
    Traceback (most recent call last):
        ...
    TypeError: W must be float32 or float64, got float16, in which there is no FFT on most devices
    """
    if dtype not in (torch.float32, torch.float64):
        raise TypeError(
            f"{name} must be float32 or float64, got {str(dtype).removeprefix('torch.')}, in which "
            "there is no FFT on most devices"
        )


def like(x: torch.Tensor, own: torch.Tensor, name: str) -> torch.Tensor:
    """Convert x to the type and device of a transform's own; refuse levels that do not fit.

    Examples
    --------
    >>> like(torch.ones(2).double(), torch.ones(1), "x").dtype
    torch.float32
    """
    converted = x.to(own)
    if converted.dtype != x.dtype and x.dtype == torch.float64:
        level = float(unit(x))
        if not MINUTE < level < 1 / MINUTE and x.any():
            raise ValueError(
                f"{name} must have a level that fits into float32, as W is, from {MINUTE:.0g} "
                f"to {1 / MINUTE:.0g}, got about {level:.0g}; scale it, or leave W in float64"
            )
    return converted


def repetitions(targets: Sequence[torch.Tensor], shape: tuple[int, ...]) -> np.ndarray:
    """Count for each member how many earlier members have the same target.

    Unlike members get the random start that each would get alone. Equal ones get starts of their
    own: a target that is repeated asks for several answers.

    Parameters
    ----------
    targets : sequence of Tensors whose first axes have this shape
    shape : tuple of int

    Returns
    -------
    integer array of that shape

    Examples
    --------
    >>> repetitions([torch.tensor([[1.0], [2.0], [1.0]])], (3,))
    array([0, 0, 1])
    """
    counts: dict[bytes, int] = {}
    numbers = np.zeros(shape, int)
    if not shape:
        return numbers
    for index in np.ndindex(shape):
        digest = hashlib.blake2b()
        for target in targets:
            digest.update(target[index].detach().cpu().contiguous().numpy().tobytes())
        key = digest.digest()
        numbers[index] = counts.get(key, 0)
        counts[key] = counts.get(key, 0) + 1
    return numbers
