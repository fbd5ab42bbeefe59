"""Every error names the wrong argument, the value it got and the values it takes."""

import math

import numpy as np
import pytest
import torch
from small import N, cosine, noise, scalogram

from scalinv_utils import metrics
from scalinv_utils.recovery._gradient_descent import griffin_lim_step, invert_gradient, random_start
from scalinv_utils.recovery._griffin_lim import griffin_lim
from scalinv_utils.transforms.scalogram import Scalogram

W = scalogram()
SIGNED = scalogram(lowpass="signed")
X = noise(1)
C = W(X)
S = C.abs()


def spoilt(x, value):
    x = x.clone()
    x.flatten()[3] = value
    return x


BAD_SIGNALS = {
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
        (lambda: metrics.misfit_db(S, C), TypeError, "target must be a real"),
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
