"""Keep squares from under- and overflowing: divide by a power of two, the unit, before squaring.

A float64 below 1e-162 has the square 0, and one above 1e154 has an infinite one; for a float32 that
is below 1e-23 and above 1e19. Dividing by a power of two changes no digit, so that what is computed
from x / unit(x) has the same digits at every level of x.
"""

import torch

__all__ = ["norm", "rms", "unit"]

Axes = int | tuple[int, ...] | None

# Units lie between these powers of two, so that their reciprocals are normal numbers too.
EXTREMES = {torch.float32: 120, torch.float64: 1000}


def unit(x: torch.Tensor, dim: Axes = None) -> torch.Tensor:
    """Find the power of two just above the largest modulus of x along axes; 1 where x is zero.

    Parameters
    ----------
    x : real or complex Tensor
    dim : int or tuple of int, optional
        The axes along which the largest modulus is taken. Default: all.

    Returns
    -------
    real Tensor, shape of x but with length 1 along `dim`; without axes for all

    Examples
    --------
    >>> x = torch.tensor([[3e-200, 1e-200], [0.0, 0.0]], dtype=torch.float64)
    >>> (x / unit(x, -1)).tolist()
    [[0.574..., 0.191...], [0.0, 0.0]]
    """
    x = x.detach()
    parts = (x.real, x.imag) if x.is_complex() else (x,)
    axes = tuple(range(x.ndim)) if dim is None else dim
    largest = torch.stack([_largest(part, axes, dim is not None) for part in parts]).amax(0)
    # A number over its mantissa is its power of two.
    powers = largest / torch.frexp(largest).mantissa
    extreme = 2.0 ** EXTREMES[largest.dtype]
    return torch.where(largest > 0, powers.clamp(1 / extreme, extreme), 1.0)


def _largest(x: torch.Tensor, axes: int | tuple[int, ...], keepdim: bool) -> torch.Tensor:
    return torch.maximum(x.amax(axes, keepdim), -x.amin(axes, keepdim))


def norm(x: torch.Tensor, dim: Axes = None) -> torch.Tensor:
    """Compute the root of the sum of |x|^2 along axes, by default all; it is zero only for zeros.

    Examples
    --------
    >>> float(norm(torch.tensor([3e-200, 4e-200], dtype=torch.float64)))
    5e-200
    """
    largest = unit(x, dim)
    total = torch.linalg.vector_norm(x.detach() / largest, dim=dim, keepdim=dim is not None)
    total = total * largest
    return total if dim is None else total.squeeze(dim)


def rms(x: torch.Tensor, dim: Axes = None) -> torch.Tensor:
    """Compute the root of the mean of |x|^2 along axes, by default all.

    Examples
    --------
    >>> float(rms(torch.tensor([1e-200, -1e-200], dtype=torch.float64)))
    1e-200
    """
    largest = unit(x, dim)
    axes = tuple(range(x.ndim)) if dim is None else dim
    squares = (x.detach() / largest).abs().square()
    level = squares.mean(axes, keepdim=dim is not None).sqrt() * largest
    return level if dim is None else level.squeeze(dim)
