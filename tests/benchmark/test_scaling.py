"""Speed, cost against size and long sounds are measured and written."""

import pytest

from scalinv_utils.benchmark import cli, scaling
from scalinv_utils.benchmark.records import read


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
