"""Public objects can be copied, pickled, saved by torch, and sent to a worker of Dask."""

import copy
import io
import multiprocessing
import os
import pickle
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
import torch
from small import noise, scalogram, scattering

from scalinv_utils import Scalogram, bounds, diagnose, griffin_lim
from scalinv_utils.course import audio
from scalinv_utils.measured import Measured
from scalinv_utils.recovery import PhaseEquation, Slices, error_bars, losses
from scalinv_utils.recovery._errors import DivergenceError
from scalinv_utils.transforms._columns import Columns
from scalinv_utils.transforms.decimated import Decimated
from scalinv_utils.transforms.scattering import Renormalized

W = scalogram(64)
X = noise(0, 64)
S = W.magnitude(X)


def gaussian_response(w):
    """Stand for a wavelet of one's own; pickle finds it by its name."""
    return np.exp(-((w - 6) ** 2) / 2)


def renormalized(**options):
    T = scattering(**options)
    return Renormalized(T, T(noise(0, T.n_samples)))


def answered(*values):
    """Make a function that gives numbers which tell whether an object is still the same."""
    return lambda made: [torch.as_tensor(value(made)) for value in values]


# For each object: how it is made, and what it then answers.
OBJECTS = {
    "Scalogram": (lambda: scalogram(64, lowpass="signed"), answered(lambda W: W(X))),
    "of one's own wavelet": (
        lambda: Scalogram(64, wavelet=gaussian_response),
        answered(lambda W: W(X), lambda W: W.like(32)(X[:32])),
    ),
    "from filters": (
        lambda: Scalogram.from_filters(W.filters * 1j, W.frequencies, n_samples=64),
        answered(lambda W: W(X)),
    ),
    "Scattering": (scattering, answered(lambda T: T(noise(1, T.n_samples)), lambda T: T.order)),
    "Scattering in single precision": (
        lambda: scattering().float(),
        answered(lambda T: T(noise(1, T.n_samples))),
    ),
    "Scattering, T = 0": (
        lambda: scattering(T=0, orders=(1,)),
        answered(lambda T: T(noise(1, T.n_samples)), lambda T: T.frequencies),
    ),
    "Renormalized": (renormalized, answered(lambda R: R(noise(1, R.n_samples)))),
    "Decimated": (lambda: Decimated(W), answered(lambda D: D.complete(D.magnitude(X)))),
    "Columns": (lambda: Columns(W, 4), answered(lambda C: C.coefficients(X))),
    "Measured": (
        lambda: Measured(S, W, sigma=0.1, floor=0.01, step=1e-3),
        answered(lambda M: M.S, lambda M: M.sigma, lambda M: M.magnitude(X)),
    ),
    "Slices": (lambda: Slices(W), answered(lambda s: torch.stack(list(s.split(noise(2, 150)))))),
    "Recovery": (
        lambda: griffin_lim(S, W, n_iter=3, keep_every=1),
        answered(lambda r: r.signal, lambda r: r.consistency_db, lambda r: r.iterates[1][1]),
    ),
    "Bound": (lambda: bounds.cramer_rao(X, W), answered(lambda b: b.error_db(30.0))),
    "ErrorBars": (
        lambda: error_bars(X, bounds.noisy(S, 20.0), W, sigma=0.05),
        answered(lambda e: e.error_db),
    ),
    "PhaseEquation": (lambda: PhaseEquation(S.numpy(), W), answered(lambda e: e.weight)),
    "Diagnosis": (lambda: diagnose(S**2, W), answered(lambda d: len(str(d)))),
    "Players": (lambda: audio.players({"x": X}, 8000), answered(lambda p: p.gain)),
    "L2ToL1": (losses.L2ToL1, answered(lambda loss: loss([2 * X], [X]))),
    "CoarseToFine": (losses.CoarseToFine, answered(lambda loss: loss([2 * S], [S]))),
    "DivergenceError": (DivergenceError, answered(lambda e: len(str(e)))),
}


def saved_and_loaded(made):
    file = io.BytesIO()
    torch.save(made, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


WAYS = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda made: pickle.loads(pickle.dumps(made)),
    "oldest pickle": lambda made: pickle.loads(pickle.dumps(made, 2)),
    "torch": saved_and_loaded,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", OBJECTS)
def test_a_copy_answers_as_the_object_does(name, way):
    make, answers = OBJECTS[name]
    made = make()
    before = answers(made)
    again = WAYS[way](made)
    assert again is not made and type(again) is type(made)
    for a, b, c in zip(before, answers(again), answers(made)):
        assert torch.equal(a, b) and torch.equal(a, c)


def test_a_deep_copy_of_a_scattering_shares_nothing():
    T = scattering()
    again, expected = copy.deepcopy(T), T(noise(1, T.n_samples))
    for buffer in again.buffers():
        buffer.zero_()
    assert torch.equal(T(noise(1, T.n_samples)), expected)


def test_a_scattering_is_moved_and_trained_after_its_journey():
    T = pickle.loads(pickle.dumps(scattering())).float()
    x = noise(1, T.n_samples).float().requires_grad_()
    T(x).sum().backward()
    assert x.grad is not None and x.grad.any() and T(x).dtype == torch.float32


@pytest.mark.long
@pytest.mark.slow
def test_objects_travel_to_workers_of_dask_and_back():
    from distributed import Client, LocalCluster

    made = {name: make() for name, (make, _) in OBJECTS.items()}
    # cloudpickle also takes what has no name.
    made["nameless"] = Scalogram(64, wavelet=lambda w: np.exp(-((w - 6) ** 2) / 2))
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        with Client(cluster) as client:
            there = client.map(copy.copy, list(made.values()), pure=False)
            back = dict(zip(made, client.gather(there)))
            runs = [client.submit(griffin_lim, S, W, n_iter=3, workers=w) for w in cluster.workers]
            signals = [recovery.signal for recovery in client.gather(runs)]
    expected = griffin_lim(S, W, n_iter=3).signal
    assert len(signals) == 2 and all(torch.equal(signal, expected) for signal in signals)
    for name, (_, answers) in OBJECTS.items():
        for a, b in zip(answers(made[name]), answers(back[name])):
            assert torch.equal(a, b)
    assert torch.equal(made["nameless"](X), back["nameless"](X))


def processes(kind):
    if kind == "loky":
        return pytest.importorskip("joblib.externals.loky").get_reusable_executor(2)
    if kind not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system has no {kind}")
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(kind))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["spawn", "fork", "forkserver", "loky"])
def test_objects_travel_to_other_processes_and_back(kind):
    made = {name: make() for name, (make, _) in OBJECTS.items()}
    with processes(kind) as pool:
        back = dict(zip(made, pool.map(copy.copy, made.values())))
        recovered = pool.submit(griffin_lim, S, W, n_iter=3).result()
    for name, (_, answers) in OBJECTS.items():
        for a, b in zip(answers(made[name]), answers(back[name])):
            assert torch.equal(a, b)
    assert torch.equal(recovered.signal, griffin_lim(S, W, n_iter=3).signal)


FORK = """
import os, torch
torch.set_num_threads(2)
from scalinv_utils import Scalogram, griffin_lim
W = Scalogram(2048, voices_per_octave=16)
S = W.magnitude([k * k % 97 for k in range(2048)])
expected = griffin_lim(S, W, n_iter=3).signal
child = os.fork()
if child == 0:
    same = torch.allclose(griffin_lim(S, W, n_iter=3).signal, expected)
    os._exit(0 if same and torch.get_num_threads() == 1 else 3)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), torch.get_num_threads())
"""


@pytest.mark.long
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_process_does_not_wait_for_the_threads_of_its_parent():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK],
        env={**os.environ, "OMP_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.stdout, done.returncode) == ("0 2\n", 0), done.stderr
