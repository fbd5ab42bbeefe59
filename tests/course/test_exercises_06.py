"""Exercises of notebook 06: right answers in other forms pass, plausible wrong ones do not."""

import numpy as np
import pytest
import torch

from scalinv_utils.course import exercises


def by_autograd(y, S, W):
    leaf = y.clone().requires_grad_()
    loss = (W(leaf).abs() ** 2 - S**2).pow(2).sum() / 4
    return torch.autograd.grad(loss, leaf)[0]


def in_two_parts(y, S, W):
    c = W(y)
    return W.adjoint(c * c.conj() * c) - W.adjoint(S.square() * c)


def as_an_array(y, S, W):
    c = W(y)
    return W.adjoint((c.real**2 + c.imag**2 - S**2) * c).numpy()


def with_conjugate(y, S, W):
    c = W(y)
    return W.adjoint((c.abs() ** 2 - S**2) * c.conj())


def negative(y, S, W):
    return -as_an_array(y, S, W)


@pytest.mark.parametrize("answer", [by_autograd, in_two_parts, as_an_array])
def test_the_gradient_of_intensities_may_be_written_in_several_ways(answer):
    assert exercises.check("06.1", answer).passed is True


@pytest.mark.parametrize("answer", [with_conjugate, negative, lambda y, S, W: W(y)])
def test_another_gradient_is_refused(answer):
    assert exercises.check("06.1", answer).passed is False


@pytest.mark.parametrize(
    "answer",
    [
        lambda y, v, g, lr, momentum: (y - momentum * v - lr * g, momentum * v + lr * g),
        lambda y, v, g, lr, momentum: [y - lr * (momentum * v + g), g + v * momentum],
        lambda y, v, g, lr, momentum: (y + (momentum * v - lr * g), momentum * v - lr * g),
    ],
    ids=["with lr in the velocity", "as a list", "with the other sign"],
)
def test_a_velocity_may_be_kept_in_other_units(answer):
    feedback = exercises.check("06.2", answer)
    assert feedback.passed is True, feedback.text


@pytest.mark.parametrize(
    "answer",
    [
        lambda y, v, g, lr, momentum: (y - lr * (g + momentum * (momentum * v + g)), v),
        lambda y, v, g, lr, momentum: y - lr * (momentum * v + g),
        lambda y, v, g, lr, momentum: (momentum * v + g, y - lr * (momentum * v + g)),
    ],
    ids=["Nesterov", "no velocity", "in the wrong order"],
)
def test_another_step_is_refused(answer):
    assert exercises.check("06.2", answer).passed is False


def test_a_rate_may_be_computed_in_several_ways():
    for answer in (lambda lr, n, d: lr / n / d**2, lambda lr, n, d: np.float64(lr) * d**-2 / n):
        assert exercises.check("06.3", answer).passed is True
    for answer in (lambda lr, n, d: lr / (2 * n * d**2), lambda lr, n, d: lr * d**2 / n):
        assert exercises.check("06.3", answer).passed is False
    assert exercises.check("06.3", lambda lr, n, d: ...).passed is None
