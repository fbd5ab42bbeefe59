"""Read standings off the table of tracks: shares of sounds, intervals, ties, and one picture.

A run that failed counts as one above every level. In the track of edited scalograms the score is
how far the fit lies above the best one of the same problem. Intervals are those of the percentile
bootstrap over cuts (Efron and Tibshirani 1993): all runs of a cut are drawn together.
"""

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from .._whole_file import write_whole
from ..course.plotting import render, use_style
from .cuts import CUTS
from .methods import CONTESTANTS
from .records import Row
from .summary import LEVELS_DB, median_and_worst, rows_of_table
from .tracks import TRACKS, TrackCell

__all__ = [
    "draw_tracks",
    "parted",
    "report_tracks",
    "scores_of",
    "shares",
    "standing",
    "track_tables",
]

ABOVE_BEST_DB = (3.0, 1.0, 0.1)  # the levels of edited scalograms
DRAWS, QUANTILES = 2000, (0.025, 0.975)

# No difference is made between recoveries below the first, or between failures above the second.
ALIKE_DB = (-150.0, 10.0)

PROBLEM_NAMES = [f.name for f in fields(TrackCell) if f.name not in ("track", "method")]
# The colours of the bars for the shares below -20, -40 and -60 dB.
BLUES = ("#c6dbef", "#6baed6", "#08519c")

HEADINGS = "track,method,-20,-40,-60,interval,median,worst,cost,standing".split(",")

CUT_AT = PROBLEM_NAMES.index("cut")

Scores = dict[tuple[Any, ...], float]


def scores_of(rows: Sequence[Row]) -> dict[tuple[str, str], Scores]:
    """Gather the scores in dB by (track, method) and problem; infinity for a run that failed.

    Examples
    --------
    >>> from scalinv_utils.benchmark.standings import scores_of
    >>> row = dict(point="", cut="crow 1", wavelet="gmw", seed=0, n_samples=512, score_db=None)
    >>> scores_of([{**row, "track": "exact", "method": "heap"}])
    {('exact', 'heap'): {('', 'crow 1', 'gmw', 0, 512): inf}}
    """
    table: dict[tuple[str, str], Scores] = {}
    for row in rows:
        score = math.inf if row["score_db"] is None else row["score_db"]
        problem = tuple(row[name] for name in PROBLEM_NAMES)
        table.setdefault((row["track"], row["method"]), {})[problem] = score
    edited = [scores for (track, _), scores in table.items() if track == "edited"]
    best = {problem: min(s.get(problem, math.inf) for s in edited) for s in edited for problem in s}
    for scores in edited:
        scores.update({problem: score - best[problem] for problem, score in scores.items()})
    return table


def shares(rows: Sequence[Row]) -> dict[tuple[str, str], np.ndarray]:
    """Compute which shares of the sounds get below -20, -40 and -60 dB.

    Returns
    -------
    dict of (str, str) to array, shape (3, 3)
        By (track, method): the shares, and the lower and the upper ends of their 95 % intervals.
        Edited scalograms: the shares at most 3, 1 and 0.1 dB above the best fit.
    """
    found = {}
    for (track, method), scores in scores_of(rows).items():
        passed = _by_cut(scores, functools.partial(_passed, is_fit=track == "edited"))
        found[track, method] = np.stack([passed.mean(0), *_interval(passed, np.mean)])
    return found


def _passed(scores: np.ndarray, is_fit: bool) -> np.ndarray:
    return (scores[:, None] <= np.array(ABOVE_BEST_DB if is_fit else LEVELS_DB)).mean(0)


def _by_cut(scores: Scores, summed_up: Any) -> np.ndarray:
    """Sum up the runs of each cut: one line for each of them."""
    cuts: dict[str, list[float]] = {}
    for problem, score in scores.items():
        cuts.setdefault(problem[CUT_AT], []).append(score)
    return np.array([summed_up(np.array(values)) for values in cuts.values()])


def _interval(values: np.ndarray, statistic: Any) -> np.ndarray:
    drawn = np.random.default_rng(0).integers(len(values), size=(DRAWS, len(values)))
    return np.quantile(statistic(values[drawn], axis=1), QUANTILES, axis=0)


def standing(rows: Sequence[Row], track: str) -> dict[str, tuple[float, float, str]]:
    """Rank the methods of a track by their medians, and say which of them cannot be told apart.

    Returns
    -------
    dict of str to (float, float, str)
        Median and worst score by method, and "first", "same" (all scores are those of the first),
        "tied" (the median of the differences from it, cut by cut, is no larger than what its seeds
        make, or its interval contains 0) or "behind".
    """
    table = {who: scores for (name, who), scores in scores_of(rows).items() if name == track}
    ranked = sorted(table, key=lambda who: (np.median([*table[who].values()]), who != "recover"))
    best = table[ranked[0]]
    told = {}
    for who in ranked:
        values = [*table[who].values()]
        word = "first" if who == ranked[0] else _word(table[who], best)
        told[who] = (float(np.median(values)), max(values), word)
    return told


def _word(scores: Scores, best: Scores) -> str:
    common = [problem for problem in scores if problem in best]
    if all(scores[problem] == best[problem] for problem in common):
        return "same"
    off = {p: float(np.subtract(*np.clip([scores[p], best[p]], *ALIKE_DB))) for p in common}
    spread = np.median(
        _by_cut({p: best[p] for p in common}, lambda v: np.ptp(np.clip(v, *ALIKE_DB)))
    )
    by_cut = _by_cut(off, np.median)
    low, high = _interval(by_cut, np.median)
    return "tied" if abs(np.median(by_cut)) <= spread or low <= 0 <= high else "behind"


def track_tables(rows: Sequence[Row]) -> str:
    """Write the standings as Markdown, those of the cuts that are held out apart."""
    parts = [
        "Percent of the sounds below -20, -40 and -60 dB, and the 95 % interval of the last; where "
        "edited, at most 3, 1 and 0.1 dB above the best fit. Then median and worst (dB), and the "
        "median cost in units of one analysis and synthesis."
    ]
    for title, part in parted(rows).items():
        words = []
        for (who,), pair in median_and_worst(part, ("method",), "excess_db").items():
            words.append(f"{who} {pair[0]:.1f} ({pair[1]:.1f})")
        parts += [f"## {title}\n\n{rows_of_table([HEADINGS, *_lines(part)])}"]
        parts += [f"Excess over the Cramer-Rao bound, median (worst), dB: {', '.join(words)}."]
    return "\n\n".join(parts) + "\n"


def _lines(rows: Sequence[Row]) -> Iterator[list[str]]:
    found, costs = shares(rows), median_and_worst(rows, ("track", "method"), "cost")
    for track in dict.fromkeys(track for track, _ in found):
        for who, (median, worst, word) in standing(rows, track).items():
            share, low, high = (100 * found[track, who]).round()
            cost = costs.get((track, who), (math.inf, 0))[0]
            levels = [*(f"{s:.0f}" for s in share), f"{low[2]:.0f} to {high[2]:.0f}"]
            yield [track, who, *levels, f"{median:.1f}", f"{worst:.1f}", f"{cost:.0f}", word]


def parted(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Part the rows of tuned cuts from those of cuts that are held out."""
    names = ("tuned", "held out")
    return {names[k]: [r for r in rows if CUTS[r["cut"]].held_out == k] for k in (0, 1)}


def draw_tracks(figure: Figure, rows: Sequence[Row]) -> None:
    """Draw a line per track and a column per method: bars for the shares below the levels.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> figure = Figure()
    >>> draw_tracks(figure, [])
    >>> len(figure.axes)
    2
    """
    methods = [who for who in CONTESTANTS if any(row["method"] == who for row in rows)]
    tracks = [track for track in TRACKS if any(row["track"] == track for row in rows)]
    for ax, (title, part) in zip(figure.subplots(1, 2, sharey=True), parted(rows).items()):
        ax.grid(False)
        ax.set(title=title, xlim=(-0.06, len(methods)), ylim=(len(tracks) - 0.4, -0.6))
        ax.set_xticks(np.arange(len(methods)) + 0.45, methods, rotation=30, ha="right")
        ax.set_yticks(range(len(tracks)), tracks)
        for track in {row["track"] for row in part}:
            _draw_line(ax, tracks.index(track), methods, track, part)
    keys = [Patch(color=c, label=f"below {level} dB") for c, level in zip(BLUES, LEVELS_DB)]
    keys.append(
        Patch(facecolor="none", edgecolor="black", label="first, or not told apart from it")
    )
    figure.legend(handles=keys, loc="outside lower right", ncols=4, fontsize="small")


def _draw_line(ax: Axes, y: int, methods: list[str], track: str, rows: Sequence[Row]) -> None:
    """Draw nested bars, the darkest below the lowest level, and frame who is first or tied."""
    found, told = shares(rows), standing(rows, track)
    for x, who in enumerate(methods):
        if who not in told:
            # The same method may be there with fewer iterations, which took as long as recover().
            word = "\u2013" if who.partition(",")[0] in told else "cannot"
            ax.text(x + 0.45, y, word, ha="center", va="center", color="0.6", size="x-small")
            continue
        for share, colour in zip((1.0, *found[track, who][0]), ("0.94", *BLUES)):
            ax.barh(y, 0.9 * share, 0.7, x, color=colour)
        if told[who][2] != "behind":
            ax.barh(y, 0.9, 0.7, x, facecolor="none", edgecolor="black", linewidth=1.5)


def report_tracks(rows: Sequence[Row], folder: Path) -> list[Path]:
    """Write tracks.md and tracks.png and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    use_style()
    figure = Figure(figsize=(11, 6), layout="constrained")
    draw_tracks(figure, rows)
    for name, content in (("tracks.md", track_tables(rows)), ("tracks.png", render(figure))):
        write_whole(folder / name, content)
    return [folder / "tracks.md", folder / "tracks.png"]
