"""The phase equation for long signals: in overlapping blocks, from low frequencies to high.

A dense solve costs (n/2)^3; blocks make it linear in the length. A block of fixed length holds
whole wavelets only above some frequency. So the lower rows go first, at a quarter of the sample
rate (their power is band-limited, so that fewer samples lose nothing), by this same function;
the rows above follow in blocks at the full rate. Each block starts from the phases that are
known already, of the block before it and of the rows below it: that joins their free phases.

A block's edges leave an error that hides weak links between parts of the scalogram. Blocks fit
the scalogram of a long sound well; parts of it may keep a phase of their own (see the tests).
"""

import numpy as np
import torch
from scipy.fft import next_fast_len
from tqdm.auto import tqdm

from .derivatives import time_derivative
from .metrics import best_phase, decibels
from .phase_equation import solve_phase_equation
from .recovery import Recorder
from .transforms import Scalogram

__all__ = ["solve_in_blocks"]

# Up to this length one dense solve is affordable, and more accurate.
DENSE = 4096
BLOCK = 2048
BLOCK_RIDGES = (1e-3, 1e-4, 1e-5, 1e-5, 1e-4)

# Distances from a block's edge, in standard deviations of a wavelet, see `_cone_of_influence`.
EDGE, CORE = 2.5, 5.0

# A decimated level takes the rows whose response at its Nyquist frequency is below this.
ALIAS_FLOOR = 1e-6
DECIMATION = 4
SILENCE = 1e-8


def solve_in_blocks(S, W, seed=0, callback=None, keep_every=None, progress=False):
    """Recover a signal of any length by the phase equation.

    Up to a few thousand samples this is `solve_phase_equation`; beyond, time and memory grow
    linearly with the scalogram. The parameters are those of `solve_phase_equation`.

    Returns
    -------
    Recovery
    """
    if W.n_samples <= DENSE:
        return solve_phase_equation(S, W, seed, callback=callback, keep_every=keep_every,
                                    progress=progress)
    recorder = Recorder("phase equation in blocks", callback, keep_every)
    x = W.inverse(W.impose(S, _coefficients(S, W, seed, progress)))
    recorder.record(x, decibels((W.magnitude(x) - S).norm() / S.norm()))
    return recorder.finish(x)


def _coefficients(S, W, seed, progress):
    """W x for the recovered x, complex, shape (n_freqs, n_samples)."""
    if W.n_samples <= DENSE:
        return W(solve_phase_equation(S, W, seed).signal)
    c = torch.zeros(W.shape, dtype=torch.complex128)
    low = _low_rows(W)
    if low.any():
        coarse = _decimated(W, low)
        power = _resample(S[low].square(), coarse.n_samples).clamp_min(0)
        c[low] = _resample(_coefficients(power.sqrt(), coarse, seed, progress), W.n_samples)
    return _fill_by_blocks(S, W, c, ~low & (W.frequencies > 0), seed, progress)


def _fill_by_blocks(S, W, c, missing, seed, progress):
    """Add the missing rows to c, block after block, each starting from what is known already."""
    rows = torch.where((W.frequencies >= _lowest_in_block(W)) & (W.frequencies > 0))[0]
    block = _sub_transform(W, BLOCK, W.sample_rate, rows)
    window, new = _cone_of_influence(block), torch.where(missing[rows])[0]
    slope = torch.from_numpy(time_derivative(S[rows].square().numpy()))
    cover = torch.full((len(new), W.n_samples), 1e-12, dtype=S.dtype)
    for start in tqdm(_starts(S), delay=2, leave=False, disable=not progress, desc="blocks"):
        t = (start + torch.arange(BLOCK)) % W.n_samples
        target, known = S[rows[:, None], t], c[rows[:, None], t]
        known[new] /= cover[:, t]
        cover[:, t] += window[new]
        if target.max() > SILENCE * S.max():
            x = solve_phase_equation(target, block, seed, init=known, window=window,
                                     power_slope=slope[:, t], ridges=BLOCK_RIDGES).signal
            d = window * block(x)
            d *= best_phase(d.flatten(), (window * known).flatten())
            c[rows[new][:, None], t] += d[new]
    c[missing] /= cover
    return c


def _starts(S):
    """Where blocks begin: each overlaps the one before by half; the loudest comes first."""
    n_samples = S.shape[-1]
    n_blocks = -(-n_samples // (BLOCK // 2))
    first = int(S.square().sum(0).argmax()) - BLOCK // 2
    return [first + (k * n_samples) // n_blocks for k in range(n_blocks)]


def _cone_of_influence(block):
    """How much each point of a block counts: little where its wavelet reaches over the edge.

    Rises from 0 to 1 between EDGE and CORE standard deviations (in time) from the nearest edge.
    """
    t = torch.arange(BLOCK, dtype=torch.float64)
    distance = torch.minimum(t, BLOCK - 1 - t)
    spread = block.time_spread * block.sample_rate / block.frequencies[:, None]
    rise = ((distance / spread - EDGE) / (CORE - EDGE)).clamp(0, 1)
    return torch.sin(torch.pi / 2 * rise).square()


def _lowest_in_block(W):
    """Hz below which a wavelet's core does not fit into a block."""
    return 2 * CORE * W.time_spread * W.sample_rate / BLOCK


def _low_rows(W):
    """Rows that a transform at a quarter of the sample rate sees without aliasing."""
    nyquist = W.sample_rate / (2 * DECIMATION)
    return (W.frequencies > 0) & (W.response(nyquist) < ALIAS_FLOOR) & (W.frequencies < nyquist)


def _decimated(W, rows):
    """The transform with these rows of W at about a quarter of its sample rate."""
    n_samples = next_fast_len(W.n_samples // DECIMATION)
    return _sub_transform(W, n_samples, W.sample_rate * n_samples / W.n_samples, rows)


def _sub_transform(W, n_samples, sample_rate, rows):
    """A Scalogram with the same frequencies as some (contiguous) rows of W."""
    frequencies = W.frequencies[rows]
    return Scalogram(n_samples, sample_rate, W.wavelet, W.voices_per_octave,
                     f_min=float(frequencies[-1]), f_max=float(frequencies[0]))


def _resample(rows, n_samples):
    """Periodic band-limited rows on another grid: exact when they are narrow enough for both."""
    n, spectrum = rows.shape[-1], torch.fft.fft(rows)
    half = min(n, n_samples) // 2
    resized = spectrum.new_zeros(*rows.shape[:-1], n_samples)
    resized[..., :half] = spectrum[..., :half]
    resized[..., -half:] = spectrum[..., -half:]
    resampled = torch.fft.ifft(resized) * (n_samples / n)
    return resampled if rows.is_complex() else resampled.real
