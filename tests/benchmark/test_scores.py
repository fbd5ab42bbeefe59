"""The score that counts in each track, and the row of a run that failed."""

import pytest

from scalinv_utils import bounds, metrics
from scalinv_utils.benchmark import scores
from scalinv_utils.benchmark.methods import CONTESTANTS, Answer, Contestant
from scalinv_utils.benchmark.records import read
from scalinv_utils.benchmark.tracks import TrackCell, posed


def row_of(monkeypatch, answer, track, point=""):
    """Let a contestant give this answer to a problem of a track."""
    solve = Contestant(lambda problem, seed: Answer(answer(problem)))
    monkeypatch.setitem(CONTESTANTS, "heap", solve)
    return scores.compute_track(TrackCell(track, point, "cards 1", "gmw", 0, 256, "heap"))


def turned(problem):
    return metrics.hilbert_rotation(problem.x, 1.0)


def test_a_rotation_is_forgiven_where_it_is_open(monkeypatch):
    row = row_of(monkeypatch, turned, "exact")
    assert row["score_db"] == row["waveform_error_db"] < -200 and row["sign_error_db"] is None
    assert row["excess_db"] is None and row["cost"] >= 0 and row["error"] is None


def test_only_a_sign_is_forgiven_where_a_lowpass_tells_the_rest(monkeypatch):
    row = row_of(monkeypatch, turned, "lowpass", "signed")
    assert row["score_db"] == row["sign_error_db"] > -10
    row = row_of(monkeypatch, lambda problem: -problem.x, "lowpass", "signed")
    assert row["score_db"] < -200


def test_only_the_fit_counts_where_no_signal_has_the_scalogram(monkeypatch):
    row = row_of(monkeypatch, turned, "edited", "sum")
    assert row["score_db"] == row["consistency_db"] > -40 and row["waveform_error_db"] is None


def test_the_excess_is_the_distance_to_the_bound(monkeypatch):
    row = row_of(monkeypatch, lambda problem: 1.1 * problem.x, "noise on S", "20")
    problem = posed("noise on S", "20", "cards 1", "gmw", 0, 256)
    bound = bounds.cramer_rao(problem.x, problem.W, noise="clipped", snr_db=20)
    assert row["score_db"] == pytest.approx(-20)
    assert row["excess_db"] == pytest.approx(-20 - bound.error_db(20))


def test_what_the_filters_do_not_see_is_not_scored(monkeypatch):
    row = row_of(monkeypatch, lambda problem: problem.x + 1, "columns", "hop 2")
    assert row["score_db"] < -200


def test_a_failure_is_a_row(monkeypatch, tmp_path):
    row = row_of(monkeypatch, lambda problem: 1 / 0, "exact")
    assert row["error"] == "ZeroDivisionError: division by zero" and row["score_db"] is None
    assert tuple(row) == scores.TRACK_FIELDS and row["machine"] and row["versions"]


def test_a_run_goes_on_where_it_stopped(monkeypatch, tmp_path):
    path, seen = tmp_path / "tracks.csv", []

    def solve(problem, seed):
        seen.append(seed)
        return Answer(problem.x)

    monkeypatch.setitem(CONTESTANTS, "heap", Contestant(solve))
    cell = TrackCell("noise on S", "20", "cards 1", "gmw", 1, 256, "heap")
    rows = scores.run_tracks([cell], path)
    assert scores.run_tracks([cell, cell], path) == rows == read(path) and seen == [1]
    assert rows[0]["point"] == "20" and rows[0]["seed"] == 1
