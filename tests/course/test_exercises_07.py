"""The exercises of notebook 07 take other right answers than their own, and say what is wrong."""

import math

import numpy as np
import pytest
import torch

from scalinv_utils.course import exercises


def in_other_words(x, v, g, loss, lr, evaluate):
    trial = x - lr * (g + 0.9 * v)
    f, gradient = evaluate(trial)
    good = f < loss
    return [trial if good else x, 0.9 * v + g if good else v, gradient if good else g,
            min(f, loss), lr * (1.1 if good else 0.5)]  # fmt: skip


RIGHT = [
    ("07.1", lambda m: 2 + 2 * m),
    ("07.1", lambda m: np.array(2.0) * (1 + m)),
    ("07.2", in_other_words),
    ("07.3", lambda o, f: o / (o.abs() + f) ** (1 / 3)),
    ("07.3", lambda o, f: o / (o**2 + f**2) ** (1 / 6)),
    ("07.3", lambda o, f: o / o.abs().clamp(min=f) ** (1 / 3)),
    ("07.4", lambda k, n: math.cos(math.pi * k / n / 2) ** 2),
    ("07.4", lambda k, n: torch.tensor(0.5 + 0.5 * math.cos(math.pi * k / n))),
]


@pytest.mark.parametrize(("id", "answer"), RIGHT)
def test_right_answers_in_other_forms(id, answer):
    feedback = exercises.check(id, answer)
    assert feedback.passed is True, feedback.text


@pytest.mark.parametrize(
    ("id", "answer", "words"),
    [
        ("07.1", lambda m: 2 - 2 * m, "momentum 0.25"),
        ("07.2", lambda x, v, g, loss, lr, evaluate: (x, v, g, loss, lr / 2), "succeeds"),
        ("07.3", lambda o, f: o.sign() * o.abs() ** (2 / 3), "slope at zero"),
        ("07.3", lambda o, f: o.abs() / (o.abs() + f) ** (1 / 3), "-o"),
        ("07.3", lambda o, f: o * f ** (-1 / 3), "1000 f"),
        ("07.4", lambda k, n: math.cos(math.pi * k / n), "k = 10"),
    ],
)
def test_wrong_answers_hear_where(id, answer, words):
    feedback = exercises.check(id, answer)
    assert feedback.passed is False and words in feedback.text, feedback.text


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("share, explodes", [(0.98, False), (1.02, True)])
def test_the_limit_is_where_a_descent_begins_to_explode(momentum, share, explodes):
    x, v, step = 1.0, 0.0, share * exercises.get("07.1").solution(momentum)
    for _ in range(3000):
        v = momentum * v + x
        x = x - step * v
    assert (abs(x) > 1) == explodes
