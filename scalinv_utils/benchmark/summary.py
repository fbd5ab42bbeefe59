"""Read results off the benchmark's table: medians and worst of the seeds, cheapest methods, plots.

Costs are times in units of one analysis and synthesis of the same scalogram, measured just before
(an iteration of Griffin-Lim costs little more): costs compare between machines, seconds do not. A
method *reaches* a level where all of its seeds do: the worst one is below it.
"""

from collections.abc import Callable, Iterable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from .._whole_file import write_whole
from ..course.plotting import render, use_style
from .methods import CONTESTANTS
from .records import Row, read

__all__ = [
    "LEVELS_DB",
    "blind",
    "cheapest",
    "draw_error_against_time",
    "draw_profile",
    "markdown",
    "median_and_worst",
    "profile",
    "ranking",
    "report",
    "rows_of_table",
    "select",
    "stored",
]

LEVELS_DB = (-20, -40, -60)
# The columns that tell one problem from another; the method and the seed are not among them.
PROBLEM = ("signal", "wavelet", "voices", "snr_db")

# Lower errors differ only by the rounding of double precision; plots end there.
FLOOR_DB = -240.0

#: The values of the columns that rows are grouped by.
Group = tuple[Any, ...]


def stored(name: str = "benchmark") -> list[Row]:
    """Read the rows that come with the course.

    Parameters
    ----------
    name : "benchmark", "benchmark_tracks", "benchmark_speed", "benchmark_size" or "benchmark_long"

    Examples
    --------
    >>> from scalinv_utils.benchmark.summary import stored
    >>> [row["n_samples"] for row in stored("benchmark_speed")]
    [2048, 16384, 65536]
    """
    folder = resources.files("scalinv_utils.benchmark") / "data"
    with resources.as_file(folder / f"{name}.csv") as path:
        return read(path)


def select(rows: Sequence[Row], **wanted: Any) -> list[Row]:
    """Return the rows whose columns have the wanted values.

    Raises
    ------
    ValueError
        If there is no such column.

    Examples
    --------
    >>> from scalinv_utils.benchmark.summary import select, stored
    >>> rows = select(stored(), method="zero phase", wavelet="gmw", snr_db=None, signal="speech")
    >>> len(rows)
    1
    """
    unknown = [name for name in wanted if rows and name not in rows[0]]
    if unknown:
        raise ValueError(f"columns must be among {', '.join(rows[0])}, got {unknown[0]!r}")
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def blind(rows: Iterable[Row]) -> list[Row]:
    """Return the rows of contestants that saw no phase and ended without an error.

    Examples
    --------
    >>> from scalinv_utils.benchmark.summary import blind, stored
    >>> "librosa CQT, true phase" in {row["method"] for row in blind(stored())}
    False
    """
    return [row for row in rows if not row["error"] and not CONTESTANTS[row["method"]].cheats]


def median_and_worst(
    rows: Iterable[Row], by: Sequence[str] = ("method", *PROBLEM), column: str = "waveform_error_db"
) -> dict[Group, tuple[float, float]]:
    """Compute median and worst (largest) value of a column over the rows of each group.

    Parameters
    ----------
    rows : list of dict
    by : tuple of str
        The columns whose values make a group.
    column : str
        The column of the values. Rows in which it is empty do not count.

    Returns
    -------
    dict of tuple to (float, float)
        (median, worst) by the values of `by`.

    Examples
    --------
    >>> from scalinv_utils.benchmark.summary import median_and_worst
    >>> rows = [{"method": "heap", "cost": cost} for cost in (2.0, 3.0, 7.0)]
    >>> median_and_worst(rows, by=("method",), column="cost")
    {('heap',): (3.0, 7.0)}
    """
    groups: dict[Group, list[float]] = {}
    for row in rows:
        if row[column] is not None:
            groups.setdefault(tuple(row[name] for name in by), []).append(row[column])
    return {group: (float(np.median(values)), max(values)) for group, values in groups.items()}


def ranking(
    rows: Iterable[Row], column: str = "waveform_error_db"
) -> dict[Group, list[tuple[float, float, str]]]:
    """Rank the blind methods on each problem, the best median first.

    Ties are given in the order of the contestants. Variants of another contestant are left out.

    Returns
    -------
    dict of tuple to list of (float, float, str)
        [(median, worst, method), ...] by problem.
    """
    ranks: dict[Group, list[tuple[float, float, str]]] = {}
    rows = [row for row in blind(rows) if not CONTESTANTS[row["method"]].variant]
    for (method, *problem), (median, worst) in median_and_worst(rows, column=column).items():
        ranks.setdefault(tuple(problem), []).append((median, worst, method))
    order = list(CONTESTANTS)
    return {
        problem: sorted(entries, key=lambda entry: (entry[0], order.index(entry[2])))
        for problem, entries in ranks.items()
    }


def cheapest(
    rows: Sequence[Row], level_db: float, column: str = "waveform_error_db"
) -> dict[Group, tuple[str, float] | None]:
    """Find the cheapest blind method that reaches a level, for each problem.

    Returns
    -------
    dict of tuple to (str, float) or None
        (method, median cost) by problem; None where no method reaches the level.

    Examples
    --------
    >>> from scalinv_utils.benchmark.summary import cheapest, select, stored
    >>> rows = select(stored(), signal="speech", wavelet="gmw", snr_db=None)
    >>> cheapest(rows, -300)
    {('speech', 'gmw', 32, None): None}
    """
    costs = median_and_worst(blind(rows), column="cost")
    found: dict[Group, tuple[str, float] | None] = {}
    for problem, entries in ranking(rows, column).items():
        able = [
            (costs[(method, *problem)][0], method)
            for _, worst, method in entries
            if worst <= level_db
        ]
        cost, method = min(able, default=(0.0, ""))
        found[problem] = (method, cost) if able else None
    return found


def profile(
    rows: Sequence[Row], level_db: float, column: str = "waveform_error_db"
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Compute Dolan and More's performance profile (2002, doi:10.1007/s101070100263).

    Returns
    -------
    dict of str to (numpy array, numpy array)
        (tau, share) by method. The share counts, among all problems, those that the method brings
        to the level at no more than tau times the cost of the cheapest method that gets there.
        Problems that a method was not run on count as not solved.
    """
    costs, best = median_and_worst(blind(rows), column="cost"), cheapest(rows, level_db, column)
    ratios: dict[str, list[float]] = {}
    for problem, entries in ranking(rows, column).items():
        least = best[problem]
        for _, worst, method in entries:
            mine = ratios.setdefault(method, [])
            if least and worst <= level_db:
                mine.append(costs[(method, *problem)][0] / least[1])
    return {
        method: (np.sort(values), np.arange(1, len(values) + 1) / len(best))
        for method, values in ratios.items()
    }


# --- Words ---------------------------------------------------------------------------------------


def markdown(rows: Sequence[Row]) -> str:
    """Write the leaderboard as Markdown: errors and cheapest methods by wavelet and SNR."""
    parts = [
        "The errors are waveform errors in dB: the median of the seeds and, in brackets, the "
        "worst. The cost is the time over that of one analysis and synthesis."
    ]
    settings = dict.fromkeys((row["wavelet"], row["voices"], row["snr_db"]) for row in rows)
    for wavelet, voices, snr in settings:
        there = select(rows, wavelet=wavelet, voices=voices, snr_db=snr)
        noise = "exact" if snr is None else f"SNR {snr:g} dB"
        parts.append(
            f"## {wavelet}, {voices} voices, {noise}\n\n{_table(there)}\n\n{_cheapest_table(there)}"
        )
    sources = dict.fromkeys((row["machine"], row["versions"]) for row in rows)
    parts += [f"Measured on: {machine}. {versions}." for machine, versions in sources]
    return "\n\n".join(parts) + "\n"


def _table(rows: Sequence[Row]) -> str:
    """Make a table with a line per method, best mean of the medians first, a column per signal."""
    columns = list(dict.fromkeys(row["signal"] for row in rows))
    cells = median_and_worst(rows, ("method", "signal"))
    costs = [
        median_and_worst(rows, ("method",), name) for name in ("cost", "evaluations", "peak_mb")
    ]
    methods = sorted(
        {method for method, _ in cells},
        key=lambda method: float(
            np.mean([cells[method, signal][0] for signal in columns if (method, signal) in cells])
        ),
    )
    lines = [["method", *columns, "cost", "evaluations", "memory (MB)"]]
    for method in methods:
        scores = [_score(cells.get((method, signal))) for signal in columns]
        lines.append([method, *scores, *(f"{cost[method,][0]:.3g}" for cost in costs)])
    return rows_of_table(lines)


def _score(pair: tuple[float, float] | None) -> str:
    """Format a median and, in brackets, the worst."""
    return "" if pair is None else f"{pair[0]:.0f} ({pair[1]:.0f})"


def _cheapest_table(rows: Sequence[Row]) -> str:
    """Make a table of the cheapest methods with a line per signal and a column per level."""
    found = {level: cheapest(rows, level) for level in LEVELS_DB}
    lines = [["cheapest with every seed below", *(f"{level} dB" for level in LEVELS_DB)]]
    for problem in found[LEVELS_DB[0]]:
        winners = (found[level][problem] for level in LEVELS_DB)
        lines.append(
            [
                problem[0],
                *(
                    "none" if winner is None else f"{winner[0]} ({winner[1]:.3g})"
                    for winner in winners
                ),
            ]
        )
    return rows_of_table(lines)


def rows_of_table(lines: Sequence[Sequence[str]]) -> str:
    """Join cells to a Markdown table; the first line holds the headings."""
    head, *rest = (f"| {' | '.join(line)} |" for line in lines)
    return "\n".join([head, "| " + " | ".join("---" for _ in lines[0]) + " |", *rest])


# --- Pictures ------------------------------------------------------------------------------------

MARKERS = "osD^v<>PX*hpd8"


def draw_error_against_time(
    ax: Axes,
    rows: Sequence[Row],
    methods: Iterable[str] | None = None,
    column: str = "waveform_error_db",
) -> list[Line2D]:
    """Draw one marker per method and problem at its median cost and its median error.

    Parameters
    ----------
    ax : matplotlib Axes
    rows : list of dict
    methods : sequence of str, optional
        The methods to draw. The default is all in the rows, recover() first.
    column : str
        The score on the vertical axis. Scores below -240 dB are drawn at -240 dB.

    Returns
    -------
    list of Line2D
        One line per method.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from scalinv_utils.benchmark.summary import draw_error_against_time, stored
    >>> lines = draw_error_against_time(Figure().subplots(), stored(), ["recover", "heap"])
    >>> [line.get_label() for line in lines]
    ['recover', 'heap']
    """
    costs, scores = median_and_worst(rows, column="cost"), median_and_worst(rows, column=column)
    lines: list[Line2D] = []
    for method in methods or _present(scores):
        points = [
            (costs[group][0], max(score, FLOOR_DB))
            for group, (score, _) in scores.items()
            if group[0] == method
        ]
        lines += ax.plot(*np.transpose(points), linestyle="none", alpha=0.8, **_look(method))
    ax.set(
        xscale="log",
        xlabel="time / time of one analysis and synthesis",
        ylabel=f"{_words(column)} (dB)",
    )
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize="small")
    return lines


def draw_profile(
    ax: Axes,
    rows: Sequence[Row],
    level_db: float,
    methods: Iterable[str] | None = None,
    column: str = "waveform_error_db",
) -> list[Line2D]:
    """Draw a performance profile: the share of problems solved against the time allowed.

    Parameters
    ----------
    ax : matplotlib Axes
    rows : list of dict
    level_db : float
        A problem counts as solved where the score is at this level or below with every seed.
    methods : sequence of str, optional
        The methods to draw. The default is those that solve at least one problem.
    column : str
        The score.

    Returns
    -------
    list of Line2D
        One line per method.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from scalinv_utils.benchmark.summary import draw_profile, stored
    >>> len(draw_profile(Figure().subplots(), stored(), -40, ["recover", "heap"]))
    2
    """
    curves = profile(rows, level_db, column)
    solving = {method: curve for method, curve in curves.items() if len(curve[0])}
    end = 1.5 * max((tau[-1] for tau, _ in solving.values()), default=2)
    lines: list[Line2D] = []
    for method in methods or _present((name,) for name in solving):
        tau, share = curves[method]
        tau, share = np.r_[1, tau, end], np.r_[0, share, share[-1:] if len(share) else 0]
        lines += ax.step(tau, share, where="post", markevery=[-1], **_look(method))
    ax.set(
        xscale="log",
        xlim=(0.95, 1.05 * end),
        ylim=(-0.02, 1.05),
        ylabel="share of problems",
        xlabel="time / time of the cheapest that gets there",
        title=f"{_words(column)} below {level_db:g} dB with every seed",
    )
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_formatter("{x:g}")
    if lines:
        ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize="small")
    return lines


def _words(column: str) -> str:
    """Return the name of a column of decibels in words."""
    return column.removesuffix("_db").replace("_", " ")


def _present(groups: Iterable[Group]) -> list[str]:
    """Return the methods that the groups begin with, in the order of the contestants."""
    found = {group[0] for group in groups}
    return [name for name in CONTESTANTS if name in found]


def _look(method: str) -> dict[str, Any]:
    """Return colour, marker and label of a method, which are the same in every picture."""
    k = list(CONTESTANTS).index(method)
    return {"color": f"C{k % 10}", "marker": MARKERS[k % len(MARKERS)], "label": method}


def report(rows: Sequence[Row], folder: Path) -> list[Path]:
    """Write leaderboard.md, error_against_time.png and profile.png and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / "leaderboard.md"]
    write_whole(written[0], markdown(rows))
    use_style()
    exact = select(rows, snr_db=None)
    pictures: dict[str, Callable[[Axes], list[Line2D]]] = {
        "error_against_time": lambda ax: draw_error_against_time(ax, exact),
        "profile": lambda ax: draw_profile(ax, exact, LEVELS_DB[1]),
    }
    for name, draw in pictures.items():
        figure = Figure(figsize=(9, 5), layout="constrained")
        draw(figure.subplots())
        written.append(folder / f"{name}.png")
        write_whole(written[-1], render(figure))
    return written
