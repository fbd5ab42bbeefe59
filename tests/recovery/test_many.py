"""Many scalograms are recovered in order, several at a time, and none twice."""

import os
import signal

import numpy as np
import pytest
import torch
from small import cosine, noise, scalogram

from scalinv_utils import recover
from scalinv_utils.measured import Measured, save
from scalinv_utils.recovery import many, recover_many

W = scalogram(64, "cauchy", 24)
X = torch.stack([cosine(k, 64, 0.3 * k) for k in range(6, 11)])
S = W.magnitude(X)


def signals_of(recoveries):
    return torch.stack([recovery.signal for recovery in recoveries])


@pytest.fixture(scope="module")
def alone():
    return torch.stack([recover(part, W, progress=False).signal for part in S])


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_each_as_alone_and_in_order(alone, jobs):
    found = recover_many(S, W, jobs=jobs, progress=False)
    assert torch.equal(signals_of(found), alone)


def test_arrays_measured_ones_files_and_generators(alone, tmp_path):
    np.save(tmp_path / "S.npy", S[1].numpy())
    save(Measured(S[2], W), tmp_path / "S.npz")
    given = (S[0].numpy(), tmp_path / "S.npy", str(tmp_path / "S.npz"), Measured(S[3], W))
    found = recover_many((part for part in given), W, jobs=1, progress=False)
    assert torch.allclose(signals_of(found), alone[:4], rtol=0, atol=1e-8)


def test_what_the_folder_holds_is_not_recovered_again(alone, tmp_path, monkeypatch):
    recovered = []

    def counted(S, W, **options):
        recovered.append(options)
        return recover(S, W, **options)

    monkeypatch.setattr(many, "recover", counted)
    first = recover_many(S, W, folder=tmp_path / "new", jobs=1, progress=False)
    parts = [next(first), next(first)]
    first.close()  # as Ctrl-C would
    assert len(recovered) == 2 and len(list((tmp_path / "new").iterdir())) == 2
    again = recover_many(S, W, folder=tmp_path / "new", jobs=1, progress=False)
    assert torch.equal(signals_of(again), alone) and len(recovered) == 5
    assert torch.equal(signals_of(parts), alone[:2])


def test_another_scalogram_transform_or_option_is_recovered_anew(tmp_path):
    def stored(S, W, **options):
        list(recover_many(S, W, folder=tmp_path, jobs=1, progress=False, **options))
        return {path.name for path in tmp_path.iterdir()}

    first = stored(S[:1], W)
    assert len(first) == 1 and stored(S[:1].clone(), W) == first
    assert len(stored(2 * S[:1], W)) == 2
    assert len(stored(S[:1], W, seed=1)) == 3
    assert len(stored(S[:1], scalogram(64, "cauchy", 24, sample_rate=8000.0))) == 4


def test_a_bad_one_is_named_and_those_before_it_are_kept(tmp_path):
    parts = [S[0], -S[1], S[2, :, :30], S[3]]
    found = recover_many(parts, W, folder=tmp_path, jobs=1, progress=False)
    assert next(found).consistency_db < -60
    with pytest.raises(ValueError, match=r"scalograms\[1\] cannot be recovered: S must not be neg"):
        next(found)
    assert len(list(tmp_path.iterdir())) == 1
    with pytest.warns(UserWarning, match=r"scalograms\[[12]\] cannot be recovered") as said:
        found = list(recover_many(parts, W, jobs=1, bad="warn", progress=False))
    assert [part is None for part in found] == [False, True, True, False] and len(said) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"jobs": 0}, "jobs must be"),
        ({"bad": "skip"}, "bad must be one of 'raise', 'warn'"),
        ({"scalograms": 3}, "scalograms must be"),
    ],
)
def test_bad_arguments_are_refused_before_the_first_is_asked_for(arguments, message):
    with pytest.raises((ValueError, TypeError), match=message):
        recover_many(**{"scalograms": S, "W": W, **arguments})


@pytest.mark.filterwarnings("ignore:.* tasks .* cancelled")  # joblib says so when it is left early
def test_only_a_few_are_asked_for_in_advance():
    asked = []

    def endless():
        while True:
            asked.append(len(asked))
            yield S[0]

    found = recover_many(endless(), W, jobs=2, progress=False)
    next(found)
    assert len(asked) < 12
    found.close()


def slow_one(seed):
    x = W.project(noise(seed, 64))
    return W.magnitude(x)


@pytest.mark.long
def test_a_cluster_loses_nothing_when_a_worker_is_killed(tmp_path, monkeypatch):
    from joblib import parallel_config

    distributed = pytest.importorskip("distributed")
    parts = torch.stack([slow_one(seed) for seed in range(8)])
    saved = []
    save_one = many.Recovery.save
    monkeypatch.setattr(
        many.Recovery, "save", lambda self, path: (saved.append(path), save_one(self, path))
    )
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as two,
        distributed.Client(two) as client,
    ):
        workers = client.run(os.getpid)
        with parallel_config(backend="dask", wait_for_workers_timeout=60):
            found = recover_many(parts, W, folder=tmp_path, progress=False)
            results = [next(found)]
            # The worker with most tasks is killed; they have to be carried out by another.
            tasks = client.processing()
            busiest = max(workers, key=lambda name: len(tasks.get(name, ())))
            os.kill(workers[busiest], signal.SIGKILL)
            results += found
    names = [path.name[:6] for path in saved]
    assert names == [f"{k:06d}" for k in range(8)] and len(list(tmp_path.iterdir())) == 8
    expected = torch.stack([recover(part, W, progress=False).signal for part in parts])
    assert torch.equal(signals_of(results), expected)


def test_the_fingerprint_depends_on_all_that_a_result_depends_on(tmp_path):
    path = tmp_path / "S.npy"
    np.save(path, S[0].numpy())
    prints = [many._fingerprint(path, b"a"), many._fingerprint(str(path), b"b")]
    os.utime(path, ns=(1, 1))
    prints.append(many._fingerprint(path, b"a"))
    with path.open("ab") as file:
        file.write(b"more")
    os.utime(path, ns=(1, 1))
    prints.append(many._fingerprint(path, b"a"))
    known = torch.ones(W.shape, dtype=torch.bool)
    known[0, 0] = False
    S0 = S[0].clone()
    S0[0, 0] = 0
    other = scalogram(64, "cauchy", 24, f_max=0.499)
    for M in (
        Measured(S[0], W),
        Measured(S[1], W),
        Measured(S0, W),
        Measured(S0, W, known=known),
        Measured(S[0], W, sigma=0.1),
        Measured(S[0], W, sigma=0.2),
        Measured(torch.ones(other.shape), other),
    ):
        prints.append(many._fingerprint(M, b"a"))
        assert many._fingerprint(M, b"a") == prints[-1]
    prints += [many._fingerprint(part, b"a") for part in (S[0], S[1].numpy())]
    assert len(set(prints)) == len(prints) and {len(p) for p in prints} == {12}
    assert many._fingerprint(S[0].T.contiguous().T, b"a") == many._fingerprint(S[0], b"a")
    options = [many.digest_of(W, {}), many.digest_of(None, {}), many.digest_of(W, {"seed": 1})]
    options += [many.digest_of(other, {}), many.digest_of(W, {"seed": 2})]
    assert len(set(options)) == 5
    assert many.digest_of(W, {"a": 1, "b": 2}) == many.digest_of(W, {"b": 2, "a": 1})
