"""A method returns a Recovery; a Run carries out the stages and makes it."""

import pickle

import pytest
import torch
from small import N, cosine, noise, scalogram

from scalinv_utils.metrics import analytic
from scalinv_utils.recovery._result import Recovery
from scalinv_utils.recovery._stages import Run, Stage, one_scalogram, silence_of


def counting(n_iter):
    """Make a stage that writes its iterates into one buffer, as torch optimisers do."""

    def carry_out(S, W, run):
        x = torch.zeros(N, dtype=torch.float64)
        for iteration in range(n_iter + 1):
            x.fill_(iteration)
            if run.step(x, -iteration):
                break

    return Stage("counting", carry_out, n_iter)


def run(n_iter, keep_every=None, callback=None):
    """Run a method of one stage."""
    around = Run("counting", callback, keep_every=keep_every)
    return around.through([counting(n_iter)], None, None).recovery(gap=0.5)


def test_iterates_are_copies():
    recovery = run(6, keep_every=2)
    assert [k for k, _ in recovery.iterates] == [0, 2, 4, 6]
    assert [float(x[0]) for _, x in recovery.iterates] == [0, 2, 4, 6]


def test_an_iterate_that_grows_is_no_copy():
    run, x = Run("test"), torch.zeros(4)
    run.step(x, -10.0, grows=True)
    x += 1
    result = run.recovery()
    assert result.signal.tolist() == [1.0] * 4
    assert result.signal is not x and result.consistency_db == -10.0


def test_many_iterates_share_blocks_and_nothing_else(tmp_path):
    recovery = run(70, keep_every=1)
    assert [float(x[0]) for _, x in recovery.iterates] == list(range(71))
    recovery.iterates[3][1].zero_()
    assert [float(x[0]) for _, x in recovery.iterates[2:5]] == [2, 0, 4]
    recovery.iterates = recovery.iterates[:1]
    recovery.save(tmp_path / "one.pt")
    assert (tmp_path / "one.pt").stat().st_size < 8000 + 4 * 8 * N


def test_the_last_iterate_is_kept_too():
    recovery = run(5, keep_every=4)
    assert [k for k, _ in recovery.iterates] == [0, 4, 5]
    assert torch.equal(recovery.iterates[-1][1], recovery.signal)
    assert recovery.iterates[-1][1] is not recovery.signal
    assert run(5).iterates == []


def test_the_callback_gets_copies_and_can_stop():
    seen = []

    def callback(iteration, x, consistency_db):
        seen.append((iteration, x, consistency_db))
        return iteration == 3

    recovery = run(10, callback=callback)
    assert [(k, float(x[0]), level) for k, x, level in seen] == [
        (0, 0, 0),
        (1, 1, -1),
        (2, 2, -2),
        (3, 3, -3),
    ]
    assert len(recovery.history["seconds"]) == 4 and recovery.consistency_db == -3


def test_a_callback_cannot_change_the_run():
    recovery = run(3, callback=lambda iteration, x, level: x.zero_() is None)
    assert torch.equal(recovery.signal, torch.full((N,), 3.0, dtype=torch.float64))


def test_history():
    recovery = run(4)
    assert recovery.history["consistency_db"] == [0, -1, -2, -3, -4]
    seconds = recovery.history["seconds"]
    assert seconds == sorted(seconds) and seconds[0] >= 0 and recovery.seconds == seconds[-1]
    assert recovery.details == {"gap": 0.5}
    empty = Recovery(noise(1), "nothing")
    assert empty.seconds == 0 and empty.consistency_db is None


def test_the_signal_is_a_copy_without_graph():
    x = noise(2).requires_grad_()
    around = Run("m")
    around.step(x, 0.0)
    signal = around.recovery().signal
    assert not signal.requires_grad and signal.data_ptr() != x.data_ptr()


def test_two_recoveries_share_nothing():
    one, other = Recovery(noise(1), "a"), Recovery(noise(2), "b")
    one.history["seconds"].append(1.0)
    assert other.history["seconds"] == [] and one != other and one == one


def test_analytic():
    assert torch.equal(Recovery(cosine(3), "m").analytic, analytic(cosine(3)))


def test_repr():
    text = repr(run(4))
    assert text.startswith(f"Recovery('counting', ({N},), consistency -4.0 dB, 4 iterations, ")
    assert "no fit recorded, 0 iterations" in repr(Recovery(noise(1), "m"))


def test_save_and_load(tmp_path):
    recovery = run(5, keep_every=2)
    recovery.save(tmp_path / "one.pt")
    loaded = Recovery.load(tmp_path / "one.pt")
    assert torch.equal(loaded.signal, recovery.signal)
    assert (loaded.method, loaded.history, loaded.details) == (
        recovery.method,
        recovery.history,
        recovery.details,
    )
    assert [k for k, _ in loaded.iterates] == [0, 2, 4, 5]
    assert all(torch.equal(a, b) for (_, a), (_, b) in zip(loaded.iterates, recovery.iterates))
    assert repr(loaded) == repr(recovery)


class Bomb:
    exploded = []

    def __reduce__(self):
        return Bomb.exploded.append, (1,)


def test_loading_runs_no_code(tmp_path):
    torch.save({"signal": Bomb(), "method": "m"}, tmp_path / "bomb.pt")
    with pytest.raises(ValueError, match="^path must be a file of Recovery.save") as caught:
        Recovery.load(tmp_path / "bomb.pt")
    assert Bomb.exploded == [] and isinstance(caught.value.__cause__, pickle.UnpicklingError)


@pytest.mark.parametrize(
    "content", [b"", b"a letter", b"PK\x03\x04 and nothing", "cut", "list", "part"]
)
def test_files_that_save_did_not_write_are_refused(content, tmp_path):
    path = tmp_path / "one.pt"
    if content == "cut":
        run(2).save(path)
        content = path.read_bytes()[:-500]
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save([1, 2] if content == "list" else {"signal": torch.ones(3)}, path)
    with pytest.raises(ValueError, match="^path must be a file of Recovery.save, got .*one.pt"):
        Recovery.load(path)
    with pytest.raises(FileNotFoundError):
        Recovery.load(tmp_path / "another.pt")


@pytest.mark.parametrize(
    "options, error, name",
    [
        ({"keep_every": 0}, ValueError, "keep_every"),
        ({"keep_every": 1.5}, TypeError, "keep_every"),
        ({"callback": 3}, TypeError, "callback"),
    ],
)
def test_bad_options_are_named(options, error, name):
    with pytest.raises(error, match=f"^{name} must be "):
        Run("m", **options)


# Stages


def levels(*fits):
    """Make a stage whose iterates are signals full of their own fit."""

    def carry_out(S, W, run):
        for fit in fits:
            if run.step(torch.full((N,), fit, dtype=torch.float64), fit):
                break

    return Stage(f"down to {min(fits)}", carry_out, len(fits) - 1)


def test_the_best_signal_is_kept_and_the_fit_is_that_of_the_signal():
    around = Run("m", result="best").through([levels(0.0, -30.0, -10.0), levels(-20.0)], None, None)
    best = around.recovery()
    assert float(best.signal[0]) == best.consistency_db == around.best_db == -30
    assert "consistency -30.0 dB, 3 iterations" in repr(best)
    assert around.stages == [("down to -30.0", -30), ("down to -20.0", -30)]
    last = Run("m").through([levels(0.0, -30.0, -10.0)], None, None).recovery()
    assert float(last.signal[0]) == last.consistency_db == -10


def test_a_stage_goes_on_from_what_the_one_before_hands_on():
    seen = []

    def hand_on(S, W, run):
        run.step(torch.ones(N), -1.0)
        run.x = torch.full((N,), 7.0)

    def go_on(S, W, run):
        seen.append((S, W, float(run.x[0])))
        run.step(run.x, -2.0)

    stages = [Stage("one", hand_on, 0), Stage("two", go_on, 0)]
    assert float(Run("m").through(stages, "S", "W").recovery().signal[0]) == 7
    assert seen == [("S", "W", 7.0)]


def test_no_stage_begins_after_the_goal_or_a_stop():
    stages = [levels(-10.0, -50.0), levels(-60.0)]
    reached = Run("m", goal_db=-40).through(stages, None, None)
    assert [name for name, _ in reached.stages] == ["down to -50.0"]
    stopped = Run("m", lambda k, x, fit: True).through(stages, None, None)
    assert stopped.history["consistency_db"] == [-10.0]


def test_silence_needs_no_stage():
    silence = silence_of(torch.zeros(3, 5, N))
    assert silence.shape == (3, N) and silence_of(torch.ones(5, N)) is None
    recovery = Run("m").through([levels(-1.0)], None, None, silence).recovery()
    assert not recovery.signal.any() and recovery.consistency_db == float("-inf")


def test_one_scalogram_is_one():
    W = scalogram()
    assert one_scalogram(torch.ones(W.shape).float(), W, "a method").dtype == torch.float64
    with pytest.raises(ValueError, match="one scalogram of shape"):
        one_scalogram(torch.ones(2, *W.shape), W, "a method")
