"""The inner loop of a Scalogram: filters in the Fourier domain, and their derivatives by hand.

    analysis    c_j = IDFT( h_j X )          synthesis    Re IDFT( sum_j h_j DFT(c_j) )

Beside the FFTs it is memory traffic that costs time. So products are made only where a filter is
not zero, into a buffer that is zero elsewhere and is kept; and where that buffer would be large,
rows are taken in blocks that fit into a processor's cache. Each of the two maps is the other's
derivative (in the real inner product), which saves autograd its intermediate results, and the
modulus has a rule of its own for the same reason. They differentiate any number of times,
forwards too, and under ``torch.func``.
"""

import numpy as np
import torch
from numba import njit
from torch.autograd import Function, forward_ad

__all__ = ["Bank", "analyse", "modulus", "plain", "synthesise", "turned"]

# Coefficients (of one signal) in a block, and up to how many, of a batch, a buffer is kept.
BLOCK, KEPT = 2**20, 2**21


class Bank:
    """A bank of real filters, laid out for `analyse` and `synthesise`.

    Parameters
    ----------
    filters : real Tensor, shape (n_freqs, n_bins)
        Their zeros at both ends cost nothing; rows that are neighbours should have them in common.
    n_samples : int
    """

    def __init__(self, filters, n_samples):
        self.filters, self.shape = filters, (len(filters), n_samples)
        self._blocks = [
            (rows, bins, filters[rows, bins].to(filters.dtype.to_complex()))
            for rows, bins in _spans(filters, max(1, BLOCK // n_samples))
        ]
        self._buffer = None

    def analyse(self, x, out=None):
        """Complex coefficients (..., n_freqs, n_samples) of real signals (..., n_samples).

        Large ones are written into `out`, if it is given: fresh memory costs as much as the FFTs.
        """
        spectrum = torch.fft.fft(x)[..., None, :]
        shape = (*x.shape[:-1], *self.shape)
        if np.prod(shape) <= (KEPT if out is None else BLOCK) or x.device.type != "cpu":
            return self._at_once(spectrum, shape)
        c = spectrum.new_empty(shape) if out is None else out
        for block in self._blocks:
            c[..., block[0], :] = self._part(spectrum, *block)
        return c

    def _part(self, spectrum, rows, bins, weights):
        """The coefficients in some rows."""
        product = spectrum.new_zeros((*spectrum.shape[:-2], len(weights), self.shape[1]))
        torch.mul(spectrum[..., bins], weights, out=product[..., bins])
        return torch.fft.ifft(product)

    def _at_once(self, spectrum, shape):
        # Taken and put back: another thread that comes meanwhile makes a buffer of its own.
        product, self._buffer = self._buffer, None
        if product is None or product.shape != shape:
            product = spectrum.new_zeros(shape)
        for rows, bins, weights in self._blocks:
            torch.mul(spectrum[..., bins], weights, out=product[..., rows, bins])
        c = torch.fft.ifft(product)
        self._buffer = product if product.numel() <= KEPT else None
        return c

    def synthesise(self, c):
        """Real signals (..., n_samples) of coefficients (..., n_freqs, n_samples)."""
        spectrum = c.new_zeros((*c.shape[:-2], c.shape[-1]))
        for block in self._blocks:
            _gather(spectrum, c[..., block[0], :], *block[1:])
        return torch.fft.ifft(spectrum).real

    def refit(self, S, x):
        """synthesise(S c/|c|) of c = analyse(x): block by block, with no array of the size of S.

        CPU tensors without a graph, S of shape (..., n_freqs, n_samples).
        """
        spectrum = torch.fft.fft(x)
        result = torch.zeros_like(spectrum)
        for block in self._blocks:
            c = self._part(spectrum[..., None, :], *block)
            turned(S[..., block[0], :], c, _magnitude(c), at_zero=1.0, out=c)
            _gather(result, c, *block[1:])
        return torch.fft.ifft(result).real


def _spans(filters, step):
    """(rows, bins) as slices: every `step` rows, and the bins where not all of them are zero."""
    for first in range(0, len(filters), step):
        rows = slice(first, min(first + step, len(filters)))
        bins = torch.where((filters[rows] != 0).any(0))[0]
        yield rows, slice(int(bins[0]), int(bins[-1]) + 1) if len(bins) else slice(0)


def _gather(spectrum, c, bins, weights):
    """Add what the coefficients in some rows give to the spectrum of a signal."""
    part = torch.view_as_real(torch.fft.fft(c)[..., bins] * weights)
    spectrum[..., bins] += torch.view_as_complex(_sum_rows(part))


def _sum_rows(part):
    """Sum over the rows of (..., n_rows, n_bins, 2), by a matrix product: BLAS is quick at that."""
    ones = part.new_ones(1, part.shape[-3])
    return (ones @ part.flatten(-2)).reshape(*part.shape[:-3], *part.shape[-2:])


def turned(g, c, modulus, at_zero=0.0, out=None):
    """g c/|c| in one pass through the memory, `at_zero` times g where c is zero.

    CPU tensors of one shape, g and modulus = |c| real, without a graph. `out` may be c itself.
    """
    g, c, modulus = (part.detach().contiguous().numpy() for part in (g, c, modulus))
    # Not torch's: numpy asks for large pages, half the time of small ones.
    result = np.empty_like(c) if out is None else out.numpy()
    _turn(*(part.ravel() for part in (g, c, modulus)), g.dtype.type(at_zero), result.ravel())
    return torch.from_numpy(result)


@njit(cache=True, error_model="numpy")
def _turn(g, c, modulus, at_zero, result):
    for k in range(len(g)):
        if modulus[k] > 0:
            result[k] = complex(c[k].real / modulus[k] * g[k], c[k].imag / modulus[k] * g[k])
        else:
            result[k] = at_zero * g[k]


def plain(*tensors):
    """Whether these are ordinary tensors in the processor's memory that nobody differentiates."""
    forwards = forward_ad._current_level >= 0 or torch._C._are_functorch_transforms_active()
    return not forwards and not any(
        tensor.device.type != "cpu" or (tensor.requires_grad and torch.is_grad_enabled())
        for tensor in tensors
    )


def analyse(x, bank):
    """``bank.analyse(x)``, to be differentiated if need be."""
    return _linear(x, bank.analyse, bank.synthesise)


def synthesise(c, bank):
    """``bank.synthesise(c)``, to be differentiated if need be."""
    return _linear(c, bank.synthesise, bank.analyse)


def modulus(c):
    """|c| of a complex Tensor; its gradient at zero is zero."""
    return _magnitude(c) if plain(c) else _Modulus.apply(c)


def _magnitude(c):
    # numpy's is several times as fast as torch's, and as safe from overflow.
    return torch.from_numpy(np.abs(c.detach().numpy())) if c.device.type == "cpu" else c.abs()


class _Linear(Function):
    """A linear operator that comes with its adjoint (in the real inner product), for autograd."""

    @staticmethod
    def forward(x, operator, adjoint):
        return operator(x)

    @staticmethod
    def setup_context(ctx, inputs, output):
        _, *ctx.pair = inputs

    @staticmethod
    def backward(ctx, g):
        operator, adjoint = ctx.pair
        return _linear(g, adjoint, operator), None, None

    @staticmethod
    def jvp(ctx, dx, *_):
        return _Linear.apply(dx, *ctx.pair)

    @staticmethod
    def vmap(info, in_dims, x, operator, adjoint):
        return _Linear.apply(x.movedim(in_dims[0], 0), operator, adjoint), 0


def _linear(x, operator, adjoint):
    """operator(x), to be differentiated if need be: that costs a tenth of a millisecond."""
    return operator(x) if plain(x) else _Linear.apply(x, operator, adjoint)


class _Modulus(Function):
    """|c| for autograd."""

    @staticmethod
    def forward(c):
        return _magnitude(c)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs, output)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx, g):
        c, modulus = ctx.saved_tensors
        return turned(g, c, modulus) if plain(g, c) else g * torch.sgn(c)

    @staticmethod
    def jvp(ctx, dc):
        (c,) = ctx.saved_tensors
        return (torch.sgn(c).conj() * dc).real

    @staticmethod
    def vmap(info, in_dims, c):
        return _Modulus.apply(c.movedim(in_dims[0], 0)), 0
