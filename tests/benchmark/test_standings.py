"""Shares, intervals, ties, words and the picture of made-up rows."""

import math

from matplotlib.figure import Figure

from scalinv_utils.benchmark import cli, standings
from scalinv_utils.benchmark.cuts import CUTS
from scalinv_utils.benchmark.summary import stored

TUNED = [name for name, cut in CUTS.items() if not cut.held_out]
HELD_OUT = [name for name, cut in CUTS.items() if cut.held_out]


def rows_of(method, scores, track="exact", seed=0, cuts=TUNED):
    return [
        dict(track=track, point="", cut=cut, wavelet="gmw", seed=seed, n_samples=512)
        | dict(method=method, score_db=score, cost=7.0, excess_db=1.5)
        for cut, score in zip(cuts, scores)
    ]


def test_shares_count_failures_and_have_intervals():
    found = standings.shares(rows_of("heap", [-70.0, -50.0, -30.0, None]))["exact", "heap"]
    assert found[0].tolist() == [0.75, 0.5, 0.25]
    assert (found[1] <= found[0]).all() and (found[0] <= found[2]).all()
    assert found[1, 2] == 0 and found[2, 0] == 1
    sure = standings.shares(rows_of("heap", [-70.0] * 4))["exact", "heap"]
    assert (sure == 1).all()


def test_seeds_of_a_cut_are_one_sound():
    rows = rows_of("heap", [-70.0, -70.0]) + rows_of("heap", [0.0, -70.0], seed=1)
    assert standings.shares(rows)["exact", "heap"][0].tolist() == [0.75] * 3


def test_edited_scalograms_are_compared_with_the_best_fit():
    rows = rows_of("recover", [-13.0, -20.0], "edited") + rows_of("heap", [-13.05, -18.5], "edited")
    found = standings.shares(rows)
    assert found["edited", "recover"][0].tolist() == [1, 1, 1]
    assert found["edited", "heap"][0].tolist() == [1, 0.5, 0.5]
    rows += rows_of("L-BFGS", [None, -20.0], "edited")
    assert standings.scores_of(rows)["edited", "L-BFGS"]["", TUNED[0], "gmw", 0, 512] == math.inf


def test_ties_are_told_as_ties():
    rows = rows_of("recover", [-100.0, -90.0, -80.0, -85.0])
    rows += rows_of("heap, corrected", [-100.0, -90.0, -80.0, -85.0])
    rows += rows_of("L-BFGS", [-101.0, -60.0, -83.0, -84.0])
    rows += rows_of("fast Griffin-Lim", [-10.0, -12.0, -9.0, None])
    told = standings.standing(rows, "exact")
    assert [*told] == ["recover", "heap, corrected", "L-BFGS", "fast Griffin-Lim"]
    assert [word for _, _, word in told.values()] == ["first", "same", "tied", "behind"]
    assert told["recover"][:2] == (-87.5, -80.0) and told["fast Griffin-Lim"][1] == math.inf


def test_what_seeds_make_is_a_tie():
    rows = rows_of("recover", [-100.0] * 4) + rows_of("recover", [-90.0] * 4, seed=1)
    rows += rows_of("heap", [-92.0] * 4) + rows_of("heap", [-88.0] * 4, seed=1)
    assert standings.standing(rows, "exact")["heap"][2] == "tied"


def test_recoveries_down_to_rounding_are_alike():
    rows = rows_of("recover", [-190.0] * 4) + rows_of("heap", [-170.0] * 4)
    assert standings.standing(rows, "exact")["heap"][2] == "tied"


def test_words_and_picture_tell_held_out_cuts_apart():
    rows = rows_of("recover", [-70.0] * 3) + rows_of("recover", [-50.0] * 3, cuts=HELD_OUT)
    rows += rows_of("heap", [-30.0] * 3) + rows_of("recover", [-30.0] * 3, "rows")
    words = standings.track_tables(rows)
    tuned, held_out = words.split("## held out")
    assert "| exact | recover | 100 | 100 | 100 | 100 to 100 | -70.0 | -70.0 | 7 | first |" in tuned
    assert "| exact | recover | 100 | 100 | 0 | 0 to 0 | -50.0 | -50.0 | 7 | first |" in held_out
    assert "median (worst), dB: recover 1.5 (1.5), heap 1.5 (1.5)." in tuned
    figure = Figure()
    standings.draw_tracks(figure, rows)
    left, right = figure.axes
    assert [len(ax.patches) for ax in (left, right)] == [14, 5]
    assert [text.get_text() for text in left.texts] == ["cannot"]


def test_the_command_runs_tracks(tmp_path, capsys):
    arguments = ["--preset", "tiny", "--samples", "128", "--methods", "recover"]
    arguments += ["--output", str(tmp_path / "t.csv"), "--report", str(tmp_path)]
    assert cli.main(["--tracks", "exact", "rows", *arguments]) is None
    assert "2 rows, 0 of them errors" in capsys.readouterr().out
    assert (tmp_path / "tracks.png").exists() and "| rows | recover |" in (
        tmp_path / "tracks.md"
    ).read_text()
    assert "track must be one of" in cli.main(["--tracks", "magic", *arguments])
    assert "--methods must be one of" in cli.main(["--tracks", "exact", "--methods", "magic"])
    assert "--signals must be one of" in cli.main(["--tracks", "exact", "--signals", "speech"])
    assert "must be one of 'cpu'" in cli.main(["--tracks", "exact", "--device", "cuda"])


def test_the_stored_table_has_its_sources_and_no_failure():
    rows = stored("benchmark_tracks")
    assert len(rows) > 1000 and all(row["machine"] and row["versions"] for row in rows)
    assert {CUTS[row["cut"]].held_out for row in rows} == {0, 1}
    assert not any(row["error"] for row in rows)


def test_recover_is_first_or_tied_in_the_stored_table():
    rows = stored("benchmark_tracks")
    for part in standings.parted(rows).values():
        for track in {row["track"] for row in part}:
            assert standings.standing(part, track)["recover"][2] != "behind", track


def test_more_iterations_that_a_track_does_not_need_are_no_failure():
    rows = rows_of("L-BFGS", [-30.0]) + rows_of("L-BFGS, 1000", [-40.0])
    rows += rows_of("L-BFGS", [-30.0], "rows") + rows_of("recover", [-30.0], "rows")
    figure = Figure()
    standings.draw_tracks(figure, rows)
    words = {(text.get_position()[0], text.get_text()) for text in figure.axes[0].texts}
    assert words == {(0.45, "cannot"), (2.45, "–")}
