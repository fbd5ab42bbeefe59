"""The exercises' machinery on a toy set, and every exercise of the course on its own answers."""

import math
import re
import types

import numpy as np
import pytest
import torch
from IPython.core.formatters import DisplayFormatter
from IPython.core.interactiveshell import InteractiveShell

from scalinv_utils.course import exercises
from scalinv_utils.course.exercises import _letters, _machinery

# --- Every exercise of the course ----------------------------------------------------------------


@pytest.mark.parametrize("id", exercises.known())
def test_solution_passes_its_own_check(id):
    feedback = exercises.check(id, exercises.get(id).solution)
    assert feedback.passed is True, feedback.text


@pytest.mark.parametrize(
    ("id", "k"), [(id, k) for id in exercises.known() for k in range(len(exercises.get(id).wrong))]
)
def test_wrong_answers_fail_with_a_message(id, k):
    feedback = exercises.check(id, exercises.get(id).wrong[k])
    assert feedback.passed is False and len(feedback.text) > 30, feedback.text


@pytest.mark.parametrize("id", exercises.known())
def test_exercises_help(id):
    assert len(exercises.get(id).question) > 10 and len(exercises.hint(id).text) > 20
    assert "```python" in exercises.solution(id)._repr_markdown_()
    assert exercises.check(id, None).passed is None


# --- The machinery -------------------------------------------------------------------------------


def halve(x):
    """Half of the signal."""
    return x / 2


@pytest.fixture
def toys(monkeypatch):
    monkeypatch.setattr(_machinery, "_registry", {})

    @exercises.exercise(
        "99.1", "Halve x.", "Divide.", halve, [lambda x: x, lambda x: -x / 2], "Halves are small."
    )
    def check_halve(answer):
        x = torch.arange(4.0)
        complaint = exercises.compare(answer(x), x / 2, "half of x")
        assert x.tolist() == [0, 1, 2, 3], "the learner's code reached the check's own data"
        return complaint

    @exercises.exercise("99.2", "How many?", "Count.", 3, [4])
    def check_count(answer):
        return exercises.compare(answer, 3, "the count")

    @exercises.exercise("99.3", "A check with a bug.", "None.", 1, [2])
    def check_broken(answer):
        return 1 / 0


def test_right_answers(toys):
    assert exercises.known() == ["99.1", "99.2", "99.3"]
    feedback = exercises.check("99.1", lambda x: 0.5 * x)
    assert feedback.passed is True and "Halves are small." in feedback.text
    assert exercises.check("99.2", torch.tensor(3)).passed is True


def test_wrong_answers_are_told_in_numbers(toys):
    for wrong, words in [(lambda x: x, "times 2"), (lambda x: -x / 2, "times -1")]:
        feedback = exercises.check("99.1", wrong)
        assert feedback.passed is False and words in feedback.text
    assert "33.3 % off" in exercises.check("99.2", 4).text


@pytest.mark.parametrize("answer", [None, ..., (), [1, ...]])
def test_no_answer_is_no_error(toys, answer):
    feedback = exercises.check("99.2", answer)
    assert feedback.passed is None and "not answered yet" in feedback.text


def test_stubs_are_no_answer(toys):
    def raises(x):
        raise NotImplementedError

    for stub in (lambda x: None, lambda x: ..., raises):
        assert exercises.check("99.1", stub).passed is None
    assert "return" in exercises.check("99.1", lambda x: None).text
    assert exercises.check("99.1").passed is None


def test_exceptions_of_the_learner_are_told(toys):
    def divides(x):
        return x / (1 - 1) if isinstance(x, float) else {}["key"]

    for broken, words in [(divides, "KeyError: .key.` at `return x"), (lambda: 1, "TypeError")]:
        feedback = exercises.check("99.1", broken)
        assert feedback.passed is False
        assert re.search(words, feedback.text)


def test_exceptions_of_a_check_are_not_hidden(toys):
    with pytest.raises(ZeroDivisionError):
        exercises.check("99.3", 1)


def test_learners_may_write_into_their_arguments(toys):
    def in_place(x):
        x *= 0.5
        return x

    assert exercises.check("99.1", in_place).passed is True


def test_a_function_is_asked_for(toys):
    feedback = exercises.check("99.1", 0.5)
    assert feedback.passed is False and "function" in feedback.text


def test_unknown_numbers_list_the_known_ones(toys):
    for call in (exercises.check, exercises.hint, exercises.solution):
        with pytest.raises(ValueError, match="'99.1', '99.2', '99.3'.*'1.1'"):
            call("1.1")


def test_hint_and_solution_are_folded(toys):
    for feedback, words in [
        (exercises.hint("99.1"), "Divide."),
        (exercises.solution("99.1"), "return x / 2"),
        (exercises.solution("99.2"), "```python\n3\n```"),
    ]:
        markdown = feedback._repr_markdown_()
        assert markdown.startswith("<details><summary>") and markdown.endswith("</details>")
        assert words in markdown and words in repr(feedback) and feedback.passed is None
    shown, _ = DisplayFormatter().format(exercises.hint("99.1"))
    assert set(shown) == {"text/plain", "text/markdown"}


def test_right_and_wrong_look_different_and_help_is_folded_below(toys):
    shown = {}
    for passed, answer in [(True, 3), (False, 4), (None, None)]:
        feedback = exercises.check("99.2", answer)
        assert feedback.passed is passed
        shown[passed] = feedback._repr_markdown_()
        assert feedback.text in shown[passed] and "Solution of exercise 99.2" in shown[passed]
        assert ("Hint for exercise 99.2" in shown[passed]) == (passed is not True)
    lines = {re.search("solid ([#a-zA-Z0-9]+)", text).group(1) for text in shown.values()}
    assert len(lines) == 3


@pytest.mark.parametrize(
    ("cell", "words", "silent"),
    [
        ('my_answer = AD\nexercises.check("00.1", my_answer)', 'quotes: "AD"', "Traceback"),
        ('my_answer = b\nexercises.check("00.1", my_answer)', 'quotes: "B"', "Traceback"),
        ('exercises.check("00.1", answer)', "Traceback", "quotes"),
        ("AD", "Traceback", "quotes"),
    ],
)
def test_letters_without_quotes_get_a_sentence_and_other_errors_their_traceback(
    cell, words, silent, capsys
):
    shell = InteractiveShell()
    shell.set_custom_exc((NameError,), _letters._show_name_error)
    shell.run_cell("from scalinv_utils.course import exercises")
    done = shell.run_cell(cell, store_history=True)
    said = capsys.readouterr().out
    assert isinstance(done.error_in_exec, NameError) and words in said and silent not in said


def test_a_notebook_is_told_to_explain_letters_without_quotes(monkeypatch):
    told = []
    shell = types.SimpleNamespace(set_custom_exc=lambda kinds, handler: told.append(kinds))
    monkeypatch.setattr(_letters, "get_ipython", lambda: shell)
    _letters.explain_missing_quotes()
    assert told == [(NameError,)]


def test_registration_wants_new_numbers_and_wrong_answers(toys):
    with pytest.raises(ValueError, match="id.*99.1"):
        exercises.exercise("99.1", "?", "!", 1, [2])
    with pytest.raises(ValueError, match="solution.*lambda"):
        exercises.exercise("99.4", "?", "!", lambda x: x, [2])
    with pytest.raises(ValueError, match="wrong"):
        exercises.exercise("99.4", "?", "!", 1, [])


@pytest.mark.parametrize(
    ("got", "expected", "words"),
    [
        ("three", 3, "numeric"),
        (object(), 3, "numeric"),
        ([[1], [1, 2]], [1.0, 2.0], "shape"),
        ([1.0, 2.0], [1.0, 2.0, 3.0], r"shape \(3,\), and has \(2,\)"),
        ([1j, 2j], [1.0, 2.0], "complex"),
        ([1.0, math.nan], [1.0, 2.0], "NaN"),
        ([1.0, 2.1], [1.0, 2.0], "4.47 % off"),
        ([2.0, 4.0], [1.0, 2.0], "times 2"),
        ([1e-3, 0.0], [0.0, 0.0], "should be zero"),
        (3.3, 3, "10 % off"),
    ],
)
def test_compare_says_what_is_wrong(got, expected, words):
    assert re.search(words, exercises.compare(got, expected))


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        (torch.tensor([1.0, 2.0], requires_grad=True), np.array([1, 2])),
        ([torch.tensor(1.0, requires_grad=True), 2], [1.0, 2.0]),
        (1 + 1e-9, 1.0),
        ([0.0], [0.0]),
        ([1.0, 2.0], [1 + 0j, 2 + 0j]),
    ],
)
def test_compare_accepts_what_is_right(got, expected):
    assert exercises.compare(got, expected) is None
