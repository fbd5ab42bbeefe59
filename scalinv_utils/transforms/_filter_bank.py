"""Run the inner loop of a Scalogram: filters in the Fourier domain, their derivatives by hand.

    analysis    c_j = IDFT( h_j X )          synthesis    Re IDFT( sum_j conj(h_j) DFT(c_j) )

Beside the FFTs, memory traffic takes the time. Rows are therefore processed in blocks that stay in
a processor's cache: products, computed only where a filter is not zero, are written where the
result belongs and transformed there.

The derivative of each map is the other map (its adjoint in the real inner product), so that
autograd need not store intermediate results. The modulus has its own derivative rule for the same
reason. All of them can be differentiated any number of times, in forward mode too, and under
``torch.func``.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch.autograd import Function, forward_ad

from .._compiled import njit
from .._room import check_room

__all__ = ["Bank", "analyse", "gather", "imposed", "modulus", "synthesise"]

# Number of coefficients that are computed together in one block of rows.
COEFFICIENTS_PER_BLOCK = 2**17

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
    is_real : bool
        Whether signals are real; else they are complex.

    Attributes
    ----------
    shape : (int, int)
        (n_freqs, n_samples).
    """

    def __init__(
        self,
        filters: torch.Tensor,
        n_samples: int,
        angles: torch.Tensor | None = None,
        *,
        is_real: bool = True,
    ) -> None:
        self.shape, self.is_real = (len(filters), n_samples), is_real
        responses = filters if angles is None else torch.polar(filters, angles)
        on_cpu = filters.device.type == "cpu"
        at_once = COEFFICIENTS_PER_BLOCK // n_samples if on_cpu else len(filters)
        self._blocks = [
            (rows, bins, responses[rows, bins].to(filters.dtype.to_complex()))
            for rows, bins in _spans(filters, max(1, at_once))
        ]

    def analyse(self, x: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
        """Compute complex coefficients (..., n_freqs, n_samples) of signals (..., n_samples).

        The result is written into `out` if it is given.
        """
        shape = (*x.shape[:-1], *self.shape)
        if out is None:
            _check_fits(x, shape)
        spectra = torch.fft.fft(x).reshape(-1, self.shape[1])
        c = _empty(shape, spectra) if out is None else out
        for spectrum, plane in zip(spectra, c.view(-1, *self.shape)):
            for rows, bins, weights in self._blocks:
                part = plane[rows]
                part[:, : bins.start], part[:, bins.stop :] = 0, 0
                torch.mul(spectrum[bins], weights, out=part[:, bins])
                torch.fft.ifft(part, out=part)
        return c

    def synthesise(self, c: torch.Tensor) -> torch.Tensor:
        """Compute signals (..., n_samples) of coefficients (..., n_freqs, n_samples)."""
        spectrum = c.new_zeros((*c.shape[:-2], c.shape[-1]))
        for block in self._blocks:
            gather(spectrum, c[..., block[0], :], *block[1:], first=block[1].start)
        signal = torch.fft.ifft(spectrum)
        return signal.real if self.is_real else signal


def _empty(shape: tuple[int, ...], like: torch.Tensor) -> torch.Tensor:
    """Make a tensor of any numbers, of the dtype and on the device of another one."""
    if like.device.type != "cpu":
        return like.new_empty(shape)
    # numpy asks for large pages: new memory of small ones takes as much time as the FFTs.
    return torch.from_numpy(np.empty(shape, torch.empty(0, dtype=like.dtype).numpy().dtype))


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
        yield rows, slice(int(bins[0]), int(bins[-1]) + 1) if len(bins) else slice(0, 0)


def gather(
    spectrum: torch.Tensor,
    c: torch.Tensor,
    bins: slice,
    weights: torch.Tensor,
    first: int = 0,
    factor: float = 1.0,
) -> None:
    """Add to the bins of a spectrum what the rows of coefficients contribute, in place.

        spectrum_(bins.start + k)  +=  factor sum_j conj(weights_jk) DFT(c_j)_(first + k)

    The coefficients' own bins begin anew where they end.

    Parameters
    ----------
    spectrum : complex Tensor, shape (..., n_samples)
    c : complex Tensor, shape (..., n_rows, n_own)
        Coefficients, as many of a row as it has bins of its own.
    bins : slice
        The bins of the spectrum to which the weights belong.
    weights : complex Tensor, shape (n_rows, bins.stop - bins.start)
    first : int
        The own bin of c that belongs to bins.start.
    factor : float
    """
    transformed, n_bins, n_wanted = torch.fft.fft(c), c.shape[-1], weights.shape[-1]
    for begin in range(0, n_wanted, n_bins):
        end = min(begin + n_bins, n_wanted)
        total = spectrum[..., bins.start + begin : bins.start + end]
        if c.device.type != "cpu":
            own = transformed[..., first : first + end - begin]
            total += factor * (own * weights[:, begin:end].conj()).sum(-2)
            continue
        scale = transformed.real.new_tensor(factor).numpy()[()]
        for one, rows in zip(total.view(-1, end - begin), transformed.view(-1, *c.shape[-2:])):
            _add_rows(rows.numpy(), weights.numpy(), first, begin, scale, one.numpy())


@njit()
def _add_rows(c, weights, first, begin, factor, total):
    for row in range(len(c)):
        for k in range(len(total)):
            weight = weights[row, begin + k].conjugate() * factor
            total[k] += c[row, first + k] * weight


def imposed(S: torch.Tensor, c: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
    """Give c the modulus S: S c/|c|, and S where c is zero; `out` may be c itself."""
    if S.shape == c.shape and cpu_without_autograd(S, c):
        return turned(S.to(c.real), c, modulus(c), at_zero=1.0, out=out)
    return S * torch.where(c == 0, torch.ones_like(c), torch.sgn(c))


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
    one = g.dtype.type(1)
    for k in range(len(g)):
        # Choices in place of branches: several points are computed in one instruction.
        is_zero = modulus[k] <= 0
        size = one if is_zero else modulus[k]
        real, imaginary = c[k].real / size * g[k], c[k].imag / size * g[k]
        result[k] = complex(at_zero * g[k] if is_zero else real, imaginary)


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
