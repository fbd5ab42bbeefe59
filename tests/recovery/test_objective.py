"""Learning rates in units, starts, preconditioning, the count of evaluations, and known results."""

import math

import pytest
import torch
from kymatio.torch import Scattering1D
from small import N, error_db, noise, scalogram

from scalinv_utils.course import signals
from scalinv_utils.metrics import consistency_db, misfit_db, waveform_error_db
from scalinv_utils.recovery._gradient_descent import (
    invert_gradient,
    random_start,
    spectral_gain,
)
from scalinv_utils.recovery.losses import NAMED

# -- learning rates, starts, preconditioning ---------------------------------------------------


@pytest.mark.parametrize("factor", (1e-3, 1.0, 50.0))
@pytest.mark.parametrize("loss", ("l2", "mse"))
def test_one_number_fits_every_normalisation(factor, loss):
    W, S = scalogram(), scalogram().magnitude(noise(6))
    runs = [
        invert_gradient(
            c * S,
            lambda x, c=c: c * W.magnitude(x),
            init=noise(7),
            optimizer="sgd",
            loss=name,
            lr=0.7,
            lr_unit="griffin-lim",
            n_iter=10,
        ).signal
        for c, name in ((1.0, "l2"), (factor, loss))
    ]
    assert error_db(*runs) < -60


@pytest.mark.parametrize("loss", [n for n in NAMED if n != "l2_to_l1"])
def test_every_first_step_is_as_long(loss):
    W, S, x = scalogram(), scalogram().magnitude(noise(8)), noise(9)
    steps = [
        invert_gradient(
            S, W, init=x, optimizer="sgd", loss=name, n_iter=1, lr=0.1, lr_unit="griffin-lim"
        ).signal
        - x
        for name in ("l2", loss)
    ]
    assert float(steps[1].norm() / steps[0].norm()) == pytest.approx(1, rel=1e-3)


def test_coloured_noise_has_the_moduli_of_the_target_and_the_phases_of_noise():
    W = scalogram()
    x = noise(11) * torch.linspace(0, 1, N) ** 4
    S = W.magnitude(x)
    white, shaped = random_start(S, W, N), random_start(S, W, N, coloured=True)
    by_hand = W.adjoint(W.impose(S, W(white)))
    assert error_db(shaped / shaped.norm(), by_hand / by_hand.norm()) < -200
    assert consistency_db(shaped, S, W) < consistency_db(white, S, W) - 3
    assert torch.equal(
        invert_gradient(S, W, init="coloured", callback=lambda *_: True).signal, shaped
    )


def test_the_phase_gradient_as_a_start():
    W = scalogram(256, wavelet="cauchy", voices_per_octave=16)
    x = W.project(signals.exponential_chirp(256, 256, 12, 90))
    run = invert_gradient(W.magnitude(x), W, init="phase_gradient", n_iter=60)
    assert waveform_error_db(run.signal, x) < -60
    with pytest.raises(ValueError, match="init must .*no Scalogram"):
        invert_gradient(W.magnitude(x), W.magnitude, init="phase_gradient", n_samples=256)


def test_the_estimated_gain_is_that_of_the_frame():
    W = scalogram(512)
    ratio = (spectral_gain(W, noise(12, 512), n_probes=40) / W.gain)[W.band][10:-10]
    assert float((ratio / ratio.median()).log10().abs().max()) < 0.2


def test_the_estimated_gain_of_silence_does_no_harm():
    assert not spectral_gain(scalogram(), torch.zeros(N)).any()
    W, S = scalogram(), scalogram().magnitude(noise(13))
    run = invert_gradient(S, lambda x: W.magnitude(x + noise(14)), init=torch.zeros(N), n_iter=5)
    assert math.isfinite(run.consistency_db)


def test_preconditioning_helps_where_the_gain_is_uneven():
    weights = torch.logspace(0, 2, N // 2 + 1, dtype=torch.float64)
    x = noise(15)

    def transform(x):
        return torch.fft.irfft(torch.fft.rfft(x) * weights, n=N)

    levels = [
        misfit_db(
            invert_gradient(transform(x), transform, n_samples=N, n_iter=12, precondition=p).signal,
            x,
        )
        for p in (False, True)
    ]
    assert levels[1] < levels[0] - 3


def test_the_evaluations_are_counted():
    calls = []

    def transform(x):
        calls.append(x.requires_grad)
        return scalogram().magnitude(x)

    S = scalogram().magnitude(noise(16))
    for options in ({"precondition": False}, {"optimizer": "sgd"}, {"optimizer": "bold"}):
        calls.clear()
        run = invert_gradient(S, transform, n_samples=N, n_iter=20, **options)
        assert abs(run.details["evaluations"] - len(calls)) <= 3


@pytest.mark.parametrize(
    "options, name",
    [
        ({"schedule": lambda k: 1.0}, "schedule"),
        ({"optimizer": "bold", "lr": -1}, "lr"),
        ({"optimizer": "adam", "lr_unit": "griffin-lim"}, "lr_unit"),
        ({"lr_unit": "m"}, "lr_unit"),
        ({"optimizer": "sgd", "precondition": True}, "precondition"),
        ({"optimizer": "bold", "momentum": 1}, "momentum"),
    ],
)
def test_bad_options(options, name):
    S = scalogram().magnitude(noise(17))
    with pytest.raises(ValueError, match=f"^{name} must"):
        invert_gradient(S, scalogram(), n_iter=2, **options)
    with pytest.raises(TypeError, match="^schedule must"):
        invert_gradient(S, scalogram(), optimizer="sgd", schedule="cosine")


# -- known results -----------------------------------------------------------------------------


@pytest.mark.long
def test_defaults_end_25_db_below_the_published_loop():
    """Invert kymatio, J = 6, Q = 8, of 2048 samples of a guitar with unit variance.

    Notebook 07 does the same for speech and a chirp.
    """
    S = Scattering1D(J=6, shape=2048, Q=8).double()
    sound = signals.recording("guitar", None, 2048)[0].double()
    target = S(sound / sound.std())
    x = random_start(target, S, 2048).requires_grad_()
    optimizer = torch.optim.SGD([x], lr=500, momentum=0.9)
    for _ in range(100):
        optimizer.zero_grad()
        (S(x) - target).square().mean().backward()
        optimizer.step()
    run = invert_gradient(target, S, n_iter=80)
    assert run.details["evaluations"] <= 110
    assert misfit_db(S(x).detach(), target) - run.consistency_db > 25


def test_the_published_chirp_comes_back_from_its_true_scalogram():
    """Start from the phase gradient, with one modulus per sample and row, 8 voices, N = 2048."""
    W = scalogram(2048)
    x = W.project(signals.published_chirp(2048))
    run = invert_gradient(W.magnitude(x), W, init="phase_gradient", n_iter=100)
    assert waveform_error_db(run.signal, x) < -60
