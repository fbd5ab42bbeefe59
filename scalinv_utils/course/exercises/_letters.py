"""Judge answers that are letters, without telling which letters or how many of them are right."""

from collections.abc import Collection
from typing import Any

__all__ = ["compare_letters"]


def compare_letters(answer: Any, right: Collection[str], choices: str, advice: str) -> str | None:
    """Say that a set of letters is not the right one, and how to find out why.

    Parameters
    ----------
    answer : str or collection of str
        "AB", "b, a", ["A", "B"] and {"A", "B"} are the same answer.
    right : collection of str
        The letters that are right.
    choices : str
        All the letters that there are.
    advice : str
        Says how the learner can find out by computing; it may not depend on the answer.

    Returns
    -------
    str or None
        None if the letters are right. A complaint is the same for every wrong set: neither single
        letters nor their number can be tried out.

    Examples
    --------
    >>> from scalinv_utils.course.exercises._letters import compare_letters
    >>> compare_letters("b, a", "AB", "ABC", "Count again.")
    >>> compare_letters("C", "AB", "ABC", "Count again.")
    'this is not the set of letters that is asked for. Count again.'
    """
    if not isinstance(answer, (str, list, tuple, set)):
        return f'the answer should be letters in quotes, such as "AB"; it is {answer!r}.'
    letters = set("".join(map(str, answer)).upper()) - set(" ,;.")
    if letters - set(choices):
        unknown = ", ".join(sorted(letters - set(choices)))
        return f"there are the letters {choices[0]} to {choices[-1]}, and no {unknown}."
    if letters != set(right):
        return f"this is not the set of letters that is asked for. {advice}"
    return None
