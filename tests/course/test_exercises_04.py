"""Other right answers to the exercises of notebook 04."""

import pytest
import torch

from scalinv_utils.course import exercises


def fast_by_sgn(c, t_old, S, W, momentum):
    t = W(W.inverse(S * torch.sgn(c)))
    return (1 + momentum) * t - momentum * t_old, t


def fast_on_signals(c, t_old, S, W, momentum):
    x = W.inverse(W.impose(S, c))
    return W(x + momentum * (x - W.inverse(t_old))), W(x)


def fast_as_a_list(c, t_old, S, W, momentum):
    t = W(W.inverse(S * c / c.abs()))
    return [t + momentum * (t - t_old), t]


def raar_simplified(c, S, W, beta):
    fitting = W.impose(S, c)
    return beta * (W(W.inverse(2 * fitting - c)) + c) + (1 - 2 * beta) * fitting


def raar_by_sgn(c, S, W, beta):
    fitting = S * torch.sgn(c)
    reflected = 2 * fitting - c
    return (
        beta / 2 * (2 * W(W.inverse(reflected)) - reflected) + beta / 2 * c + (1 - beta) * fitting
    )


RIGHT = [
    ("04.1", fast_by_sgn),
    ("04.1", fast_on_signals),
    ("04.1", fast_as_a_list),
    ("04.2", raar_simplified),
    ("04.2", raar_by_sgn),
]


@pytest.mark.parametrize("id, answer", RIGHT, ids=lambda item: getattr(item, "__name__", item))
def test_other_forms_of_a_right_answer_pass(id, answer):
    feedback = exercises.check(id, answer)
    assert feedback.passed is True, feedback.text


def test_a_step_that_leaves_the_solution_is_told_so():
    feedback = exercises.check("04.2", lambda c, S, W, beta: c / 2)
    assert "solution" in feedback.text


def test_the_formulas_of_the_solutions_are_shown_as_tex():
    assert r"\Pi_W\Pi_S" in exercises.solution("04.1").text
    assert r"R_W R_S" in exercises.solution("04.2").text
