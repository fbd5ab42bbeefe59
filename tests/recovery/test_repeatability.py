"""The same seed gives the same bits: again and again, and in threads that share one transform."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from small import N, noise, scalogram

from scalinv_utils import recover
from scalinv_utils.course import signals
from scalinv_utils.recovery import griffin_lim, invert_gradient, phase_gradient

W = scalogram(N, "cauchy", 24)
S = W.magnitude(W.project(signals.linear_chirp(N, 1.0, 0.1, 0.4)))
METHODS = {
    "recover": lambda S, seed: recover(S, W, seed=seed, progress=False),
    "griffin_lim": lambda S, seed: griffin_lim(S, W, n_iter=5, seed=seed),
    "phase_gradient": lambda S, seed: phase_gradient(S, W, n_iter=1, seed=seed),
    "invert_gradient": lambda S, seed: invert_gradient(S, W, n_iter=5, seed=seed),
}
REPETITIONS = 30
every_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())


@every_method
def test_same_seed_same_bits(method):
    first, kept = method(S, 1), []
    for repetition in range(REPETITIONS):
        kept.append(torch.empty(997 * repetition + 1))  # so that memory lies elsewhere each time
        again = method(S.clone(), 1)
        assert torch.equal(again.signal, first.signal)
        assert again.history["consistency_db"] == first.history["consistency_db"]


@every_method
def test_threads_that_share_a_transform(method):
    wanted = [method(S, seed) for seed in range(2)]
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda seed: method(S, seed % 2), range(6)))
    for k, recovery in enumerate(found):
        assert torch.equal(recovery.signal, wanted[k % 2].signal)
        assert recovery.consistency_db == wanted[k % 2].consistency_db


def test_threads_share_no_buffer():
    x = noise(4, 40, N)
    wanted = W.magnitude(x)
    with ThreadPoolExecutor(4) as pool:
        for _ in range(20):
            moduli = list(pool.map(lambda k: W.magnitude(x[k]), range(len(x))))
            assert torch.equal(torch.stack(moduli), wanted)
