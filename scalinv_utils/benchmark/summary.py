"""What the benchmark's table says: medians and worst of the seeds, the cheapest method, plots.

Costs are times in units of one analysis and synthesis of the same scalogram (an iteration of
Griffin-Lim costs little more), measured just before: they compare between machines, seconds do
not. A method *reaches* a level where all of its seeds do: the worst one is below it.
"""

from importlib import resources

import numpy as np

from ..course.plotting import render, use_style
from .methods import CONTESTANTS
from .records import read

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
    "select",
    "stored",
]

LEVELS_DB = (-20, -40, -60)
PROBLEM = ("signal", "wavelet", "voices", "snr_db")

# Beyond this what differs is the rounding of double precision; plots end there.
FLOOR_DB = -240.0


def stored(name="benchmark"):
    """The rows that come with the course: "benchmark", "benchmark_speed" or "benchmark_size"."""
    with resources.as_file(resources.files(__package__) / "data" / f"{name}.csv") as path:
        return read(path)


def select(rows, **wanted):
    """The rows whose columns have the wanted values: ``select(rows, wavelet="gmw", snr_db=None)``.

    Raises
    ------
    ValueError
        A column that is not there.
    """
    unknown = [name for name in wanted if rows and name not in rows[0]]
    if unknown:
        raise ValueError(f"columns must be among {', '.join(rows[0])}, got {unknown[0]!r}")
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def blind(rows):
    """The rows of contestants that saw no phase and ended without an error."""
    return [row for row in rows if not row["error"] and not CONTESTANTS[row["method"]].cheats]


def median_and_worst(rows, by=("method", *PROBLEM), column="waveform_error_db"):
    """Median and worst (largest) of a column over the rows of each group.

    Parameters
    ----------
    rows : list of dict
    by : tuple of str
        The columns whose values make a group.
    column : str
        Rows in which it is empty do not count.

    Returns
    -------
    dict of tuple to (float, float)
        By the values of `by`: (median, worst).
    """
    groups = {}
    for row in rows:
        if row[column] is not None:
            groups.setdefault(tuple(row[name] for name in by), []).append(row[column])
    return {group: (float(np.median(values)), max(values)) for group, values in groups.items()}


def ranking(rows, column="waveform_error_db"):
    """By problem: [(median, worst, method), ...], the best median first; blind methods only.

    Ties are given in the order of the contestants. Variants of another contestant are left out.
    """
    ranks = {}
    rows = [row for row in blind(rows) if not CONTESTANTS[row["method"]].variant]
    for (method, *problem), (median, worst) in median_and_worst(rows, column=column).items():
        ranks.setdefault(tuple(problem), []).append((median, worst, method))
    order = list(CONTESTANTS)
    return {
        problem: sorted(entries, key=lambda entry: (entry[0], order.index(entry[2])))
        for problem, entries in ranks.items()
    }


def cheapest(rows, level_db, column="waveform_error_db"):
    """By problem: the blind method of least cost among those that reach a level.

    Returns
    -------
    dict of tuple to (str, float) or None
        (method, median cost); None where no method reaches the level.
    """
    costs, found = median_and_worst(blind(rows), column="cost"), {}
    for problem, entries in ranking(rows, column).items():
        able = [
            (costs[(method, *problem)][0], method)
            for _, worst, method in entries
            if worst <= level_db
        ]
        found[problem] = min(able)[::-1] if able else None
    return found


def profile(rows, level_db, column="waveform_error_db"):
    """Dolan and More's performance profile (2002, doi:10.1007/s101070100263).

    Returns
    -------
    dict of str to (numpy array, numpy array)
        By method: (tau, share of all problems that it brings to the level at tau times the cost
        of the cheapest method that does, or less). Problems that it was not run on are not solved.
    """
    costs, best = median_and_worst(blind(rows), column="cost"), cheapest(rows, level_db, column)
    ratios = {}
    for problem, entries in ranking(rows, column).items():
        for _, worst, method in entries:
            mine = ratios.setdefault(method, [])
            if worst <= level_db:
                mine.append(costs[(method, *problem)][0] / best[problem][1])
    return {
        method: (np.sort(values), np.arange(1, len(values) + 1) / len(best))
        for method, values in ratios.items()
    }


# --- Words ---------------------------------------------------------------------------------------


def markdown(rows):
    """The leaderboard as Markdown: one table per wavelet and SNR, then who is cheapest."""
    parts = [
        "Waveform error in dB, median (worst) of the seeds. Cost: time over that of one "
        "analysis and synthesis."
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


def _table(rows):
    """Methods down, signals across; best mean of the medians first."""
    columns = list(dict.fromkeys(row["signal"] for row in rows))
    cells = median_and_worst(rows, ("method", "signal"))
    costs = [
        median_and_worst(rows, ("method",), name) for name in ("cost", "evaluations", "peak_mb")
    ]
    methods = sorted(
        {method for method, _ in cells},
        key=lambda method: np.mean(
            [cells[method, signal][0] for signal in columns if (method, signal) in cells]
        ),
    )
    lines = [["method", *columns, "cost", "evaluations", "memory (MB)"]]
    for method in methods:
        scores = [_score(cells.get((method, signal))) for signal in columns]
        lines.append([method, *scores, *(f"{cost[method,][0]:.3g}" for cost in costs)])
    return _rows_of_table(lines)


def _score(pair):
    return "" if pair is None else f"{pair[0]:.0f} ({pair[1]:.0f})"


def _cheapest_table(rows):
    """Signals down, levels across."""
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
    return _rows_of_table(lines)


def _rows_of_table(lines):
    head, *rest = (f"| {' | '.join(line)} |" for line in lines)
    return "\n".join([head, "| " + " | ".join("---" for _ in lines[0]) + " |", *rest])


# --- Pictures ------------------------------------------------------------------------------------

MARKERS = "osD^v<>PX*hpd8"


def draw_error_against_time(ax, rows, methods=None, column="waveform_error_db"):
    """One marker per method and problem: its median error over its median cost.

    Parameters
    ----------
    ax : matplotlib Axes
    rows : list of dict
    methods : sequence of str, optional
        Default: all in the rows, recover() first.
    column : str
        The score on the vertical axis; below -240 dB it is drawn there.

    Returns
    -------
    list of Line2D
        One per method.
    """
    costs, scores = median_and_worst(rows, column="cost"), median_and_worst(rows, column=column)
    lines = []
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


def draw_profile(ax, rows, level_db, methods=None, column="waveform_error_db"):
    """A performance profile: the share of problems solved against the time one is ready to spend.

    Returns
    -------
    list of Line2D
        One per method; by default those that solve at least one problem.
    """
    curves = profile(rows, level_db, column)
    solving = {method: curve for method, curve in curves.items() if len(curve[0])}
    end = 1.5 * max((tau[-1] for tau, _ in solving.values()), default=2)
    lines = []
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


def _words(column):
    """What a column of decibels holds."""
    return column.removesuffix("_db").replace("_", " ")


def _present(groups):
    """The methods that the groups begin with, in the order of the contestants."""
    found = {group[0] for group in groups}
    return [name for name in CONTESTANTS if name in found]


def _look(method):
    """Colour, marker and label of a method: the same ones in every picture."""
    k = list(CONTESTANTS).index(method)
    return {"color": f"C{k % 10}", "marker": MARKERS[k % len(MARKERS)], "label": method}


def report(rows, folder):
    """Write leaderboard.md, error_against_time.png and profile.png; returns their paths."""
    from matplotlib.figure import Figure

    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / "leaderboard.md"]
    written[0].write_text(markdown(rows), encoding="utf-8")
    use_style()
    exact = select(rows, snr_db=None)
    pictures = {
        "error_against_time": lambda ax: draw_error_against_time(ax, exact),
        "profile": lambda ax: draw_profile(ax, exact, LEVELS_DB[1]),
    }
    for name, draw in pictures.items():
        figure = Figure(figsize=(9, 5), layout="constrained")
        draw(figure.subplots())
        written.append(folder / f"{name}.png")
        written[-1].write_bytes(render(figure))
    return written
