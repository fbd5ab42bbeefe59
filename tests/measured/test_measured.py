"""A Measured holds the modulus on a grid, what is known of it, and the map from the signal."""

import math

import numpy as np
import pytest
import torch
from small import complex_noise, error_db, noise, scalogram

from scalinv_utils.measured import Measured
from scalinv_utils.transforms import Scalogram

N = 64
W = scalogram(N)
X = W.project(noise(1, N))
S = W.magnitude(X)
PER_ROW = [(4, j % 4) if j % 2 else (2, j % 2) for j in range(W.n_freqs)]


def two_sided():
    return Scalogram.from_filters(complex_noise(2, 5, N), range(1, 6), n_samples=N)


# Each is (ends, options, transform), for signals of about N samples.
SHAPES = {
    "plain": (W, {}),
    "hop": (W, {"hop": 4}),
    "per-row hops": (W, {"hop": PER_ROW}),
    "mask": (W, {"known": noise(3, *W.shape) > 0}),
    "zero": (scalogram(2 * N), {"ends": "zero", "pad": (20, 44), "hop": 2}),
    "reflect": (scalogram(2 * N), {"ends": "reflect", "pad": (33, 31)}),
    "symmetric": (scalogram(2 * N), {"ends": "symmetric", "pad": (30, 34), "hop": 4}),
    "complex, two-sided": (two_sided(), {"hop": 2}),
}
every_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())


def measured(shape):
    W, options = shape
    return Measured(torch.ones(W.n_freqs, N, dtype=torch.float64), W, **options)


# -- scales and errors -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scale", "convert"),
    [
        ("modulus", lambda S: S),
        ("power", torch.square),
        ("db", lambda S: 20 * S.log10()),
    ],
)
def test_every_scale_gives_the_modulus(scale, convert):
    M = Measured(convert(S), W, scale=scale)
    assert error_db(M.S, S) < -280 and M.is_plain and M.sigma is None
    assert M.consistency_db(X) < -280
    assert torch.allclose(Measured(convert(S).numpy(), W, scale=scale).S, M.S)


def test_decibels_of_zero_are_zero():
    decibels = 20 * S.log10()
    decibels[3, 5] = -math.inf
    assert Measured(decibels, W, scale="db").S[3, 5] == 0


def test_rounding_and_noise_add_their_variances():
    M = Measured(S, W, sigma=0.1, step=0.3)
    assert torch.allclose(M.sigma, torch.full(W.shape, math.sqrt(0.01 + 0.09 / 12)).double())
    relative = 0.5 * math.log(10) / 20 / math.sqrt(12)
    assert torch.allclose(Measured(S, W, step_db=0.5).sigma, relative * S)
    assert not M.is_plain


def test_the_deviation_of_rounding_is_that_of_a_uniform_error():
    loud = scalogram(1024)
    S = loud.magnitude(noise(4, 1024))
    for step, options in ((0.05, {"step": 0.05}), (0.05, {"step_db": 0.05})):
        scaled = 20 * S.log10() if "step_db" in options else S
        rounded = (scaled / step).round() * step
        scale = "db" if "step_db" in options else "modulus"
        M = Measured(rounded, loud, scale=scale, **options)
        assert float(((M.S - S) / M.sigma).square().mean()) == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("shape", [(), (1, N), (W.n_freqs, 1), W.shape])
def test_sigma_broadcasts_and_is_infinite_where_nothing_is_known(shape):
    sigma = noise(5, *shape).abs() + 0.1 if shape else 0.2
    known = noise(6, *W.shape) > -1
    M = Measured(S, W, sigma=sigma, known=known)
    expected = torch.as_tensor(sigma).double().expand(W.shape)
    assert torch.allclose(M.sigma[known], expected[known]) and M.sigma[~known].isinf().all()


@pytest.mark.parametrize("scale", ["modulus", "power", "db"])
def test_a_floor_is_the_bound_of_all_that_lies_at_or_below_it(scale):
    given = {"modulus": S, "power": S.square(), "db": 20 * S.log10()}[scale]
    floor = float(given.flatten().sort().values[500])
    M = Measured(given, W, scale=scale, floor=floor)
    low = given <= floor
    level = {"modulus": floor, "power": math.sqrt(abs(floor)), "db": 10 ** (floor / 20)}[scale]
    assert torch.equal(M.at_most, low) and int(low.sum()) == 501
    assert M.S[low].numpy() == pytest.approx(level) and error_db(M.S[~low], S[~low]) < -280
    # A modulus below the bound is no misfit, one above it is.
    assert M.misfit(S).abs().max() < 1e-12 and not M.misfit(torch.zeros(W.shape))[low].any()
    assert torch.allclose(M.misfit(M.S + 1), torch.ones(W.shape).double())
    assert torch.equal(M.fitted(X)[low], M.S[low]) and not M.is_plain


# -- what is known -----------------------------------------------------------------------------


def test_what_is_nan_or_masked_or_false_is_not_known():
    mask = noise(7, *W.shape) > 0.5
    spoilt = S.clone()
    spoilt[mask] = math.nan
    by_nan, by_mask = Measured(spoilt, W), Measured(S, W, known=~mask)
    by_numpy = Measured(np.ma.masked_array(S.numpy(), mask.numpy()), W)
    for M in (by_nan, by_mask, by_numpy, Measured(spoilt, W, known=np.ones(W.shape, bool))):
        assert torch.equal(M.known, ~mask) and torch.equal(M.S, S.masked_fill(mask, 0))
        assert not M.magnitude(X)[mask].any() and not M.is_plain


def test_a_thinned_scalogram_may_come_with_all_columns_or_those_kept():
    for hop in (4, np.int64(4), [(4, 0)] * W.n_freqs, np.array([(4, 0)] * W.n_freqs)):
        kept, whole = Measured(S[:, ::4], W, hop=hop), Measured(S, W, hop=hop)
        assert torch.equal(kept.S, whole.S) and torch.equal(kept.S, S[:, ::4])
        assert kept.columns.hop == 4 and kept.known.all() and not kept.is_plain


def test_rows_with_hops_of_their_own_share_one_grid():
    M = Measured(S, W, hop=PER_ROW)
    assert M.columns.hop == 2
    times = M.columns.times
    for row, (hop, offset) in enumerate(PER_ROW):
        expected = (torch.arange(N) - offset) % hop == 0
        assert torch.equal(times[row][M.known[row]].sort().values, torch.arange(N)[expected])
    assert torch.equal(M.S[M.known], torch.gather(S, 1, times)[M.known])


def test_a_hop_that_does_not_divide_the_length_is_a_mask():
    M = Measured(S[:, ::5], W, hop=5)
    assert M.columns.hop == 1 and int(M.known.sum()) == 13 * W.n_freqs
    assert torch.equal(M.S[:, ::5], S[:, ::5])


# -- maps --------------------------------------------------------------------------------------


@every_shape
def test_the_modulus_is_that_of_the_extended_signal_where_it_is_known(shape):
    M, x = measured(shape), noise(8, 2, N)
    full = M.W(M.extension(x))
    c = torch.gather(full, -1, M.columns.times.expand(2, -1, -1)) * M.known
    assert error_db(M.coefficients(x), c) < -280
    assert error_db(M.magnitude(x), c.abs()) < -280


@every_shape
def test_the_adjoint_satisfies_its_definition(shape):
    M, x = measured(shape), noise(9, N)
    c = complex_noise(10, *M.S.shape)
    left = float((M.coefficients(x).conj() * c).real.sum())
    assert left == pytest.approx(float(x @ M.adjoint(c)), rel=1e-9)


@every_shape
def test_precondition_is_symmetric_and_positive(shape):
    M = measured(shape)
    x, y = noise(11, N), noise(12, N)
    assert float(M.precondition(x) @ y) == pytest.approx(float(x @ M.precondition(y)), rel=1e-9)
    assert float(M.precondition(x) @ x) > 0


@every_shape
def test_what_a_signal_gives_is_consistent_with_it(shape):
    W, options = shape
    x = noise(13, N)
    M = measured(shape)
    plane = M.W.magnitude(M.extension(x))[:, M.extension.left :][:, :N]
    M = Measured(plane, W, **options)
    assert M.consistency_db(x) < -250 and M.consistency_db(2 * x) == pytest.approx(0, abs=1e-6)


def test_a_plain_one_is_whitened_and_inverted_exactly():
    M = Measured(S, W)
    assert error_db(W.project(M.whiten(X)), W.whiten(X)) < -200
    assert error_db(W.project(M.precondition(M.adjoint(W(X)))), X) < -190


def test_it_says_itself_in_one_line():
    text = repr(Measured(S, W, hop=4, sigma=0.1))
    assert text == (
        f"Measured(({W.n_freqs}, 16), hop 4, 100% of them known, with errors, ends 'periodic', "
        "of 64 samples at 1 Hz)"
    )


# -- bad input ---------------------------------------------------------------------------------

BAD = {
    "S": [
        ([[1.0], [1.0, 2.0]], ValueError),
        ("S", TypeError),
        (None, TypeError),
        (np.full(W.shape, None), TypeError),
        (S > 0, TypeError),
        (S + 0j, TypeError),
        (S * math.inf, ValueError),
        (S * math.nan, ValueError),
        (-S, ValueError),
        (S[None], ValueError),
        (S.T, ValueError),
        (S[:, :10], ValueError),
        (S[:5], ValueError),
        (S[:, :0], ValueError),
    ],
    "scale": [("dB", ValueError), (None, ValueError)],
    "known": [
        ([[True], [True, False]], ValueError),
        (S, TypeError),
        (np.ones(3, bool), ValueError),
        ("yes", TypeError),
        (np.zeros(W.shape, bool), ValueError),
    ],
    "hop": [
        (0, ValueError),
        (4.0, TypeError),
        (True, TypeError),
        ("ab", TypeError),
        (None, TypeError),
        ([4] * W.n_freqs, TypeError),
        ([(4, 0)], ValueError),
        ([(4, -1)] * W.n_freqs, ValueError),
        ([(4, 0.5)] * W.n_freqs, TypeError),
        ([(4, 100)] * W.n_freqs, ValueError),
    ],
    "sigma": [
        (0, ValueError),
        (-1.0, ValueError),
        (math.nan, ValueError),
        (math.inf, ValueError),
        ("a", TypeError),
        (1j, TypeError),
        (True, TypeError),
        (np.ones(5), ValueError),
    ],
    "step": [(0, ValueError), (math.nan, ValueError), ("a", TypeError)],
    "step_db": [(-1, ValueError), (True, TypeError)],
    "floor": [("a", TypeError), (math.nan, ValueError), (-1.0, ValueError)],
    "ends": [("mirror", ValueError), (None, ValueError)],
    "pad": [(3, TypeError), ((1, 2), ValueError)],
    "n_samples": [("a", TypeError), (0, ValueError)],
}


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [(name, *case) for name, cases in BAD.items() for case in cases],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_input_is_named(name, value, error):
    arguments = {"S": S, name: value}
    with pytest.raises(error, match=rf"\b{name}\b"):
        Measured(W=W, **arguments)


@pytest.mark.parametrize(
    ("transform", "error"),
    [(None, TypeError), (3, TypeError), (scalogram(N, lowpass="signed"), ValueError)],
)
def test_a_bad_transform_is_named(transform, error):
    with pytest.raises(error, match="W must"):
        Measured(S, transform)


def test_the_message_says_what_to_do_about_decibels_and_transposed_arrays():
    with pytest.raises(ValueError, match="scale='db'"):
        Measured(20 * S.log10(), W)
    with pytest.raises(ValueError, match="transposed"):
        Measured(S.T, W)
