"""Griffin-Lim and its descendants: exact projections, monotone descent, starts, bad input."""

import functools
import itertools
import math

import pytest
import small
import torch
from hypothesis import given, settings, strategies as st

from scalinv_utils.metrics import consistency_db, waveform_error_db
from scalinv_utils.recovery import _griffin_lim as module
from scalinv_utils.recovery._griffin_lim import RULES, fast, griffin_lim
from scalinv_utils.transforms.scalogram import Scalogram

N = 64
LOWPASS = (None, "modulus", "signed")
SEEDS = st.integers(0, 10**6)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Use one thread: transforms this small run faster on one than on several."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@functools.cache
def transform(lowpass=None, n_samples=N, wavelet="cauchy"):
    return Scalogram(n_samples, wavelet=wavelet, voices_per_octave=6, lowpass=lowpass)


def noise(seed, *shape):
    return torch.randn(
        shape or (N,), dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
    )


def target(seed, W, consistent):
    """Make the scalogram of noise, or magnitudes that no signal has."""
    return (
        W.magnitude(noise(seed))
        if consistent
        else W.modulus(torch.complex(noise(seed, *W.shape), noise(seed + 1, *W.shape)))
    )


def misfit(x, S, W):
    return float((W.magnitude(x) - S).norm())


# --- What the theory says ------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(SEEDS, SEEDS, st.booleans(), st.sampled_from(LOWPASS))
def test_the_misfit_of_griffin_lim_never_grows(seed, start, consistent, lowpass):
    W = transform(lowpass)
    S = target(seed, W, consistent)
    R = griffin_lim(S, W, n_iter=15, rule="gl", seed=start, keep_every=1)
    misfits = [misfit(x, S, W) for _, x in R.iterates]
    assert len(misfits) == 16 and misfits[-1] < misfits[0]
    assert all(b <= a * (1 + 1e-12) for a, b in itertools.pairwise(misfits))


@settings(max_examples=25, deadline=None)
@given(SEEDS, SEEDS, st.booleans(), st.sampled_from(LOWPASS))
def test_a_step_is_preconditioned_gradient_descent(seed, start, consistent, lowpass):
    """Compare with the formula, its gradient computed by autograd.

    W^+(S c/|c|) = x - (W*W)^{-1} grad 1/2 || |Wx| - S ||^2
    """
    W = transform(lowpass)
    S, x = target(seed, W, consistent), W.project(noise(start)).requires_grad_()
    (gradient,) = torch.autograd.grad((W.magnitude(x) - S).square().sum() / 2, x)
    step = x.detach() - W.whiten(W.whiten(gradient))
    y, _ = next(module.gl(S, W, W(x.detach())))
    torch.testing.assert_close(y, step, rtol=1e-9, atol=1e-9)


@settings(max_examples=20, deadline=None)
@given(SEEDS, SEEDS, st.sampled_from(LOWPASS))
def test_the_two_steps_are_nearest_points(seed, other, lowpass):
    W = transform(lowpass)
    c = torch.complex(noise(seed, *W.shape), noise(seed + 1, *W.shape))
    S = target(other, W, consistent=False)
    consistent = W(W.inverse(c))
    residual = c - consistent
    inner = (residual.conj() * W(W.project(noise(other)))).sum().real
    assert abs(inner) < 1e-9 * residual.norm() * S.norm()  # It is orthogonal to all W x.
    rival = W.impose(S, torch.complex(noise(other + 2, *W.shape), noise(other, *W.shape)))
    assert (W.impose(S, c) - c).norm() <= (rival - c).norm()


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("lowpass", LOWPASS)
def test_a_solution_is_a_fixed_point(rule, lowpass):
    W = transform(lowpass)
    x = W.project(noise(3))
    R = griffin_lim(W.magnitude(x), W, n_iter=5, init=x, rule=rule)
    assert max(R.history["consistency_db"]) < -200
    torch.testing.assert_close(R.signal, x, rtol=1e-10, atol=1e-10)


def test_relations_between_the_rules():
    W = transform()
    S = W.magnitude(noise(0))
    plain = griffin_lim(S, W, n_iter=20, rule="gl").signal
    same = {
        "momentum 0": griffin_lim(S, W, n_iter=20, momentum=0).signal,
        "accelerated": griffin_lim(
            S, W, n_iter=20, rule=functools.partial(module.accelerated, alpha=0, beta=0, gamma=1)
        ).signal,
    }
    for name, signal in same.items():
        torch.testing.assert_close(signal, plain, msg=name)
    quick = griffin_lim(S, W, n_iter=20, momentum=0.7).signal
    also = griffin_lim(
        S, W, n_iter=20, rule=functools.partial(module.accelerated, alpha=0.7, beta=0.3, gamma=1)
    ).signal
    torch.testing.assert_close(quick, also)
    assert (quick - plain).norm() > 1e-3 * plain.norm()


def test_admm_with_rho_one_is_griffin_lim_on_the_fitting_side():
    """With rho = 1 the multiplier stays (I - P1)/2 of z + u, and z walks as in Griffin-Lim."""
    W = transform()
    S, x = W.magnitude(noise(0)), W.project(noise(1))
    c = W(x)
    for _, (_, projected) in zip(range(3), module.admm(S, W, c, rho=1.0)):
        c = W.coefficients(W.inverse(W.impose(S, c)))
        torch.testing.assert_close(projected, c)


# --- The function --------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("lowpass", LOWPASS)
def test_history_is_the_consistency_of_the_iterates(rule, lowpass):
    W = transform(lowpass)
    S = W.magnitude(noise(0))
    seen = []
    R = griffin_lim(
        S,
        W,
        n_iter=6,
        rule=rule,
        keep_every=2,
        callback=lambda k, x, level: seen.append((k, consistency_db(x, S, W), level)),
    )
    assert [k for k, *_ in seen] == list(range(7)) and [k for k, _ in R.iterates] == [0, 2, 4, 6]
    for (_, measured, told), noted in zip(seen, R.history["consistency_db"], strict=True):
        assert measured == pytest.approx(told, abs=1e-6) and told == noted
    assert R.consistency_db == pytest.approx(consistency_db(R.signal, S, W), abs=1e-6)
    assert R.signal.dtype == torch.float64 and rule in R.method


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_comes_closer(rule):
    W = Scalogram(256, wavelet="cauchy", voices_per_octave=8)
    S = W.magnitude(torch.cos(0.002 * torch.arange(256.0, dtype=torch.float64) ** 2))
    gains = [
        h[0] - h[-1]
        for h in (
            griffin_lim(S, W, n_iter=60, rule=rule, seed=seed).history["consistency_db"]
            for seed in range(3)
        )
    ]
    assert min(gains) > 6


def test_the_usual_momenta_are_worth_several_decibels():
    W = small.scalogram()
    for seed in (0, 1, 2):
        S = W.magnitude(small.noise(seed))
        plain, fast, accelerated = (
            griffin_lim(S, W, n_iter=60, rule=rule, seed=seed).consistency_db
            for rule in ("gl", "fast", "accelerated")
        )
        assert max(fast, accelerated) < plain - 1.5 and min(fast, accelerated) < plain - 5


def test_a_good_start_leads_to_the_signal():
    W = Scalogram(256, wavelet="cauchy", voices_per_octave=8)
    x = W.project(noise(5, 256))
    nearby = x + 0.05 * x.std() * noise(6, 256)
    for init in (nearby, W(nearby), (7 * W(nearby)).to(torch.complex64)):
        R = griffin_lim(W.magnitude(x), W, n_iter=200, init=init)
        assert waveform_error_db(R.signal, x) < -50


def test_seeds():
    W = transform()
    S = W.magnitude(noise(0))
    a, b, other = (griffin_lim(S, W, n_iter=3, seed=seed).signal for seed in (1, 1, 2))
    assert torch.equal(a, b) and not torch.allclose(a, other)


def test_a_callback_can_stop():
    W = transform()
    R = griffin_lim(W.magnitude(noise(0)), W, callback=lambda k, x, level: k == 4)
    assert len(R.history["seconds"]) == 5
    R = griffin_lim(W.magnitude(noise(0)), W, callback=lambda k, x, level: True)
    assert len(R.history["seconds"]) == 1 and torch.isfinite(R.signal).all()


def test_batches():
    W = transform()
    x = noise(0, 2, 3, N)
    S, start = W.magnitude(x), noise(1, 2, 3, N)
    together = griffin_lim(S, W, n_iter=5, init=start)
    alone = griffin_lim(S[1, 2], W, n_iter=5, init=start[1, 2])
    torch.testing.assert_close(together.signal[1, 2], alone.signal)
    assert griffin_lim(S, W, n_iter=2).signal.shape == (2, 3, N)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("init", [None, "zero", torch.eye(N)[5], torch.zeros(N)])
def test_silence_and_lone_points_stay_finite(rule, init):
    W = transform()
    silence = griffin_lim(torch.zeros(W.shape), W, init=init, rule=rule)
    assert torch.equal(silence.signal, torch.zeros(N, dtype=torch.float64))
    assert silence.consistency_db == -math.inf
    S = torch.zeros(W.shape, dtype=torch.float64)
    S[W.n_freqs // 2, N // 2] = 1.0
    R = griffin_lim(S, W, n_iter=5, init=init, rule=rule)
    assert torch.isfinite(R.signal).all() and math.isfinite(R.consistency_db)


@pytest.mark.parametrize("level", [1e-12, 1e12])
def test_units_do_not_matter(level):
    W = transform()
    S = W.magnitude(noise(0))
    R, scaled = griffin_lim(S, W, n_iter=10), griffin_lim(level * S, W, n_iter=10)
    torch.testing.assert_close(scaled.signal / level, R.signal, rtol=1e-6, atol=1e-6)


def test_float32_and_numpy():
    W = Scalogram(N, wavelet="cauchy", voices_per_octave=6).float()
    R = griffin_lim(W.magnitude(noise(0)).numpy(), W, n_iter=5)
    assert R.signal.dtype == torch.float32 and R.consistency_db < 0


def test_a_rule_of_ones_own():
    R = griffin_lim(
        transform().magnitude(noise(0)),
        transform(),
        n_iter=4,
        rule=functools.partial(fast, momentum=0.5),
    )
    assert len(R.history["seconds"]) == 5


def test_more_noise_gives_a_worse_fit_and_nothing_breaks():
    W = transform()
    S = W.magnitude(noise(0))
    levels = []
    for snr in (40, 20, 0):
        noisy = (S + noise(1, *W.shape) * S.square().mean().sqrt() * 10 ** (-snr / 20)).clamp(min=0)
        levels.append(griffin_lim(noisy, W, init=noise(0)).consistency_db)
    assert levels == sorted(levels) and all(map(math.isfinite, levels))


S_OK = torch.ones(transform().shape)


@pytest.mark.parametrize(
    ("S", "options", "error", "words"),
    [
        (-S_OK, {}, ValueError, "S must not be negative"),
        (S_OK * math.nan, {}, ValueError, "S must be finite"),
        (S_OK * 1j, {}, TypeError, "S must be real"),
        (S_OK[:-1], {}, ValueError, "S must fit the transform"),
        (S_OK[:, :-1], {}, ValueError, "S must fit the transform"),
        (S_OK[0], {}, ValueError, "S must have the shape"),
        (S_OK, {"n_iter": 0}, ValueError, "n_iter"),
        (S_OK, {"n_iter": 1.5}, TypeError, "n_iter"),
        (S_OK, {"rule": "slow"}, ValueError, "rule must be one of 'gl', 'fast'.*'slow'"),
        (S_OK, {"init": "ones"}, ValueError, "init must be one of 'random', 'zero', got 'ones'"),
        (S_OK, {"init": torch.ones(N - 1)}, ValueError, "init must have the shape"),
        (S_OK, {"init": torch.ones(N) * math.inf}, ValueError, "init must be finite"),
        (S_OK, {"init": torch.ones(N) * 1j}, ValueError, "init must have the shape of S"),
        (S_OK, {"init": S_OK * (1j * math.nan)}, ValueError, "init must be finite"),
        (S_OK, {"momentum": -0.1}, ValueError, "momentum"),
        (S_OK, {"momentum": math.nan}, ValueError, "momentum"),
        (S_OK, {"momentum": "much"}, TypeError, "momentum"),
    ],
)
def test_bad_input_is_named(S, options, error, words):
    with pytest.raises(error, match=words):
        griffin_lim(S, transform(), **options)


def test_only_the_signed_row_may_be_negative():
    W = transform("signed")
    S = W.magnitude(noise(0))
    assert S[-1].min() < 0 and math.isfinite(griffin_lim(S, W, n_iter=2).consistency_db)
    S[0, 0] = -1
    with pytest.raises(ValueError, match="S must not be negative"):
        griffin_lim(S, W)
    with pytest.raises(ValueError, match="S must fit"):
        griffin_lim(S[:-1], W)
