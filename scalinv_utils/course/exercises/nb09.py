"""Exercises of notebook 09, the benchmark."""

from typing import Any

import numpy as np

from ._machinery import compare, exercise

# Each entry is (method, cost, worst error in dB). The heap is the trap of the first exercise.
ENTRIES = [
    ("recover", 217.0, -105.0),
    ("heap", 29.0, -61.0),
    ("L-BFGS", 234.0, 1.2),
    ("zero phase", 1.2, -0.1),
    ("heap, corrected", 137.0, -115.0),
]


def cheapest(entries, level_db):
    """Find the method of least cost among those whose worst error is at the level or below."""
    able = [(cost, method) for method, cost, worst in entries if worst <= level_db]
    return min(able)[1] if able else "none"


def _cheapest_of_all(entries, level_db):
    return min((cost, method) for method, cost, worst in entries)[1]


def _best(entries, level_db):
    return min((worst, method) for method, cost, worst in entries)[1]


def _above(entries, level_db):
    able = [(cost, method) for method, cost, worst in entries if worst >= level_db]
    return min(able)[1] if able else "none"


def _first(entries, level_db):
    return next((method for method, cost, worst in entries if worst <= level_db), "none")


def _never_none(entries, level_db):
    able = [(cost, method) for method, cost, worst in entries if worst <= level_db]
    return min(able or [(cost, method) for method, cost, worst in entries])[1]


@exercise(
    "09.1",
    'Name the cheapest method that reaches a level with every seed, or "none".',
    "Two steps. First keep the entries whose *worst* error is at the level or below: errors are "
    "negative decibels, so that better means smaller. Then take the one of least cost. What if "
    "none is left?",
    cheapest,
    [_cheapest_of_all, _best, _above, _first, _never_none],
    "Asking for the worst seed and not for the median changes the winner wherever a method depends "
    "on chance. Asking for a level and not for the best error changes it, too: digits beyond the "
    "level cost time and count for nothing.",
)
def check_cheapest(answer: Any) -> str | None:
    """Check the answer to exercise 09.1 at five levels."""
    for level in (-20.0, -61.0, -80.0, -110.0, -200.0):
        got, expected = answer(list(ENTRIES), level), cheapest(ENTRIES, level)
        if got != expected:
            return (
                f"at {level:g} dB the answer should be {expected!r}, and is {got!r}. "
                f"The entries were {ENTRIES}."
            )
    return None


def exponent(sizes, costs):
    """Fit p in cost ~ size^p: the slope of the straight line through the logarithms."""
    return np.polyfit(np.log(sizes), np.log(costs), 1)[0]


def _without_logarithms(sizes, costs):
    return np.polyfit(sizes, costs, 1)[0]


def _half_logarithmic(sizes, costs):
    return np.polyfit(sizes, np.log(costs), 1)[0]


def _upside_down(sizes, costs):
    return np.polyfit(np.log(costs), np.log(sizes), 1)[0]


def _offset(sizes, costs):
    return np.polyfit(np.log(sizes), np.log(costs), 1)[1]


@exercise(
    "09.2",
    "Fit the exponent p of a cost that grows as size to the power p.",
    "Take the logarithm of $\\text{cost} = a\\,\\text{size}^p$: a straight line in "
    "$\\log\\text{size}$. `np.polyfit(u, v, 1)` returns its slope first, then its offset.",
    exponent,
    [_without_logarithms, _half_logarithmic, _upside_down, _offset],
    "The factor a, which depends on the machine, has gone into the offset: exponents may be "
    "compared between machines, seconds may not.",
)
def check_exponent(answer: Any) -> str | None:
    """Check the answer to exercise 09.2 on three exponents."""
    sizes = np.array([2048.0, 4096.0, 8192.0, 16384.0])
    for p in (0.5, 1.0, 3.0):
        costs = 2e-4 * sizes**p * np.array([1.02, 0.97, 1.01, 1.0])
        complaint = compare(
            answer(sizes, costs),
            exponent(sizes, costs),
            f"the exponent for costs that grow as size^{p:g}",
        )
        if complaint:
            return complaint
    return None
