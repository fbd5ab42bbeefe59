"""Rows are predicted from few; corrections on completed rows find what few rows alone do not."""

import pytest
import torch

from scalinv_utils.course import signals
from scalinv_utils.metrics import consistency_db, decibels, waveform_error_db
from scalinv_utils.recovery._pipeline import recover
from scalinv_utils.recovery._row_completion import (
    Completion,
    complete_and_correct,
    is_completable,
)
from scalinv_utils.recovery._stages import Run
from scalinv_utils.transforms.scalogram import Scalogram

N, RATE = 1024, 8000.0


def transform(voices=12, wavelet="gmw", n_samples=N, **options):
    return Scalogram(n_samples, RATE, wavelet=wavelet, voices_per_octave=voices, **options)


def material(name, W):
    return W.project(signals.recording(name, RATE, W.n_samples)[0])


def error_db(got, true):
    return decibels((got - true).norm() / true.norm())


def test_the_denser_bank_has_the_rows_that_are_given():
    for voices, every in ((8, 4), (12, 3), (14, 3), (15, 2)):
        W = transform(voices)
        dense = Completion(torch.ones(W.shape), W)
        assert dense.every == every and torch.equal(dense.W.filters[::every], W.filters)


@pytest.mark.parametrize("wavelet", ["gmw", "morlet", "cauchy"])
def test_more_rows_predict_better(wavelet):
    levels = []
    for voices in (8, 10, 12):
        W = transform(voices, wavelet)
        x = material("speech", W)
        S = W.magnitude(x)
        completion = Completion(S, W)
        dense, true = completion(S.square()).sqrt(), completion.W.magnitude(x)
        assert error_db(dense[:: completion.every], S) < -60
        levels.append(error_db(dense, true))
    assert levels == sorted(levels, reverse=True) and levels[0] < -20 and levels[-1] < -35


def test_a_gaussian_signal_is_predicted_as_well_as_its_prior_says():
    """The error of the mean power between rows is that of a smooth curve: there is no other."""
    W = transform(10)
    x = W.project(signals.white_noise(N, seed=3))
    S = W.magnitude(x)
    completion = Completion(S, W)
    power, true = completion(S.square()), completion.W.magnitude(x).square()
    assert error_db(power.mean(-1), true.mean(-1)) < -30


def test_the_target_is_exact_at_the_solution():
    W = transform(8)
    x = material("crow", W)
    S = W.magnitude(x)
    completion = Completion(S, W)
    c = completion.W(x)
    assert error_db(completion.target(S, c), c.abs()) < -150
    # Near it, the target is closer to the truth than either the estimate or the prediction is.
    near = completion.W(x + 0.05 * x.norm() * W.project(signals.white_noise(N)) / N**0.5)
    error = error_db(completion.target(S, near), c.abs())
    assert error < error_db(near.abs(), c.abs()) - 6
    assert error < error_db(completion(S.square()).sqrt(), c.abs())


def test_eight_voices_are_recovered():
    W = transform(8, n_samples=512)
    x = material("speech", W)
    recovery = recover(W.magnitude(x), W, progress=False)
    assert "completed rows" in dict(recovery.details["stages"])
    assert waveform_error_db(recovery.signal, x) < -120


def test_a_better_signal_so_far_is_handed_on():
    W = transform(10, n_samples=256)
    x = material("crow", W)
    S = W.magnitude(x)
    run = Run("test", result="best", callback=lambda k, x, fit: k == 2)
    run.step(x, -300.0)
    complete_and_correct(S, W, run)
    assert torch.equal(run.x, x) and torch.equal(run.recovery().signal, x)
    assert consistency_db(run.x, S, W) < -200


def test_what_is_completed():
    assert is_completable(transform(8)) and is_completable(transform(15))
    assert not is_completable(transform(16))
    assert not is_completable(transform(8, n_samples=8192))
    assert not is_completable(transform(8, lowpass="signed"))
    assert not is_completable(transform(4, f_min=1950, f_max=2000))


def test_noise_is_not_completed():
    W = transform(10)
    S = W.magnitude(material("crow", W))
    noise = torch.randn(S.shape, dtype=S.dtype, generator=torch.Generator().manual_seed(0))
    noisy = (S + 0.02 * S.square().mean().sqrt() * noise).clamp_min(0)
    recovery = recover(noisy, W, progress=False, callback=lambda k, x, fit: k == 3)
    assert "completed rows" not in dict(recovery.details["stages"])
