"""The pieces of the descent: losses, schedules, the bold driver, starts and preconditioning."""

import math

import pytest
import torch
from hypothesis import given, settings, strategies as st
from kymatio.torch import Scattering1D
from small import N, cosine, error_db, noise, scalogram

from scalinv_utils.course import signals
from scalinv_utils.metrics import consistency_db, misfit_db, waveform_error_db
from scalinv_utils.recovery import losses
from scalinv_utils.recovery._gradient_descent import (
    griffin_lim_step,
    invert_gradient,
    random_start,
    spectral_gain,
)
from scalinv_utils.recovery.losses import NAMED, CoarseToFine, L2ToL1
from scalinv_utils.recovery.schedules import BoldDriver, cosine_decay, step_decay

PIECES = {
    **NAMED,
    "swapped": L2ToL1(after=0),
    "coarse": CoarseToFine(2),
    "compressed, p = 1/2": losses.power(0.5, 0.1),
    "intensity": losses.power(2.0),
}


# -- losses ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PIECES)
@pytest.mark.parametrize("lowpass", (None, "signed"))
def test_the_gradient_of_every_loss(name, lowpass):
    loss = losses.resolve(PIECES[name])
    if name == "swapped":
        assert loss.advance(0, 0.0)
    W = scalogram(32, f_min=0.1, voices_per_octave=3, lowpass=lowpass)
    target = [W.magnitude(noise(1, 32))]
    loss([W.magnitude(noise(2, 32))], target)  # fixes the weight of the swap
    assert torch.autograd.gradcheck(
        lambda x: loss([W.magnitude(x)], target), noise(2, 32).requires_grad_()
    )


@pytest.mark.parametrize("name", PIECES)
def test_no_loss_has_a_bad_gradient_at_a_zero(name):
    loss, c = losses.resolve(PIECES[name]), torch.zeros(4, 3, dtype=torch.complex128)
    c.requires_grad_()
    (gradient,) = torch.autograd.grad(loss([losses.safe_modulus(c)], [torch.ones(4, 3)]), c)
    assert torch.isfinite(torch.view_as_real(gradient)).all()


def test_the_safe_modulus():
    c = torch.tensor([3 + 4j, 0.0], dtype=torch.complex128, requires_grad=True)
    assert losses.safe_modulus(c).tolist() == [5.0, 0.0]
    assert losses.safe_modulus(torch.view_as_real(c)).tolist() == [5.0, 0.0]
    pair = torch.view_as_real(c.detach()).requires_grad_()
    (gradient,) = torch.autograd.grad(losses.safe_modulus(pair).sum(), pair)
    assert torch.allclose(gradient, torch.tensor([[0.6, 0.8], [0, 0]], dtype=torch.float64))


def test_what_the_compressed_losses_are():
    o, t = torch.tensor([-8.0, 1e3]).double(), torch.tensor([8.0, 1e3]).double()
    assert float(losses.power(2 / 3, 1e-9)([o], [t])) == pytest.approx(64)  # (-4 - 4)^2
    assert float(losses.power(1.0)([o], [t])) == pytest.approx(256)  # l2
    o, t = torch.tensor([1e3, 10.0]).double(), torch.tensor([1e3, 100.0]).double()
    assert float(losses.log(1e-6)([o], [t])) == pytest.approx(math.log(10) ** 2, rel=1e-3)


def test_the_swap_keeps_the_length_of_the_gradient():
    output, target, loss = noise(3).requires_grad_(), noise(4), L2ToL1(below_db=-20)
    (before,) = torch.autograd.grad(loss([output], [target]), output)
    assert not loss.advance(1, -19.0) and loss.advance(2, -21.0) and not loss.advance(3, -30.0)
    (after,) = torch.autograd.grad(loss([output], [target]), output)
    assert float(after.norm()) == pytest.approx(float(before.norm()))
    assert torch.equal(after.sign(), before.sign())


def test_coarse_to_fine_shows_low_frequencies_first():
    loss, target = CoarseToFine(n_stages=2, every=10), torch.zeros(4, 5)
    wrong = torch.zeros(4, 5)
    wrong[0] = 1
    assert float(loss([wrong], [target])) == 0
    assert not loss.advance(9, 0.0) and loss.advance(10, 0.0)
    assert float(loss([wrong], [target])) == 5


@pytest.mark.parametrize("optimizer", ("lbfgs", "sgd", "bold"))
@pytest.mark.parametrize("loss", (L2ToL1(after=10), CoarseToFine(3, 5)))
def test_losses_that_change_work_with_every_optimiser_and_start_afresh(optimizer, loss):
    W, S = scalogram(), scalogram().magnitude(noise(5))
    runs = [invert_gradient(S, W, optimizer=optimizer, loss=loss, n_iter=25) for _ in range(2)]
    assert len(runs[0].history["consistency_db"]) == 26
    assert torch.equal(runs[0].signal, runs[1].signal)  # the loss given was not used up
    assert runs[0].consistency_db < runs[0].history["consistency_db"][0] - 6


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: losses.power(0), "p must"),
        (lambda: losses.log(-1), "floor must"),
        (lambda: CoarseToFine(loss="l2_to_l1"), "loss must"),
        (lambda: step_decay(every=0), "every"),
        (lambda: cosine_decay(10, 2), "final must"),
        (lambda: L2ToL1(after=-1), "after must"),
    ],
)
def test_bad_pieces(call, words):
    with pytest.raises(ValueError, match=words):
        call()


# -- schedules ---------------------------------------------------------------------------------


def test_plans():
    step, cosine = step_decay(every=5, factor=0.5, start=51), cosine_decay(100, final=0.1)
    assert [step(k) for k in (0, 50, 51, 55, 56, 61)] == [1, 1, 0.5, 0.5, 0.25, 0.125]
    assert [cosine(0), cosine(100), cosine(200)] == pytest.approx([1, 0.1, 0.1])
    assert cosine(50) == pytest.approx(0.55)


def test_a_plan_is_followed():
    """On x^2/2 with lr 1/2 the error falls by 1 - factor/2 in each step."""
    run = invert_gradient(
        torch.tensor([1.0]),
        lambda x: x,
        init=torch.tensor([2.0]),
        optimizer="sgd",
        momentum=0,
        lr=0.25,
        n_iter=3,
        schedule=lambda k: (1.0, 0.5, 0.0)[min(k, 2)],
    )
    assert float(run.signal) == pytest.approx(1 + 0.5 * 0.75)


def quadratic(curvatures):
    return lambda x: (float((curvatures * x * x).sum() / 2), curvatures * x)


@settings(max_examples=60)
@given(
    curvatures=st.lists(st.floats(1e-3, 1e3), min_size=2, max_size=5),
    lr=st.floats(1e-4, 1e4),
    momentum=st.floats(0, 0.99),
    shrink=st.floats(0.1, 0.9),
    seed=st.integers(0, 1000),
)
def test_bold_driver_never_rises_on_an_accepted_step_and_leaves_no_trace_otherwise(
    curvatures, lr, momentum, shrink, seed
):
    curvatures = torch.tensor(curvatures, dtype=torch.float64)
    driver = BoldDriver(
        quadratic(curvatures), noise(seed, len(curvatures)), lr, momentum, shrink=shrink
    )
    for _ in range(40):
        before = driver.loss, driver.x, driver.gradient, driver.velocity, driver.lr
        if driver.step():
            assert driver.loss < before[0] and driver.lr > before[4]
        else:
            assert driver.loss == before[0] and driver.lr < before[4]
            assert driver.x is before[1] and driver.gradient is before[2]
            assert driver.velocity is before[3] or not driver.velocity.any()
        assert torch.equal(driver.gradient, quadratic(curvatures)(driver.x)[1])  # never stale
    assert driver.accepted + driver.rejected == 40


def test_bold_driver_gets_down_from_any_learning_rate():
    curvatures = torch.tensor([1.0, 10.0], dtype=torch.float64)
    for lr in (1e-6, 1.0, 1e6):
        driver = BoldDriver(quadratic(curvatures), torch.ones(2, dtype=torch.float64), lr)
        first = driver.loss
        for _ in range(200):
            driver.step()
        assert driver.loss < 1e-6 * first


def test_bold_driver_takes_a_loss_that_is_not_finite_as_failure():
    driver = BoldDriver(
        lambda x: (float(-x.log()) if x > 0 else math.nan, -1 / x), torch.ones(1), lr=1e-3
    )
    driver.evaluate = lambda x: (math.nan, x)
    assert not driver.step() and float(driver.x) == 1


@settings(max_examples=5)
@given(seed=st.integers(0, 10**6), lr=st.floats(0.1, 100))
def test_the_bold_run_never_rises(seed, lr):
    W = scalogram()
    seen = []
    run = invert_gradient(
        W.magnitude(noise(seed)),
        W,
        optimizer="bold",
        n_iter=30,
        seed=seed,
        lr=lr,
        lr_unit="griffin-lim",
        callback=lambda k, x, level: seen.append(level) and False,
    )
    assert all(b <= a + 1e-9 for a, b in zip(seen, seen[1:]))
    assert run.details["accepted"] + run.details["rejected"] == 30


# -- learning rates, starts, preconditioning ---------------------------------------------------


@pytest.mark.parametrize("factor", (1e-3, 1.0, 50.0))
@pytest.mark.parametrize("loss", ("l2", "mse"))
def test_one_number_fits_every_normalisation(factor, loss):
    W, S = scalogram(), scalogram().magnitude(noise(6))
    runs = [
        invert_gradient(
            c * S,
            lambda x: c * W.magnitude(x),
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


# -- what it is for ----------------------------------------------------------------------------


def test_defaults_end_25_db_below_the_published_loop():
    """kymatio, J = 6, Q = 8, N = 2048, unit-variance guitar; notebook 07 has speech and chirp."""
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
    """N = 2048, 8 voices, one modulus per sample and row; from the phase gradient's start."""
    W = scalogram(2048)
    x = W.project(signals.published_chirp(2048))
    run = invert_gradient(W.magnitude(x), W, init="phase_gradient", n_iter=100)
    assert waveform_error_db(run.signal, x) < -60


def test_unlike_a_tone():
    """A tone tells nothing about tuning: every loss recovers it."""
    W, x = scalogram(), cosine(30)
    for loss in ("l2", "power"):
        assert waveform_error_db(invert_gradient(W.magnitude(x), W, loss=loss).signal, x) < -40
    assert griffin_lim_step(W, x) > 0
