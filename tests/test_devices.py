"""Results have the type and the device of the transform, and every device is taken as it is."""

import contextlib
import copy
import warnings

import pytest
import torch
from elsewhere import CUDA, MPS, There, elsewhere, there
from small import N, complex_noise, error_db, noise, scalogram, scattering

from scalinv_utils import Scalogram, bounds, metrics
from scalinv_utils._tensors import double
from scalinv_utils._validation import check_signal
from scalinv_utils.course import signals
from scalinv_utils.measured import Measured
from scalinv_utils.recovery import (
    _fisher,
    _lowpass_start,
    _noisy,
    _phase_gradient,
    _pipeline,
    error_bars,
    griffin_lim,
    invert_gradient,
    mend,
    phase_gradient,
    recover,
)
from scalinv_utils.recovery._objective import Objective
from scalinv_utils.recovery._phase_equation import solve_phase_equation, spectral_gap
from scalinv_utils.recovery._phase_gradient import paths_of
from scalinv_utils.recovery._phase_relations import phase_derivatives
from scalinv_utils.recovery.denoising import denoise
from scalinv_utils.recovery.losses import gaussian, rice, tobit
from scalinv_utils.recovery.segments import Slices
from scalinv_utils.transforms._filter_bank import Bank, gather
from scalinv_utils.transforms._painless import Painless
from scalinv_utils.transforms.scattering import Renormalized

W = scalogram(N, "cauchy", 16)
X = W.project(noise(3, N))
S = W.magnitude(X)


class NoDouble(torch.Tensor):
    """A tensor on a device without double precision, as far as one can be had without one."""

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        if func == torch.Tensor.device.__get__:
            return torch.device("mps")
        result = super().__torch_function__(func, types, args, kwargs or {})
        others = [
            a for a in args[1:] if isinstance(a, (str, torch.device)) or type(a) is torch.Tensor
        ]
        if func is torch.Tensor.cpu or (func is torch.Tensor.to and others):
            return result.as_subclass(torch.Tensor)
        if isinstance(result, torch.Tensor) and result.dtype in (torch.float64, torch.complex128):
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype")
        return result


def on_a_small_device(x, dtype=torch.float32):
    return x.to(dtype).as_subclass(NoDouble)


def test_the_device_of_the_test():
    x = on_a_small_device(X)
    assert x.device.type == "mps" and x.cpu().device.type == "cpu"
    for convert in (torch.Tensor.double, lambda x: x.to(torch.float64)):
        with pytest.raises(TypeError, match="float64"):
            convert(x)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.int16])
def test_no_type_is_converted_before_the_device_is_known(dtype):
    x = on_a_small_device(100 * X, dtype)
    checked = check_signal(x)
    assert isinstance(checked, NoDouble) and checked.dtype == torch.float32
    assert double(x).dtype == torch.float64 and not isinstance(double(x), NoDouble)
    assert W.magnitude(x).dtype == torch.float64


def test_scores_of_what_is_on_another_device():
    x, ref = on_a_small_device(X + 0.1 * noise(4, N)), on_a_small_device(X)
    plain = x.cpu(), ref.cpu()
    for score in (metrics.waveform_error_db, metrics.sign_error_db, metrics.misfit_db):
        assert score(x, ref) == pytest.approx(score(*plain), abs=1e-4)
    for score in (metrics.island_error_db, metrics.frequency_error_db):
        assert score(x, ref, W) == score(*plain, W)
    assert metrics.consistency_db(x, on_a_small_device(S), W) == pytest.approx(
        metrics.consistency_db(plain[0], S.float(), W)
    )
    assert isinstance(metrics.align(x, ref), NoDouble)
    assert metrics.align(x, ref).dtype == torch.float32
    assert metrics.decibels(on_a_small_device(torch.tensor([0.1]))).item() == pytest.approx(-20)


def test_methods_take_what_is_on_another_device():
    there = on_a_small_device(S)
    here = there.cpu()
    assert torch.equal(denoise(there, W), denoise(here, W))
    for a, b in zip(phase_derivatives(there, W), phase_derivatives(here, W), strict=True):
        assert torch.equal(a, b)
    assert paths_of(there, W, 1e-6)[()].n_islands == paths_of(here, W, 1e-6)[()].n_islands
    for method in (
        lambda S: recover(S, W, progress=False),
        lambda S: griffin_lim(S, W, n_iter=2),
        lambda S: phase_gradient(S, W, n_iter=0),
        lambda S: invert_gradient(S, W, n_iter=2),
        lambda S: solve_phase_equation(S, W, ridges=(1e-3,)),
        lambda S: griffin_lim(Measured(S, W, hop=2), n_iter=2),
    ):
        assert torch.equal(method(there).signal, method(here).signal)
    x = on_a_small_device(torch.cat([X, X]))
    assert next(iter(Slices(W).magnitude(x))).dtype == torch.float64


METHODS = {
    "recover": lambda S, W: recover(S, W, progress=False),
    "griffin_lim": lambda S, W: griffin_lim(S, W, n_iter=2),
    "griffin_lim, batch": lambda S, W: griffin_lim(torch.as_tensor(S)[None], W, n_iter=2),
    "phase gradient": lambda S, W: phase_gradient(S, W, n_iter=0),
    "phase equation": lambda S, W: solve_phase_equation(S, W, ridges=(1e-3,)),
    "lbfgs": lambda S, W: invert_gradient(S, W, n_iter=2),
    "adam": lambda S, W: invert_gradient(S, W, n_iter=2, optimizer="adam"),
}


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())
@pytest.mark.parametrize("given", [torch.float32, torch.float64])
def test_signals_have_the_type_of_the_transform(method, given):
    for transform, dtype in ((W, torch.float64), (W.like().float(), torch.float32)):
        recovery = method(S.to(given), transform)
        assert recovery.signal.dtype == dtype and recovery.signal.device == S.device
        assert torch.isfinite(recovery.signal).all() and recovery.consistency_db < 1


def test_a_transform_in_double_precision_is_made_at_need_only():
    assert W.in_double() is W
    single = W.like().float()
    wide = single.in_double()
    assert wide.filters.dtype == torch.float64 and single.filters.dtype == torch.float32
    M = Measured(S, single, hop=2)
    assert M.W.filters.dtype == torch.float64
    assert griffin_lim(M, single, n_iter=1).signal.dtype == torch.float64
    with pytest.raises(ValueError, match="got another W"):
        griffin_lim(M, W.like(), n_iter=1)


@pytest.mark.parametrize("convert", [torch.nn.Module.half, torch.nn.Module.bfloat16])
def test_half_precision_is_refused_and_changes_nothing(convert):
    F = scattering()
    R = Renormalized(F, F(noise(0, 256)))
    for transform, name in ((W.like(), "W"), (F, "scattering"), (R, "scattering")):
        with pytest.raises(TypeError, match=f"{name} must be float32 or float64, got b?float16"):
            convert(transform)
    assert F(noise(0, 256)).dtype == torch.float64


def test_half_precision_signals_are_taken():
    assert W.magnitude(X.half()).dtype == torch.float64
    assert metrics.misfit_db(W.magnitude(X.half()), S) < -50


def test_tensors_without_values_are_refused():
    with pytest.raises(
        TypeError, match="x must be a real signal .* got a tensor on the device meta"
    ):
        W.magnitude(X.to("meta"))
    with pytest.raises(
        TypeError, match="S must be real magnitudes .* got a tensor on the device meta"
    ):
        recover(S.to("meta"), W)


DETACHING = {
    "recover": lambda S: recover(S, W, progress=False),
    "griffin_lim": lambda S: griffin_lim(S, W, n_iter=1),
    "phase_gradient": lambda S: phase_gradient(S, W, n_iter=0),
    "solve_phase_equation": lambda S: solve_phase_equation(S, W, ridges=(1e-3,)),
    "spectral_gap": lambda S: spectral_gap(S, W, X),
    "error_bars": lambda S: error_bars(X, S, W, sigma=0.1),
    "invert_gradient": lambda S: invert_gradient(S, W, n_iter=1),
    "Measured": lambda S: griffin_lim(Measured(S, W, hop=2), n_iter=1),
    "maximum_likelihood": lambda S: bounds.maximum_likelihood(S, W, X, n_iter=1),
}


@pytest.mark.parametrize("name", DETACHING)
def test_a_gradient_that_ends_here_is_announced(name):
    word = rf"(S|target) requires a gradient, but none flows through {name}"
    with pytest.warns(UserWarning, match=word):
        DETACHING[name](S.clone().requires_grad_())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        DETACHING[name](S)


def test_a_start_with_a_gradient():
    start = X.clone().requires_grad_()
    for method in (griffin_lim, invert_gradient):
        with pytest.warns(UserWarning, match=f"init requires .* through {method.__name__}"):
            assert not method(S, W, init=start, n_iter=1).signal.requires_grad


BOUNDS = {
    "x requires .* through fisher_information": lambda x: bounds.fisher_information(x, W),
    "x requires .* through cramer_rao": lambda x: bounds.cramer_rao(x, W).per_sample(20),
    "init requires .* through maximum_likelihood": lambda x: bounds.maximum_likelihood(
        S, W, x, n_iter=1
    ),
    "ratio requires .* through rice_information": bounds.rice_information,
    "x requires .* through resample": lambda x: signals.resample(x, 3, 2),
}


@pytest.mark.parametrize("word", BOUNDS)
def test_what_goes_through_numpy_says_that_no_gradient_does(word):
    with pytest.warns(UserWarning, match=word) as caught:
        found = BOUNDS[word](X.clone().requires_grad_())
    assert len(caught) == 1 and torch.equal(found, BOUNDS[word](X))


def test_weights_and_deviations_with_a_gradient():
    for word, use in (
        ("weight", lambda w: bounds.fisher_information(X, W, weight=w)),
        ("sigma", lambda w: Measured(S, W, sigma=w + 0.1).sigma),
    ):
        with pytest.warns(UserWarning, match=f"{word} requires a gradient"):
            found = use(S.clone().requires_grad_())
        assert torch.equal(found, use(S))


def test_scores_and_refinements_of_what_requires_a_gradient():
    x, memory = X.clone().requires_grad_(), torch.empty(W.shape, dtype=torch.complex128)
    mended, _ = mend(S, W, 1.01 * x, 2, 0.9, memory)
    again, _ = mend(S, W, 1.01 * X, 2, 0.9, memory)
    assert torch.equal(mended, again)
    assert metrics.mean_error_db(x.abs()) == metrics.mean_error_db(X.abs())


def test_more_of_what_is_on_another_device():
    x, there = on_a_small_device(X), on_a_small_device(S)
    assert torch.equal(metrics.analytic(x).cpu(), metrics.analytic(x.cpu()))
    assert metrics.mean_error_db(x.abs()) == metrics.mean_error_db(x.cpu().abs())
    assert metrics.misfit_db(there, S) == metrics.misfit_db(there.cpu(), S) < -100
    for change in (lambda x: signals.resample(x, 3, 2), lambda x: signals.fade(x, 100)):
        assert torch.equal(change(x).cpu(), change(x.cpu()))
    for loss in (gaussian, rice, tobit):
        runs = [
            invert_gradient(S, W, loss=loss(sigma), n_iter=1).signal
            for sigma in (there + 0.1, there.cpu() + 0.1)
        ]
        assert torch.equal(*runs)
    F, y = scattering(), noise(0, 256)
    renormalized = [Renormalized(F, F(y).float()), Renormalized(F, on_a_small_device(F(y)))]
    assert torch.equal(renormalized[0](y), renormalized[1](y))


def test_levels_that_a_transform_in_single_precision_cannot_hold():
    single, F = W.like().float(), scattering().float()
    for use in (
        lambda u: bounds.cramer_rao(u * X, single),
        lambda u: bounds.maximum_likelihood(S, single, u * X),
        lambda u: F(u * noise(0, 256)),
        lambda u: Renormalized(F, u * scattering()(noise(0, 256))),
    ):
        for level in (1e-250, 1e250):
            with pytest.raises(ValueError, match="must have a level that fits into float32"):
                use(level)


def test_a_spectrum_is_gathered_the_same_way_on_every_device():
    """Other devices have no compiled loop: what lies there goes another way to the same numbers."""
    c, weights = complex_noise(0, 3, 8), complex_noise(1, 3, 11)
    own, there = torch.zeros(32, dtype=torch.complex128), torch.zeros(32, dtype=torch.complex64)
    gather(own, c, slice(4, 15), weights, factor=2.0)
    wanted = torch.fft.fft(c)[:, torch.arange(11) % 8] * weights.conj()
    assert error_db(own[4:15], 2 * wanted.sum(0)) < -280 and not own[15:].any()
    parts = (on_a_small_device(part, torch.complex64) for part in (there, c, weights))
    there, elsewhere, weighted = parts
    gather(there, elsewhere, slice(4, 15), weighted, factor=2.0)
    assert error_db(there.as_subclass(torch.Tensor).to(own), own) < -120


# -- a device with double precision: what runs there, and what goes to and fro --------------------

DENSE = scalogram(N, "cauchy", 24)
EXACT = DENSE.magnitude(DENSE.project(noise(3, N)))
NOISY = bounds.noisy(EXACT, 20)
LOW = scalogram(N, "gmw", 16, lowpass="signed")


def test_the_device_of_the_tests_with_double_precision():
    with elsewhere() as moved:
        x = there(X)
        assert x.device == CUDA and x.is_cuda and isinstance(2 * x.square(), There)
        assert torch.equal(x.cpu(), X) and moved.sizes == [N] and float(x[3]) == float(X[3])
        assert isinstance(X.to(x), There) and isinstance(torch.ones(3, device=CUDA), There)
        assert isinstance(X.to(CUDA, torch.float32), There) and moved.sizes == 3 * [N]
        x[2:4] = 0
        assert not x.cpu()[2:4].any()
        for wrong in (lambda: x + X, lambda: x[torch.arange(3)], lambda: torch.outer(X, x)):
            with pytest.raises(RuntimeError, match="on the CPU"):
                wrong()
        with pytest.raises(TypeError, match="numpy"):
            x.numpy()
    with elsewhere(MPS):
        x = there(X.float())
        assert x.device == MPS and not x.is_cuda
        with pytest.raises(TypeError, match="float64"):
            x.double()


@contextlib.contextmanager
def transforms_here(monkeypatch):
    """List what is transformed on the CPU."""
    seen = []

    def watched(transform):
        def watch(self, x, *args, **kwargs):
            seen.extend([] if isinstance(x, There) else [x])
            return transform(self, x, *args, **kwargs)

        return watch

    with monkeypatch.context() as patch:
        for kind, name in (
            (Bank, "analyse"),
            (Bank, "synthesise"),
            (Painless, "coefficients"),
            (Painless, "adjoint"),
        ):
            patch.setattr(kind, name, watched(getattr(kind, name)))
        yield seen


def far(method, S, W):
    """Run a method on the device: (signal, traffic)."""
    with elsewhere() as moved:
        return method(there(S), there(W)), moved


def likeliest(S, W, n_iter):
    near = X + 0.01 * X.roll(1)
    return bounds.maximum_likelihood(S, W, near.to(W.filters), n_iter=n_iter)


def recovered(S, W):
    return recover(S, W, progress=False).signal


FAR = {
    "griffin_lim": (lambda S, W: griffin_lim(S, W, n_iter=3).signal, EXACT, DENSE),
    "lbfgs": (lambda S, W: invert_gradient(S, W, n_iter=3).signal, EXACT, DENSE),
    "phase_gradient": (lambda S, W: phase_gradient(S, W, n_iter=4).signal, EXACT, DENSE),
    "recover": (recovered, EXACT, DENSE),
    "recover, few rows": (recovered, S, W),
    "recover, lowpass": (recovered, LOW.magnitude(X), LOW),
    "likelihood": (lambda S, W: likeliest(S, W, 3), NOISY, DENSE),
}


@pytest.mark.parametrize("name", FAR)
def test_methods_compute_where_the_transform_is(name, monkeypatch):
    monkeypatch.setattr(_pipeline, "POLISH_ITERATIONS", 10)
    monkeypatch.setattr(_lowpass_start, "ROTATIONS", 2)
    method, S, W = FAR[name]
    for single in (False, True):
        W = copy.deepcopy(W).float() if single else W
        with transforms_here(monkeypatch) as on_the_cpu:
            y, _ = far(method, S, W)
        assert isinstance(y, There) and y.dtype == W.filters.dtype and not on_the_cpu
        assert metrics.waveform_error_db(y.kept, method(S, W)) < -100


# torch takes another way to Tensor.norm on MPS, which it deprecates itself.
@pytest.mark.filterwarnings("ignore:at..frobenius_norm is deprecated")
@pytest.mark.parametrize("name", [name for name in FAR if "lowpass" not in name])
def test_methods_on_a_device_without_double_precision(name):
    method, S, W = FAR[name]
    S, W = S.float(), copy.deepcopy(W).float()
    with elsewhere(MPS):
        y = method(there(S), there(W))
        assert isinstance(y, There) and y.dtype == torch.float32
    assert metrics.waveform_error_db(y.kept, method(S, W)) < -90


def counted(monkeypatch, module, name):
    """Count the calls of a function of a module, or of a method of a class, one entry each."""
    calls, function = [], getattr(module, name)
    monkeypatch.setattr(module, name, lambda *args: calls.append(name) or function(*args))
    return calls


@pytest.mark.parametrize("steps", [2, 20])
def test_a_correction_moves_one_plane_each_way_whatever_its_steps(steps, monkeypatch):
    monkeypatch.setattr(_phase_gradient, "SETTLING_STEPS", steps)
    monkeypatch.setattr(_phase_gradient, "NEWTON_STEPS", steps)
    monkeypatch.setattr(_phase_gradient, "SLOW_DB", 500.0)  # Gauss and Newton, then
    corrections = counted(monkeypatch, _phase_gradient, "corrected")
    newton = counted(monkeypatch, _phase_gradient, "gauss_newton")
    _, moved = far(lambda S, W: phase_gradient(S, W, n_iter=9).signal, EXACT, DENSE)
    # For the start: paths and two gradients of the scalogram, and the phase.
    assert moved.planes(DENSE) == 4 + 2 * len(corrections) and len(corrections) > 2 and newton
    # The rest are frequencies of the rows.
    assert len(moved.sizes) <= moved.planes(DENSE) + 5 * (2 + len(corrections))


def test_a_polish_moves_signals_for_its_evaluations_and_no_plane(monkeypatch):
    """A signal to the transform and a gradient back, and a signal for the history."""
    monkeypatch.setattr(_lowpass_start, "ROTATIONS", 2)
    evaluations = counted(monkeypatch, Objective, "value_and_gradient")
    planes, signals = [], []
    for n_iter in (4, 20):
        monkeypatch.setattr(_pipeline, "POLISH_ITERATIONS", n_iter)
        evaluations.clear()
        _, moved = far(recovered, LOW.magnitude(X), LOW)
        planes.append(moved.planes(LOW))
        signals.append(moved.sizes.count(N) - 2 * len(evaluations) - n_iter)
    assert planes[0] == planes[1] and max(signals) <= 4, signals


@pytest.mark.parametrize("n_iter", [2, 9])
def test_steps_of_griffin_lim_and_of_the_likelihood_move_nothing(n_iter):
    _, moved = far(lambda S, W: griffin_lim(S, W, n_iter=n_iter).signal, EXACT, DENSE)
    assert moved.sizes == [EXACT.numel()]  # random phases, which are drawn on the CPU
    _, moved = far(lambda S, W: likeliest(S, W, n_iter), NOISY, DENSE)
    assert moved.sizes == [N]  # the start


@pytest.mark.parametrize("longest", [2048, 0])
def test_noise_moves_planes_for_each_descent_and_none_for_its_iterations(longest, monkeypatch):
    """Denoising and regions are worked out on the CPU, the likelihood is evaluated there."""
    monkeypatch.setattr(_fisher, "LONGEST_DENSE", longest)
    monkeypatch.setattr(_noisy, "DESCENTS", 1)
    monkeypatch.setattr(_noisy, "SEARCHES", 1)
    traffic, signals = [], []
    for n_iter in (3, 9):
        for name in ("FITTING", "SHORT", "LONG"):
            monkeypatch.setattr(_noisy, name, n_iter)
        with transforms_here(monkeypatch) as on_the_cpu:
            y, moved = far(recovered, NOISY, DENSE)
        assert metrics.waveform_error_db(y.kept, recovered(NOISY, DENSE)) < -100
        traffic.append((moved.planes(DENSE), len(on_the_cpu)))
        signals.append(len(moved.sizes))
    assert traffic[0] == traffic[1] and signals[0] < signals[1]


def test_patches_are_cut_out_and_mended_there():
    V = scalogram(512, "gmw", 8, sample_rate=8000, f_min=1000)
    x = V.project(signals.linear_chirp(512, 8000, 1500, 3000))
    S, wrong, memory = V.magnitude(x), x.clone(), torch.empty(V.shape, dtype=torch.complex128)
    wrong[250:254] *= -1
    mended, residual = mend(S, V, wrong, 20, 0.9, memory)
    with elsewhere() as moved:
        found, left = mend(there(S), there(V), there(wrong), 20, 0.9, there(memory))
    assert residual < 0.3 * float((V.magnitude(wrong) - S).norm()) and isinstance(found, There)
    assert error_db(found.kept, mended) < -200 and left == pytest.approx(residual)
    assert moved.planes(V) == 0


@pytest.mark.parametrize("share", [1e-15, 1e-2])
def test_sums_over_pairs_of_bins_there(share):
    bell = torch.linspace(-3, 3, 16, dtype=torch.float64).square().neg().exp()
    filters = torch.polar((1 + noise(0, 3, 16).abs()) * bell, noise(1, 3, 16))
    W = Scalogram.from_filters(filters, [3, 2, 1])  # with negative frequencies
    p, q = noise(2, 3, 16), complex_noise(3, 3, 16)
    for second in (q, None):
        with elsewhere() as moved:
            arguments = there(W), there(p), None if second is None else there(second)
            found = bounds.pair_sums(*arguments, share=share)
        for here, exact in zip(found, bounds.pair_sums(W, p, second, share=share), strict=True):
            assert torch.allclose(here.kept, exact) and not moved.sizes
