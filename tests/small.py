"""Small transforms and signals that several test modules share."""

import functools

import torch

from scalinv_utils.transforms.scalogram import Scalogram
from scalinv_utils.transforms.scattering import Scattering

N = 128

# Transforms as small as these run faster on one thread than on several.
torch.set_num_threads(1)


@functools.cache
def scalogram(n_samples=N, wavelet="gmw", voices_per_octave=8, **options):
    """Make a Scalogram, once for all tests, which must not change it."""
    return Scalogram(n_samples, wavelet=wavelet, voices_per_octave=voices_per_octave, **options)


def scattering(T=16, orders=(1, 2), n_samples=256, **options):
    """Make a Scattering of a signal at 1000 Hz."""
    return Scattering(n_samples, 1000.0, **{"J": 4, "Q": 4, "T": T, "orders": orders, **options})


def noise(seed, *shape):
    """Draw white Gaussian noise in float64."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape or (N,), dtype=torch.float64, generator=generator)


def complex_noise(seed, *shape):
    """Draw complex noise whose real and imaginary part are white, Gaussian and independent."""
    return torch.complex(noise(seed, *shape), noise(seed + 10**6, *shape))


def cosine(k, n_samples=N, phase=0.0):
    """Make a cosine of k cycles in n_samples."""
    t = torch.arange(n_samples, dtype=torch.float64) / n_samples
    return torch.cos(2 * torch.pi * k * t + phase)


def error_db(a, b):
    """Compute the plain relative error, for values that should be equal to rounding."""
    return float(20 * torch.log10((a - b).norm() / b.norm()))
