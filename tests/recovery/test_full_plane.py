"""Alternating projections keep what is known, and leave free what is not."""

import pytest
import torch
from small import complex_noise, error_db, noise, scalogram

from scalinv_utils.measured import Measured
from scalinv_utils.recovery._full_plane import FullPlane
from scalinv_utils.recovery._griffin_lim import RULES, griffin_lim

N = 128
W = scalogram(N, voices_per_octave=16)
X = W.project(noise(1, N))
S = W.magnitude(X)
MASK = noise(2, *W.shape) > 0
CASES = {
    "hop": {"hop": 4},
    "mask": {"known": MASK},
    "per-row hops": {"hop": [(4, j % 4) for j in range(W.n_freqs)]},
    "floor": {"floor": float(S.median())},
    "sigma": {"sigma": 0.1},
}
every_case = pytest.mark.parametrize("options", CASES.values(), ids=CASES.keys())


def where_known(M):
    return M.columns.spread(M.known.double()) > 0


@every_case
def test_the_nearest_point_has_the_known_modulus_and_keeps_the_rest(options):
    plane = FullPlane(M := Measured(S, W, **options))
    c, known = complex_noise(3, *W.shape), where_known(M)
    imposed = plane.impose(plane.S, c)
    bound = M.columns.spread(M.at_most.double()) > 0
    exact = known & ~bound
    assert torch.allclose(imposed[exact].abs(), S[exact]) and torch.equal(
        imposed[~known], c[~known]
    )
    assert torch.allclose(imposed[bound].abs(), torch.minimum(plane.S, c.abs())[bound])
    assert torch.allclose(torch.sgn(imposed[S > 0]), torch.sgn(c[S > 0]))
    out = c.clone()
    assert plane.impose(plane.S, out, out=out) is out and torch.equal(out, imposed)


@every_case
def test_the_misfit_is_that_of_the_measurement(options):
    plane = FullPlane(M := Measured(S, W, **options))
    y = W.project(noise(4, N))
    misfit = plane.modulus(plane.coefficients(y)) - plane.S
    assert float(misfit.norm()) == pytest.approx(float(M.misfit(M.magnitude(y)).norm()))


@every_case
def test_the_truth_is_a_fixed_point_whatever_the_unknown_places_hold(options):
    spoilt = torch.where(MASK, S, 100.0) if "known" in options else S
    M = Measured(spoilt, W, **options)
    for rule in RULES:
        recovery = griffin_lim(M, init=X, n_iter=5, rule=rule)
        assert recovery.consistency_db < -200, rule
        assert error_db(recovery.signal, X) < -200, rule


@every_case
def test_griffin_lim_lowers_the_misfit_at_every_step(options):
    M = Measured(S, W, **options)
    history = griffin_lim(M, n_iter=60, rule="gl").history["consistency_db"]
    assert all(later <= earlier + 1e-9 for earlier, later in zip(history, history[1:]))
    assert history[-1] < history[0] - 8


@pytest.mark.parametrize("ends", ["zero", "reflect", "symmetric"])
def test_griffin_lim_lowers_the_misfit_of_an_extended_signal(ends):
    pads, x = (30, 34), noise(5, 64)
    M = Measured(torch.ones(W.n_freqs, 64), W, ends=ends, pad=pads)
    M = Measured(W.magnitude(M.extension(x))[:, 30:94], W, ends=ends, pad=pads)
    recovery = griffin_lim(M, n_iter=100)
    assert recovery.signal.shape == (64,) and torch.isfinite(recovery.signal).all()
    assert recovery.history["consistency_db"][-1] < recovery.history["consistency_db"][0] - 8
    assert recovery.consistency_db == pytest.approx(M.consistency_db(recovery.signal), abs=1e-6)


def test_everything_known_is_the_plain_algorithm():
    known = torch.ones(W.shape, dtype=torch.bool)
    plain = griffin_lim(S, W, n_iter=10, seed=3).signal
    assert torch.equal(griffin_lim(Measured(S, W, known=known), n_iter=10, seed=3).signal, plain)
    plane = Measured(S, W, sigma=1e-9)  # not plain, so that it takes the longer way
    assert error_db(griffin_lim(plane, n_iter=10, seed=3).signal, plain) < -200


def test_silence_history_and_seed():
    silent = griffin_lim(Measured(torch.zeros(W.n_freqs, N // 4), W, hop=4))
    assert silent.signal.shape == (N,) and not silent.signal.any()
    M = Measured(S, W, hop=4)
    one, same, other = (griffin_lim(M, n_iter=7, seed=seed).signal for seed in (1, 1, 2))
    assert torch.equal(one, same) and not torch.equal(one, other)
    assert len(griffin_lim(M, n_iter=7).history["consistency_db"]) == 8


@pytest.mark.parametrize(
    ("options", "error", "name"),
    [
        ({"W": scalogram(N)}, ValueError, "W"),
        ({"n_iter": 0}, ValueError, "n_iter"),
        ({"rule": "newton"}, ValueError, "rule"),
        ({"init": noise(6, 3)}, ValueError, "init"),
        ({"init": complex_noise(7, 3, 3)}, ValueError, "init"),
        ({"init": "signal"}, ValueError, "init"),
        ({"seed": -1}, ValueError, "seed"),
        ({"callback": 3}, TypeError, "callback"),
    ],
)
def test_bad_input_is_named(options, error, name):
    with pytest.raises(error, match=name):
        griffin_lim(Measured(S, W, hop=4), **options)
