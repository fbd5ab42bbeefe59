"""Exercises that check themselves: `check`, `hint` and `solution`, by number.

In a notebook, exercise 06.1 is a stub and a call, in one cell::

    def hand_gradient(x, S, W):
        ...                                    # your code

    exercises.check("06.1", hand_gradient)     # says what is wrong, in numbers

Below its words stand a hint and a solution, folded until clicked; `hint` and `solution` give them
alone.

An exercise that is not answered yet is no error, so "Run All" passes. The exercises of notebook NN
live in the module ``nbNN`` of this package, each registered by the decorator `exercise`.
"""

from ._letters import explain_missing_quotes
from ._machinery import (
    Exercise,
    Feedback,
    check,
    compare,
    exercise,
    get,
    hint,
    known,
    solution,
)

__all__ = [
    "Exercise",
    "Feedback",
    "check",
    "compare",
    "exercise",
    "get",
    "hint",
    "known",
    "solution",
]

explain_missing_quotes()
