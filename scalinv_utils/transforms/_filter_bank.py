"""Run the inner loop of a Scalogram: filters in the Fourier domain, their derivatives by hand.

    analysis    c_j = IDFT( h_j X )          synthesis    Re IDFT( sum_j conj(h_j) DFT(c_j) )

After the FFTs, memory traffic dominates the run time. Products are therefore computed only where a
filter is not zero, in a buffer that is zero elsewhere and is kept for the next call. Where that
buffer would be large, rows are processed in blocks that fit into a processor's cache.

The derivative of each map is the other map (its adjoint in the real inner product), so that
autograd need not store intermediate results. The modulus has its own derivative rule for the same
reason. All of them can be differentiated any number of times, in forward mode too, and under
``torch.func``.
"""

import math
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch.autograd import Function, forward_ad

from .._compiled import njit
from .._room import check_room

__all__ = ["Bank", "analyse", "cpu_without_autograd", "modulus", "synthesise", "turned"]

# Number of coefficients (of one signal) that are computed together in one block of rows.
COEFFICIENTS_PER_BLOCK = 2**20

# Number of coefficients (of a whole batch) up to which the buffer is kept for the next call.
LARGEST_KEPT_BUFFER = 2**21

# torch offers no public function that tells whether a transform of torch.func (vmap, grad, jvp) is
# running; torch.autograd.Function asks this private one. Looking at the tensors is not enough:
# inside grad even an operation on constants gives a wrapped tensor, which has no memory for numpy
# to read. If a version of torch lacks the function, autograd's path is always taken, which gives
# the same numbers (to rounding) more slowly.
_torch_func_is_active = getattr(torch._C, "_are_functorch_transforms_active", lambda: True)

LinearMap = Callable[[torch.Tensor], torch.Tensor]


class Bank:
    """A bank of filters, laid out for `analyse` and `synthesise`.

    Parameters
    ----------
    filters : real Tensor, shape (n_freqs, n_bins)
        Zeros at both ends of a row cost nothing if neighbouring rows have them too.
    n_samples : int
    angles : real Tensor, shape of filters, optional
        Phases of the responses in rad. Default: zero.

    Attributes
    ----------
    filters : real Tensor, shape (n_freqs, n_bins)
    shape : (int, int)
        (n_freqs, n_samples).
    """

    def __init__(
        self, filters: torch.Tensor, n_samples: int, angles: torch.Tensor | None = None
    ) -> None:
        self.filters, self.shape = filters, (len(filters), n_samples)
        responses = filters if angles is None else torch.polar(filters, angles)
        self._blocks = [
            (rows, bins, responses[rows, bins].to(filters.dtype.to_complex()))
            for rows, bins in _spans(filters, max(1, COEFFICIENTS_PER_BLOCK // n_samples))
        ]
        self._buffer: torch.Tensor | None = None
        self._lock = threading.Lock()

    def analyse(self, x: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
        """Compute complex coefficients (..., n_freqs, n_samples) of signals (..., n_samples).

        A large result is written into `out` if it is given, because fresh memory costs as much
        time as the FFTs.
        """
        shape = (*x.shape[:-1], *self.shape)
        if out is None:
            _check_fits(x, shape)
        spectrum = torch.fft.fft(x)[..., None, :]
        at_once = LARGEST_KEPT_BUFFER if out is None else COEFFICIENTS_PER_BLOCK
        if np.prod(shape) <= at_once or x.device.type != "cpu":
            return self._at_once(spectrum, shape)
        c = spectrum.new_empty(shape) if out is None else out
        for block in self._blocks:
            c[..., block[0], :] = self._part(spectrum, *block)
        return c

    def _part(
        self, spectrum: torch.Tensor, rows: slice, bins: slice, weights: torch.Tensor
    ) -> torch.Tensor:
        """Compute the coefficients of one block of rows."""
        product = spectrum.new_zeros((*spectrum.shape[:-2], len(weights), self.shape[1]))
        torch.mul(spectrum[..., bins], weights, out=product[..., bins])
        return torch.fft.ifft(product)

    def _at_once(self, spectrum: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
        """Compute all coefficients in one buffer, which is kept unless it is large."""
        # The buffer is taken out and put back, so that another thread makes its own meanwhile.
        with self._lock:
            product, self._buffer = self._buffer, None
        if product is None or product.shape != shape:
            product = spectrum.new_zeros(shape)
        for rows, bins, weights in self._blocks:
            torch.mul(spectrum[..., bins], weights, out=product[..., rows, bins])
        c = torch.fft.ifft(product)
        self._buffer = product if product.numel() <= LARGEST_KEPT_BUFFER else None
        return c

    def synthesise(self, c: torch.Tensor) -> torch.Tensor:
        """Compute real signals (..., n_samples) of coefficients (..., n_freqs, n_samples)."""
        spectrum = c.new_zeros((*c.shape[:-2], c.shape[-1]))
        for block in self._blocks:
            _gather(spectrum, c[..., block[0], :], *block[1:])
        return torch.fft.ifft(spectrum).real

    def refit(self, S: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Give the coefficients of x the modulus S and synthesise them, block by block.

            synthesise(S c/|c|)  with  c = analyse(x)

        No array of the size of S is made. S, shape (..., n_freqs, n_samples), and x must be
        `cpu_without_autograd`.
        """
        spectrum = torch.fft.fft(x)
        result = torch.zeros_like(spectrum)
        for block in self._blocks:
            c = self._part(spectrum[..., None, :], *block)
            turned(S[..., block[0], :], c, _magnitude(c), at_zero=1.0, out=c)
            _gather(result, c, *block[1:])
        return torch.fft.ifft(result).real


def _check_fits(x: torch.Tensor, shape: tuple[int, ...]) -> None:
    """Refuse signals whose coefficients would not fit into the processor's memory."""
    if x.device.type == "cpu":
        check_room(
            2.0 * x.element_size() * math.prod(shape),
            "x",
            f"its coefficients, of shape {shape},",
            "transform fewer signals at once, or a long one in pieces by "
            "transforms.magnitude_of_long",
        )


def _spans(filters: torch.Tensor, step: int) -> Iterator[tuple[slice, slice]]:
    """Yield slices (rows, bins): `step` rows each, and the bins where not all of them are zero."""
    for first in range(0, len(filters), step):
        rows = slice(first, min(first + step, len(filters)))
        bins = torch.where((filters[rows] != 0).any(0))[0]
        yield rows, slice(int(bins[0]), int(bins[-1]) + 1) if len(bins) else slice(0)


def _gather(spectrum: torch.Tensor, c: torch.Tensor, bins: slice, weights: torch.Tensor) -> None:
    """Add the contribution of one block of coefficients to the spectrum of a signal, in place."""
    part = torch.view_as_real(torch.fft.fft(c)[..., bins] * weights.conj())
    spectrum[..., bins] += torch.view_as_complex(_sum_rows(part))


def _sum_rows(part: torch.Tensor) -> torch.Tensor:
    """Sum over the rows of (..., n_rows, n_bins, 2) by a matrix product, which BLAS does fast."""
    ones = part.new_ones(1, part.shape[-3])
    return (ones @ part.flatten(-2)).reshape(*part.shape[:-3], *part.shape[-2:])


def turned(
    g: torch.Tensor,
    c: torch.Tensor,
    modulus: torch.Tensor,
    at_zero: float = 0.0,
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    """Compute g c/|c| in one pass through the memory; where c is zero, `at_zero` times g.

    The tensors have one shape and are `cpu_without_autograd`; g and modulus = |c| are real. `out`
    may be c itself.
    """
    reals, directions, moduli = (part.detach().contiguous().numpy() for part in (g, c, modulus))
    # numpy makes the result because it asks for large pages: they take half the time of small ones.
    result = np.empty_like(directions) if out is None else out.numpy()
    zero = reals.dtype.type(at_zero)
    _turn(reals.ravel(), directions.ravel(), moduli.ravel(), zero, result.ravel())
    return torch.from_numpy(result)


@njit(error_model="numpy")
def _turn(g, c, modulus, at_zero, result):
    for k in range(len(g)):
        if modulus[k] > 0:
            result[k] = complex(c[k].real / modulus[k] * g[k], c[k].imag / modulus[k] * g[k])
        else:
            result[k] = at_zero * g[k]


def cpu_without_autograd(*tensors: torch.Tensor) -> bool:
    """Tell whether all tensors lie in the processor's memory and none is being differentiated.

    Only then may numpy work on their memory behind autograd's back.
    """
    return not _torch_func_is_active() and all(map(_is_cpu_without_autograd, tensors))


def _is_cpu_without_autograd(tensor: torch.Tensor) -> bool:
    recorded = tensor.requires_grad and torch.is_grad_enabled()
    carries_tangent = forward_ad.unpack_dual(tensor).tangent is not None
    return tensor.device.type == "cpu" and not recorded and not carries_tangent


def analyse(x: torch.Tensor, bank: Bank) -> torch.Tensor:
    """Compute ``bank.analyse(x)`` so that autograd can differentiate it."""
    return _linear(x, bank.analyse, bank.synthesise)


def synthesise(c: torch.Tensor, bank: Bank) -> torch.Tensor:
    """Compute ``bank.synthesise(c)`` so that autograd can differentiate it."""
    return _linear(c, bank.synthesise, bank.analyse)


def modulus(c: torch.Tensor) -> torch.Tensor:
    """Compute |c| of a complex Tensor; the gradient at zero is zero."""
    return _magnitude(c) if cpu_without_autograd(c) else _Modulus.apply(c)


def _magnitude(c: torch.Tensor) -> torch.Tensor:
    # numpy's modulus is several times as fast as torch's, and as safe from overflow.
    return torch.from_numpy(np.abs(c.detach().numpy())) if c.device.type == "cpu" else c.abs()


class _Linear(Function):
    """A linear operator whose derivative is given by its adjoint (in the real inner product)."""

    @staticmethod
    def forward(x: torch.Tensor, operator: LinearMap, adjoint: LinearMap) -> torch.Tensor:
        return operator(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: torch.Tensor) -> None:
        _, *ctx.pair = inputs

    @staticmethod
    def backward(ctx: Any, *grad_outputs: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (g,) = grad_outputs
        operator, adjoint = ctx.pair
        return _linear(g, adjoint, operator), None, None

    @staticmethod
    def jvp(ctx: Any, *grad_inputs: Any) -> torch.Tensor:
        dx, _, _ = grad_inputs
        return _Linear.apply(dx, *ctx.pair)

    @staticmethod
    def vmap(info: Any, in_dims: tuple, *args: Any) -> tuple[torch.Tensor, int]:
        x, operator, adjoint = args
        return _Linear.apply(x.movedim(in_dims[0], 0), operator, adjoint), 0


def _linear(x: torch.Tensor, operator: LinearMap, adjoint: LinearMap) -> torch.Tensor:
    """Compute operator(x); involve autograd, a tenth of a millisecond, only if it is needed."""
    return operator(x) if cpu_without_autograd(x) else _Linear.apply(x, operator, adjoint)


class _Modulus(Function):
    """The modulus |c| with its derivative, for autograd."""

    @staticmethod
    def forward(c: torch.Tensor) -> torch.Tensor:
        return _magnitude(c)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: torch.Tensor) -> None:
        ctx.save_for_backward(*inputs, output)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: torch.Tensor) -> torch.Tensor:
        (g,) = grad_outputs
        c, modulus = ctx.saved_tensors
        return turned(g, c, modulus) if cpu_without_autograd(g, c) else g * torch.sgn(c)

    @staticmethod
    def jvp(ctx: Any, *grad_inputs: torch.Tensor) -> torch.Tensor:
        (dc,) = grad_inputs
        (c,) = ctx.saved_tensors
        return (torch.sgn(c).conj() * dc).real

    @staticmethod
    def vmap(info: Any, in_dims: tuple, *args: torch.Tensor) -> tuple[torch.Tensor, int]:
        (c,) = args
        return _Modulus.apply(c.movedim(in_dims[0], 0)), 0
