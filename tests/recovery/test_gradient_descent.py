"""Losses and steps of the descent have known gradients, and whole runs fit every transform."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from kymatio.torch import Scattering1D
from small import N, cosine, error_db, noise, scalogram

from scalinv_utils.measured import Measured
from scalinv_utils.metrics import consistency_db, misfit_db, waveform_error_db
from scalinv_utils.recovery._gradient_descent import (
    LOSSES,
    OPTIMIZERS,
    griffin_lim_step,
    invert_gradient,
    random_start,
)
from scalinv_utils.recovery.losses import CoarseToFine

LOWPASS = (None, "modulus", "signed")


def scattering(**options):
    return Scattering1D(J=4, shape=256, Q=4, **options)


def chirp():
    t = torch.arange(N, dtype=torch.float64) / N
    return torch.cos(2 * torch.pi * (10 * t + 40 * t**2))


def stop_at(level_db):
    return lambda iteration, x, consistency_db: consistency_db < level_db


# -- losses and steps --------------------------------------------------------------------------


@pytest.mark.parametrize("loss", LOSSES)
def test_losses_are_what_their_names_say(loss):
    output = [torch.tensor([1.0, -2.0]), torch.tensor([3.0])]
    target = [torch.zeros(2), torch.ones(1)]
    assert float(LOSSES[loss](output, target)) == {"l2": 9, "l1": 5, "mse": 3}[loss]


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("lowpass", LOWPASS)
def test_the_gradient_of_each_loss(loss, lowpass):
    W = scalogram(32, f_min=0.1, voices_per_octave=3, lowpass=lowpass)
    target = [W.magnitude(noise(1, 32))]
    assert torch.autograd.gradcheck(
        lambda x: LOSSES[loss]([W.magnitude(x)], target), noise(2, 32).requires_grad_()
    )


@pytest.mark.parametrize("lowpass", LOWPASS)
@settings(max_examples=8)
@given(seed=st.integers(0, 10**6))
def test_one_step_of_descent_on_a_tight_frame_is_one_step_of_griffin_lim(lowpass, seed):
    W = scalogram(lowpass=lowpass)
    S, start = W.magnitude(noise(seed)), W.project(noise(seed + 1))
    recovery = invert_gradient(
        [S],
        lambda x: W.magnitude(W.whiten(x)),
        init=start,
        n_iter=1,
        optimizer=lambda p: torch.optim.SGD(p, lr=0.5),
    )
    expected = W.whiten(W.adjoint(W.impose(S, W(W.whiten(start)))))
    assert error_db(recovery.signal, expected) < -200


@pytest.mark.parametrize("lowpass", LOWPASS)
@pytest.mark.parametrize("wavelet", ["gmw", "cauchy"])
def test_the_step_of_a_scalogram_is_that_of_its_frame_bound(wavelet, lowpass):
    W = scalogram(wavelet=wavelet, lowpass=lowpass)
    expected = 1 / (2 * W.frame_bounds[1])
    assert griffin_lim_step(W, noise(3)) == pytest.approx(expected, rel=0.05)
    assert griffin_lim_step(W, 100 * noise(3).numpy()) == pytest.approx(expected, rel=0.05)


def test_the_step_scales_with_the_transform():
    W = scalogram()
    expected = griffin_lim_step(W, noise(4)) / 9
    assert griffin_lim_step(lambda x: 3 * W.magnitude(x), noise(4)) == pytest.approx(expected)


def test_the_step_of_a_scattering():
    """Descent converges with this step and diverges with ten times the step."""
    S = scattering()
    target, x = S(noise(5, 256).float()), noise(6, 256).float()
    step = griffin_lim_step(S, x)
    levels = {
        k: invert_gradient(
            target, S, init=x, optimizer="sgd", momentum=0, lr=k * step, n_iter=10
        ).consistency_db
        for k in (1, 10)
    }
    assert levels[1] < misfit_db(S(x), target) < levels[10]


def test_random_start():
    W = scalogram()
    S = W.magnitude(noise(7))
    start = random_start(S, W, N)
    assert W.magnitude(start).norm() == pytest.approx(float(S.norm()))
    assert error_db(W.project(start), start) < -200
    assert torch.equal(start, random_start(S, W, N, seed=0))
    assert not torch.equal(start, random_start(S, W, N, seed=1))
    assert random_start(S, W, (2, N)).shape == (2, N)


@pytest.mark.parametrize(
    "draw",
    [
        lambda: torch.randn(N, dtype=torch.float64, generator=torch.Generator().manual_seed(0)),
        lambda: torch.from_numpy(np.random.default_rng(0).standard_normal(N)),
    ],
)
def test_the_start_is_no_noise_that_others_draw_with_the_same_seed(draw):
    """Otherwise noise would be "recovered" from its scalogram before the first step."""
    W, x = scalogram(), draw()
    assert waveform_error_db(random_start(W.magnitude(x), W, N), x) > -3


# -- whole runs --------------------------------------------------------------------------------


def test_a_tone_is_recovered():
    W, x = scalogram(), cosine(30, phase=1.0)
    recovery = invert_gradient(W.magnitude(x), W, n_iter=300, callback=stop_at(-80))
    assert consistency_db(recovery.signal, W.magnitude(x), W) < -80
    assert waveform_error_db(recovery.signal, x) < -60


@pytest.mark.parametrize(
    "x, seed, level_db",
    [
        (chirp(), 0, -21.7112),
        (chirp(), 1, -30.4707),
        (noise(7), 0, -28.0836),
        (noise(7), 1, -31.2092),
    ],
    ids=["chirp, 0", "chirp, 1", "noise, 0", "noise, 1"],
)
def test_every_scipy_takes_the_same_steps(x, seed, level_db):
    """Scipy 1.15 rewrote L-BFGS-B in C. These are the levels of 1.14.1, 1.16.3 and 1.17.1."""
    recovery = invert_gradient(scalogram().magnitude(x), scalogram(), n_iter=50, seed=seed)
    assert recovery.consistency_db == pytest.approx(level_db, abs=0.001)


def test_the_published_target_is_fitted_by_default_settings():
    """The fit to x = cos(40 t), J = 6, Q = 8, is below -30 dB within 80 iterations."""
    S = Scattering1D(J=6, shape=2048, Q=8)
    target = S(torch.cos(40 * torch.linspace(0, 1, 2049)[:-1]))
    recovery = invert_gradient(target, S, n_iter=80, callback=stop_at(-31))
    assert misfit_db(S(recovery.signal), target) < -30
    assert recovery.signal.dtype == torch.float32


@pytest.mark.parametrize("out_type", ["array", "list"])
def test_kymatio_with_arrays_and_lists(out_type):
    S, x = scattering(out_type=out_type), (1 + cosine(20, 256)).float()
    recovery = invert_gradient(S(x), S, n_iter=20)
    first, last = recovery.history["consistency_db"][0], recovery.consistency_db
    assert recovery.signal.shape == (256,) and last < -15 < first
    arrays = [scattering()(signal) for signal in (recovery.signal, x)]
    assert misfit_db(*arrays) == pytest.approx(last, abs=0.1)


def test_kymatio_without_averaging():
    S = scattering(T=0, max_order=1, out_type="list")
    recovery = invert_gradient(S(noise(8, 256).float()), S, n_iter=20)
    assert recovery.consistency_db < -10


def test_numpy_targets_get_the_precision_of_the_transform():
    S = scattering()
    target = S(noise(8, 256).float())
    expected = invert_gradient(target, S, n_iter=2).signal
    assert torch.equal(invert_gradient(target.double().numpy(), S, n_iter=2).signal, expected)
    single = invert_gradient(target.double(), scattering().double(), n_iter=2).signal
    assert single.dtype == torch.float64


@pytest.mark.parametrize("optimizer", [*OPTIMIZERS, lambda p: torch.optim.RMSprop(p, lr=0.02)])
@pytest.mark.parametrize("loss", [*LOSSES, lambda o, t: (o[0] - t[0]).abs().pow(1.5).sum()])
def test_every_optimiser_comes_closer_on_every_loss(optimizer, loss):
    W, x = scalogram(), noise(9)
    recovery = invert_gradient(
        W.magnitude(x),
        W,
        n_iter=25,
        optimizer=optimizer,
        loss=loss,
        lr=1e-3 if (optimizer, loss) == ("sgd", "l1") else None,
    )
    assert len(recovery.history["consistency_db"]) == 26
    assert recovery.consistency_db < -6 < recovery.history["consistency_db"][0]
    assert recovery.consistency_db == pytest.approx(
        consistency_db(recovery.signal, W.magnitude(x), W)
    )


@pytest.mark.parametrize("lowpass", LOWPASS)
def test_lowpass_rows(lowpass):
    W, x = scalogram(lowpass=lowpass), noise(10) - 1
    recovery = invert_gradient(W.magnitude(x), W, n_iter=40)
    assert recovery.consistency_db < -12
    if lowpass == "signed":
        assert float(recovery.signal.mean()) == pytest.approx(float(x.mean()), rel=0.2)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_levels_do_not_matter(optimizer):
    W, S = scalogram(), scalogram().magnitude(noise(11))
    plain, loud = (
        invert_gradient(level * S, W, n_iter=8, optimizer=optimizer) for level in (1, 1e6)
    )
    assert error_db(loud.signal / 1e6, plain.signal) < (-90 if optimizer == "adam" else -120)


def test_the_rate_of_adam_is_in_units_of_the_signal_and_a_tenth_of_its_level_by_default():
    W, S, x = scalogram(), scalogram().magnitude(noise(11)), noise(12)
    tenth = float(x.square().mean().sqrt()) / 10
    runs = [
        invert_gradient(level * S, W, init=level * x, n_iter=3, optimizer="adam", lr=lr)
        for level, lr in ((1, None), (1, tenth), (2.0**20, 2.0**20 * tenth))
    ]
    for run, level in zip(runs, (1, 1, 2.0**20)):
        assert error_db(run.signal / level, runs[0].signal) < -90
    # The first step of Adam has the length of its rate in every sample.
    first = invert_gradient(S, W, init=x, n_iter=1, optimizer="adam", lr=tenth).signal - x
    assert (first.abs() / tenth - 1).abs().median() < 1e-3


def test_any_function_of_torch_operations():
    x = noise(12)
    recovery = invert_gradient(
        {"a": x[:64], "b": 2 * x[64:]},
        n_samples=N,
        n_iter=50,
        transform=lambda x: {"a": x[:64], "b": 2 * x[64:]},
    )
    assert error_db(recovery.signal, x) < -100


def test_a_batch_is_recovered_as_one():
    W = scalogram()
    x = torch.stack([cosine(30), cosine(40), noise(13)])
    recovery = invert_gradient(W.magnitude(x), W, n_iter=30)
    assert recovery.signal.shape == (3, N)
    assert misfit_db(W.magnitude(recovery.signal), W.magnitude(x)) == pytest.approx(
        recovery.consistency_db
    )
    S = scattering()
    target = S(noise(14, 2, 256).float())
    assert invert_gradient(target, S, n_iter=1).signal.shape == (2, 256)


def test_silence_is_recovered_as_silence():
    W, S = scalogram(), scattering(out_type="list")
    for target, transform, shape in (
        (W.magnitude(torch.zeros(N)), W, (N,)),
        (W.magnitude(torch.zeros(2, N)), W, (2, N)),
        (S(torch.zeros(256)), S, (256,)),
    ):
        for optimizer in OPTIMIZERS:
            recovery = invert_gradient(target, transform, optimizer=optimizer, keep_every=1)
            assert recovery.signal.shape == shape and not recovery.signal.any()
            assert recovery.consistency_db == -math.inf


def test_seeds():
    S = scalogram().magnitude(noise(15))
    runs = [invert_gradient(S, scalogram(), n_iter=5, seed=seed).signal for seed in (3, 3, 4)]
    assert torch.equal(runs[0], runs[1]) and not torch.allclose(runs[0], runs[2])


def test_a_start_of_ones_own():
    W, x = scalogram(), noise(16)
    start = x + 0.01 * noise(17)
    before = start.clone()
    recovery = invert_gradient(W.magnitude(x), W, init=start, n_iter=60, keep_every=60)
    assert torch.equal(start, before) and torch.equal(recovery.iterates[0][1], start)
    assert waveform_error_db(W.project(recovery.signal), W.project(x)) < -60
    assert torch.equal(
        invert_gradient(W.magnitude(x), W, init=start.numpy()[::-1][::-1], n_iter=60).signal,
        recovery.signal,
    )


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_iterates_and_callback(optimizer):
    W, S = scalogram(), scalogram().magnitude(noise(18))
    seen = []

    def callback(iteration, x, level):
        seen.append((iteration, x, level))
        return iteration == 7

    recovery = invert_gradient(S, W, optimizer=optimizer, keep_every=3, callback=callback)
    assert [k for k, _, _ in seen] == list(range(8))
    assert [level for _, _, level in seen] == recovery.history["consistency_db"]
    assert [k for k, _ in recovery.iterates] == [0, 3, 6, 7]
    for k, x in recovery.iterates:
        assert torch.equal(x, seen[k][1])
        assert consistency_db(x, S, W) == pytest.approx(seen[k][2])
    assert torch.equal(recovery.signal, seen[-1][1])


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_callback_can_stop_at_the_start(optimizer):
    S = scalogram().magnitude(noise(18))
    recovery = invert_gradient(S, scalogram(), optimizer=optimizer, callback=lambda *_: True)
    assert len(recovery.history["seconds"]) == 1
    assert torch.equal(recovery.signal, random_start(S, scalogram(), N))


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": "sgd", "lr": 1e3},
        {"optimizer": "sgd", "lr": 1e200},
        {"optimizer": "adam", "lr": 1e308},
        {"optimizer": lambda p: torch.optim.SGD(p, lr=1e3)},
    ],
    ids=["sgd", "sgd, huge", "adam", "callable"],
)
def test_a_descent_that_diverges_says_so(options):
    S = scalogram().magnitude(noise(19))
    with pytest.raises(ValueError, match="^lr is too large"):
        invert_gradient(S, scalogram(), n_iter=200, **options)


@pytest.mark.parametrize(
    "options",
    [
        {"transform": lambda x: (0 * x).sqrt() + x},
        {"transform": lambda x: x, "loss": lambda o, t: (o[0] - t[0]).sum() * math.nan},
        {"transform": lambda x: x, "loss": lambda o, t: (o[0] - t[0]).square().sum() + math.inf},
    ],
)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_descent_without_finite_values_or_gradients_is_no_silent_nan(options, optimizer):
    with pytest.raises(ValueError, match="no finite value or gradient|not finite"):
        invert_gradient(noise(20).abs(), n_samples=N, n_iter=3, optimizer=optimizer, **options)


@pytest.mark.parametrize("n_iter", [1, 2, 5])
@pytest.mark.parametrize("loss", ["l2", CoarseToFine(n_stages=9, every=1)])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_no_more_iterations_than_the_budget_also_if_the_loss_changes(optimizer, loss, n_iter):
    W = scalogram(32, f_min=0.1, voices_per_octave=3)
    recovery = invert_gradient(
        W.magnitude(noise(1, 32)), W, optimizer=optimizer, loss=loss, n_iter=n_iter
    )
    assert len(recovery.history["consistency_db"]) == n_iter + 1  # the start, too


def test_a_step_without_a_gradient_is_no_step_of_the_bold_driver():
    with pytest.raises(ValueError, match="no finite value or gradient|not finite"):
        invert_gradient(
            noise(20).abs(),
            lambda x: (0 * x).sqrt() + x,
            n_samples=N,
            n_iter=3,
            optimizer="bold",
            lr=1e-3,
        )


def test_a_measured_scalogram_of_which_all_is_known_is_one_of_its_transform():
    W, S = scalogram(), scalogram().magnitude(noise(22))
    run = invert_gradient(Measured(S, W), n_iter=3)
    assert torch.equal(run.signal, invert_gradient(S, W, n_iter=3).signal)
    with pytest.raises(TypeError, match="transform must be given .* got None"):
        invert_gradient(S, n_iter=3)


def test_parameters_of_the_transform_are_left_alone():
    layer = torch.nn.Linear(16, 16, bias=False)
    for optimizer in OPTIMIZERS:
        invert_gradient(torch.ones(16), layer, n_samples=16, n_iter=3, optimizer=optimizer)
    assert layer.weight.grad is None


def test_the_method_is_named():
    S = scalogram().magnitude(noise(21))
    names = [
        invert_gradient(S, scalogram(), n_iter=1, **options).method
        for options in ({}, {"optimizer": torch.optim.Adam, "loss": "mse"})
    ]
    assert names == ["gradient descent (lbfgs, l2)", "gradient descent (Adam, mse)"]
