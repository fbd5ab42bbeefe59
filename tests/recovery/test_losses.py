"""Losses: their gradients, what they measure, and how the ones that change over time behave."""

import functools
import math

import pytest
import torch
from small import cosine, noise, scalogram, scattering

from scalinv_utils.metrics import misfit_by_order, waveform_error_db
from scalinv_utils.recovery import losses
from scalinv_utils.recovery._gradient_descent import griffin_lim_step, invert_gradient
from scalinv_utils.recovery.losses import NAMED, CoarseToFine, L2ToL1, order_loss

PIECES = {
    **NAMED,
    "swapped": L2ToL1(after=0),
    "coarse": CoarseToFine(2),
    "compressed, p = 1/2": losses.power(0.5, 0.1),
    "intensity": losses.power(2.0),
}


# -- all losses --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PIECES)
@pytest.mark.parametrize("lowpass", (None, "signed"))
def test_the_gradient_of_every_loss(name, lowpass):
    loss = losses.resolve(PIECES[name])
    if name == "swapped":
        assert loss.advance(0, 0.0)
    W = scalogram(32, f_min=0.1, voices_per_octave=3, lowpass=lowpass)
    target = [W.magnitude(noise(1, 32))]
    loss([W.magnitude(noise(2, 32))], target)  # This call fixes the weight of the swap.
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


def test_the_floor_is_a_share_of_the_largest_target_of_all():
    # The largest is 8 and the floor 4: g(3) = 3 / sqrt(sqrt(9 + 16)), g(0) = 0.
    o, t = [torch.tensor([3.0]).double(), torch.tensor([8.0]).double()], [0.0, 8.0]
    t = [torch.tensor([level]).double() for level in t]
    assert float(losses.power(0.5, 0.5)(o, t)) == pytest.approx(9 / 5)
    assert float(losses.log(0.5)(o, t)) == pytest.approx(math.log(2) ** 2)  # asinh(3 / 4)


def test_unlike_a_tone():
    """Every loss recovers a tone, which therefore tells nothing about tuning."""
    W, x = scalogram(), cosine(30)
    for loss in ("l2", "power"):
        assert waveform_error_db(invert_gradient(W.magnitude(x), W, loss=loss).signal, x) < -40
    assert griffin_lim_step(W, x) > 0


@pytest.mark.parametrize("name", PIECES)
@pytest.mark.parametrize("swapped", [False, True])
def test_a_loss_grows_with_the_power_of_the_level_that_is_its_degree(name, swapped):
    values = []
    for level in (1.0, 3.0):
        loss = losses.resolve(PIECES[name])
        if swapped and hasattr(loss, "advance"):
            assert loss.advance(10**3, 0.0)
        output, target = ([level * noise(seed, 4, 32).abs()] for seed in (3, 4))
        values.append(float(loss(output, target)))
    degree = losses.degree_of(loss)
    if degree is not None:
        assert values[1] == pytest.approx(3.0**degree * values[0])


# -- losses that change ------------------------------------------------------------------------


def test_the_swap_keeps_the_length_of_the_gradient():
    output, target, loss = noise(3).requires_grad_(), noise(4), L2ToL1(below_db=-20)
    (before,) = torch.autograd.grad(loss([output], [target]), output)
    assert not loss.advance(1, -19.0) and loss.advance(2, -21.0) and not loss.advance(3, -30.0)
    (after,) = torch.autograd.grad(loss([output], [target]), output)
    assert float(after.norm()) == pytest.approx(float(before.norm()))
    assert torch.equal(after.sign(), before.sign())


def test_the_swap_comes_after_fifty_iterations_or_below_a_level():
    loss = L2ToL1()
    assert not loss.advance(49, -1000.0) and loss.advance(50, 0.0)
    by_level = L2ToL1(below_db=-20)
    assert not by_level.advance(10**6, -19.0) and by_level.advance(1, -21.0)
    both = L2ToL1(after=3, below_db=-20)
    assert not both.advance(2, -19.0) and both.advance(3, -19.0)


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
    assert torch.equal(runs[0].signal, runs[1].signal)  # The first run leaves the loss unchanged.
    assert runs[0].consistency_db < runs[0].history["consistency_db"][0] - 6


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: losses.power(0), "p must"),
        (lambda: losses.log(-1), "floor must"),
        (lambda: CoarseToFine(loss="l2_to_l1"), "loss must"),
        (lambda: L2ToL1(after=-1), "after must"),
    ],
)
def test_bad_losses(call, words):
    with pytest.raises(ValueError, match=words):
        call()


# -- the loss by order -------------------------------------------------------------------------


def test_the_loss_by_order_is_the_sum_of_relative_errors():
    W = scattering()
    target, output = W(noise(0, 256)), W(noise(1, 256))
    errors = {k: 10 ** (level / 10) for k, level in misfit_by_order(output, target, W).items()}
    assert float(order_loss(W)([output], [target])) == pytest.approx(errors[1] + errors[2])
    weighted = order_loss(W, weights={2: 3.0})([output], [target])
    assert float(weighted) == pytest.approx(3 * errors[2])
    alone = order_loss(W, weights={1: 0, 2: 2.0})([output], [target])
    assert float(alone) == pytest.approx(2 * errors[2])


def test_the_loss_by_order_keeps_the_signals_of_a_batch_apart():
    W = scattering()
    target, output = W(noise(0, 2, 256)), W(noise(1, 2, 256))
    alone = [float(order_loss(W)([o], [t])) for o, t in zip(output, target)]
    assert float(order_loss(W)([output], [target])) == pytest.approx(sum(alone))


def test_the_loss_by_order_of_silence_is_zero():
    W = scattering()
    silence = W(torch.zeros(256))
    assert float(order_loss(W)([silence], [silence])) == 0


@pytest.mark.parametrize(
    ("weights", "error"),
    [
        ({0: 1.0}, ValueError),
        ({1: -1.0}, ValueError),
        ({1: 0.0}, ValueError),
        ({}, ValueError),
        ({1: math.nan}, ValueError),
        ([1.0, 1.0], TypeError),
    ],
)
def test_bad_weights(weights, error):
    with pytest.raises(error, match="weights"):
        order_loss(scattering(), weights=weights)


def test_a_loss_that_inherits_or_wraps_sees_the_levels_that_it_was_made_for():
    """A renormalisation of one's own: its weights belong to the level of the given scalogram."""
    W = scalogram()
    S = 1e-3 * W.magnitude(noise(1))

    class OfLogarithms(losses.L2ToL1):
        def __call__(self, output, target):
            return super().__call__(*([torch.log1p(1e3 * part[0])] for part in (output, target)))

    @functools.wraps(losses.l2)
    def of_logarithms(output, target):
        return losses.l2(*([torch.log1p(1e3 * part[0])] for part in (output, target)))

    def plain(output, target):
        return losses.l2(*([torch.log1p(1e3 * part[0])] for part in (output, target)))

    ends = [
        invert_gradient(S, W, loss=loss, optimizer="sgd", lr=1e-4, lr_unit="own", n_iter=5).signal
        for loss in (plain, of_logarithms, OfLogarithms(after=99))
    ]
    assert torch.equal(ends[0], ends[1]) and torch.equal(ends[0], ends[2])
    assert [losses.degree_of(x) for x in (plain, of_logarithms, OfLogarithms(5))] == 3 * [None]


def test_negative_values_of_a_signed_row_are_seen():
    """Only a zero was put there: the row of a signed lowpass keeps negative values."""
    o, t = torch.tensor([-1.0, 2.0]).double(), torch.tensor([-3.0, 3.0]).double()
    assert float(losses.tobit(0.5)([o], [t])) == float(losses.gaussian(0.5)([o], [t])) == 10.0
    W = scalogram(128, lowpass="signed")
    S = W.magnitude(noise(1, 128) - 2.0)
    assert S[-1].max() < 0
    fits = [
        invert_gradient(S, W, n_iter=5, loss=loss(0.1)).consistency_db
        for loss in (losses.gaussian, losses.tobit)
    ]
    assert fits[1] == pytest.approx(fits[0], abs=1e-6) and fits[0] < -15
