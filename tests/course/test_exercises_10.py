"""Other right answers to the exercises of notebook 10, and the size that its text names."""

import math

import pytest

from scalinv_utils.course import exercises


def verdict_in_small_letters(consistency, waveform, island):
    fits = consistency <= -20
    return ("b" if waveform < -20 else "c" if island < -20 else "d") if fits else "a"


def megabytes_with_a_last_row(seconds, rate, octaves, voices):
    return seconds * rate * (octaves * voices + 1) * 2 * 8 / 10**6


def megabytes_of_whole_rows(seconds, rate, octaves, voices):
    return 16 * int(seconds * rate) * math.ceil(octaves * voices) / 1e6


@pytest.mark.parametrize(
    "id, answer",
    [
        ("10.1", verdict_in_small_letters),
        ("10.2", megabytes_with_a_last_row),
        ("10.2", megabytes_of_whole_rows),
    ],
    ids=lambda item: getattr(item, "__name__", item),
)
def test_other_forms_of_a_right_answer_pass(id, answer):
    feedback = exercises.check(id, answer)
    assert feedback.passed is True, feedback.text


def test_the_song_takes_as_much_as_the_remark_says():
    megabytes = exercises.get("10.2").solution
    assert round(megabytes(1, 8000, math.log2(4000 / 50), 32)) == 26
    assert round(megabytes(180, 44100, math.log2(22050 / 50), 32) / 1000) == 36
    assert "26 MB" in exercises.get("10.2").remark and "36 GB" in exercises.get("10.2").remark
