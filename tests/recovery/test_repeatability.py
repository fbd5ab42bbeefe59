"""The same seed gives the same bits: again and again, and in threads that share one transform."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from small import N, noise, scalogram, scattering

from scalinv_utils import Scalogram, bounds, recover
from scalinv_utils.course import signals
from scalinv_utils.measured import Measured
from scalinv_utils.recovery import griffin_lim, invert_gradient, phase_gradient

W = scalogram(N, "cauchy", 24)
S = W.magnitude(W.project(signals.linear_chirp(N, 1.0, 0.1, 0.4)))
FREQUENCIES = W.frequencies.numpy()
FALLING = Scalogram.from_frequencies(N, frequencies=FREQUENCIES, wavelet="cauchy")
RISING = Scalogram.from_frequencies(N, frequencies=FREQUENCIES[::-1].copy(), wavelet="cauchy")
FEW = scalogram(N, "cauchy", 16)
NOISY = bounds.noisy(FEW.magnitude(FEW.project(noise(3, N))), 20)
METHODS = {
    "recover": lambda S, seed: recover(S, W, seed=seed, progress=False),
    "griffin_lim": lambda S, seed: griffin_lim(S, W, n_iter=5, seed=seed),
    "phase_gradient": lambda S, seed: phase_gradient(S, W, n_iter=1, seed=seed),
    "invert_gradient": lambda S, seed: invert_gradient(S, W, n_iter=5, seed=seed),
    "every second column": lambda S, seed: griffin_lim(Measured(S, W, hop=2), n_iter=9, seed=seed),
    "given frequencies": lambda S, seed: griffin_lim(S, FALLING, n_iter=9, seed=seed),
    "rising rows": lambda S, seed: recover(S.flip(0), RISING, seed=seed, progress=False),
    "noise": lambda S, seed: invert_gradient(NOISY, FEW, n_iter=9, seed=seed),
}
REPETITIONS = 30
every_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())


def check_repeats(method):
    first, kept = method(S, 1), []
    for repetition in range(REPETITIONS):
        kept.append(torch.empty(997 * repetition + 1))  # so that memory lies elsewhere each time
        again = method(S.clone(), 1)
        assert torch.equal(again.signal, first.signal)
        assert again.history["consistency_db"] == first.history["consistency_db"]


@every_method
def test_same_seed_same_bits(method):
    check_repeats(method)


@pytest.mark.slow
def test_same_seed_same_bits_from_noise():
    check_repeats(lambda S, seed: recover(NOISY, FEW, seed=seed, progress=False))


@every_method
def test_threads_that_share_a_transform(method):
    wanted = [method(S, seed) for seed in range(2)]
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda seed: method(S, seed % 2), range(6)))
    for k, recovery in enumerate(found):
        assert torch.equal(recovery.signal, wanted[k % 2].signal)
        assert recovery.consistency_db == wanted[k % 2].consistency_db


def test_unlike_methods_that_share_a_transform():
    T = scattering()
    tasks = {
        "griffin_lim": lambda: griffin_lim(S, W, n_iter=30).signal,
        "phase_gradient": lambda: phase_gradient(S, W, n_iter=2).signal,
        "recover": lambda: recover(S, W, callback=lambda k, x, fit: k > 5, progress=False).signal,
        "scattering": lambda: T(noise(1, T.n_samples)),
    }
    expected = {name: task() for name, task in tasks.items()}
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            running = {name: pool.submit(task) for name, task in tasks.items()}
            for name, one in running.items():
                assert torch.equal(one.result(), expected[name]), name


def test_threads_share_no_buffer():
    x = noise(4, 40, N)
    wanted = W.magnitude(x)
    with ThreadPoolExecutor(4) as pool:
        for _ in range(20):
            moduli = list(pool.map(lambda k: W.magnitude(x[k]), range(len(x))))
            assert torch.equal(torch.stack(moduli), wanted)
