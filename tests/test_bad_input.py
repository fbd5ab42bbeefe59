"""Every error names the wrong argument, the value it got and the values it takes."""

import math
import os

import numpy as np
import pytest
import torch
from small import N, cosine, noise, scalogram, scattering

from scalinv_utils import Recovery, bounds, diagnose, metrics, phase_gradient, recover
from scalinv_utils.course import audio, plotting, signals
from scalinv_utils.measured import Measured, from_image, from_librosa, from_matlab, load, save
from scalinv_utils.recovery import Slices, losses, solve_phase_equation, spectral_gap
from scalinv_utils.recovery._gradient_descent import griffin_lim_step, invert_gradient, random_start
from scalinv_utils.recovery._griffin_lim import griffin_lim
from scalinv_utils.recovery.denoising import denoise
from scalinv_utils.recovery.texture import synthesize_texture
from scalinv_utils.transforms._columns import Columns
from scalinv_utils.transforms.decimated import Decimated
from scalinv_utils.transforms.scalogram import Scalogram
from scalinv_utils.transforms.scattering import Renormalized

W = scalogram()
SIGNED = scalogram(lowpass="signed")
X = noise(1)
C = W(X)
S = C.abs()


def spoilt(x, value):
    x = x.clone()
    x.flatten()[3] = value
    return x


class Elsewhere:
    """An array that numpy must not read."""

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("use .get()")


def carrying_more(values):
    """Wrap values in arrays that carry more than numbers."""
    values = values.detach().clone()
    return {
        "masked": (
            np.ma.array(values.numpy(), mask=values.numpy() > values.median().item()),
            ValueError,
        ),
        "objects": (values.numpy().astype(object), TypeError),
        "sparse": (values.to_sparse(), TypeError),
        "without data": (values.to("meta"), TypeError),
        "elsewhere": (Elsewhere(), TypeError),
        "with its rate": ((values.numpy(), 8000), ValueError),
        "booleans": (values > 0, TypeError),
    }


BAD_SIGNALS = {
    **carrying_more(X),
    "NaN": (spoilt(X, math.nan), ValueError),
    "infinite": (spoilt(X, math.inf), ValueError),
    "empty": (X[:0], ValueError),
    "too short": (X[:10], ValueError),
    "a number": (1.0, ValueError),
    "ragged": ([[1.0, 2.0], [3.0]], ValueError),
    "complex": (X + 1j, TypeError),
    "text": ("sound.wav", TypeError),
    "nothing": (None, TypeError),
}
BAD_PLANES = {
    **carrying_more(S),
    "NaN": (spoilt(S, math.nan), ValueError),
    "infinite": (spoilt(S, math.inf), ValueError),
    "empty": (S[:, :0], ValueError),
    "a signal": (X, ValueError),
    "a row missing": (S[1:], ValueError),
    "a sample missing": (S[:, 1:], ValueError),
    "transposed": (S.T, ValueError),
    "text": ("S", TypeError),
    "nothing": (None, TypeError),
}
BAD_MAGNITUDES = {
    **BAD_PLANES,
    "negative": (-S, ValueError),
    "negative in the last row": (spoilt(S.flip(0, 1), -1.0).flip(0, 1), ValueError),
    "complex": (C, TypeError),
    "NaN in numpy": (spoilt(S, math.nan).numpy(), ValueError),
}
STEREO = {"two channels": (torch.stack([X, X]), ValueError)}

# Each entry is (name of the argument, function of it), for the arguments that functions check.
TAKE_SIGNALS = {
    "Scalogram()": ("x", W),
    "Scalogram.magnitude": ("x", W.magnitude),
    "Scalogram.project": ("x", W.project),
    "Scalogram.whiten": ("x", W.whiten),
    "Scalogram.unwhiten": ("x", W.unwhiten),
    "consistency_db": ("x", lambda x: metrics.consistency_db(x, S, W)),
    "waveform_error_db x": ("x", lambda x: metrics.waveform_error_db(x, X)),
    "waveform_error_db ref": ("ref", lambda x: metrics.waveform_error_db(X, x)),
    "sign_error_db x": ("x", lambda x: metrics.sign_error_db(x, X)),
    "sign_error_db ref": ("ref", lambda x: metrics.sign_error_db(X, x)),
    "island_error_db x": ("x", lambda x: metrics.island_error_db(x, X, W)),
    "island_error_db ref": ("ref", lambda x: metrics.island_error_db(X, x, W)),
    "invert_gradient init": ("init", lambda x: invert_gradient(S, W, init=x, n_iter=1)),
    "griffin_lim_step": ("x", lambda x: griffin_lim_step(W, x)),
}
TAKE_ANY_LENGTH = {
    "analytic": ("x", metrics.analytic),
    "hilbert_rotation": ("x", lambda x: metrics.hilbert_rotation(x, 1.0)),
}
TAKE_MONO = {
    "island_error_db": TAKE_SIGNALS["island_error_db x"],
    "griffin_lim init": ("init", lambda x: griffin_lim(S, W, init=x, n_iter=1)),
}
TAKE_MAGNITUDES = {
    "check_scalogram": ("S", W.check_scalogram),
    "consistency_db S": ("S", lambda S: metrics.consistency_db(X, S, W)),
    "griffin_lim S": ("S", lambda S: griffin_lim(S, W, n_iter=1)),
    "invert_gradient target": ("target", lambda S: invert_gradient(S, W, n_iter=1)),
    "random_start target": ("target", lambda S: random_start(S, W, N)),
}
TAKE_COEFFICIENTS = {"adjoint": ("c", W.adjoint), "inverse": ("c", W.inverse)}


def crossed(functions, values):
    return [
        pytest.param(name, function, value, error, id=f"{key}: {case}")
        for key, (name, function) in functions.items()
        for case, (value, error) in values.items()
    ]


@pytest.mark.parametrize(
    "name, function, value, error",
    [
        *crossed(TAKE_SIGNALS, BAD_SIGNALS),
        *crossed(TAKE_ANY_LENGTH, {k: v for k, v in BAD_SIGNALS.items() if k != "too short"}),
        *crossed(TAKE_MONO, STEREO),
        *crossed(TAKE_MAGNITUDES, BAD_MAGNITUDES),
        *crossed(TAKE_COEFFICIENTS, BAD_PLANES),
        *crossed(
            {"islands": ("S", metrics.islands)},
            {
                **{
                    k: v
                    for k, v in BAD_MAGNITUDES.items()
                    if k not in ("a row missing", "a sample missing", "transposed")
                },
                "a batch": (torch.stack([S, S]), ValueError),
            },
        ),
    ],
)
def test_bad_data(name, function, value, error):
    if value is None and name == "init":
        pytest.skip("None asks for the default start")
    with pytest.raises(error) as caught:
        function(value)
    message = str(caught.value)
    assert message.startswith(f"{name} ") or f" and {name} must " in message
    assert "must" in message and ("got" in message or "is -" in message)


@pytest.mark.parametrize(
    "options, error, words",
    [
        ({"n_samples": 15}, ValueError, "n_samples must be a whole number of at least 16, got 15"),
        ({"n_samples": 512.0}, TypeError, "n_samples must be a whole number"),
        ({"n_samples": True}, TypeError, "n_samples must be"),
        ({"n_samples": None}, TypeError, "n_samples must be"),
        ({"n_samples": 16}, ValueError, "f_min must be below f_max = 0.5 Hz, got 0.75"),
        ({"sample_rate": 0}, ValueError, "sample_rate must be a positive, finite number, got 0"),
        ({"sample_rate": math.nan}, ValueError, "sample_rate must be"),
        ({"sample_rate": "8 kHz"}, TypeError, "sample_rate must be"),
        ({"voices_per_octave": 0}, ValueError, "voices_per_octave must be"),
        ({"voices_per_octave": 1.5}, TypeError, "voices_per_octave must be"),
        (
            {"f_min": 0.3, "f_max": 0.2},
            ValueError,
            "f_min must be below f_max = 0.2 Hz, got 0.3 Hz",
        ),
        ({"f_min": 0.2, "f_max": 0.2}, ValueError, "f_min must be below"),
        (
            {"f_max": 0.51},
            ValueError,
            "f_max must be at most the Nyquist frequency 0.5 Hz, got 0.51",
        ),
        ({"f_max": math.nan}, ValueError, "f_max must be"),
        ({"f_min": -1}, ValueError, "f_min must be"),
        ({"f_min": "low"}, TypeError, "f_min must be"),
        ({"f_min": 1e-6, "f_max": 2e-6}, ValueError, "f_min and f_max must leave room for a DFT"),
        ({"f_min": 1e-100}, ValueError, "f_min must be at most 64 octaves below f_max = 0.5 Hz"),
        ({"f_min": 1e-300}, ValueError, "f_min must be from 1e-290 to 1e+290, got 1e-300"),
        ({"n_samples": 10**400}, ValueError, "n_samples must be at most"),
        ({"sample_rate": 10**400}, ValueError, "sample_rate must be a positive, finite number"),
        ({"voices_per_octave": 2**70}, ValueError, "voices_per_octave must be at most"),
        ({"wavelet": "haar"}, ValueError, "wavelet must be one of 'bump', 'cauchy', "),
        ({"wavelet": ("haar", {})}, ValueError, "wavelet must be one of"),
        ({"wavelet": ([], {})}, ValueError, "wavelet must be one of"),
        ({"wavelet": 3}, TypeError, "wavelet must be a name or (name, {parameters}), got 3"),
        ({"wavelet": None}, TypeError, "wavelet must be"),
        ({"wavelet": ("gmw", {"gamma": -1})}, ValueError, "wavelet must have parameters that"),
        ({"wavelet": ("gmw", {"alpha": 1})}, ValueError, "unexpected keyword argument 'alpha'"),
        ({"wavelet": ("morlet", {"mu": "high"})}, ValueError, "wavelet must have parameters that"),
        ({"wavelet": ("gmw", {"beta": math.nan})}, ValueError, "wavelet must peak between"),
        ({"wavelet": ("morlet", {"mu": 1e5})}, ValueError, "wavelet must peak between"),
        (
            {"lowpass": True},
            ValueError,
            "lowpass must be one of None, 'modulus', 'signed', got True",
        ),
    ],
)
def test_bad_transforms(options, error, words):
    with pytest.raises(error) as caught:
        Scalogram(**{"n_samples": 512, **options})
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "options, error, name",
    [
        ({"optimizer": "newton"}, ValueError, "optimizer"),
        ({"optimizer": None}, ValueError, "optimizer"),
        ({"loss": "hinge"}, ValueError, "loss"),
        ({"loss": 2}, ValueError, "loss"),
        ({"loss": lambda o, t: 1.0}, TypeError, "loss"),
        ({"loss": lambda o, t: o[0]}, TypeError, "loss"),
        ({"loss": lambda o, t: t[0].sum()}, TypeError, "loss"),
        ({"n_iter": 0}, ValueError, "n_iter"),
        ({"n_iter": 2.5}, TypeError, "n_iter"),
        ({"lr": 500}, ValueError, "lr"),
        ({"optimizer": torch.optim.Adam, "lr": 1}, ValueError, "lr"),
        ({"optimizer": "sgd", "lr": 0}, ValueError, "lr"),
        ({"optimizer": "adam", "lr": math.nan}, ValueError, "lr"),
        ({"optimizer": "sgd", "lr": "fast"}, TypeError, "lr"),
        ({"optimizer": "sgd", "momentum": 1}, ValueError, "momentum"),
        ({"optimizer": "sgd", "momentum": math.nan}, ValueError, "momentum"),
        ({"optimizer": "sgd", "momentum": None}, TypeError, "momentum"),
        ({"seed": -1}, ValueError, "seed"),
        ({"seed": 0.5}, TypeError, "seed"),
        ({"keep_every": 0}, ValueError, "keep_every"),
        ({"callback": "stop"}, TypeError, "callback"),
        ({"n_samples": N + 1}, ValueError, "n_samples"),
        ({"init": torch.stack([X, X])}, ValueError, "target"),
        ({"init": 0 * X, "optimizer": "sgd"}, ValueError, "x"),
        ({"transform": 3}, TypeError, "transform"),
        ({"transform": lambda x: x.detach().numpy(), "n_samples": N}, TypeError, "transform"),
        ({"transform": lambda x: x.detach(), "n_samples": N}, ValueError, "transform"),
        ({"transform": lambda x: W(x), "n_samples": N}, TypeError, "transform"),
        ({"transform": lambda x: W.magnitude(x)[1:], "n_samples": N}, ValueError, "target"),
        ({"transform": lambda x: W.magnitude(x)}, ValueError, "n_samples"),
        ({"transform": lambda x: x, "n_samples": 1.5}, TypeError, "n_samples"),
        ({"transform": lambda x: x, "target": []}, ValueError, "target"),
        ({"transform": lambda x: x, "target": ["S"]}, TypeError, "target"),
        ({"transform": lambda x: x - 1, "target": 0 * X, "n_samples": N}, ValueError, "target"),
    ],
)
def test_bad_descents(options, error, name):
    with pytest.raises(error, match=f"^{name} must ") as caught:
        invert_gradient(**{"target": S, "transform": W, "n_iter": 2, **options})
    assert str(caught.value).count("got") == 1 or "all zero" in str(caught.value)


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: metrics.decibels(-1), ValueError, "ratio must be"),
        (lambda: metrics.decibels(math.nan), ValueError, "ratio must be"),
        (lambda: metrics.hilbert_rotation(X, math.nan), ValueError, "theta must be"),
        (lambda: metrics.hilbert_rotation(X, "half"), TypeError, "theta must be"),
        (lambda: metrics.waveform_error_db(X, X[1:]), ValueError, "x and ref must have one shape"),
        (lambda: metrics.islands(S, floor_db=3), ValueError, "floor_db must be at most 0"),
        (lambda: metrics.islands(S, floor_db=math.nan), ValueError, "floor_db must be"),
        (lambda: metrics.misfit_db(S[1:], S), ValueError, "output must have a shape"),
        (lambda: metrics.misfit_db(spoilt(S, math.nan), S), ValueError, "output must be finite"),
        (lambda: metrics.misfit_db(S, C), TypeError, "target must be real"),
        (lambda: griffin_lim_step(W, X, n_power=0), ValueError, "n_power must be"),
        (lambda: random_start(S, W, "long"), TypeError, "n_samples must be"),
    ],
)
def test_bad_numbers(call, error, words):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value).startswith(words)


def test_a_signed_lowpass_may_be_negative_where_it_has_a_sign():
    signed = SIGNED.magnitude(X - 1)
    assert signed[-1].min() < 0
    assert torch.equal(SIGNED.check_scalogram(signed.numpy()), signed)
    assert metrics.consistency_db(X - 1, signed, SIGNED) < -300
    for bad in (spoilt(signed, -1.0), spoilt(signed, math.nan), signed[1:], SIGNED(X)):
        for call in (
            SIGNED.check_scalogram,
            lambda S: metrics.consistency_db(X, S, SIGNED),
            lambda S: invert_gradient(S, SIGNED, n_iter=1),
        ):
            with pytest.raises((ValueError, TypeError), match="^(S|target) must "):
                call(bad)


def test_extreme_levels_stay_finite():
    for level in (1e-150, 1e-20, 1e20, 1e150):
        x = level * cosine(30)
        c = W(x)
        assert torch.isfinite(W.impose(c.abs(), c)).all()
        assert torch.isfinite(W.inverse(c)).all()
        assert metrics.waveform_error_db(-x, x) < -250
        assert metrics.consistency_db(x, c.abs(), W) < -300
    assert np.isfinite(invert_gradient(1e20 * S, W, n_iter=3).consistency_db)


SCATTERING = scattering()
SLICES = Slices(W)


@pytest.mark.parametrize(
    "call, error, words",
    [
        # an argument of another kind
        (lambda: recover(S, 3), TypeError, "W must be a Scalogram, got 3"),
        (lambda: recover(S, W.magnitude), TypeError, "W must be a Scalogram, got <bound method"),
        (lambda: griffin_lim(S, "gmw"), TypeError, "W must be a Scalogram, got 'gmw'"),
        (lambda: phase_gradient(S, Scalogram), TypeError, "W must be a Scalogram, got <class"),
        (lambda: diagnose(S, "gmw"), TypeError, "W must be a Scalogram, got 'gmw'"),
        (lambda: denoise(S, None), TypeError, "W must be a Scalogram, got None"),
        (lambda: Slices(None), TypeError, "W must be a Scalogram, got None"),
        (lambda: Decimated(None), TypeError, "W must be a Scalogram, got None"),
        (lambda: Columns(None), TypeError, "W must be a Scalogram, got None"),
        (lambda: metrics.consistency_db(X, S, None), TypeError, "W must be a Scalogram, got None"),
        (lambda: metrics.island_error_db(X, X, 3), TypeError, "W must be a Scalogram, got 3"),
        (lambda: metrics.frequency_error_db(X, X, 3), TypeError, "W must be a Scalogram, got 3"),
        (lambda: bounds.cramer_rao(X, 3), TypeError, "W must be a Scalogram, got 3"),
        (lambda: bounds.jacobian(X, 3), TypeError, "W must be a Scalogram, got 3"),
        (lambda: bounds.band_basis(3), TypeError, "W must be a Scalogram, got 3"),
        (lambda: metrics.misfit_by_order(S, S, W), TypeError, "scattering must be a Scattering"),
        (lambda: Renormalized(W, S), TypeError, "scattering must be a Scattering, got Scalogram"),
        (lambda: losses.order_loss(W), TypeError, "scattering must be a Scattering, got Scalogram"),
        (lambda: synthesize_texture(S, W), TypeError, "scattering must be a Scattering, got Scal"),
        (lambda: invert_gradient(S, Scalogram), TypeError, "transform must be a Sca"),
        (lambda: metrics.best_phase([1j], C), TypeError, "a must be a Tensor, got [1j]"),
        (lambda: SLICES.recover(3, N), TypeError, "scalograms must be an Iterable, got 3"),
        (lambda: SLICES.recover([S], N, method="gl"), TypeError, "method must be a function of"),
        (lambda: SLICES.recover([S], N, method=lambda *a, **k: 1), TypeError, "method must return"),
        (lambda: griffin_lim(S, W, rule=lambda *a: 1), TypeError, "what rule returns must be an I"),
        (
            lambda: invert_gradient(S, W, optimizer=lambda x: 1),
            TypeError,
            "what optimizer returns must be an Optimizer, got 1",
        ),
        # numbers that no operation on floats takes
        (lambda: W.response("high"), TypeError, "frequency must be a finite number, got 'high'"),
        (lambda: W.response(10**400), ValueError, "frequency must be a finite number"),
        (lambda: metrics.decibels(10**400), TypeError, "ratio must be of norms, zero or positive"),
        (lambda: metrics.decibels([1j]), TypeError, "ratio must be of norms, zero or positive"),
        (lambda: metrics.hilbert_rotation(X, 10**400), ValueError, "theta must be a finite number"),
        (lambda: griffin_lim(S, W, n_iter=10**400), ValueError, "n_iter must be at most"),
        (lambda: griffin_lim(S, W, seed=2**64), ValueError, "seed must be at most"),
        (lambda: griffin_lim(S, W, momentum=10**400), ValueError, "momentum must be a finite numb"),
        (lambda: recover(S, W, sigma=1e-320), ValueError, "sigma must be from 1e-290 to 1e+290"),
        (lambda: Measured(S, W, floor="low"), TypeError, "floor must be a finite number"),
        (lambda: Measured(S, W, step=1e308), ValueError, "step must be from 1e-290 to 1e+290"),
        (lambda: bounds.noisy(S, 20, seed=None), TypeError, "seed must be a whole number"),
        (lambda: bounds.noisy(S, 20, clip="no"), TypeError, "clip must be True or False"),
        (lambda: bounds.jacobian(X, W, rows="low"), TypeError, "rows must be a slice, or whole"),
        (lambda: bounds.jacobian(X, W, rows=[99]), ValueError, "rows must be a slice, or whole"),
        (lambda: losses.rice(X + 1j), TypeError, "sigma must be a positive number or an array"),
        (lambda: losses.gaussian(X.numpy().astype(object)), TypeError, "sigma must be a positive"),
        (lambda: Columns(W, 4, [0.5] * W.n_freqs), ValueError, "offsets must be one whole number"),
        # kymatio's own words
        (lambda: scattering(Q=None), TypeError, "Q must be a whole number of at least 1, got None"),
        (lambda: scattering(Q=2.5), TypeError, "Q must be a whole number of at least 1, got 2.5"),
        (lambda: scattering(Q=(1, 2, 3)), ValueError, "Q must be a whole number, or one for each"),
        (lambda: scattering(Q=2**70), ValueError, "Q must be at most 1024"),
        (lambda: scattering(J=2**40), ValueError, "J must leave room for wavelets of 2**J samples"),
        (
            lambda: scattering(orders=[S]),
            ValueError,
            "orders must be one of 0, 1, 2, got Tensor of",
        ),
        (lambda: SCATTERING.split(X), ValueError, "S must have the shape (...,"),
        (lambda: Renormalized(SCATTERING, S), ValueError, "target must have the shape (...,"),
        # what follows from two arguments
        (
            lambda: W.like(sample_rate=1.0, frequencies=[0.001]),
            ValueError,
            "frequencies must leave",
        ),
        (lambda: griffin_lim(S, W, init=[[1, 2], [3]]), ValueError, "init must be"),
        (lambda: griffin_lim(S, W, init=S.to_sparse()), TypeError, "init must be"),
        (lambda: invert_gradient(S, W, n_samples=X), TypeError, "n_samples must be a whole number"),
        (lambda: invert_gradient(S, W, precondition=X), TypeError, "precondition must be True or"),
        (lambda: random_start(S, W, N, coloured=X), TypeError, "coloured must be True or False"),
    ],
)
def test_no_foreign_exception(call, error, words):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value).startswith(words)


def test_rows_of_a_jacobian_may_be_any_sequence_of_numbers():
    J = bounds.jacobian(X, W)
    for rows in ([3, -1], np.array([3, W.n_freqs - 1]), torch.tensor([3, -1])):
        assert torch.equal(bounds.jacobian(X, W, rows=rows), J[[3, -1]])


LIBROSA = {"sample_rate": 8000, "hop_length": 64, "fmin": 500, "bins_per_octave": 12}
OPENED_BY_NUMBER = [
    lambda path: from_matlab(path, sample_rate=8000),
    lambda path: from_image(path, sample_rate=8000, seconds=1, f_min=50, f_max=4000),
    lambda path: load(path, W),
    lambda path: save(Measured(S, W), path),
    lambda path: audio.save_wav(path, X, 8000),
    lambda path: signals.load(path),
    lambda path: Recovery.load(path),
    lambda path: Recovery(X, "m").save(path),
]


@pytest.mark.parametrize("function", OPENED_BY_NUMBER)
@pytest.mark.parametrize("path", [True, 1, 2.0, None, ["a"], np.int8(1)])
def test_a_number_is_no_file(function, path):
    """Python opens a number as a file that is open already, and closes it."""
    with pytest.raises((TypeError, ValueError), match="^path must be "):
        function(path)
    assert os.fstat(1)
    if path is None:
        with pytest.raises((TypeError, ValueError), match="path must be .* zero in it|npz"):
            function("a\0b.npz")


@pytest.mark.parametrize(
    "name, call, error",
    [
        ("c", lambda: W.modulus(C.numpy()), TypeError),
        ("S", lambda: W.impose(S.numpy(), C), TypeError),
        ("c", lambda: W.impose(S, C.numpy()), TypeError),
        ("x", lambda: Measured(S, W).magnitude(X.numpy()), TypeError),
        ("x", lambda: Measured(S, W).magnitude(X.half()), TypeError),
        ("x", lambda: Measured(S, W).magnitude(X[1:]), ValueError),
        ("parts", lambda: Decimated(W).complete(3), TypeError),
        ("p", lambda: bounds.pair_sums(W, X, None), ValueError),
        ("q", lambda: bounds.pair_sums(W, S, C.numpy()), TypeError),
        ("share", lambda: bounds.pair_sums(W, S, C, share="x"), TypeError),
        ("W", lambda: spectral_gap(S, None, X), TypeError),
        ("ridge", lambda: spectral_gap(S, W, X, ridge=-1), ValueError),
        ("ridges", lambda: solve_phase_equation(S, W, ridges=[1e-3, math.nan]), ValueError),
        ("ridges", lambda: solve_phase_equation(S, W, ridges=[]), ValueError),
        ("ridges", lambda: solve_phase_equation(S, W, ridges=0.1), TypeError),
        ("target_db", lambda: solve_phase_equation(S, W, target_db="x"), TypeError),
        ("progress", lambda: griffin_lim(S, W, progress=X), TypeError),
        ("start", lambda: signals.cut(X, 8000, 64, start=1e308), ValueError),
        ("difference", lambda: audio.players({"a": X}, 8000, difference=X), TypeError),
        ("reference", lambda: plotting.level_db(S, 10**400), ValueError),
        ("floor_db", lambda: plotting.level_db(S, floor_db="x"), TypeError),
        *(
            (
                "sample_rate, hop_length and bins_per_octave",
                lambda name=name, value=value: from_librosa(S, **{**LIBROSA, name: value}),
                ValueError,
            )
            for name, value in [("hop_length", 2**31), ("bins_per_octave", 2**31)]
        ),
    ],
)
def test_small_helpers_name_their_argument_too(name, call, error):
    with pytest.raises(error, match=f"^{name} must (be|have|leave|hold) "):
        call()
