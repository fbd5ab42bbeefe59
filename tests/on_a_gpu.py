"""Run every method where W lives, on a GPU, and print its time relative to this machine's CPU.

    python tests/on_a_gpu.py

Results have to keep dtype and device, and to agree with those of the CPU: transforms and gradients
to rounding, methods in how well they fit, since rounding decides which of many solutions they
find. What works on the CPU for other reasons (paths through the plane, the algebra that
noise needs) has a ratio near 1; corrections and the likelihood are timed in part by themselves.
"""

import functools
import sys
import time

import torch

from scalinv_utils import (
    Recovery,
    Scalogram,
    bounds,
    griffin_lim,
    invert_gradient,
    metrics,
    phase_gradient,
    recover,
)
from scalinv_utils.course import signals
from scalinv_utils.recovery._gauss_newton import gauss_newton
from scalinv_utils.recovery._griffin_lim import settle

N, RATE, SHORT = 16384, 16000, 2048
# Rounding is below this, and what many steps make of it below the other; fits of two runs of a
# method differ by less than ALIKE_DB, or are good.
ROUNDED_DB = {torch.float32: -110.0, torch.float64: -280.0}
SETTLED_DB = {torch.float32: -50.0, torch.float64: -120.0}
ALIKE_DB, GOOD_DB = 3.0, -60.0


def gradient(W, S, x):
    x = (1.1 * x).requires_grad_()
    (W.magnitude(x) - S).square().sum().backward()
    return x.grad


METHODS = {
    "magnitude": lambda W, S, x: W.magnitude(x),
    "inverse": lambda W, S, x: W.inverse(W(x)),
    "gradient": gradient,
    "griffin_lim, 50": lambda W, S, x: griffin_lim(S, W, n_iter=50),
    "invert_gradient, lbfgs, 5": lambda W, S, x: invert_gradient(S, W, n_iter=5),
    "invert_gradient, adam, 50": lambda W, S, x: invert_gradient(S, W, n_iter=50, optimizer="adam"),
    "phase_gradient": lambda W, S, x: phase_gradient(S, W, n_iter=3, progress=False),
    "recover": lambda W, S, x: recover(S, W, progress=False),
}


def likelihood(W, S, x):
    """The modulus of the likeliest signal, which is determined better than the signal itself."""
    return W.magnitude(bounds.maximum_likelihood(bounds.noisy(S, 30), W, x, n_iter=3))


# Corrections without the paths: steps of Griffin-Lim on few coefficients, and of Gauss and Newton.
CORRECTIONS = {
    "settle, 40": lambda W, S, x: settle(
        functools.partial(W.painless.refit, W.painless.sampled(S)), x + 1e-2 * x.roll(1), 40, 0.9
    ),
    "gauss_newton, 30": lambda W, S, x: gauss_newton(
        W.painless.sampled(S), W.painless, x + 1e-4 * x.roll(1), 30
    ),
}
LIKELIHOOD = {
    "maximum_likelihood, 3": likelihood,
    "recover, noise of -20 dB": lambda W, S, x: recover(bounds.noisy(S, 20), W, progress=False),
}


def timed(method, W, S, x):
    """The result, and the shorter time of two."""
    times = []
    for _ in range(2):
        began = time.perf_counter()
        result = method(W, S, x)
        torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    return result, min(times)


def compare(name, method, W, x, limit=ROUNDED_DB):
    """Print one line; return whether dtype, device and values are right."""
    there = W.like(W.n_samples).to(W.filters.dtype).cuda()
    a, cpu = timed(method, W, W.magnitude(x), x)
    b, gpu = timed(method, there, there.magnitude(x.cuda()), x.cuda())
    if isinstance(a, Recovery):
        said = f"fits {a.consistency_db:.1f} and {b.consistency_db:.1f} dB"
        fits = a.consistency_db, b.consistency_db
        agree = max(fits) < GOOD_DB or abs(fits[0] - fits[1]) < ALIKE_DB
        b = b.signal
    else:
        error = metrics.decibels((a - b.cpu()).norm() / a.norm())
        said, agree = f"difference {error:.1f} dB", error < limit[x.dtype]
    kept = b.is_cuda and b.dtype == x.dtype
    right = "" if kept and agree else f"  WRONG: {b.device}, {b.dtype}"
    print(f"{str(x.dtype)[6:]:8} {name:26} GPU/CPU {gpu / cpu:7.3f}   {said}{right}")
    return kept and agree


def recovered(dtype):
    """Recover from a scalogram on the GPU, and score there; return whether all is right."""
    W = Scalogram(SHORT, RATE, wavelet="cauchy", voices_per_octave=32).to(dtype)
    x = W.project(signals.linear_chirp(SHORT, RATE, 300, 6000).to(dtype))
    there, x_there = W.like(SHORT).to(dtype).cuda(), x.cuda()
    found = recover(there.magnitude(x_there), there, progress=False)
    errors = [
        metrics.waveform_error_db(found.signal, x_there),
        metrics.waveform_error_db(found.signal.cpu(), x),
    ]
    print(f"recover: waveform error {errors[0]:.1f} dB, scored on the CPU {errors[1]:.1f} dB")
    kept = found.signal.is_cuda and found.signal.dtype == dtype
    return kept and errors[0] < -80 and abs(errors[0] - errors[1]) < 1


def main():
    if not torch.cuda.is_available():
        sys.exit("There is no CUDA device here.")
    print(torch.cuda.get_device_name(), "against", torch.get_num_threads(), "threads of the CPU")
    right = True
    for dtype in (torch.float32, torch.float64):
        W = Scalogram(N, RATE, voices_per_octave=16).to(dtype)
        x = W.project(signals.linear_chirp(N, RATE, 300, 6000).to(dtype))
        for name, method in METHODS.items():
            right &= compare(name, method, W, x)
        for name, method in CORRECTIONS.items():
            right &= compare(name, method, W, x, SETTLED_DB)
        W = Scalogram(SHORT, RATE, wavelet="cauchy", voices_per_octave=32).to(dtype)
        x = W.project(signals.linear_chirp(SHORT, RATE, 300, 6000).to(dtype))
        for name, method in LIKELIHOOD.items():
            right &= compare(name, method, W, x, SETTLED_DB)
        right &= recovered(dtype)
    sys.exit(not right)


if __name__ == "__main__":
    main()
