"""The exercises of notebook 05 accept every right way, and say what is wrong with the others."""

import math

import numpy as np
import pytest
import torch

from scalinv_utils.course import exercises
from scalinv_utils.recovery import integrate_phase, phase_derivatives

# --- 05.1 ----------------------------------------------------------------------------------------


def with_the_slope_of_the_power(power, dpower, s, p, time_bandwidth):
    return (p - p * dpower / power / 2 / time_bandwidth) / s


def from_the_derivative_of_the_modulus(power, dpower, s, p, time_bandwidth):
    modulus = np.sqrt(power)
    return p / s - p / (s * time_bandwidth) * (dpower / (2 * modulus)) / modulus


def with_torch(power, dpower, s, p, time_bandwidth):
    power, dpower, s = map(torch.as_tensor, (power, dpower, s))
    return p / s * (1 - dpower / (2 * power * time_bandwidth))


@pytest.mark.parametrize(
    "answer", [with_the_slope_of_the_power, from_the_derivative_of_the_modulus, with_torch]
)
def test_any_form_of_the_relation_is_right(answer):
    assert exercises.check("05.1", answer).passed is True


# --- 05.2 ----------------------------------------------------------------------------------------


def turned(derivatives):
    def answer(c, S, W):
        missing = [a - b for a, b in zip(derivatives(S, W), derivatives(c.abs(), W))]
        turn, _, _ = integrate_phase(S, W, *missing, torch.zeros(S.shape))
        return W.impose(S, c * torch.exp(1j * turn))

    return answer


def relation(dlogs, dt, W):
    centre = W.peak / W.scales[:, None]
    return centre * (1 - dlogs / W.time_bandwidth), W.time_bandwidth / centre * dt


def differences_of_the_square(m, W):
    power = m**2 + 1e-12 * float((m**2).max())
    in_scale, in_time = torch.gradient(power, spacing=[math.log(2) / W.voices_per_octave, 1.0])
    return relation(in_scale / (2 * power), in_time / (2 * power), W)


def differences_of_the_logarithm(m, W):
    spacing = [math.log(2) / W.voices_per_octave, 1.0]
    return relation(*torch.gradient((m + 1e-9 * float(m.max())).log(), spacing=spacing), W)


@pytest.mark.parametrize(
    "derivatives",
    [
        phase_derivatives,  # the wavelet's own relation
        differences_of_the_square,
        differences_of_the_logarithm,
    ],
)
def test_a_correction_may_be_computed_in_any_way(derivatives):
    assert exercises.check("05.2", turned(derivatives)).passed is True


def test_a_step_is_judged_by_its_modulus_and_by_its_phase():
    entry = exercises.get("05.2")
    said = {wrong.__name__: exercises.check("05.2", wrong).text for wrong in entry.wrong}
    assert "should be S" in said["_kept_the_modulus"]
    for name in ("_without_the_estimate", "_wrong_way_round", "_half_way", "_lost_the_phase"):
        assert "A correction brings them below -25 dB" in said[name]
    assert "is real" in exercises.check("05.2", lambda c, S, W: S).text
    assert "has the shape" not in said["_griffin_lim"]
