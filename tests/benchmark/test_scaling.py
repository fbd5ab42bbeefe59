"""Speed, cost against size and long sounds are measured and written."""

import pytest

from scalinv_utils.benchmark import cli, scaling
from scalinv_utils.benchmark.records import read
from scalinv_utils.recovery import griffin_lim


def test_the_slope_of_a_power_law_is_its_exponent():
    rows = [{"n_samples": n, "seconds": 3e-4 * n**1.5} for n in (100, 1000, 5000)]
    assert abs(scaling.slope(rows) - 1.5) < 1e-9
    with pytest.raises(ValueError, match="at least two lengths above 1000, got 1"):
        scaling.slope(rows, above=1000)


def test_speed_is_ratios_of_the_same_filters():
    row = scaling.speed(512, rounds=2)
    assert tuple(sorted(row)) == tuple(sorted(scaling.SPEED_FIELDS))
    assert all(row[name] > 0 for name in scaling.SPEED_FIELDS if "over" in name)
    assert row["both_over_ifft"] > row["forward_over_ifft"]
    assert row["coefficients_mb"] == pytest.approx(row["n_freqs"] * 512 * 8 / 1e6)
    # 16 filters per octave of five octaves and a few: the longest has a sixteenth of the signal.
    scattering = scaling._kymatio(512)
    assert (scattering.J, scattering.Q[0], scattering.max_order) == (5, 16, 1)
    assert row["n_freqs"] == len(scattering.psi1_f)


def test_size_is_measured_once_in_a_process_of_its_own(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(scaling, "UNIT_SAMPLES", 512)
    monkeypatch.setattr(scaling, "SIZE_SIGNALS", ("speech",))
    path = tmp_path / "size.csv"
    scaling.size_command(path, [1])
    (row,) = read(path)
    assert row["n_samples"] == 512 and row["waveform_error_db"] < -40 and row["peak_mb"] > 0
    scaling.size_command(path, [1])
    assert read(path) == [row] and "512 samples of speech" in capsys.readouterr().out


def test_a_long_sound_is_measured_slice_by_slice(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(scaling, "SLICE", 1024)
    monkeypatch.setattr(scaling, "SIZE_F_MIN", 1200.0)
    path = tmp_path / "long.csv"
    assert cli.main(["--long", "0.15", "--output", str(path)]) is None
    (row,) = read(path)
    assert tuple(row) == scaling.LONG_FIELDS and row["n_samples"] == 2400
    assert row["n_slices"] == 4 and row["process_mb"] > row["peak_mb"] > 0
    assert row["waveform_error_db"] < -20 and row["worst_consistency_db"] < -80
    assert "2400 samples in 4 slices" in capsys.readouterr().out


def test_calls_take_turns_and_the_first_round_does_not_count(monkeypatch):
    clock, order = iter(range(100)), []
    monkeypatch.setattr(scaling.time, "process_time", lambda: next(clock) ** 2)
    runs = {name: lambda name=name: order.append(name) for name in "ab"}
    seconds = scaling._interleaved(runs, 2)
    assert order == ["a", "b"] * 3
    # Round 0 looks at the clock once before each call, and then each call twice.
    assert seconds["a"].tolist() == [9 - 4, 49 - 36] and seconds["b"].tolist() == [25 - 16, 81 - 64]


def test_a_recording_is_repeated_to_any_length():
    once = scaling.signals.recording("speech", scaling.SIZE_RATE)[0]
    n = len(once)
    for wanted in (10, n, n + 7, 2 * n, 2 * n + 1):
        x = scaling._repeated("speech", wanted)
        assert len(x) == wanted and all(x[k] == once[k % n] for k in range(0, wanted, 101))
        assert x[-1] == once[(wanted - 1) % n]


def test_as_many_filters_as_wanted_reach_from_half_the_rate_down():
    for n_freqs in (5, 40):
        W = scaling._as_many_filters(1024, n_freqs)
        assert W.n_freqs == n_freqs and float(W.frequencies.max()) == pytest.approx(0.5)
        assert W.voices_per_octave == 16 and W.filters.dtype == scaling.torch.float32


def test_the_backward_pass_runs_with_the_gradient_given_or_with_ones():
    given = []

    class Watched(scaling.torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return 2 * x

        @staticmethod
        def backward(ctx, g):
            given.append(g.tolist())
            return g

    x = scaling.torch.ones(2)
    scaling._both(Watched.apply, x)
    scaling._both(Watched.apply, x, scaling.torch.tensor([3.0, 4.0]))
    assert given == [[1, 1], [3, 4]] and not x.requires_grad


def test_speed_at_all_lengths_replaces_the_table(tmp_path, monkeypatch, capsys):
    def made_up(n_samples):
        row = dict.fromkeys(scaling.SPEED_FIELDS, 1.5)
        return row | {"n_samples": n_samples, "n_freqs": 7, "machine": "m", "versions": "v"}

    monkeypatch.setattr(scaling, "speed", made_up)
    path = tmp_path / "speed.csv"
    path.write_text("what was there\n")
    scaling.speed_command(path, (512, 1024))
    assert [row["n_samples"] for row in read(path)] == [512, 1024]
    scaling.speed_command(tmp_path / "new.csv", (64,))
    said = capsys.readouterr().out
    assert "1024 samples, 7 rows: forward 1.50 and both 1.50" in said and str(path) in said


def sized(n_samples, signal):
    row = dict.fromkeys(scaling.SIZE_FIELDS, -50.0)
    row |= {"signal": signal, "wavelet": "cauchy", "machine": "m", "versions": "v", "n_freqs": 7}
    row |= {"voices": 32, "steps": 3, "n_samples": n_samples}
    return row | {"seconds": n_samples**1.5, "peak_mb": float(n_samples)}


def test_lengths_that_are_there_are_not_measured_again_unless_fresh(tmp_path, monkeypatch, capsys):
    asked = []

    def measured(n_samples, signal):
        asked.append((n_samples, signal))
        return sized(n_samples, signal)

    monkeypatch.setattr(scaling, "_in_a_process", measured)
    path, three = tmp_path / "size.csv", list(scaling.SIZE_SIGNALS)
    scaling.size_command(path, [2])
    assert asked == [(4096, name) for name in three]
    assert "time grows" not in capsys.readouterr().out
    scaling.size_command(path, [2, 1])
    assert asked[3:] == [(2048, name) for name in three]
    said = capsys.readouterr().out
    assert "time grows as N^1.50, memory as N^1.00" in said
    assert said.index("2048 samples") < said.index("4096 samples")
    scaling.size_command(path, [1], fresh=True)
    assert asked[6:] == [(2048, name) for name in three] and len(read(path)) == 3
    scaling.size_command(tmp_path / "none.csv", [1], fresh=True)  # nothing is there to forget
    asked.clear()
    scaling.size_command(path)
    assert {n for n, _ in asked} == {2048 * k for k in (2, 4, 8, 16, 32)}


def test_a_process_that_fails_is_told(monkeypatch):
    class Ended:
        returncode, stdout = 137, ""

    monkeypatch.setattr(scaling.subprocess, "run", lambda *_, **__: Ended)
    with pytest.raises(ValueError, match="multiple of 2048 .* got 3: its process .* status 137"):
        scaling._in_a_process(3 * 2048, "speech")


def test_the_slope_takes_the_column_and_lengths_above():
    rows = [{"n_samples": n, "mb": n**2.0 if n > 5 else 1.0} for n in (5, 10, 20, 40)]
    assert scaling.slope(rows, "mb", above=5) == pytest.approx(2)
    with pytest.raises(ValueError, match="got 1"):
        scaling.slope([rows[0], rows[0]], "mb")


def test_size_has_the_numbers_of_its_own_run(monkeypatch):
    monkeypatch.setattr(scaling, "recover", lambda S, W, progress: griffin_lim(S, W, n_iter=40))
    row = scaling.measure_size(512, "guitar", "gmw", 8)
    assert tuple(sorted(row)) == tuple(sorted(scaling.SIZE_FIELDS))
    assert (row["signal"], row["wavelet"], row["voices"]) == ("guitar", "gmw", 8)
    assert row["scalogram_mb"] == pytest.approx(row["n_freqs"] * 512 * 8 / 1e6)
    assert row["steps"] == 41 and row["seconds"] > 0 and row["consistency_db"] < -5
