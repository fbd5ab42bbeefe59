"""Judge answers that are letters, without telling which letters or how many of them are right."""

import re
from collections.abc import Collection
from types import TracebackType
from typing import Any

from IPython.core.getipython import get_ipython

__all__ = ["compare_letters", "explain_missing_quotes"]


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


def explain_missing_quotes() -> None:
    """Let a notebook say that letters want quotes, in place of the traceback of a NameError.

    An answer such as ``my_answer = AD`` fails before any check is called. Other errors, and those
    of cells that check no exercise, are shown as ever.
    """
    shell = get_ipython()
    if shell is not None:
        shell.set_custom_exc((NameError,), _show_name_error)


def _show_name_error(
    shell: Any,
    kind: type[NameError],
    error: NameError,
    trace: TracebackType,
    tb_offset: int | None = None,
) -> None:
    """Show an error as IPython does, in a sentence if it is an answer without quotes."""
    sentence = missing_quotes(error.name, shell.user_ns.get("In", [""])[-1])
    if sentence:
        error._render_traceback_ = lambda: [sentence]  # type: ignore[attr-defined]
    shell.showtraceback((kind, error, trace), tb_offset=tb_offset)


def missing_quotes(name: str | None, cell: str) -> str | None:
    """Say how to write an answer, if Python does not know a name that looks like letters.

    Examples
    --------
    >>> from scalinv_utils.course.exercises._letters import missing_quotes
    >>> missing_quotes("AD", 'my_answer = AD; exercises.check("00.1", my_answer)')
    'Put the letters in quotes: "AD". Without them Python looks for a variable of the name AD.'
    >>> missing_quotes("AD", "print(AD)")
    """
    if "exercises.check(" not in cell or not re.fullmatch("[A-Za-z]{1,6}", name or ""):
        return None
    if name != (letters := str(name).upper()) and len(letters) > 1:
        return None  # a word in small letters is a variable
    return (
        f'Put the letters in quotes: "{letters}". Without them Python looks for a variable of the '
        f"name {name}."
    )
