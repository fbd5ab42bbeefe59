"""Exercises that check themselves: `check`, `hint` and `solution`, by number.

In a notebook, exercise 06.1 is a stub, and then one call per cell::

    def hand_gradient(x, S, W):
        ...                                    # your code

    exercises.check("06.1", hand_gradient)     # says what is wrong, in numbers
    exercises.hint("06.1")                     # folded until clicked
    exercises.solution("06.1")                 # folded until clicked

An exercise that is not answered yet is no error, so "Run All" passes. The exercises of notebook NN
live in the module ``nbNN`` of this package, each registered by the decorator `exercise`.
"""

import importlib
import inspect
import pkgutil
import textwrap
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

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

_registry = {}


class Feedback:
    """Words for the learner; shows itself as Markdown in a notebook.

    Attributes
    ----------
    text : str
    passed : bool or None
        None where nothing was judged: a hint, a solution, an exercise not answered yet.
    """

    def __init__(self, text, passed=None, fold=None):
        self.text = text
        self.passed = passed
        self._fold = fold

    def _repr_markdown_(self):
        if self._fold is None:
            return self.text
        return f"<details><summary>{self._fold}</summary>\n\n{self.text}\n\n</details>"

    def __repr__(self):
        return self.text


@dataclass(frozen=True)
class Exercise:
    """One exercise. What the fields mean is said in `exercise`, which makes them."""

    id: str
    question: str
    hint: str
    solution: Any
    wrong: tuple
    remark: str
    check: Callable


def exercise(id, question, hint, solution, wrong, remark=""):
    """Decorator: register a check function as the exercise `id`.

    The decorated function takes the answer and returns None if it is right, or a sentence that
    says what is wrong, best with the numbers that show it (see `compare`). If the answer is a
    function, the check calls it on inputs of its own; what the learner's code raises is reported
    to the learner, and tensors and arrays are copied before the learner's code gets them.

    Parameters
    ----------
    id : str
        Notebook and number: "06.1".
    question : str
        One sentence. It heads the hint and the solution.
    hint : str
        Markdown that helps without giving the answer.
    solution : function or value
        A right answer; of a function (a ``def``, no lambda) the source is shown, so write it to
        be read.
    wrong : sequence
        Wrong answers that learners are likely to give; the tests see to it that each one fails.
    remark : str
        Markdown shown with the solution and after success: what the answer teaches.

    Raises
    ------
    ValueError
        The id is taken, the solution is a lambda, or there is no wrong answer to try the check on.
    """
    if id in _registry:
        raise ValueError(f"id must be new, got {id!r}, which is registered already")
    if getattr(solution, "__name__", "") == "<lambda>":
        raise ValueError(f"solution must be a named function or a value, got a lambda for {id!r}")
    if len(wrong) == 0:
        raise ValueError(f"wrong must hold at least one wrong answer to try the check of {id!r} on")

    def register(check_function):
        _registry[id] = Exercise(id, question, hint, solution, tuple(wrong), remark, check_function)
        return check_function

    return register


def known():
    """The numbers of all exercises, in order."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return sorted(_registry)


def get(id):
    """The `Exercise` numbered `id`; ValueError, listing all numbers, if there is none."""
    ids = known()
    if id not in ids:
        raise ValueError(f"id must be one of {', '.join(map(repr, ids))}, got {id!r}")
    return _registry[id]


def check(id, answer=None):
    """Judge an answer.

    Parameters
    ----------
    id : str
        The exercise: "06.1".
    answer : function or value
        None, ``...``, or a function that returns one of these, counts as not answered yet.

    Returns
    -------
    Feedback
        `passed` is True, False, or None if there is no answer yet.

    Raises
    ------
    ValueError
        There is no such exercise.
    """
    task = get(id)
    try:
        _require_answer(answer)
        if callable(task.solution) and not callable(answer):
            complaint = f"the answer should be a function, and is {type(answer).__name__}."
        else:
            complaint = task.check(_guarded(answer) if callable(answer) else answer)
    except _NotAnswered as reason:
        return Feedback(f"**Exercise {id}** is not answered yet.{reason}")
    except _AnswerRaised as error:
        complaint = str(error)
    if complaint:
        return Feedback(f"**Exercise {id}, not yet:** {complaint}", passed=False)
    return Feedback(f"**Exercise {id} is right.** {task.remark}".strip(), passed=True)


def hint(id):
    """The hint of an exercise, folded."""
    task = get(id)
    return Feedback(f"*{task.question}*\n\n{task.hint}", fold=f"Hint for exercise {id}")


def solution(id):
    """A solution of an exercise with its explanation, folded."""
    task = get(id)
    if inspect.isfunction(task.solution):
        code = textwrap.dedent(inspect.getsource(task.solution)).strip()
    else:
        code = repr(task.solution)
    text = f"*{task.question}*\n\n```python\n{code}\n```\n\n{task.remark}".rstrip()
    return Feedback(text, fold=f"Solution of exercise {id}")


def compare(got, expected, what="the result", rtol=1e-6):
    """What distinguishes an answer from the expected numbers, in words; None if nothing does.

    Parameters
    ----------
    got : anything
        The learner's number, array or tensor.
    expected : number, array or tensor
    what : str
        What to call it in the message.
    rtol : float
        Acceptable error: the norm of the difference relative to the norm of `expected`, or the
        difference itself where `expected` is zero.

    Returns
    -------
    str or None
    """
    expected = np.asarray(_without_graph(expected))
    try:
        got = np.asarray(_without_graph(got))
    except ValueError:  # rows of different lengths
        return f"{what} should be numbers of shape {expected.shape}."
    if got.dtype.kind not in "iufc":
        return f"{what} should be numeric, and is {got.dtype.name}."
    if got.shape != expected.shape:
        return f"{what} should have the shape {expected.shape}, and has {got.shape}."
    if np.iscomplexobj(got) and not np.iscomplexobj(expected):
        return f"{what} should be real, and is complex."
    if not np.isfinite(got).all():
        return f"{what} holds NaN or infinite values."
    return _difference(got, expected, what, rtol)


def _difference(got, expected, what, rtol):
    size = np.linalg.norm(expected)
    error = np.linalg.norm(got - expected)
    if error <= rtol * (size or 1.0):
        return None
    if size == 0:
        return f"{what} should be zero, and has the norm {error:.3g}."
    factor = np.vdot(expected, got) / size**2
    if expected.size > 1 and np.linalg.norm(got - factor * expected) <= rtol * abs(factor) * size:
        return f"{what} is the right one times {factor:.4g}: only the factor is off."
    return f"{what} is {100 * error / size:.3g} % off, measured by the norm."


def _without_graph(value):
    if isinstance(value, (list, tuple)):
        return [_without_graph(part) for part in value]
    return value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value


class _NotAnswered(Exception):
    """The stub is still a stub; the text, if any, says why it looks like one."""


class _AnswerRaised(Exception):
    """The learner's function raised; the text says what and where."""


def _require_answer(answer):
    parts = answer if isinstance(answer, (list, tuple)) else [answer]
    if len(parts) == 0 or any(part is None or part is ... for part in parts):
        raise _NotAnswered("")


def _guarded(function):
    """`function` on copies of its arguments, its exceptions told apart from those of the check."""

    def call(*args, **kwargs):
        try:
            result = function(
                *map(_copied, args), **{key: _copied(value) for key, value in kwargs.items()}
            )
        except NotImplementedError:
            raise _NotAnswered("") from None
        except Exception as error:
            raise _AnswerRaised(_told(error)) from error
        if result is None or result is ...:
            raise _NotAnswered(" The function returns nothing: is its `return` missing?")
        return result

    return call


def _copied(value):
    if isinstance(value, torch.Tensor):
        return value.clone()
    return value.copy() if isinstance(value, np.ndarray) else value


def _told(error):
    """An exception as a sentence, with the line of the learner's function that led to it."""
    _, *frames = traceback.extract_tb(error.__traceback__)  # the first one is the call above
    where = f" at `{frames[0].line}`" if frames and frames[0].line else ""
    return f"your function raised `{type(error).__name__}: {error}`{where}."
