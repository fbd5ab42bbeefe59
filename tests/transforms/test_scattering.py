"""Scattering agrees with its definition, keeps what averaging must keep, and can be inverted."""

import math
import sys

import pytest
import torch
from hypothesis import given, settings, strategies as st
from small import error_db, noise, scattering

from scalinv_utils.metrics import hilbert_rotation, misfit_db
from scalinv_utils.recovery._gradient_descent import invert_gradient
from scalinv_utils.recovery.losses import order_loss
from scalinv_utils.transforms.scattering import FORMS, Renormalized, Scattering

N, RATE = 256, 1000.0
SCALES = (0, 8, 16, 64, "global")


def by_definition(x, bank, average):
    """Average moduli without subsampling anything; the shape is (n_paths, padded length)."""

    def convolve(u, filter):
        return torch.fft.ifft(torch.fft.fft(u) * filter["levels"][0].squeeze())

    padded = torch.nn.functional.pad(x[None], (bank.pad_left, bank.pad_right), mode="reflect")[0]
    first = [convolve(padded, psi).abs() for psi in bank.psi1_f]
    second = [
        convolve(u, psi2).abs()
        for u, psi1 in zip(first, bank.psi1_f)
        for psi2 in bank.psi2_f
        if psi2["j"] > psi1["j"]
    ]
    rows = first + second
    return torch.stack([convolve(row, bank.phi_f).real for row in rows] if average else rows)


# -- the transform -----------------------------------------------------------------------------


@pytest.mark.parametrize("T", SCALES)
@settings(max_examples=4)
@given(seed=st.integers(0, 10**6))
def test_it_is_the_definition(T, seed):
    W, x = scattering(T), noise(seed, N)
    inside = slice(W.bank.pad_left, W.bank.pad_left + N)
    rows = by_definition(x, W.bank, average=T not in (0, "global"))[:, inside]
    if T == "global":
        rows = rows.mean(-1, keepdim=True)
    elif T:
        rows = rows[:, ::T]
    # The difference is the aliasing of kymatio's subsampling; at T=0 there is none.
    assert misfit_db(W(x), rows) < (-250 if T == 0 else -40)


@pytest.mark.parametrize("T", [8, 64])
def test_every_row_has_the_gain_of_its_filters(T):
    """Uncorrected, kymatio 0.3.0 halves a row of order 1 for every octave down."""
    W, x = scattering(T), noise(0, N)
    rows = by_definition(x, W.bank, average=True)[:, W.bank.pad_left : W.bank.pad_left + N : T]
    ratio = W(x).norm(dim=-1) / rows.norm(dim=-1)
    assert (ratio - 1).abs().max() < 0.03


@pytest.mark.parametrize(
    ("T", "n_frames"), [(0, N), (1, N), (8, 32), (20, 16), (N, 1), ("global", 1), (None, 16)]
)
def test_shapes(T, n_frames):
    W = scattering(T)
    assert W(noise(0, 3, N)).shape == (3, len(W.order), n_frames)
    assert W(noise(0, N)).shape == (len(W.order), n_frames)


def test_what_the_rows_are():
    W = scattering(orders=(0, 1, 2))
    parts = W.split(W(noise(0, N)))
    assert [len(parts[order]) for order in (0, 1, 2)] == [(W.order == k).sum() for k in (0, 1, 2)]
    first, second = W.order == 1, W.order == 2
    assert (W.frequencies[first].diff() < 0).all() and W.frequencies.max() < RATE / 2
    assert (W.modulations[~second] == 0).all() and (W.modulations[second] > 0).all()
    assert (W.parents[~second] == -1).all() and (W.order[W.parents[second]] == 1).all()
    assert torch.equal(W.frequencies[W.parents[second]], W.frequencies[second])
    assert (scattering(orders=(2,)).parents == -1).all()


def test_a_tone_is_found_at_its_frequency_and_its_tremolo_at_its_rate():
    W = Scattering(2048, RATE, J=7, Q=8, T="global")
    t = torch.arange(2048, dtype=torch.float64) / RATE
    x = (1 + torch.cos(2 * torch.pi * 20 * t)) * torch.cos(2 * torch.pi * 200 * t)
    S = W.split(W(x))
    carrier = W.frequencies[W.order == 1][S[1].argmax()]
    rate = W.modulations[W.order == 2][S[2].argmax()]
    assert abs(math.log2(carrier / 200)) < 1 / 8 and abs(math.log2(rate / 20)) < 1 / 2


@pytest.mark.parametrize("orders", [(0,), (1,), (2,), (0, 2), (0, 1, 2)])
def test_orders_are_rows_of_the_whole(orders):
    W, whole, x = scattering(orders=orders), scattering(orders=(0, 1, 2)), noise(1, N)
    keep = sum(whole.order == order for order in orders).bool()
    assert misfit_db(W(x), whole(x)[keep]) < -200


@pytest.mark.parametrize("T", SCALES)
def test_degree_one_and_blind_to_sign(T):
    W, x = scattering(T), noise(2, N)
    assert misfit_db(W(-3 * x), 3 * W(x)) < -200
    assert W(torch.zeros(N)).abs().max() == 0


def test_a_mean_over_all_time_does_not_hear_the_direction_of_time():
    W = scattering("global", n_samples=1024)
    x = noise(3, 1024) * torch.linspace(0, 1, 1024) ** 4
    at_full_rate = scattering(0, n_samples=1024)
    forwards, backwards = at_full_rate(x), at_full_rate(x.flip(0))
    assert misfit_db(backwards, forwards) > -6
    assert misfit_db(backwards.mean(-1), forwards.mean(-1)) < -200
    assert misfit_db(W(x.flip(0)), W(x)) < -35  # kymatio's subsampling aliases a little


def test_strided_and_single_precision_input():
    W = scattering()
    assert W(hilbert_rotation(noise(0, N), 0.5)).dtype == torch.float64
    assert misfit_db(W(noise(0, N).float()), W(noise(0, N))) < -100


@pytest.mark.parametrize("T", [0, 8, "global"])
def test_the_gradient(T):
    W = Scattering(32, J=3, Q=2, T=T)
    assert torch.autograd.gradcheck(W, noise(0, 32).requires_grad_())


def test_the_gradient_at_silence_is_finite():
    x = torch.zeros(N, dtype=torch.float64, requires_grad=True)
    scattering()(x).sum().backward()
    assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        (dict(T=N + 1), ValueError, "T must be.*257"),
        (dict(T=0.5), ValueError, "T must be.*0.5"),
        (dict(T=-1), ValueError, "T must be.*-1"),
        (dict(T=math.nan), ValueError, "T must be.*nan"),
        (dict(T="all"), ValueError, "T must be.*global.*all"),
        (dict(T=[4]), TypeError, "T must be"),
        (dict(J=9), ValueError, "J must.*9"),
        (dict(J=0), ValueError, "J must"),
        (dict(Q=0), ValueError, "Q"),
        (dict(orders=()), ValueError, "orders must be one of 0, 1, 2"),
        (dict(orders=(3,)), ValueError, "orders.*3"),
        (dict(orders=1), TypeError, "orders.*1"),
        (dict(orders=(0, 1), T=0), ValueError, "orders must not hold 0 at T=0"),
    ],
)
def test_bad_options(options, error, words):
    with pytest.raises(error, match=words):
        scattering(**options)


@pytest.mark.parametrize(
    ("x", "error", "words"),
    [
        (torch.zeros(N - 1), ValueError, "x must have n_samples = 256.*255"),
        (torch.full((N,), math.nan), ValueError, "x must be finite"),
        (torch.zeros(N, dtype=torch.complex128), TypeError, "x must be.*real"),
    ],
)
def test_bad_signals(x, error, words):
    with pytest.raises(error, match=words):
        scattering()(x)


def test_without_kymatio_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "kymatio.torch", None)
    with pytest.raises(ImportError, match=r'pip install "scalinv_utils\[course\]"'):
        scattering()


# -- renormalisation ---------------------------------------------------------------------------


def test_divided_by_its_parent_order_2_forgets_the_level_of_its_carrier():
    W = scattering("global")
    S = W(noise(0, N))
    ratio = W.split(Renormalized(W, S, form="parent", floor=1e-9).renormalize(S))
    expected = [float(S[row] / S[W.parents[row]]) for row in torch.where(W.order == 2)[0]]
    assert error_db(ratio[2].squeeze(), torch.tensor(expected, dtype=torch.float64)) < -120
    assert torch.equal(ratio[1], W.split(S)[1])
    assert ratio[2].max() < 3  # a modulation is no louder than its envelope


def test_the_log_is_one_of_coefficients_over_their_median():
    W = scattering(8)
    S = W(noise(0, N))
    mu = S.median(-1, keepdim=True).values
    c = 5 / float((S / mu).mean())
    assert error_db(Renormalized(W, S, form="log").renormalize(S), torch.log(1 + c * S / mu)) < -200


def skewness(rows):
    centred = rows - rows.mean(-1, keepdim=True)
    return (centred**3).mean(-1) / centred.square().mean(-1) ** 1.5


def test_the_log_makes_coefficients_less_skewed():
    W = scattering(8, n_samples=1024)
    S = W(noise(0, 1024) * torch.linspace(-4, 0, 1024).exp())
    log = Renormalized(W, S, form="log").renormalize(S)
    assert skewness(log).abs().median() < 0.7 * skewness(S).abs().median()


@pytest.mark.parametrize("form", FORMS)
def test_a_batch_is_renormalised_signal_by_signal(form):
    W = scattering(8)
    x = noise(0, 2, N) * torch.tensor([[1.0], [100.0]], dtype=torch.float64)
    together = Renormalized(W, W(x), form=form)(x)
    alone = torch.stack([Renormalized(W, W(v), form=form)(v) for v in x])
    assert error_db(together, alone) < -200


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("T", [0, 16, "global"])
def test_silence_stays_silent_and_its_gradient_finite(form, T):
    W = scattering(T)
    f = Renormalized(W, W(torch.zeros(N)), form=form)
    assert f(torch.zeros(N)).abs().max() == 0
    x = noise(0, N).requires_grad_()
    Renormalized(W, W(noise(1, N)), form=form)(x).sum().backward()
    assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize("form", FORMS)
def test_the_gradient_of_renormalised_coefficients(form):
    W = Scattering(32, J=3, Q=2, T=8)
    f = Renormalized(W, W(noise(1, 32)), form=form)
    assert torch.autograd.gradcheck(f, noise(0, 32).requires_grad_())


@pytest.mark.parametrize(
    ("form", "orders", "words"),
    [
        ("median", (1, 2), "form must be one of"),
        ("parent", (2,), "order 1"),
        ("both", (2,), "order 1"),
    ],
)
def test_bad_forms(form, orders, words):
    W = scattering(orders=orders)
    with pytest.raises(ValueError, match=words):
        Renormalized(W, W(noise(0, N)), form=form)


# -- inversion ---------------------------------------------------------------------------------


@pytest.mark.parametrize("T", SCALES)
@pytest.mark.parametrize("orders", [(1,), (1, 2)])
def test_descent_fits_the_coefficients_at_every_scale(T, orders):
    W = scattering(T, orders)
    recovery = invert_gradient(W(noise(4, N)), W, n_iter=40)
    assert misfit_db(W(recovery.signal), W(noise(4, N))) < -15


def test_a_batch_of_targets_starts_and_descends():
    W = scattering("global")
    target = W(noise(4, 3, N))
    recovery = invert_gradient(target, W, loss=order_loss(W), n_iter=30)
    assert recovery.signal.shape == (3, N) and misfit_db(W(recovery.signal), target) < -15


@pytest.mark.parametrize("form", FORMS)
def test_descent_on_renormalised_coefficients(form):
    W = scattering(64)
    f = Renormalized(W, W(noise(4, N)), form=form)
    run = invert_gradient(f(noise(4, N)), f, n_iter=30)
    assert run.history["consistency_db"][-1] < run.history["consistency_db"][0] - 10


# -- signed rows -------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("T", [16, "global"])
def test_order_0_keeps_its_sign_under_the_logarithm(form, T):
    W = scattering(T, (0, 1, 2))
    x = noise(5, N) - 0.3
    f = Renormalized(W, W(x), form=form)
    rows, given = f(x), W(x)
    assert torch.isfinite(rows).all()
    assert torch.equal(rows.sign(), given.sign()) and (given[W.order == 0] < 0).any()
    flipped = given.clone()
    flipped[W.order == 0] *= -1
    assert torch.equal(f.renormalize(flipped)[W.order == 0], -f.renormalize(given)[W.order == 0])
    run = invert_gradient(rows, f, n_iter=10)
    assert run.history["consistency_db"][-1] < run.history["consistency_db"][0] - 6


def test_the_logarithm_of_order_0_by_hand():
    W = scattering(16, (0, 1))
    S = torch.zeros(len(W.order), 4, dtype=torch.float64)
    S[W.order == 0] = torch.tensor([-2.0, 1.0, 2.0, -4.0], dtype=torch.float64)  # median of |S| 2
    mean = 9 / 4 / 2 / len(W.order)
    c = 5 / mean
    wanted = torch.tensor([-1.0, 1.0, 1.0, -1.0]) * torch.log1p(c * S[W.order == 0].abs() / 2)
    assert torch.allclose(Renormalized(W, S, form="log").renormalize(S)[W.order == 0], wanted)


@pytest.mark.parametrize("orders", [(0, 1, 2), (1, 2)])
def test_the_slope_of_the_signed_logarithm(orders):
    W = Scattering(32, J=3, Q=2, T=8, orders=orders)
    f = Renormalized(W, W(noise(1, 32)), form="log")
    S = (W(noise(0, 32)).detach() * 1e-3).requires_grad_()
    assert torch.autograd.gradcheck(f.renormalize, S)
    zero = torch.zeros_like(S).requires_grad_()
    f.renormalize(zero).sum().backward()
    assert torch.allclose(zero.grad, f.gain.expand_as(zero))


SOUNDS = {
    "an impulse": torch.eye(N)[7].double(),
    "a burst": torch.cat([noise(1, 32), torch.zeros(N - 32).double()]),
    "a constant": -torch.ones(N).double(),
    "steps": torch.ones(N).double().cumsum(0).div(64).floor(),
    "silence": torch.zeros(N).double(),
    "quiet": 1e-250 * noise(1, N),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("floor", [1e-12, 1e-3, 0.5])
@pytest.mark.parametrize("T", [16, "global", 0])
def test_renormalised_coefficients_are_finite_for_every_sound(T, floor, form):
    W = scattering(T, (0, 1, 2) if T else (1, 2))
    for name, x in SOUNDS.items():
        f, start = Renormalized(W, W(x), form=form, floor=floor), x.clone().requires_grad_()
        found = f(start)
        found.sum().backward()
        assert torch.isfinite(found).all() and torch.isfinite(start.grad).all(), name


def test_negative_moduli_are_refused():
    W = scattering(16, (0, 1, 2))
    S = W(noise(0, N))
    f = Renormalized(W, S)
    for order in (1, 2):
        bad = S.clone()
        bad[W.order == order] -= bad[W.order == order].max()
        with pytest.raises(ValueError, match=f"S must not be negative in rows of order {order}"):
            f.renormalize(bad)
        with pytest.raises(ValueError, match="logarithms or decibels"):
            Renormalized(W, bad)
    f.renormalize(torch.where(W.order[:, None] > 0, S - 1e-12 * S.max(), S))  # rounding is none
