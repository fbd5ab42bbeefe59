"""Small transforms and signals that several test modules share."""

import functools

import torch

from scalinv_utils.transforms.scalogram import Scalogram

N = 128

# What is as small as this runs faster on one thread than on several.
torch.set_num_threads(1)


@functools.cache
def scalogram(n_samples=N, wavelet="gmw", voices_per_octave=8, **options):
    """A Scalogram, made once: tests must not change it."""
    return Scalogram(n_samples, wavelet=wavelet, voices_per_octave=voices_per_octave, **options)


def noise(seed, *shape):
    """White Gaussian noise in float64."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape or (N,), dtype=torch.float64, generator=generator)


def complex_noise(seed, *shape):
    return torch.complex(noise(seed, *shape), noise(seed + 10**6, *shape))


def cosine(k, n_samples=N, phase=0.0):
    """k cycles in n_samples."""
    t = torch.arange(n_samples, dtype=torch.float64) / n_samples
    return torch.cos(2 * torch.pi * k * t + phase)


def error_db(a, b):
    """The plain relative error, for comparing what should be equal to rounding."""
    return float(20 * torch.log10((a - b).norm() / b.norm()))
