"""Registry, checks and feedback that the exercises of all notebooks share."""

import importlib
import inspect
import pkgutil
import textwrap
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

__all__ = [
    "Check",
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

# A line beside the words, in the colour of what is right, of what is wrong, or of the text. The
# words and their signs say the same, for those who see no colours.
BORDERS = {True: "#009e73", False: "#d55e00", None: "currentColor"}

#: A check takes an answer and returns a complaint, or None if the answer is right.
Check = Callable[[Any], str | None]


class Feedback:
    """Words for the learner, which a notebook shows as Markdown.

    Attributes
    ----------
    text : str
    passed : bool or None
        None where nothing was judged: a hint, a solution, an exercise not answered yet.
    folded : tuple of Feedback
        Hint and solution, which a notebook shows below the text, folded.

    Examples
    --------
    >>> from scalinv_utils.course import exercises
    >>> feedback = exercises.check("00.1", 3)
    >>> feedback
    ❌ **Exercise 00.1, not yet:** the answer should be letters in quotes, such as "AB"; it is 3.
    >>> feedback.passed
    False
    """

    def __init__(
        self,
        text: str,
        passed: bool | None = None,
        fold: str | None = None,
        folded: Sequence["Feedback"] = (),
    ):
        self.text = text
        self.passed = passed
        self.folded = tuple(folded)
        self._fold = fold

    def _repr_markdown_(self) -> str:
        if self._fold is None:
            line = f"border-left: 4px solid {BORDERS[self.passed]}; padding-left: 0.8em"
            words = f'<div style="{line}">\n\n{self.text}\n\n</div>'
            return "\n".join([words, *(part._repr_markdown_() for part in self.folded)])
        return f"<details><summary>{self._fold}</summary>\n\n{self.text}\n\n</details>"

    def __repr__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Exercise:
    """One exercise; `exercise` makes it and explains its fields.

    Examples
    --------
    >>> from scalinv_utils.course import exercises
    >>> exercises.get("00.1").solution
    'BD'
    """

    id: str
    question: str
    hint: str
    solution: Any
    wrong: tuple[Any, ...]
    remark: str
    check: Check


_registry: dict[str, Exercise] = {}


def exercise(
    id: str, question: str, hint: str, solution: Any, wrong: Sequence[Any], remark: str = ""
) -> Callable[[Check], Check]:
    """Register the decorated check function as the exercise `id`.

    The decorated function takes the answer and returns None if it is right, or a sentence that
    says what is wrong, best with the numbers that show it (see `compare`). If the answer is a
    function, the check calls it on inputs of its own. Exceptions of the learner's code are reported
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
        A right answer. If it is a function (a ``def``, no lambda), its source is shown to the
        learner, so write it to be read.
    wrong : sequence
        Wrong answers that learners are likely to give; the tests verify that each one fails.
    remark : str
        Markdown that says what the answer teaches, shown with the solution and after success.

    Returns
    -------
    callable
        A decorator that returns the check function unchanged.

    Raises
    ------
    ValueError
        The id is taken, the solution is a lambda, or there is no wrong answer to try the check on.

    Examples
    --------
    >>> from scalinv_utils.course import exercises
    >>> @exercises.exercise("99.9", "How many are three?", "Count them.", 3, [2, 4])
    ... def check_three(answer):
    ...     return exercises.compare(answer, 3, "the count")
    >>> exercises.check("99.9", 3)
    ✅ **Exercise 99.9 is right.**
    """
    if id in _registry:
        raise ValueError(f"id must be new, got {id!r}, which is registered already")
    if getattr(solution, "__name__", "") == "<lambda>":
        raise ValueError(f"solution must be a named function or a value, got a lambda for {id!r}")
    if len(wrong) == 0:
        raise ValueError(f"wrong must hold at least one wrong answer to try the check of {id!r} on")

    def register(check_function: Check) -> Check:
        _registry[id] = Exercise(id, question, hint, solution, tuple(wrong), remark, check_function)
        return check_function

    return register


def known() -> list[str]:
    """List the numbers of all exercises, in order.

    Examples
    --------
    >>> from scalinv_utils.course import exercises
    >>> exercises.known()[:3]
    ['00.1', '00.2', '01.1']
    """
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        if module.name.startswith("nb"):
            importlib.import_module(f"{__package__}.{module.name}")
    return sorted(_registry)


def get(id: str) -> Exercise:
    """Return the `Exercise` numbered `id`.

    Raises
    ------
    ValueError
        There is no such exercise; the message lists all numbers.

    Examples
    --------
    >>> from scalinv_utils.course import exercises
    >>> exercises.get("00.1").question
    'Which of the changes A to F leave the scalogram as it is?'
    """
    ids = known()
    if id not in ids:
        raise ValueError(f"id must be one of {', '.join(map(repr, ids))}, got {id!r}")
    return _registry[id]


def check(id: str, answer: Any = None) -> Feedback:
    """Judge an answer.

    Parameters
    ----------
    id : str
        Number of the exercise: "06.1".
    answer : function or value
        None, ``...``, or a function that returns one of these, counts as not answered yet.

    Returns
    -------
    Feedback
        `passed` is True, False, or None if there is no answer yet. A notebook shows the hint,
        unless the answer is right, and a solution folded below it.

    Raises
    ------
    ValueError
        There is no such exercise.

    Examples
    --------
    >>> from scalinv_utils.course import exercises
    >>> exercises.check("00.1", "BD").passed
    True
    >>> exercises.check("00.1")
    **Exercise 00.1** is not answered yet.
    """
    entry = get(id)
    try:
        _require_answer(answer)
        if callable(entry.solution) and not callable(answer):
            complaint = f"the answer should be a function, and is {type(answer).__name__}."
        else:
            complaint = entry.check(_guarded(answer) if callable(answer) else answer)
    except _NotAnswered as reason:
        help = [hint(id), solution(id)]
        return Feedback(f"**Exercise {id}** is not answered yet.{reason}", folded=help)
    except _AnswerRaised as error:
        complaint = str(error)
    if complaint:
        text = f"❌ **Exercise {id}, not yet:** {complaint}"
        return Feedback(text, passed=False, folded=[hint(id), solution(id)])
    text = f"✅ **Exercise {id} is right.** {entry.remark}".strip()
    return Feedback(text, passed=True, folded=[solution(id)])


def hint(id: str) -> Feedback:
    """Return the hint of an exercise, folded.

    Examples
    --------
    >>> from scalinv_utils.course import exercises
    >>> exercises.hint("10.2").text.splitlines()[0]
    '*How many megabytes do the coefficients of a sound take?*'
    """
    entry = get(id)
    return Feedback(f"*{entry.question}*\n\n{entry.hint}", fold=f"Hint for exercise {id}")


def solution(id: str) -> Feedback:
    """Return a solution of an exercise with its explanation, folded.

    Examples
    --------
    >>> from scalinv_utils.course import exercises
    >>> "return 16 * seconds" in exercises.solution("10.2").text
    True
    """
    entry = get(id)
    if inspect.isfunction(entry.solution):
        code = textwrap.dedent(inspect.getsource(entry.solution)).strip()
    else:
        code = repr(entry.solution)
    text = f"*{entry.question}*\n\n```python\n{code}\n```\n\n{entry.remark}".rstrip()
    return Feedback(text, fold=f"Solution of exercise {id}")


def compare(got: Any, expected: Any, what: str = "the result", rtol: float = 1e-6) -> str | None:
    """Say in words how an answer differs from the expected numbers.

    Parameters
    ----------
    got : anything
        The learner's number, array or tensor.
    expected : number, array or tensor
    what : str
        Name of the answer in the message.
    rtol : float
        Acceptable error: the norm of the difference relative to the norm of `expected`, or the
        difference itself where `expected` is zero.

    Returns
    -------
    str or None
        None if nothing differs.

    Examples
    --------
    >>> from scalinv_utils.course import exercises
    >>> exercises.compare([2.0, 4.0], [1.0, 2.0])
    'the result is the right one times 2: only the factor is off.'
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


def _difference(got: np.ndarray, expected: np.ndarray, what: str, rtol: float) -> str | None:
    """Say how far two arrays of one shape differ, or None if they agree to `rtol`."""
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


def _without_graph(value: Any) -> Any:
    """Return tensors, also those inside of lists, as arrays that autograd does not follow."""
    if isinstance(value, (list, tuple)):
        return [_without_graph(part) for part in value]
    return value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value


class _NotAnswered(Exception):
    """Say that the stub is still a stub; the text, if any, says why it looks like one."""


class _AnswerRaised(Exception):
    """Say that the learner's function raised an exception, which one and where."""


def _require_answer(answer: Any) -> None:
    """Raise _NotAnswered if the answer, or a part of it, is missing."""
    parts = answer if isinstance(answer, (list, tuple, set)) else [answer]
    blank = isinstance(answer, str) and not answer.strip(" ,")
    if blank or len(parts) == 0 or any(part is None or part is ... for part in parts):
        raise _NotAnswered("")


def _guarded(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap `function`: it gets copies, and its exceptions differ from those of the check."""

    def call(*args: Any, **kwargs: Any) -> Any:
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


def _copied(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.clone()
    return value.copy() if isinstance(value, np.ndarray) else value


def _told(error: Exception) -> str:
    """Put an exception into a sentence, with the line of the learner's function that raised it."""
    _, *frames = traceback.extract_tb(error.__traceback__)  # the first one is the call above
    where = f" at `{frames[0].line}`" if frames and frames[0].line else ""
    return f"your function raised `{type(error).__name__}: {error}`{where}."
