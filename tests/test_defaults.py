"""Leaving an option out is the same as giving the default that its documentation tells."""

import functools

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat
from small import N, noise, scalogram

from scalinv_utils import Scalogram, Scattering, bounds, metrics
from scalinv_utils.measured import (
    Measured,
    from_image,
    from_librosa,
    from_matlab,
    from_pywt,
    from_ssqueezepy,
)
from scalinv_utils.recovery import (
    _griffin_lim,
    _objective,
    griffin_lim,
    invert_gradient,
    losses,
    phase_gradient,
    recover,
    schedules,
)
from scalinv_utils.recovery._gradient_descent import random_start
from scalinv_utils.recovery._phase_equation import solve_phase_equation, spectral_gap
from scalinv_utils.recovery._phase_relations import phase_derivatives
from scalinv_utils.recovery.texture import synthesize_texture

W = scalogram(N, "cauchy", 16)
X = W.project(noise(1))
S = W.magnitude(X)
SPOILT = bounds.noisy(S, 20)
PLANE = np.ones((36, 33))
LIBROSA = {"sample_rate": 8000, "hop_length": 64, "fmin": 100, "bins_per_octave": 12}
GLOBAL = Scattering(256, J=4, Q=2, T="global")
ROWS = {"scales": 2.0 ** np.arange(1, 5, 0.25), "wavelet": "cmor1.5-1.0"}


def a_round(rule, **options):
    """The third iterate of a rule of `griffin_lim` from the phase of noise."""
    pairs = rule(S, W, W(noise(2)), **options)
    return [next(pairs)[0] for _ in range(3)][-1]


def loss_of(make, **options):
    loss = make(**options)
    return loss([noise(3).abs()], [1e-2 * noise(4).abs()])


def filters(M):
    return M.W.filters, M.S, M.n_samples, M.W.sample_rate, M.W.frequencies


def attributes(W):
    return W.filters, W.frequencies, W.sample_rate


def of_scattering(F):
    return F(noise(5, 256)), F.frequencies if hasattr(F, "frequencies") else F.sample_rate


CASES = {
    "griffin_lim": (
        lambda **o: griffin_lim(S, W, **o).signal,
        {"n_iter": 200, "momentum": 0.99, "seed": 0, "init": "random", "rule": "fast"},
    ),
    "fast": (functools.partial(a_round, _griffin_lim.fast), {"momentum": 0.99}),
    "accelerated": (
        functools.partial(a_round, _griffin_lim.accelerated),
        {"alpha": 0.99, "beta": 0.99, "gamma": 1.25},
    ),
    "admm": (functools.partial(a_round, _griffin_lim.admm), {"rho": 0.1}),
    "raar": (functools.partial(a_round, _griffin_lim.raar), {"beta": 0.9}),
    "invert_gradient": (
        lambda **o: invert_gradient(S, W, optimizer="sgd", **o).signal,
        {"n_iter": 200, "momentum": 0.9, "seed": 0, "joint": False, "loss": "l2", "init": "noise"},
    ),
    "L-BFGS": (
        lambda **o: invert_gradient(S, W, n_iter=5, **o).signal,
        {"optimizer": "lbfgs", "precondition": True, "lr_unit": "own"},
    ),
    "bold driver": (
        lambda **o: invert_gradient(S, W, optimizer="bold", n_iter=9, **o).signal,
        {"momentum": 0.9, "lr": 1.0, "lr_unit": "griffin-lim"},
    ),
    "random_start": (
        lambda **o: random_start(S, W, N, **o),
        {"seed": 0, "coloured": False},
    ),
    "phase_gradient": (
        lambda **o: phase_gradient(SPOILT, W, **o).signal,
        {"n_iter": 30, "seed": 0, "tolerance": 1e-6, "method": "heap"},
    ),
    "recover": (
        lambda **o: recover(S, W, progress=False, **o).signal,
        {"seed": 0, "noise": "clipped"},
    ),
    "solve_phase_equation": (
        lambda **o: solve_phase_equation(S, W, **o).signal,
        {"seed": 0, "target_db": -130.0, "ridges": (1e-3, 1e-4, 1e-6, 1e-8, 1e-9, 1e-10)},
    ),
    "spectral_gap": (lambda **o: spectral_gap(S, W, X, **o), {"ridge": 1e-9}),
    "phase_derivatives": (
        lambda **o: phase_derivatives(scalogram().magnitude(X), scalogram(), **o),
        {"exact": True},
    ),
    "spectral_gain": (
        lambda **o: _objective.spectral_gain(W, X, **o),
        {"n_probes": 8, "seed": 0},
    ),
    "griffin_lim_step": (lambda **o: _objective.griffin_lim_step(W, X, **o), {"n_power": 12}),
    "texture": (
        lambda **o: synthesize_texture(GLOBAL(noise(8, 256)), GLOBAL, **o).signal,
        {"n_iter": 100, "seed": 0},
    ),
    "power": (functools.partial(loss_of, losses.power), {"p": 2 / 3, "floor": 1e-3}),
    "log": (functools.partial(loss_of, losses.log), {"floor": 1e-2}),
    "noisy": (lambda **o: bounds.noisy(S, 3, **o), {"seed": 0, "clip": True}),
    "maximum_likelihood": (
        lambda **o: bounds.maximum_likelihood(SPOILT, W, X + 0.3 * W.project(noise(6)), **o),
        {"n_iter": 30},
    ),
    "island_error": (
        lambda **o: metrics.island_error_db(X + 0.1 * noise(7), X, W, **o),
        {"floor_db": -40.0},
    ),
    "step_decay": (
        lambda **o: [schedules.step_decay(**o)(k) for k in range(70)],
        {"every": 5, "factor": 0.5, "start": 51},
    ),
    "cosine_decay": (lambda **o: schedules.cosine_decay(9, **o)(9), {"final": 0.0}),
    "BoldDriver": (
        lambda **o: vars(schedules.BoldDriver(lambda x: (1.0, x), X, 0.1, **o)),
        {"momentum": 0.9, "grow": 1.1, "shrink": 0.5, "patience": 3},
    ),
    "Scalogram": (
        lambda **o: attributes(Scalogram(N, **o)),
        {"sample_rate": 1.0, "wavelet": "gmw", "voices_per_octave": 16, "lowpass": None},
    ),
    "from_frequencies": (
        lambda **o: attributes(Scalogram.from_frequencies(N, frequencies=[0.3, 0.2], **o)),
        {"sample_rate": 1.0},
    ),
    "from_filters": (
        lambda **o: attributes(Scalogram.from_filters(torch.ones(2, N), [0.3, 0.2], **o)),
        {"sample_rate": 1.0, "n_samples": N},
    ),
    "Scattering": (
        lambda **o: of_scattering(Scattering(256, **o)),
        {"sample_rate": 1.0, "J": 6, "Q": 8, "T": None, "orders": (1, 2)},
    ),
    "Measured": (
        lambda **o: filters(Measured(S, W, **o)),
        {"hop": 1, "scale": "modulus", "ends": "periodic"},
    ),
    "from_librosa": (
        lambda **o: filters(from_librosa(PLANE, **LIBROSA, **o)),
        {
            "filter_scale": 1.0,
            "tuning": 0.0,
            "norm": 1,
            "scale": True,
            "sparsity": 0.01,
            "only_exact": False,
            "window": "hann",
            "kind": "cqt",
        },
    ),
    "from_pywt": (
        lambda **o: filters(from_pywt(np.ones((16, 64)), **ROWS, **o)),
        {"sampling_period": 1.0},
    ),
    "from_ssqueezepy": (
        lambda **o: filters(from_ssqueezepy(np.ones((16, 64)), "gmw", ROWS["scales"], **o)),
        {"sample_rate": 1.0, "l1_norm": True, "padtype": "reflect"},
    ),
}


def equal(one, other):
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return all(equal(one[key], other[key]) for key in one if not callable(one[key]))
    if isinstance(one, tuple | list):
        return all(map(equal, one, other))
    return one == other


@pytest.mark.parametrize("name", CASES)
def test_an_option_that_is_left_out_has_its_default(name):
    call, defaults = CASES[name]
    assert equal(call(), call(**defaults))


def test_options_of_files_that_are_left_out_have_their_defaults(tmp_path):
    savemat(
        tmp_path / "wt.mat", {"wt": np.ones((41, 64)), "f": np.geomspace(0.4, 0.05, 41)[:, None]}
    )
    read = functools.partial(from_matlab, tmp_path / "wt.mat", sample_rate=1.0)
    told = {"variable": "wt", "frequencies": "f", "wavelet": "morse"}
    told |= {"time_bandwidth": 60, "gamma": 3, "extend": True}
    assert equal(filters(read()), filters(read(**told)))
    grey = np.random.default_rng(0).integers(0, 256, (8, 64)).astype(np.uint8)
    Image.fromarray(grey).save(tmp_path / "S.png")
    frame = {"sample_rate": 1.0, "seconds": 64, "f_min": 0.1, "f_max": 0.4}
    read = functools.partial(from_image, tmp_path / "S.png", **frame)
    assert equal(filters(read()), filters(read(db_range=80.0, wavelet="gmw")))


def test_steps_of_coarse_to_fine():
    left_out = losses.CoarseToFine()
    assert (left_out.n_stages, left_out.every) == (4, 10)
    assert [left_out.advance(k, -20.0) for k in (9, 10, 29, 30, 40)] == [
        False,
        True,
        True,
        True,
        False,
    ]
