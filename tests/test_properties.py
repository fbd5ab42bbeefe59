"""Properties that hold for every signal: odd and prime lengths, all dtypes, layouts and levels."""

import functools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp

from scalinv_utils import Scalogram, griffin_lim, metrics, phase_gradient, recover
from scalinv_utils._validation import check_coefficients, check_magnitudes, check_signal

# Shares of the norm that rounding may take. The inverse divides by gains of a thousandth.
ROUNDING, INVERSE = 1e-13, 1e-11

PRIMES = (17, 31, 61, 127, 509, 1021, 2003, 4999)
LENGTHS = st.one_of(st.sampled_from(PRIMES), st.integers(16, 5000))
SHORT = st.sampled_from((31, 32, 45, 61, 64))
SEEDS = st.integers(0, 2**32 - 1)
LEVELS = st.sampled_from((1e-150, 1e-12, 1.0, 32768.0, 1e150))
UNITS = st.sampled_from((1e-250, 1e-12, 1e12, 1e250))


def noise(rng, n):
    return rng.standard_normal(n)


def impulse(rng, n):
    return np.eye(1, n, rng.integers(n))[0]


def tone(rng, n):
    return np.cos(2 * np.pi * rng.uniform(0, 0.5) * np.arange(n) + rng.uniform(0, 6))


def clipped(rng, n):
    return np.clip(3 * tone(rng, n) + 0.1 * noise(rng, n), -1, 1)


def heavy_dc(rng, n):
    return 1e4 + tone(rng, n)


def silence(rng, n):
    return np.zeros(n)


def steps(rng, n):
    return np.sign(np.sin(np.arange(n) * rng.uniform(0, 1)))


KINDS = (noise, impulse, tone, clipped, heavy_dc, silence, steps)
SOUNDS = st.sampled_from(KINDS)


def read_only(x):
    x = x.copy()
    x.setflags(write=False)
    return x


# Each makes another array of the same numbers.
LAYOUTS = {
    "plain": np.copy,
    "read only": read_only,
    "reversed": lambda x: x[..., ::-1].copy()[..., ::-1],
    "strided": lambda x: np.repeat(x, 2, -1)[..., ::2],
    "Fortran's order": np.asfortranarray,
    "foreign bytes": lambda x: x.astype(x.dtype.newbyteorder(">")),
    "long double": lambda x: x.astype(np.longdouble),
    "a column of a table": lambda x: np.stack([x, -x], -1)[..., 0],
    "tensor": torch.from_numpy,
    "tensor, strided": lambda x: torch.from_numpy(np.repeat(x, 3, -1))[..., ::3],
    "tensor, backwards": lambda x: torch.from_numpy(x[..., ::-1].copy()).flip(-1),
    "part of a complex tensor": lambda x: (
        torch.complex(*2 * (torch.from_numpy(1.0 * x),)).conj().real
    ),
    "list": np.ndarray.tolist,
    "list of tensors": lambda x: list(torch.from_numpy(x)),
}


@functools.cache
def bank(n, wavelet="gmw"):
    """Make a transform of few rows, whose lowest wavelet fits twenty samples or more."""
    return Scalogram(n, wavelet=wavelet, voices_per_octave=3, f_min=max(0.2, 2 / n))


def norm(x):
    return float(torch.linalg.vector_norm(x.flatten()))


def close(a, b, tolerance, scale=None):
    """Compare to a share of the norm of b, or of the number that the rounding is relative to."""
    return norm(a - b) <= tolerance * (norm(b) if scale is None else scale)


# -- the transform -------------------------------------------------------------------------------


@settings(max_examples=40)
@given(n=LENGTHS, sound=SOUNDS, level=LEVELS, seed=SEEDS)
def test_the_inverse_gives_back_the_part_in_the_band(n, sound, level, seed):
    W, x = bank(n), level * sound(np.random.default_rng(seed), n)
    before = x.tobytes()
    y, inside = W.inverse(W(x)), W.project(x)
    assert y.dtype == torch.float64 and torch.isfinite(y).all()
    assert close(y, inside, INVERSE, np.abs(x).max() * n**0.5)
    assert close(W.project(inside), inside, ROUNDING, np.abs(x).max() * n**0.5)
    assert x.tobytes() == before


@settings(max_examples=25)
@given(n=LENGTHS, sounds=st.tuples(SOUNDS, SOUNDS), seed=SEEDS, a=st.floats(-9, 9))
def test_the_transform_is_linear_and_adjoint_is_its_adjoint(n, sounds, seed, a):
    W, rng = bank(n), np.random.default_rng(seed)
    x, y = (torch.from_numpy(sound(rng, n)) for sound in sounds)
    c = torch.complex(*torch.from_numpy(rng.standard_normal((2, *W.shape))))
    scale = (1 + abs(a)) * (norm(x) + norm(y)) * W.frame_bounds[1] ** 0.5
    assert close(W(a * x + y), a * W(x) + W(y), ROUNDING, scale)
    left, right = (W(x).conj() * c).real.sum(), x @ W.adjoint(c)
    assert abs(float(left - right)) <= ROUNDING * scale * norm(c)


@settings(max_examples=25)
@given(n=LENGTHS, sounds=st.lists(SOUNDS, min_size=2, max_size=4), seed=SEEDS)
def test_each_member_of_a_batch_is_as_alone(n, sounds, seed):
    W, rng = bank(n), np.random.default_rng(seed)
    members = [10.0 ** rng.integers(-90, 90) * sound(rng, n) for sound in sounds]
    batch, back = W(np.stack(members)), W.inverse(W(np.stack(members)))
    for x, c, y in zip(members, batch, back):
        assert close(c, W(x), ROUNDING) and close(y, W.inverse(W(x)), ROUNDING)


@settings(max_examples=40)
@given(
    n=st.integers(16, 300),
    sound=SOUNDS,
    layout=st.sampled_from(sorted(LAYOUTS)),
    dtype=st.sampled_from((np.float64, np.float32, np.float16, np.int8, np.int16, np.int64)),
    batch=st.sampled_from(((), (1,), (2, 3))),
    seed=SEEDS,
)
def test_only_the_numbers_count_not_where_they_lie(n, sound, layout, dtype, batch, seed):
    rng, W = np.random.default_rng(seed), bank(n)
    x = np.stack([sound(rng, n) for _ in range(math.prod(batch))]).reshape(*batch, n)
    x = (100 * x).astype(np.int8).astype(dtype)
    given_x = LAYOUTS[layout](x)
    expected = W(x.astype(np.float64))
    assert torch.equal(W(given_x), expected)
    assert torch.equal(W(given_x), expected)  # the first call has left the numbers as they were


@settings(max_examples=30)
@given(n=st.integers(1, 60))
def test_every_length_has_a_transform_or_a_sentence(n):
    try:
        W = Scalogram(n, voices_per_octave=2)
    except ValueError as refused:
        assert str(refused).startswith(("n_samples must be", "f_min must be below"))
        assert n < 40
    else:
        assert torch.isfinite(W.inverse(W(torch.ones(n)))).all()


# -- scores --------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(n=st.integers(1, 5000), sounds=st.tuples(SOUNDS, SOUNDS), unit=UNITS, seed=SEEDS)
def test_scores_are_numbers_and_do_not_depend_on_the_unit(n, sounds, unit, seed):
    rng = np.random.default_rng(seed)
    x, y = (sound(rng, n) for sound in sounds)
    for score in (metrics.waveform_error_db, metrics.sign_error_db):
        value = score(x, y)
        assert not math.isnan(value)
        scaled = score(unit * x, unit * y)
        assert value == scaled or abs(value - scaled) < 1e-3 or max(value, scaled) < -250
        assert score(x, x) < -290
    assert metrics.sign_error_db(-x, x) == -math.inf


@settings(max_examples=20)
@given(n=st.integers(20, 3000), theta=st.floats(-4, 4), seed=SEEDS)
def test_a_rotation_is_no_error_and_leaves_the_scalogram(n, theta, seed):
    W = bank(n)
    x = W.project(noise(np.random.default_rng(seed), n))
    turned = metrics.hilbert_rotation(x, theta)
    assert metrics.waveform_error_db(turned, x) < -250
    assert metrics.consistency_db(turned, W.magnitude(x), W) < -90  # morse wavelets are analytic
    assert close(metrics.align(turned, x), x, 1e-10)


# -- methods -------------------------------------------------------------------------------------


def planes(n):
    """Draw scalograms of signals, and arrays that no signal has."""
    shape = bank(n).shape

    def of_a_sound(sound, seed):
        x = torch.from_numpy(sound(np.random.default_rng(seed), n))
        return bank(n).modulus(bank(n)(x)).numpy()  # whatever share of x the bank hears

    def of_none(density, seed):
        rng = np.random.default_rng(seed)
        return rng.exponential(size=shape) * (rng.random(shape) < density)

    sounds = st.builds(of_a_sound, SOUNDS, SEEDS)
    return st.one_of(sounds, st.builds(of_none, st.sampled_from((0.002, 0.1, 1.0)), SEEDS))


def check_result(recovery, S, W):
    """Require a finite signal whose fit is told truly and is not above that of silence, 0 dB."""
    x = recovery.signal
    assert torch.isfinite(x).all() and x.shape[-1] == W.n_samples
    fit = metrics.consistency_db(x, S, W) if S.any() else -math.inf
    assert recovery.consistency_db <= 1e-6 and not math.isnan(recovery.consistency_db)
    assert (
        fit == recovery.consistency_db
        or abs(fit - recovery.consistency_db) < 0.01
        or (max(fit, recovery.consistency_db) < -200)
    )
    if not S.any():
        assert not x.any()


@settings(max_examples=25)
@given(data=st.data(), n=SHORT, rule=st.sampled_from(("fast", "gl")), n_iter=st.integers(1, 4))
def test_griffin_lim_never_fits_worse_than_silence(data, n, rule, n_iter):
    W, S = bank(n), data.draw(planes(n))
    before = S.tobytes()
    check_result(griffin_lim(S, W, rule=rule, n_iter=n_iter), S, W)
    assert S.tobytes() == before


@settings(max_examples=12)
@given(data=st.data(), n=SHORT)
def test_phase_gradient_never_fits_worse_than_silence(data, n):
    W, S = bank(n), data.draw(planes(n))
    before = S.tobytes()
    check_result(phase_gradient(S, W, n_iter=2), S, W)
    assert S.tobytes() == before


@settings(max_examples=5)
@given(data=st.data(), n=st.sampled_from((31, 32)))
def test_recover_never_fits_worse_than_silence(data, n):
    W, S = bank(n), data.draw(planes(n))
    before = S.tobytes()
    check_result(recover(S, W, callback=lambda k, x, fit: k > 40), S, W)
    assert S.tobytes() == before


# -- what is no array of numbers -----------------------------------------------------------------

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.complex_numbers(),
    st.text(max_size=3),
    st.binary(max_size=3),
    st.decimals(),
    st.fractions(),
    st.dates(),
)
NESTED = st.recursive(SCALARS, lambda part: st.lists(part, max_size=4) | st.tuples(part, part))
ARRAYS = hnp.arrays(
    st.one_of(
        hnp.scalar_dtypes(),
        hnp.nested_dtypes(max_itemsize=64),
        st.just(np.dtype(object)),
    ),
    hnp.array_shapes(min_dims=0, min_side=0, max_side=3),
)


@settings(max_examples=60)
@given(value=st.one_of(NESTED, ARRAYS, st.dictionaries(st.text(max_size=1), SCALARS)))
@pytest.mark.parametrize("check", [check_signal, check_magnitudes, check_coefficients])
def test_anything_is_an_array_or_is_refused_by_its_name(check, value):
    try:
        checked = check(value, name="sound")
    except (ValueError, TypeError) as refused:
        assert (
            str(refused).startswith("sound must ")
            and "got" in str(refused)
            or ("smallest entry" in str(refused))
        )
    else:
        assert checked.is_floating_point() or checked.is_complex()
        assert torch.isfinite(checked).all() and checked.numel()
