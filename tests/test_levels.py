"""Squares under- and overflow far from one; norms, scores and methods do not."""

import math

import pytest
import torch
from small import N, cosine, noise, scalogram, scattering

from scalinv_utils import bounds, diagnose, metrics
from scalinv_utils._levels import norm, rms, unit
from scalinv_utils.measured import Measured
from scalinv_utils.recovery import error_bars, griffin_lim, invert_gradient, phase_gradient, recover
from scalinv_utils.recovery._gradient_descent import OPTIMIZERS, griffin_lim_step, random_start
from scalinv_utils.recovery._griffin_lim import RULES
from scalinv_utils.recovery._phase_equation import solve_phase_equation, spectral_gap
from scalinv_utils.recovery._phase_relations import phase_derivatives
from scalinv_utils.recovery.denoising import denoise
from scalinv_utils.recovery.losses import L2ToL1, log, order_loss, power
from scalinv_utils.recovery.segments import Slices
from scalinv_utils.transforms._columns import Columns
from scalinv_utils.transforms.decimated import Decimated
from scalinv_utils.transforms.scattering import Renormalized

# Powers of two near the ends of what is promised: with them every digit has to stay.
LEVELS = [2.0**-830, 2.0**830]
SINGLE_LEVELS = [2.0**-83, 2.0**83]
at_levels = pytest.mark.parametrize("level", LEVELS, ids="{:.0e}".format)

W = scalogram(N, "cauchy", 16)
X = W.project(noise(3, N))
S = W.magnitude(X)


def same(a, b, level):
    """Whether two tensors are equal, digit by digit, but for a level."""
    return torch.equal(a, b * level)


@pytest.mark.parametrize("dtype, exponent", [(torch.float64, 990), (torch.float32, 110)])
@pytest.mark.parametrize("sign", [-1, 1])
def test_norms_at_every_level(dtype, exponent, sign):
    x, level = torch.tensor([[3.0, -4.0], [0.0, 0.0]], dtype=dtype), 2.0 ** (sign * exponent)
    assert norm(x * level).item() == 5 * level
    assert norm(x * level, -1).tolist() == [5 * level, 0.0]
    assert norm(torch.complex(x, x)[0] * level).item() == pytest.approx(50**0.5 * level)
    assert rms(x * level, -1)[0].item() == pytest.approx(12.5**0.5 * level)
    assert unit(x * level).item() == 8 * level and unit(x * level, -1)[1].item() == 1
    assert norm(torch.tensor([5e-324], dtype=torch.float64)) > 0


# -- transforms --------------------------------------------------------------------------------


@at_levels
def test_transforms(level):
    assert same(W.magnitude(X * level), S, level)
    assert same(W.inverse(W(X * level)), W.inverse(W(X)), level)
    assert same(W.project(X * level), W.project(X), level)
    kept = W.painless.sampled(S)
    assert same(W.painless.refit(kept * level, X * level), W.painless.refit(kept, X), level)
    D = Decimated(W)
    assert same(D.complete(D.magnitude(X * level)), D.complete(D.magnitude(X)), level)
    columns = Columns(W, 4)
    assert same(columns.coefficients(X * level), columns.coefficients(X), level)
    F = scattering()
    x = noise(4, 256)
    assert same(F(x * level), F(x), level)
    assert same(Renormalized(F, F(x * level))(x * level), Renormalized(F, F(x))(x), 1.0)


@pytest.mark.parametrize("level", SINGLE_LEVELS, ids="{:.0e}".format)
def test_transforms_in_single_precision(level):
    single, F = scalogram(N).like().float(), scattering().float()
    assert same(single.magnitude(X.float() * level), single.magnitude(X.float()), level)
    x = noise(4, 256).float()
    assert same(F(x * level), F(x), level)


def test_a_level_that_single_precision_cannot_hold_is_refused():
    single = scalogram(N).like().float()
    for level in (1e-250, 1e250):
        with pytest.raises(ValueError, match="x must have a level that fits into float32"):
            single.magnitude(X * level)
        with pytest.raises(ValueError, match="S must have a level that fits into float32"):
            griffin_lim(scalogram(N).magnitude(X) * level, single)


# -- scores ------------------------------------------------------------------------------------

SCORES = {
    "waveform": lambda x, ref: metrics.waveform_error_db(x, ref),
    "sign": lambda x, ref: metrics.sign_error_db(x, ref),
    "island": lambda x, ref: metrics.island_error_db(x, ref, W),
    "frequency": lambda x, ref: metrics.frequency_error_db(x, ref, W),
    "misfit": lambda x, ref: metrics.misfit_db(x, ref),
    "consistency": lambda x, ref: metrics.consistency_db(x, W.magnitude(ref), W),
}


@at_levels
@pytest.mark.parametrize("score", SCORES.values(), ids=SCORES.keys())
def test_scores(score, level):
    y = X + 0.1 * cosine(30)
    assert score(y * level, X * level) == score(y, X)
    assert math.isfinite(score(y, X))


@pytest.mark.parametrize("level", [1e-300, 1e-165, 1.0, 1e165])
def test_only_equality_is_minus_infinity(level):
    x = noise(0, 64) * level
    for other in (2 * x, x.roll(1), noise(1, 64) * level, x + 1e-13 * level):
        assert math.isfinite(metrics.waveform_error_db(other, x))
        assert math.isfinite(metrics.sign_error_db(other, x))
        assert math.isfinite(metrics.misfit_db(other, x))
    for score in (metrics.waveform_error_db, metrics.sign_error_db):
        assert score(x, x) == score(-x, x) == -math.inf


def test_a_difference_that_rounding_swallows_is_one():
    x = noise(0, 64)
    x[5] = 0.0
    y = x.clone()
    y[5] = 1e-290
    assert -6000 < metrics.waveform_error_db(y, x) < -250
    assert metrics.sign_error_db(y, x) == pytest.approx(-5800, abs=30)


def bursts(quiet):
    """Make two bursts, the second by a factor quieter than the first, and zeros around them."""
    t = torch.arange(N, dtype=torch.float64)
    one = torch.where((t - 32).abs() < 20, torch.exp(-((t - 32) ** 2) / 40) * (1.9 * t).cos(), 0.0)
    return one + quiet * one.roll(64)


@pytest.mark.parametrize("quiet", [1e-12, 1e-150, 1e-300])
def test_a_quiet_part_beside_a_loud_one(quiet):
    x = bursts(quiet)
    y = torch.where(torch.arange(N) > 64, 2 * x, x)
    level = 20 * math.log10(quiet)
    for score in (metrics.waveform_error_db, metrics.sign_error_db, metrics.misfit_db):
        assert score(y, x) == pytest.approx(level, abs=0.1)
        assert score(x, x) == -math.inf
    assert metrics.island_error_db(x, x, W) == -math.inf
    if quiet < 1e-15:  # what leaks from the quiet burst into the loud one's island
        assert level - 200 < metrics.island_error_db(y, x, W) < level
    for name in ("recover", "griffin_lim, fast", "lbfgs, l2"):
        found = METHODS[name](W.magnitude(x))
        assert torch.isfinite(found.signal).all() and found.consistency_db < -3


def test_scores_of_levels_that_are_far_apart():
    x = noise(0, 64)
    assert metrics.misfit_db(x * 1e-250 + x * 1e250, x * 1e-250) == pytest.approx(10000)
    assert metrics.misfit_db([1e250, 1e-250], [1e250, 0.0]) == pytest.approx(-10000)
    assert metrics.level_db(x * 1e-200, x * 1e200) == pytest.approx(-8000)


@at_levels
def test_alignment(level):
    turned = metrics.hilbert_rotation(X, 1.0)
    for by in ("rotation", "sign"):
        aligned = metrics.align(turned * level, X * level, by=by)
        assert same(aligned, metrics.align(turned, X, by=by), level)


@at_levels
def test_bounds(level):
    bound, far = bounds.cramer_rao(X, W), bounds.cramer_rao(X * level, W)
    assert far.error_db(40) == bound.error_db(40)
    assert far.sigma(40) == bound.sigma(40) * level
    assert same(far.per_sample(40), bound.per_sample(40), level)
    clipped = [
        bounds.cramer_rao(x, W, noise="clipped", snr_db=20).error_db(20) for x in (X, X * level)
    ]
    assert clipped[0] == clipped[1]
    assert same(bounds.noisy(S * level, 20), bounds.noisy(S, 20), level)
    near = X + 1e-3 * W.project(noise(9, N))
    fits = [bounds.maximum_likelihood(S * u, W, near * u, n_iter=3) for u in (1.0, level)]
    assert same(fits[1], fits[0], level)


# -- methods -----------------------------------------------------------------------------------

METHODS = {
    "recover": lambda S: recover(S, W, progress=False),
    "phase gradient": lambda S: phase_gradient(S, W, n_iter=3),
    "phase equation": lambda S: solve_phase_equation(S, W, ridges=(1e-3, 1e-4)),
    "measured": lambda S: griffin_lim(Measured(S, W, hop=2), n_iter=3),
    "measured, phase gradient": lambda S: phase_gradient(Measured(S, W, hop=2), n_iter=1),
    **{
        f"griffin_lim, {rule}": lambda S, rule=rule: griffin_lim(S, W, n_iter=3, rule=rule)
        for rule in RULES
    },
    **{
        f"{name}, l2": lambda S, name=name: invert_gradient(S, W, n_iter=3, optimizer=name)
        for name in OPTIMIZERS
    },
    **{
        f"lbfgs, {loss}": lambda S, loss=loss: invert_gradient(S, W, n_iter=3, loss=loss)
        for loss in ("l1", "mse", "power", "log")
    },
    "lbfgs, l2 to l1": lambda S: invert_gradient(S, W, n_iter=3, loss=L2ToL1(after=2)),
    **{
        f"start, {init}": lambda S, init=init: invert_gradient(S, W, n_iter=2, init=init)
        for init in ("coloured", "phase_gradient")
    },
}


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())
def test_methods(method):
    level = LEVELS[0]
    here, there = method(S), method(S * level)
    assert same(there.signal, here.signal, level)
    assert there.history["consistency_db"] == here.history["consistency_db"]
    assert math.isfinite(here.consistency_db) and here.consistency_db < 0


@pytest.mark.parametrize("name", ["recover", "griffin_lim, fast", "adam, l2", "lbfgs, l2"])
def test_methods_at_loud_levels(name):
    level = LEVELS[-1]
    assert same(METHODS[name](S * level).signal, METHODS[name](S).signal, level)


@pytest.mark.parametrize("level", [1e-250, 1e-12, 1e250])
def test_adam_depends_on_no_level(level):
    fits = [
        invert_gradient(S * u, W, n_iter=30, optimizer="adam").consistency_db for u in (1, level)
    ]
    assert fits[0] == pytest.approx(fits[1], abs=1e-3) and fits[0] < -8


SINGLE = W.like().float()
IN_SINGLE_PRECISION = {
    "griffin_lim": (lambda S: griffin_lim(S, SINGLE, n_iter=20), -15),
    "phase_gradient": (lambda S: phase_gradient(S, SINGLE, n_iter=1), -90),
    "lbfgs": (lambda S: invert_gradient(S, SINGLE, n_iter=10), -14),
    "adam": (lambda S: invert_gradient(S, SINGLE, n_iter=10, optimizer="adam"), -7),
    "recover": (lambda S: recover(S, SINGLE, progress=False), -90),
}


@pytest.mark.parametrize("level", [1e-25, 1e25])
@pytest.mark.parametrize(
    "method, fit_db", IN_SINGLE_PRECISION.values(), ids=IN_SINGLE_PRECISION.keys()
)
def test_methods_in_single_precision(method, fit_db, level):
    target = SINGLE.magnitude(X.float() * level)
    found = method(target)
    assert found.signal.dtype == torch.float32 and found.consistency_db < fit_db
    assert metrics.consistency_db(found.signal, target, SINGLE) < fit_db


@at_levels
def test_given_starts_and_learning_rates(level):
    start = W.project(noise(7, N))
    for options in (
        {"optimizer": "sgd", "lr": 0.02},
        {"optimizer": "bold", "lr": 0.02},
        {"optimizer": "sgd", "lr": 2.0, "lr_unit": "griffin-lim", "loss": "l1"},
        {"optimizer": "lbfgs"},
    ):
        here = invert_gradient(S, W, init=start, n_iter=3, **options)
        there = invert_gradient(S * level, W, init=start * level, n_iter=3, **options)
        assert same(there.signal, here.signal, level)
    for init in (start, W(start)):
        here = griffin_lim(S, W, n_iter=3, init=init)
        assert same(
            griffin_lim(S * level, W, n_iter=3, init=init * level).signal, here.signal, level
        )


@pytest.mark.parametrize("optimizer, loss, degree", [("sgd", "l1", 1), ("bold", "log", 0)])
def test_a_learning_rate_has_the_units_of_loss_and_signal(optimizer, loss, degree):
    start, level = W.project(noise(7, N)), 2.0**9
    here = invert_gradient(S, W, init=start, n_iter=3, optimizer=optimizer, loss=loss, lr=1e-3)
    there = invert_gradient(
        S * level,
        W,
        init=start * level,
        n_iter=3,
        optimizer=optimizer,
        loss=loss,
        lr=1e-3 * level ** (2 - degree),
    )
    assert same(there.signal, here.signal, level)


def test_one_step_of_plain_descent():
    """x - lr dL/dx, by hand: the units that are used inside do not show."""
    start = (3e5 * W.project(noise(7, N))).requires_grad_()
    target = 1e4 * S
    (gradient,) = torch.autograd.grad((W.magnitude(start) - target).square().sum(), start)
    run = invert_gradient(
        target, W, init=start.detach(), n_iter=1, optimizer="sgd", lr=0.01, momentum=0.0
    )
    assert metrics.misfit_db(run.signal, (start - 0.01 * gradient).detach()) < -250
    run = invert_gradient(target, W, init=start.detach(), n_iter=1, optimizer="adam", lr=7.0)
    assert metrics.misfit_db(run.signal, (start - 7.0 * gradient.sign()).detach()) < -120


@at_levels
def test_callbacks_and_iterates_have_the_level_of_the_signal(level):
    seen = []
    run = griffin_lim(
        S * level, W, n_iter=2, keep_every=1, callback=lambda k, x, fit: seen.append(x)
    )
    for shown, (_, kept) in zip(seen, run.iterates, strict=True):
        assert torch.equal(shown, kept)
    assert torch.equal(seen[-1], run.signal)
    assert level / 100 < float(run.signal.abs().max()) < 100 * level


@at_levels
def test_noise_and_error_bars(level):
    noisy = bounds.noisy(S, 20)
    assert same(denoise(noisy * level, W), denoise(noisy, W), level)
    here, there = (error_bars(X * u, noisy * u, W) for u in (1.0, level))
    assert there.sigma == here.sigma * level and there.error_db == here.error_db
    assert there.reduced_chi2 == here.reduced_chi2
    sigma = here.sigma
    M, far = (Measured(noisy * u, W, sigma=sigma * u, step=0.01 * u) for u in (1.0, level))
    assert same(far.sigma, M.sigma, level)
    assert far.consistency_db(X * level) == M.consistency_db(X)


def test_a_noisy_recovery():
    noisy = bounds.noisy(S, 15)
    here, there = (recover(noisy * u, W, progress=False) for u in (1.0, LEVELS[0]))
    assert there.details["sigma"] == here.details["sigma"] * LEVELS[0]
    assert there.consistency_db == pytest.approx(here.consistency_db, abs=1e-3)


@at_levels
def test_what_serves_the_methods(level):
    for a, b in zip(phase_derivatives(S * level, W), phase_derivatives(S, W), strict=True):
        assert torch.equal(a, b)
    assert griffin_lim_step(W, X * level) == pytest.approx(griffin_lim_step(W, X), rel=1e-4)
    assert same(random_start(S * level, W, N), random_start(S, W, N), level)
    assert spectral_gap(S * level, W, X * level) == pytest.approx(spectral_gap(S, W, X))


@at_levels
def test_scattering(level):
    F, x = scattering(), noise(4, 256)
    target = F(x)
    for options in ({}, {"loss": order_loss(F)}, {"optimizer": "adam"}):
        here = invert_gradient(target, F, n_iter=3, **options)
        there = invert_gradient(target * level, F, n_iter=3, **options)
        assert there.history["consistency_db"] == pytest.approx(here.history["consistency_db"])
        assert math.isfinite(here.consistency_db)


@at_levels
def test_slices(level):
    slices, x = Slices(scalogram(N)), W.project(noise(5, N)).repeat(2)

    def found(u):
        parts = slices.magnitude(x * u)
        return slices.recover(parts, 2 * N, method=lambda S, W, **o: griffin_lim(S, W, n_iter=2))

    here, there = found(1.0), found(level)
    assert same(there.signal, here.signal, level)
    assert there.details["links_db"] == here.details["links_db"]
    assert there.consistency_db == here.consistency_db


def test_diagnoses():
    level = LEVELS[0]
    rounded = (64 * S).round() / 64
    here, there = (dict(diagnose(rounded * u, W).findings) for u in (1.0, level))
    assert list(here) == list(there)
    assert f"step={level / 64:.4g}" in there["rounding"]


@pytest.mark.parametrize("name", ["power", "log"])
def test_compressed_losses_descend_at_any_level(name):
    loss = {"power": power, "log": log}[name]()
    for u in (1.0, 1e-200):
        run = invert_gradient(S * u, W, n_iter=10, loss=loss)
        assert run.consistency_db < run.history["consistency_db"][0] - 3
