"""Medians, rankings, cheapest methods, profiles, words and pictures of made-up rows."""

import pytest
from matplotlib.figure import Figure

from scalinv_utils.benchmark import runner, summary
from scalinv_utils.benchmark.methods import CONTESTANTS
from scalinv_utils.course.plotting import use_style


def made_up(method, error_db, cost, signal="speech", seed=0, **more):
    row = dict.fromkeys(runner.FIELDS)
    return (
        row
        | dict(
            method=method,
            signal=signal,
            wavelet="gmw",
            voices=32,
            seed=seed,
            cost=cost,
            waveform_error_db=error_db,
            evaluations=10,
            peak_mb=1.0,
            machine="m",
            versions="v",
        )
        | more
    )


ROWS = [
    made_up("recover", -100.0, 9.0),
    made_up("recover", -80.0, 11.0, seed=1),
    made_up("recover", -70.0, 12.0, seed=2),
    made_up("heap", -50.0, 2.0),
    made_up("heap", -45.0, 2.0, seed=1),
    made_up("SGD", -25.0, 1.0),
    made_up("SGD", 0.0, 1.0, seed=1),
    made_up("ssqueezepy, true phase", -90.0, 0.5),
    made_up("recover", -10.0, 10.0, "crow"),
    made_up("heap", -30.0, 20.0, "crow"),
    made_up("Adam", None, None, "crow", error="ValueError: no"),
]
SPEECH, CROW = ("speech", "gmw", 32, None), ("crow", "gmw", 32, None)


def test_median_and_worst():
    assert summary.median_and_worst(ROWS)["recover", *SPEECH] == (-80.0, -70.0)
    assert summary.median_and_worst(ROWS, ("method",), "cost")["recover",] == (10.5, 12.0)


def test_the_ranking_is_by_the_median_and_without_those_who_know_the_phase():
    ranks = summary.ranking(ROWS)
    assert [method for _, _, method in ranks[SPEECH]] == ["recover", "heap", "SGD"]
    assert [method for _, _, method in ranks[CROW]] == ["heap", "recover"]
    tied = summary.ranking([made_up("heap", -50.0, 1.0), made_up("recover", -50.0, 9.0)])
    assert tied[SPEECH][0][2] == "recover"


def test_cheapest_counts_a_method_only_if_every_seed_gets_there():
    assert summary.cheapest(ROWS, -20)[SPEECH] == ("heap", 2.0)  # SGD has a seed at 0 dB.
    assert summary.cheapest(ROWS, -60)[SPEECH] == ("recover", 11.0)
    assert summary.cheapest(ROWS, -20)[CROW] == ("heap", 20.0)
    assert summary.cheapest(ROWS, -40)[CROW] is None


def test_the_profile_counts_problems_solved_within_a_time():
    curves = summary.profile(ROWS, -20)
    assert [list(part) for part in curves["heap"]] == [[1, 1], [0.5, 1.0]]
    assert [list(part) for part in curves["recover"]] == [[5.5], [0.5]]
    assert len(curves["SGD"][0]) == 0


def test_markdown_has_a_line_for_each_method_and_names_the_cheapest():
    words = summary.markdown(ROWS)
    assert "| recover | -80 (-70) | -10 (-10) | 10.5 | 10 | 1 |" in words
    assert "| speech | heap (2) | heap (2) | recover (11) |" in words
    assert "| crow | heap (20) | none | none |" in words


def test_select_takes_rows_and_refuses_unknown_columns():
    assert len(summary.select(ROWS, signal="crow", method="heap")) == 1
    with pytest.raises(ValueError, match="columns must be among .*got 'colour'"):
        summary.select(ROWS, colour="red")


def test_pictures_show_the_numbers():
    use_style()  # It puts titles on the left.
    axes = Figure().subplots(1, 3)
    lines = summary.draw_error_against_time(axes[0], summary.blind(ROWS))
    assert [line.get_label() for line in lines] == ["recover", "heap", "SGD"]
    assert lines[0].get_xydata().tolist() == [[11, -80], [10, -10]]
    curves = summary.draw_profile(axes[1], ROWS, -20)
    assert curves[0].get_ydata()[-1] == 0.5 and curves[1].get_ydata()[-1] == 1.0
    assert summary.draw_profile(axes[2], ROWS, -500, column="island_error_db") == []
    assert axes[0].get_ylabel() == "waveform error (dB)"
    assert axes[2].get_title(loc="left") == "island error below -500 dB with every seed"


def test_the_stored_table_is_complete_enough_for_the_notebook():
    rows = summary.stored()
    assert {row["wavelet"] for row in rows} >= {"cauchy", "gmw"}
    expected = {name for name, who in CONTESTANTS.items() if not who.only_tracks}
    assert {row["method"] for row in rows} == expected
    assert not [row["error"] for row in rows if row["error"]]
    assert len(summary.stored("benchmark_speed")) == 3
    assert len(summary.stored("benchmark_size")) > 1


def test_lists_without_rows_have_columns_of_any_name():
    assert summary.select([], colour="red") == []


def test_the_look_of_a_method_is_that_of_its_place():
    names = list(CONTESTANTS)
    looks = [summary._look(name) for name in names]
    assert [look["label"] for look in looks] == names
    assert looks[0]["color"] == "C0" and looks[11]["color"] == "C1"
    n = len(summary.MARKERS)
    assert [look["marker"] for look in looks] == [summary.MARKERS[k % n] for k in range(len(looks))]


def test_a_profile_is_drawn_from_nothing_to_its_end():
    (line,) = summary.draw_profile(Figure().subplots(), ROWS, -20, ["heap"])
    # Both problems are solved at no more than the least cost; 5.5 is the largest ratio of all.
    assert line.get_xydata().tolist() == [[1, 0], [1, 0.5], [1, 1], [1.5 * 5.5, 1]]
    axes = Figure().subplots()
    (flat,) = summary.draw_profile(axes, ROWS, -500, ["heap"])
    assert flat.get_xydata().tolist() == [[1, 0], [3, 0]]
    assert axes.get_xlim() == pytest.approx((0.95, 3.15)) and axes.get_xscale() == "log"


def test_errors_below_the_rounding_are_drawn_at_its_level():
    rows = [made_up("heap", -300.0, 2.0), made_up("heap", -40.0, 3.0, "crow")]
    axes = Figure().subplots()
    (line,) = summary.draw_error_against_time(axes, rows)
    assert line.get_xydata().tolist() == [[2, -240], [3, -40]]
    assert axes.get_xscale() == "log" and line.get_linestyle() == "None"


def test_the_table_is_ordered_by_the_mean_of_the_medians():
    lines = summary._table(ROWS).split("\n")
    assert [line.split("|")[1].strip() for line in lines] == [
        "method",
        "---",
        "ssqueezepy, true phase",  # -90
        "recover",  # -80 and -10
        "heap",  # -47.5 and -30
        "SGD",
    ]
    assert summary._score(None) == ""


def test_the_report_is_written_into_a_new_folder(tmp_path):
    folder = tmp_path / "a" / "b"
    for _ in range(2):  # it may be there already
        written = summary.report(ROWS[:7], folder)
    assert [path.name for path in written] == [
        "leaderboard.md",
        "error_against_time.png",
        "profile.png",
    ]
    assert all(path.stat().st_size for path in written)
    words = written[0].read_text()
    assert "## gmw, 32 voices, exact" in words and words.endswith("Measured on: m. v.\n")
    assert "SNR 20 dB" in summary.markdown([made_up("heap", -50.0, 2.0, snr_db=20.0)])
