"""Learning rates in units, starts, preconditioning, the count of evaluations, and known results."""

import copy
import math

import numpy as np
import pytest
import torch
from kymatio.torch import Scattering1D
from small import N, error_db, noise, scalogram

from scalinv_utils import _levels
from scalinv_utils.course import signals
from scalinv_utils.metrics import consistency_db, misfit_db, waveform_error_db
from scalinv_utils.recovery import _objective
from scalinv_utils.recovery._errors import DivergenceError
from scalinv_utils.recovery._gradient_descent import (
    invert_gradient,
    random_start,
    spectral_gain,
)
from scalinv_utils.recovery._objective import Equaliser, Objective, griffin_lim_step
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


# -- pieces ------------------------------------------------------------------------------------


def test_powers_are_averaged_over_a_tenth_of_an_octave_and_two_bins():
    power = noise(20, 65).square()
    smooth = _objective._smoothed(power)
    for k in (0, 1, 9, 10, 30, 62, 64):
        h = k // 10 + 2
        around = power[max(k - h, 0) : k + h + 1]
        assert float(smooth[k]) == pytest.approx(float(around.mean()))


def test_the_gain_of_a_filter_is_its_response_squared():
    H = torch.linspace(1, 3, N // 2 + 1, dtype=torch.float64)
    probes = [
        spectral_gain(lambda x: torch.fft.irfft(torch.fft.rfft(x) * H, n=N), noise(21), n_probes=k)
        for k in (1, 200)
    ]
    # Noise of variance 1 has the power N in each bin.
    errors = [((gain / N / H.square()).log10() * 10).abs()[1:-1].max() for gain in probes]
    assert errors[1] < 0.8 < errors[0]
    again = spectral_gain(lambda x: 2 * x, noise(21), seed=1)
    assert not torch.equal(again, spectral_gain(lambda x: 2 * x, noise(21), seed=2))
    assert torch.equal(again, spectral_gain(lambda x: 2 * x, noise(22), seed=1))


def test_the_mean_of_a_batch_is_its_gain():
    both = spectral_gain(lambda x: x * torch.tensor([[1.0], [3.0]]), noise(23, 2, N), n_probes=300)
    assert float(both.mean() / N) == pytest.approx((1 + 9) / 2, rel=0.05)


@pytest.mark.parametrize("gain", [2.0, 1e-6, 1e6])
def test_the_step_is_half_of_the_inverse_frame_bound(gain):
    weights = torch.ones(N, dtype=torch.float64)
    weights[17] = 4.0
    step = griffin_lim_step(lambda x: gain * weights * x, noise(24), n_power=30)
    assert step == pytest.approx(1 / (2 * (4 * gain) ** 2), rel=1e-4)
    rough = griffin_lim_step(lambda x: gain * weights * x, noise(24), n_power=1)
    assert rough > 2 * step  # one iteration has not found the one loud direction
    single = griffin_lim_step(lambda x: gain * weights.float() * x, noise(24).float(), n_power=30)
    assert single == pytest.approx(step, rel=1e-2)


def test_the_step_of_a_modulus_is_measured_in_single_precision_too():
    W, x = scalogram(), noise(24)
    double = griffin_lim_step(W.magnitude, x)
    single = griffin_lim_step(copy.deepcopy(W).float().magnitude, x.float())
    assert single == pytest.approx(double, rel=0.02)
    # Near its zeros a modulus bends: the difference that is taken has to be small beside x.
    tiny = griffin_lim_step(lambda x: W.magnitude(1e-3 * x), 1e3 * x)
    assert tiny == pytest.approx(1e6 * double, rel=0.01)
    # A power of |x| has the slope 3 x^2, which changes by 3 h / x over a difference of h.
    cube = griffin_lim_step(lambda x: x**3, torch.ones(N))
    assert cube == pytest.approx(1 / (2 * 9), rel=0.01)


def test_where_there_is_no_gradient_there_is_no_step():
    for transform in (lambda x: 0 * x, lambda x: x / 0):
        with pytest.raises(ValueError, match="x must be a signal where the transform has a"):
            griffin_lim_step(transform, noise(25))
    with pytest.raises(ValueError, match="n_power"):
        griffin_lim_step(lambda x: x, noise(25), n_power=0)


def test_signals_and_outputs_have_units_that_are_powers_of_two():
    S = 5e6 * noise(26).abs()
    run = Objective(S, lambda x: 3 * x, "l2")
    assert run.unit == float(_levels.unit(S)) == 2 ** math.floor(math.log2(run.unit))
    assert run.norm == pytest.approx(float(S.norm()) / run.unit)
    start = run.start(40 * torch.ones(N), None, 0)
    assert run.level == float(_levels.unit(40 * torch.ones(N)))
    assert torch.allclose(start * run.level, 40 * torch.ones(N).double())
    (output,) = run.outputs(start)
    assert torch.allclose(output * run.unit, 120 * torch.ones(N).double())
    loss, consistency = run(start)
    misfit = 120 - S
    assert float(loss) * run.unit**2 == pytest.approx(float(misfit.square().sum()))
    assert consistency == pytest.approx(20 * math.log10(float(misfit.norm() / S.norm())))
    assert run.evaluations == 1
    value, gradient, same = run.value_and_gradient(start)
    assert (value, same) == (loss.item(), consistency) and run.evaluations == 2
    # dL'/du = level dL/dx / unit^2
    assert torch.allclose(gradient, 2 * 3 * misfit * run.level / run.unit**2)
    assert torch.allclose(run.gradient(start), gradient) and run.evaluations == 3
    assert run.own_lr(0.5) == 0.5 * run.unit**2 / run.level**2
    plain = Objective(S, lambda x: 3 * x, "l2", scaled=False)
    plain.start(torch.ones(N), None, 0)
    assert plain.unit == plain.level == 1.0


def test_a_loss_without_a_degree_sees_what_the_user_sees():
    seen = []

    def loss(output, target):
        seen.append((output[0].detach().clone(), target[0]))
        return (output[0] - target[0]).abs().sum()

    S = 1e5 * noise(27).abs()
    run = Objective(S, lambda x: 3 * x, loss)
    run(run.start(100 * torch.ones(N), None, 0))
    assert torch.allclose(seen[-1][0], 300 * torch.ones(N).double())
    assert torch.equal(seen[-1][1], S)
    assert run.own_lr(1.0) == 1 / run.level**2


@pytest.mark.parametrize("size", [1e-290, 1e290])
def test_learning_rates_of_extreme_levels_stay_numbers(size):
    run = Objective(size * noise(28).abs(), lambda x: x, "l2")
    run.level = 1.0
    rate = run.own_lr(1.0)
    assert rate == 2.0 ** (1000 if size > 1 else -1000)


def test_numbers_that_are_not_finite_end_a_descent():
    run = Objective(noise(29).abs(), lambda x: x / x.sum().round(), "l2")
    for bad in (torch.full((N,), math.nan), torch.zeros(N)):
        with pytest.raises(DivergenceError):
            run(bad.double())


def test_silence_has_no_level_and_wants_silence():
    run = Objective(torch.zeros(N), lambda x: x + 1, "l2")
    assert run.silent and run.unit == run.level == 1.0
    with pytest.raises(ValueError, match="target must not be all zero"):
        run.start(torch.zeros(N), None, 0)
    quiet = Objective(torch.zeros(N), lambda x: 2 * x, "l2")
    assert not quiet.start(noise(30), None, 0).any()


def test_starts_have_the_norm_of_the_target_and_draws_of_their_own():
    S = noise(31, 3, N).abs()
    run = Objective(S, lambda x: torch.stack([x, 2 * x, 0 * x], -2), "l2")
    first = run.noise(N, 3)
    assert float(first.norm()) * math.sqrt(5) == pytest.approx(float(S.norm()))
    draws = np.random.default_rng([3, 1])
    for repetition in range(3):
        run.repetition = repetition
        wanted = torch.from_numpy(draws.standard_normal(N))
        x = run.noise((N,), 3)
        assert error_db(x / x.norm(), wanted / wanted.norm()) < -250
    x = run.coloured(N, 3)
    assert float(x.norm()) * math.sqrt(5) == pytest.approx(float(S.norm()))
    wanted = S[0] + 2 * S[1]
    assert error_db(x / x.norm(), wanted / wanted.norm()) < -250 and run.evaluations == 1


def test_the_length_of_a_start_is_known_from_the_transform_or_given():
    W = scalogram()
    S = torch.ones(2, *W.shape)
    assert Objective(S, W, "l2").shape(None) == (2, N) == Objective(S, W, "l2").shape(N)
    with pytest.raises(ValueError, match=f"n_samples must be {N}, .* got 7"):
        Objective(S, W, "l2").shape(7)
    own = Objective(torch.ones(N), lambda x: x, "l2")
    assert own.shape(N) == N
    with pytest.raises(ValueError, match="n_samples must be given"):
        own.shape(None)
    scattering = Scattering1D(J=3, shape=N, Q=4)
    assert _objective._transform_samples(scattering) == N
    assert _objective._transform_samples(lambda x: x) is None


def test_outputs_are_flattened_and_have_to_be_real_tensors_with_a_gradient():
    a, b, c = torch.ones(3, 2).double()
    flat = _objective._as_list([{"coef": a, "j": 3}, (b, {"x": c, "y": a})])
    assert [t is wanted for t, wanted in zip(flat, (a, b, c, a), strict=True)] == [True] * 4
    bad = {
        "return real numbers": lambda x: torch.fft.fft(x),
        "no gradient": lambda x: x.detach(),
        "return Tensors, got float": lambda x: float(x.detach().sum()),
        "for a signal of shape \\(128,\\), \\(64,\\), got \\(128,\\)": lambda x: x[::2],
    }
    for words, transform in bad.items():
        with pytest.raises((TypeError, ValueError), match=words):
            Objective(torch.ones(N), transform, "l2").start(noise(32), None, 0)
    with pytest.raises(TypeError, match="got the class Scalogram"):
        Objective(torch.ones(N), type(scalogram()), "l2")
    with pytest.raises(ValueError, match="target must hold at least one tensor"):
        Objective([], lambda x: x, "l2")
    for loss in (lambda o, t: 3.0, lambda o, t: o[0], lambda o, t: torch.ones(())):
        with pytest.raises(TypeError, match="loss must return a Tensor of shape ()"):
            Objective(torch.ones(N), lambda x: x, loss).start(noise(32), None, 0)
    assert _objective._brief([(1, 2)]) == "(1, 2)"
    assert _objective._brief([(k,) for k in range(5)]) == "(0,), (1,), (2,) and 2 more"


def test_tensors_follow_the_transform_in_their_type():
    module = torch.nn.Linear(4, 4)
    assert _objective._like_own(module, torch.ones(4).double()).dtype == torch.float32
    assert _objective._like_own(lambda x: x, torch.ones(4).double()).dtype == torch.float64
    assert _objective._like_own(torch.nn.Identity(), torch.ones(4)).dtype == torch.float32


def test_changed_variables_respond_half_as_unevenly():
    class Transform:
        gain = torch.cat([torch.tensor([16.0, 8e-3]), torch.ones(N // 2 - 1) * 4]).double()

        def __call__(self, x):
            return x

    run = Objective(torch.ones(N), Transform(), "l2")
    equaliser = Equaliser(run, noise(33))
    # The gain below a hundredth of the largest counts as a hundredth.
    wanted = torch.cat([torch.tensor([1.0, 100**0.25]), torch.full((N // 2 - 1,), 4**0.25)])
    assert torch.allclose(equaliser.response, wanted.double()) and run.evaluations == 0
    x = noise(34)
    assert error_db(equaliser.to_signal(equaliser.from_signal(x)), x) < -250
    tone = torch.ones(N).double()
    assert torch.allclose(equaliser.to_signal(tone), tone)
    other = Equaliser(Objective(torch.ones(N), lambda x: 2 * x, "l2"), noise(33))
    assert float(other.response.max()) < 1.3  # estimated: it is nearly even
    Transform.gain = torch.zeros(N // 2 + 1)
    assert torch.equal(Equaliser(run, noise(33)).response, torch.ones(N // 2 + 1))
    Transform.gain = torch.ones(7)  # of another length: it is estimated, and that costs
    Equaliser(run, noise(33))
    assert run.evaluations == _objective.PROBES


@pytest.mark.parametrize("loss, factor", [("l2", 1), ("mse", N)])
def test_a_unit_of_the_learning_rate_is_one_step(loss, factor):
    run = Objective(noise(35).abs(), lambda x: 3 * x, loss)
    x = run.start(noise(36), None, 0)
    ratio = run.level / run.unit  # outputs in their unit grow by this with a signal in its level
    assert run.lr_unit(x) == pytest.approx(factor / (2 * (3 * ratio) ** 2), rel=1e-6)
    other = Objective(noise(35).abs(), lambda x: 3 * x, lambda o, t: 7 * (o[0] - t[0]).pow(2).sum())
    x = other.start(noise(36), None, 0)
    unit = Objective(noise(35).abs(), lambda x: 3 * x, "l2")
    unit.start(noise(36), None, 0)
    gradients = [o.gradient(x).norm() for o in (unit, other)]
    wanted = unit.lr_unit(x) * float(gradients[0] / gradients[1])
    assert other.lr_unit(x) == pytest.approx(wanted)
    flat = Objective(noise(35).abs(), lambda x: 3 * x, lambda o, t: 0 * o[0].sum())
    assert flat.lr_unit(flat.start(noise(36), None, 0)) == pytest.approx(unit.lr_unit(x))


def test_the_step_of_a_frame_needs_no_measuring():
    W = scalogram()
    run = Objective(W.magnitude(noise(37)), W, "l2")
    x = run.start(noise(38), None, 0)
    wanted = (run.unit / run.level) ** 2 / (2 * W.frame_bounds[1])
    assert run.lr_unit(x) == pytest.approx(wanted) and run.evaluations == 0


def test_members_have_a_target_of_their_own():
    run = Objective([noise(39, 2, N), noise(40, 2, 3)], lambda x: [x, x[..., :3]], "l2", False)
    part = run.member((1,))
    assert torch.equal(part.target[0], run.target[0][1]) and len(part.target) == 2
    assert torch.equal(part.target[1], run.target[1][1]) and not part.scaled
    assert Objective(noise(39, 2, N), lambda x: x, "l2").member((0,)).target[0].shape == (N,)
