"""Learning rates: the plans, and the bold driver, which takes back steps that raise the loss."""

import math

import pytest
import torch
from hypothesis import given, settings, strategies as st
from small import noise, scalogram

from scalinv_utils.recovery._gradient_descent import invert_gradient
from scalinv_utils.recovery.schedules import BoldDriver, cosine_decay, step_decay

# -- plans -------------------------------------------------------------------------------------


def test_plans():
    step, cosine = step_decay(every=5, factor=0.5, start=51), cosine_decay(100, final=0.1)
    assert [step(k) for k in (0, 50, 51, 55, 56, 61)] == [1, 1, 0.5, 0.5, 0.25, 0.125]
    assert [cosine(0), cosine(100), cosine(200)] == pytest.approx([1, 0.1, 0.1])
    assert cosine(50) == pytest.approx(0.55)


def test_a_plan_is_followed():
    """On (x - 1)^2 with lr 1/4 each step multiplies the error by 1 - factor/2."""
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


class Threefold:
    """Take (x - 1)^2 until the first iteration, and three times as much from then on."""

    def __init__(self):
        self.factor = 1.0

    def advance(self, iteration, consistency_db):
        before, self.factor = self.factor, 3.0 if iteration >= 1 else 1.0
        return self.factor != before

    def __call__(self, output, target):
        return self.factor * (output[0] - target[0]).square().sum()


def test_a_loss_that_has_changed_is_descended_from_the_next_step_on():
    """Steps of lr times the gradient: errors shrink by 1 - 2 lr at first, by 1 - 6 lr later."""
    run = invert_gradient(
        torch.tensor([1.0]),
        lambda x: x,
        init=torch.tensor([2.0]),
        optimizer="sgd",
        loss=Threefold(),
        momentum=0,
        lr=0.1,
        n_iter=3,
        keep_every=1,
    )
    errors = [float(x) - 1 for _, x in run.iterates]
    assert errors == pytest.approx([1, 0.8, 0.8 * 0.4, 0.8 * 0.4**2])


def test_the_plan_of_a_cosine_ends_at_zero():
    assert cosine_decay(10)(10) == 0 and cosine_decay(4)(1) == pytest.approx(0.5 + 0.5 / 2**0.5)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: step_decay(every=0), "every"),
        (lambda: cosine_decay(10, 2), "final must"),
    ],
)
def test_bad_plans(call, words):
    with pytest.raises(ValueError, match=words):
        call()


# -- the bold driver ---------------------------------------------------------------------------


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
        # The gradient always belongs to the current x.
        assert torch.equal(driver.gradient, quadratic(curvatures)(driver.x)[1])
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


@pytest.mark.parametrize(
    "options, words",
    [
        ({"lr": 0.0}, "lr"),
        ({"momentum": 1.0}, r"momentum must be in \[0, 1\)"),
        ({"momentum": -0.1}, r"momentum must be in \[0, 1\)"),
        ({"grow": 0.9}, "grow must be at least 1, got 0.9"),
        ({"shrink": 0.0}, "shrink must be between 0 and 1"),
        ({"shrink": 1.0}, "shrink must be between 0 and 1"),
        ({"patience": 0}, "patience"),
    ],
)
def test_bad_settings_of_the_bold_driver_are_named(options, words):
    with pytest.raises(ValueError, match=words):
        BoldDriver(lambda x: (1.0, x), torch.ones(1), **{"lr": 0.1, **options})
    for edge in ({"momentum": 0}, {"grow": 1}, {"patience": 1}):
        BoldDriver(lambda x: (1.0, x), torch.ones(1), lr=0.1, **edge)


def test_the_bold_driver_grows_shrinks_and_forgets_its_momentum():
    losses = iter([10.0, 9.0, 8.0, 20.0, 20.0, 20.0, 7.0])
    driver = BoldDriver(lambda x: (next(losses), torch.ones(1)), torch.zeros(1), lr=1.0)
    taken, rates, places = [], [], []
    for _ in range(6):
        taken.append(driver.step())
        rates.append(driver.lr)
        places.append(float(driver.x))
    assert taken == [True, True, False, False, False, True]
    assert rates == pytest.approx([1.1, 1.21, 0.605, 0.3025, 0.15125, 0.15125 * 1.1])
    # Velocities 1 and 1.9, at rates of 1 and 1.1; after three failures it begins anew with 1.
    assert places == pytest.approx([-1, -3.09, -3.09, -3.09, -3.09, -3.09 - 0.15125])
    assert (driver.accepted, driver.rejected, driver.failures) == (3, 3, 0)
