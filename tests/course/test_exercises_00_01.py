"""Exercises of notebooks 00 and 01: right answers in other forms, and letters that give no hold."""

import numpy as np
import pytest

from scalinv_utils import metrics
from scalinv_utils.course import exercises


@pytest.mark.parametrize("id", ["00.1"])
class TestLetters:
    def test_any_spelling_of_the_right_letters(self, id):
        right = exercises.get(id).solution
        for spelt in (right.lower(), ", ".join(right), list(right), set(right), right[::-1]):
            assert exercises.check(id, spelt).passed is True

    def test_all_wrong_sets_get_the_same_words(self, id):
        right = exercises.get(id).solution
        wrong = [right[:-1], right[1:], "ABCDEF", "A", "F", "ACE"]
        texts = {exercises.check(id, letters).text for letters in wrong if letters != right}
        assert len(texts) == 1

    @pytest.mark.parametrize("blank", ["", " ", ",", [], set(), ...])
    def test_no_letters_are_no_answer(self, id, blank):
        assert exercises.check(id, blank).passed is None


def by_power(y, S, W):
    return 10 * np.log10(float(((W(y).abs() - S) ** 2).sum() / (S**2).sum()))


def in_numpy(y, S, W):
    difference = np.linalg.norm(W.magnitude(y).numpy() - S.numpy())
    return 20 * np.log10(difference / np.linalg.norm(S.numpy()))


@pytest.mark.parametrize("right", [by_power, in_numpy, metrics.consistency_db])
def test_the_consistency_in_other_forms(right):
    feedback = exercises.check("00.2", right)
    assert feedback.passed is True, feedback.text


def test_a_wrong_consistency_is_told_what_it_should_be():
    feedback = exercises.check("00.2", lambda y, S, W: -20.0)
    assert feedback.passed is False and "dB" in feedback.text


def test_right_and_wrong_look_different():
    assert exercises.check("00.1", "BD").text[0] != exercises.check("00.1", "A").text[0]
