"""Ctrl-C ends every method with the Recovery so far, and leaves nothing half done behind."""

import os
import pickle
import signal
import subprocess
import sys
import threading
import time

import pytest
import torch
from small import cosine, noise, scalogram, scattering

from scalinv_utils import Recovery, diagnose, metrics
from scalinv_utils.bounds import noisy
from scalinv_utils.diagnosis import _readings
from scalinv_utils.measured import Measured
from scalinv_utils.recovery import (
    RULES,
    Slices,
    _error_bars,
    error_bars,
    griffin_lim,
    invert_gradient,
    phase_gradient,
    recover,
)
from scalinv_utils.recovery._gradient_descent import OPTIMIZERS
from scalinv_utils.recovery._interrupts import Bar
from scalinv_utils.recovery.texture import synthesize_texture

W = scalogram(64, "cauchy", 16)
FEW = scalogram(64, "gmw", 6)
X = W.project(noise(0, 64))
S = W.magnitude(X)
NOISY = noisy(S, 15.0)
COLUMNS = torch.zeros(64, dtype=torch.bool)
COLUMNS[(torch.arange(26) + 0.3).mul(64 / 26).round().long()] = True
EVEN = Measured(S, W, sigma=0.02, known=COLUMNS.expand(W.shape))


def adagrad(parameters):
    return torch.optim.Adagrad(parameters, lr=0.1)


def texture(callback):
    T = scattering("global")
    return synthesize_texture(T(noise(0, 256)), T, n_iter=6, callback=callback)


def of_slices(callback):
    slices = Slices(FEW)
    S = slices.magnitude(noise(1, 150))

    def method(S, W, progress):
        return griffin_lim(S, W, n_iter=5)

    return slices.recover(S, 150, method=method, callback=callback, progress=False)


# Each takes a callback, and runs a method.
METHODS = {
    **{
        f"griffin_lim, {rule}": lambda callback, rule=rule: griffin_lim(
            S, W, rule=rule, n_iter=6, callback=callback
        )
        for rule in RULES
    },
    **{
        f"invert_gradient, {name}": lambda callback, optimizer=optimizer: invert_gradient(
            S, W, optimizer=optimizer, n_iter=6, callback=callback
        )
        for name, optimizer in {**{name: name for name in OPTIMIZERS}, "adagrad": adagrad}.items()
    },
    "phase_gradient": lambda callback: phase_gradient(S, W, callback=callback),
    "phase_gradient, eigen": lambda callback: phase_gradient(
        S, W, method="eigen", callback=callback
    ),
    "phase_gradient, measured": lambda callback: phase_gradient(
        Measured(S[:, ::2], W, hop=2), callback=callback
    ),
    "recover": lambda callback: recover(S, W, callback=callback),
    "recover, noisy": lambda callback: recover(NOISY, W, callback=callback),
    "recover, few rows": lambda callback: recover(FEW.magnitude(X), FEW, callback=callback),
    "recover, measured": lambda callback: recover(Measured(S, W, sigma=0.05), callback=callback),
    "recover, columns": lambda callback: recover(EVEN, callback=callback),
    "texture": texture,
    "Slices": of_slices,
}


LONG = ("recover, few rows", "recover, columns", "recover, noisy")


class Seen:
    """A callback that keeps what it is told, and interrupts at an iteration."""

    def __init__(self, end=-1):
        self.end, self.told = end, []

    def __call__(self, iteration, x, consistency_db):
        self.told.append((x, consistency_db))
        if iteration == self.end:
            raise KeyboardInterrupt


def interrupted(run, end):
    """Interrupt a method at an iteration; return its Recovery and what the callback was told."""
    seen = Seen(end)
    with pytest.raises(KeyboardInterrupt) as caught:
        run(seen)
    return caught.value.recovery, seen.told


@pytest.mark.parametrize("name", METHODS)
def test_the_recovery_so_far_is_kept(name, tmp_path):
    run, whole = METHODS[name], Seen()
    full, last = run(whole), len(whole.told) - 1
    for end in sorted({0, last} if name in LONG else {0, last // 2, last}):
        recovery, told = interrupted(run, end)
        assert len(told) == end + 1 == len(recovery.history["consistency_db"])
        assert len(recovery.history["seconds"]) == end + 1
        assert recovery.details["interrupted"] is True and recovery.method == full.method
        kept = [k for k, (x, _) in enumerate(told) if torch.equal(x, recovery.signal)]
        assert kept and torch.isfinite(recovery.signal).all()
        if name != "Slices":  # whose fit is that of all slices
            assert recovery.consistency_db == told[kept[-1]][1]
            assert kept[-1] == end or recovery.consistency_db == min(fit for _, fit in told)
        stages = recovery.details.get("stages", [])
        assert stages == full.details.get("stages", [])[: len(stages)]
        recovery.save(tmp_path / "so_far.pt")
        assert torch.equal(Recovery.load(tmp_path / "so_far.pt").signal, recovery.signal)
    if name.startswith("recover"):
        assert len(stages) == len(full.details["stages"]) - 1
    assert torch.equal(run(None).signal, full.signal)  # interrupts left nothing behind
    assert not list(getattr(Bar, "_instances", []))


def test_iterates_are_kept():
    seen = Seen(3)
    with pytest.raises(KeyboardInterrupt) as caught:
        griffin_lim(S, W, n_iter=9, keep_every=2, callback=seen)
    recovery = caught.value.recovery
    assert [k for k, _ in recovery.iterates] == [0, 2, 3]
    assert torch.equal(recovery.iterates[-1][1], recovery.signal)


BATCH = torch.stack([S, 1e-9 * S, torch.zeros_like(S), W.magnitude(cosine(9, 64))])


@pytest.mark.parametrize("keep_every", [None, 2])
@pytest.mark.parametrize(
    "method",
    [
        lambda S, **options: griffin_lim(S, W, n_iter=4, **options),
        lambda S, **options: invert_gradient(S, W, n_iter=4, **options),
        lambda S, **options: phase_gradient(S, W, n_iter=4, **options),
    ],
    ids=["griffin_lim", "invert_gradient", "phase_gradient"],
)
def test_members_of_a_batch_that_are_done_are_kept(method, keep_every):
    whole, calls = method(BATCH, keep_every=keep_every), []

    def in_the_second(iteration, x, consistency_db):
        calls.append(iteration)
        if calls.count(1) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        method(BATCH.reshape(2, 2, *W.shape), keep_every=keep_every, callback=in_the_second)
    recovery = caught.value.recovery
    assert recovery.signal.shape == (2, 2, 64)
    first, second, *rest = recovery.signal.flatten(0, 1)
    assert torch.equal(first, whole.signal[0]) and second.any()
    assert not torch.stack(rest).any()
    assert recovery.details["members"] == 1 and recovery.details["interrupted"] is True
    # What is not known yet is silence, which misses all of its target.
    fit = metrics.misfit_db(W.magnitude(recovery.signal), BATCH.reshape(2, 2, *W.shape))
    assert recovery.consistency_db == pytest.approx(fit, abs=1e-6)
    assert bool(recovery.iterates) == bool(keep_every)


def test_an_interrupt_before_the_first_signal_is_only_an_interrupt(monkeypatch):
    def interrupt(*arguments, **options):
        interrupt = KeyboardInterrupt()
        interrupt.recovery = Recovery(torch.ones(3), "a part of it")
        raise interrupt

    monkeypatch.setattr("scalinv_utils.recovery._pipeline.denoise", interrupt)
    with pytest.raises(KeyboardInterrupt) as caught:
        recover(S, W)
    assert not hasattr(caught.value, "recovery")


@pytest.mark.parametrize("cause", [KeyboardInterrupt(), ValueError()])
def test_interrupts_of_compiled_functions_are_interrupts(cause):
    """Numba's functions make a SystemError of an exception that comes while they begin."""

    def interrupt(iteration, x, consistency_db):
        if iteration == 2:
            raise SystemError from cause

    with pytest.raises((KeyboardInterrupt, SystemError)) as caught:
        griffin_lim(S, W, callback=interrupt)
    assert hasattr(caught.value, "recovery") == isinstance(cause, KeyboardInterrupt)
    assert type(caught.value) is (SystemError if type(cause) is ValueError else type(cause))


def test_torch_has_its_gradients_again():
    def interrupt(iteration, x, consistency_db):
        torch.set_grad_enabled(False)  # as where an interrupt comes while a block of torch's ends
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        invert_gradient(S, W, callback=interrupt)
    assert torch.is_grad_enabled()


def test_an_interrupt_within_a_slice_keeps_what_it_had_of_the_slice():
    slices, x = Slices(FEW), noise(1, 150)
    calls = []

    def method(S, W, progress):
        calls.append(0)
        return griffin_lim(S, W, n_iter=5, callback=Seen(2 if len(calls) == 2 else -1))

    with pytest.raises(KeyboardInterrupt) as caught:
        slices.recover(slices.magnitude(x), 150, method=method, progress=False)
    # Slices that are stopped are added up, without the steps that put all of them together.
    recovery, whole = caught.value.recovery, of_slices(lambda k, x, fit: k == 1)
    assert len(recovery.history["seconds"]) == 2 and len(recovery.details["links_db"]) == 1
    known = slices.hop - slices.overlap
    assert torch.equal(recovery.signal[:known], whole.signal[:known])
    assert recovery.signal[known:].any() and not recovery.signal[2 * slices.hop :].any()


@pytest.mark.parametrize(
    ("run", "module", "part"),
    [
        (lambda: diagnose(NOISY, W), _readings, "noise_needed"),
        (lambda: error_bars(X, NOISY, W), _error_bars, "cramer_rao"),
    ],
    ids=["diagnose", "error_bars"],
)
def test_what_returns_no_recovery_can_be_interrupted_and_asked_again(
    run, module, part, monkeypatch
):
    def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    before = str(run())
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module, part, interrupt)
        run()
    assert str(run()) == before


def test_the_exception_says_what_it_keeps_and_travels():
    with pytest.raises(KeyboardInterrupt) as caught:
        griffin_lim(S, W, callback=Seen(2))
    again = pickle.loads(pickle.dumps(caught.value))
    assert torch.equal(again.recovery.signal, caught.value.recovery.signal)
    assert str(again) == (f"{again.recovery!r} is kept as the attribute recovery of this exception")


def test_a_bar_on_show_is_removed(capsys, monkeypatch):
    monkeypatch.setattr("scalinv_utils.recovery._stages.BAR_AFTER", 1e-9)

    def slow(iteration, x, consistency_db):
        time.sleep(0.12)  # bars move every tenth of a second
        if iteration == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        griffin_lim(S, W, callback=slow, progress=True)
    assert "dB" in capsys.readouterr().err and not list(Bar._instances)


# -- signals of the system ----------------------------------------------------------------------


@pytest.fixture
def alarm():
    """Let an alarm do what Ctrl-C does, between any two steps of the interpreter."""
    if not hasattr(signal, "setitimer"):
        pytest.skip("there are no timers on this system")
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    # Again and again: Python ignores what is raised while an object is deleted, and pytest warns.
    yield lambda seconds: signal.setitimer(signal.ITIMER_REAL, seconds, 2.0 * bool(seconds))[:0]
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


AT_ANY_TIME = {
    "griffin_lim": lambda callback: griffin_lim(
        S, W, n_iter=10**7, keep_every=3, progress=True, callback=callback
    ),
    "batch": lambda callback: griffin_lim(BATCH, W, n_iter=10**6, callback=callback),
    "adam": lambda callback: invert_gradient(
        S, W, optimizer="adam", n_iter=10**7, callback=callback
    ),
    "lbfgs": lambda callback: invert_gradient(NOISY, W, n_iter=10**6, callback=callback),
    "recover": lambda callback: recover(NOISY, W, callback=callback),
    "measured": lambda callback: recover(Measured(NOISY, W, sigma=0.05), callback=callback),
}


def interrupt_at_random(name, alarm, times):
    """Interrupt a method so many seconds after its start; return how many Recoveries it left."""
    METHODS["invert_gradient, adam"](None)  # torch imports a lot when it is first used
    before, kept = (torch.get_num_threads(), dict(os.environ)), 0
    target = BATCH if name == "batch" else S if name in ("griffin_lim", "adam") else NOISY
    for seconds in times:
        recovery = None
        try:
            AT_ANY_TIME[name](lambda k, x, fit, seconds=seconds: k == 0 and alarm(seconds))
        except KeyboardInterrupt as stopped:
            recovery = getattr(stopped, "recovery", None)
        finally:
            alarm(0)
        if recovery is not None:
            kept += 1
            assert len({len(values) for values in recovery.history.values()}) == 1
            fit = metrics.misfit_db(W.magnitude(recovery.signal), target)
            assert recovery.consistency_db == pytest.approx(fit, abs=1e-6)
        assert torch.is_grad_enabled()
    assert (torch.get_num_threads(), dict(os.environ)) == before
    return kept


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", AT_ANY_TIME)
def test_an_interrupt_may_come_at_any_time(name, alarm):
    assert interrupt_at_random(name, alarm, [0.0003, 0.0041, 0.0173]) >= 2


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", AT_ANY_TIME)
def test_interrupts_may_come_at_very_many_times(name, alarm):
    assert interrupt_at_random(name, alarm, [0.0001 + 0.000137 * k for k in range(300)]) >= 250


# A program that a shell runs in the background ignores Ctrl-C, and so do its children.
PROGRAM = """
import signal, time
from scalinv_utils import Scalogram, recover
signal.signal(signal.SIGINT, signal.default_int_handler)
W = Scalogram(512)
S = W.magnitude([k * k % 97 for k in range(512)])
def tell(iteration, x, consistency_db):
    if iteration == 2:
        print("begun", flush=True)
        time.sleep(60)
try:
    recover(S, W, callback=tell)
except KeyboardInterrupt as stopped:
    print(stopped.recovery)
    raise
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGINT to one process")
def test_a_program_gets_the_recovery_after_ctrl_c_and_its_shell_is_told():
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "begun\n"
    process.send_signal(signal.SIGINT)
    said, errors = process.communicate(timeout=60)
    assert "Recovery('recover', (512,), consistency " in said.splitlines()[-1]
    assert process.returncode == -signal.SIGINT
    assert "is kept as the attribute recovery of this exception" in errors.splitlines()[-1]


def test_threads_go_on_while_the_main_one_is_interrupted(alarm):
    other = []
    thread = threading.Thread(target=lambda: other.append(griffin_lim(S, W, n_iter=300)))
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        alarm(0.1)
        griffin_lim(S, W, n_iter=10**7)
    alarm(0)
    thread.join()
    assert torch.equal(other[0].signal, griffin_lim(S, W, n_iter=300).signal)
