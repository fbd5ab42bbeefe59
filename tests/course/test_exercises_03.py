"""Right answers to the exercises of notebook 03 pass, whatever form they have."""

import numpy as np
import pytest
import torch

from scalinv_utils.course import exercises


def by_parts(x, d, W):
    c, b = W(x), W(d)
    return (c.real * b.real + c.imag * b.imag) / c.abs()


def by_angles(x, d, W):
    c, b = W(x).numpy(), W(d).numpy()
    return np.abs(b) * np.cos(np.angle(b) - np.angle(c))


def by_a_short_step(x, d, W):
    return (W.magnitude(x + 1e-6 * d) - W.magnitude(x)) / 1e-6


def by_central_differences(x, d, W):
    return (W.magnitude(x + 1e-4 * d) - W.magnitude(x - 1e-4 * d)) / 2e-4


def by_relative_change(x, d, W):
    return W.magnitude(x) * (W(d) / W(x)).real


@pytest.mark.parametrize(
    "answer",
    [by_parts, by_angles, by_a_short_step, by_central_differences, by_relative_change],
)
def test_a_change_of_the_modulus_is_right_in_any_form(answer):
    assert exercises.check("03.1", answer).passed


def by_the_pseudo_inverse(J, sigma, x):
    J = J / sigma[:, None]
    inverse = torch.linalg.pinv(J.T @ J, hermitian=True, rtol=1e-10)
    return 20 * torch.log10(inverse.trace().sqrt() / x.norm())


def by_singular_values(J, sigma, x):
    gains = np.linalg.svd(J.numpy() / sigma.numpy()[:, None], compute_uv=False)
    return 10 * np.log10((gains[:-1] ** -2.0).sum()) - 20 * np.log10(np.linalg.norm(x.numpy()))


def by_weights(J, sigma, x):
    values = torch.linalg.eigvalsh(J.T @ torch.diag(sigma**-2) @ J)
    return float(10 * torch.log10((1 / values[values > 1e-9 * values[-1]]).sum() / (x @ x)))


@pytest.mark.parametrize("answer", [by_the_pseudo_inverse, by_singular_values, by_weights])
def test_a_bound_is_right_in_any_form(answer):
    assert exercises.check("03.2", answer).passed


@pytest.mark.parametrize("id", ["03.1", "03.2"])
def test_an_empty_stub_is_no_answer(id):
    assert exercises.check(id, lambda *args: ...).passed is None
