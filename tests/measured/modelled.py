"""Sounds, and how well what a reader made explains them."""

import numpy as np
import torch

from scalinv_utils.course import signals


def error_db(M, x):
    """Compare the modulus that a library gave with what M makes of the signal x, in dB."""
    return M.consistency_db(torch.from_numpy(np.asarray(x, float)))


def speech(n_samples, sample_rate=8000):
    """Cut the loudest stretch out of the recording of speech."""
    return signals.recording("speech", sample_rate, n_samples)[0].numpy()


def noise(n_samples, seed=0):
    """Draw white noise."""
    return np.random.default_rng(seed).standard_normal(n_samples)


def faded(x, share=0.1):
    """Let a signal begin and end in silence."""
    t = np.minimum(np.arange(len(x)), np.arange(len(x))[::-1]) / (share * len(x))
    return x * np.where(t < 1, 0.5 - 0.5 * np.cos(np.pi * t), 1)
