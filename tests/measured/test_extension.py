"""The extension of a signal is numpy.pad, with its adjoint and its pseudo-inverse."""

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from small import complex_noise, error_db, noise, scalogram

from scalinv_utils.measured._extension import ENDS, Extension

N = 20
MODES = {"zero": "constant", "reflect": "reflect", "symmetric": "symmetric"}
PADS = [(0, 0), (3, 0), (0, 5), (7, 2), (19, 19)]
cases = pytest.mark.parametrize(("ends", "pad"), [(e, p) for e in MODES for p in PADS])


@cases
def test_it_is_that_of_numpy(ends, pad):
    x = noise(1, 2, N)
    extended = Extension(N, ends, *pad)(x)
    assert np.array_equal(extended.numpy(), np.pad(x, ((0, 0), pad), mode=MODES[ends]))


@cases
def test_adjoints_satisfy_their_definition(ends, pad):
    E = Extension(N, ends, *pad)
    x, y = noise(2), noise(3, N + sum(pad))
    x = x[:N]
    assert float(E(x) @ y) == pytest.approx(float(x @ E.adjoint(y)), rel=1e-12)
    assert float(E.inverse(y) @ x) == pytest.approx(float(y @ E.inverse_adjoint(x)), rel=1e-12)


def test_a_batch_is_its_members():
    E, y = Extension(N, "reflect", 7, 2), noise(6, 2, 3, N + 9)
    for of in (E, E.adjoint, E.inverse, E.inverse_adjoint):
        z = y if of in (E.adjoint, E.inverse) else y[..., :N]
        alone = torch.stack([torch.stack([of(row) for row in rows]) for rows in z])
        assert torch.allclose(of(z), alone, rtol=1e-14, atol=0)


@cases
def test_the_inverse_is_the_nearest_signal(ends, pad):
    E = Extension(N, ends, *pad)
    y = complex_noise(4, N + sum(pad))
    x = E.inverse(y)
    assert error_db(E.inverse(E(x)), x) < -290
    assert E.adjoint(y - E(x)).abs().max() < 1e-13  # the rest is orthogonal to all extensions


@given(st.sampled_from(list(MODES)), st.integers(0, 9), st.integers(0, 9), st.integers(10, 30))
def test_mirrored_names_the_sample_that_is_repeated(ends, left, right, n_samples):
    E = Extension(n_samples, ends, left, right)
    times = torch.arange(E.n_padded)
    source, y = E.mirrored(times), E(noise(5, n_samples))
    repeated = torch.where(source >= 0, y[source.clamp_min(0)], 0.0)
    assert torch.equal(repeated, y)
    assert torch.equal(source[E.within(times)], times[E.within(times)])
    assert int(E.within(times).sum()) == n_samples


@pytest.mark.parametrize(
    ("ends", "n_samples", "n_padded", "left"),
    [
        ("periodic", 100, 100, 0),
        ("zero", 100, 256, 78),
        ("reflect", 181, 256, 38),
        ("reflect", 64, 128, 32),
        ("symmetric", 101, 201, 50),
    ],
)
def test_by_default_it_pads_as_the_libraries_do(ends, n_samples, n_padded, left):
    E = Extension.of(scalogram(n_samples), ends, None, None)
    assert (E.n_samples, E.n_padded, E.left) == (n_samples, n_padded, left)
    assert E.is_identity == (ends == "periodic")


def test_the_length_follows_from_the_pads_or_the_other_way_round():
    W = scalogram(64)
    assert Extension.of(W, "zero", (10, 4), None).n_samples == 50
    assert Extension.of(W, "zero", (10, 4), 50).n_samples == 50


@pytest.mark.parametrize(
    ("ends", "pad", "n_samples", "error", "name"),
    [
        ("zero", 3, None, TypeError, "pad"),
        ("zero", (1, 2, 3), None, TypeError, "pad"),
        ("zero", (1.5, 2), None, TypeError, "pad"),
        ("zero", (-1, 2), None, ValueError, "pad"),
        ("zero", (60, 60), None, ValueError, "pad"),
        ("zero", (1, 2), 60, ValueError, "pad"),
        ("zero", None, 60, ValueError, "pad"),
        ("zero", (1, 2), "a", TypeError, "n_samples"),
        ("periodic", None, 0, ValueError, "n_samples"),
        ("periodic", (1, 2), None, ValueError, "pad"),
        ("reflect", (22, 22), None, ValueError, "pad"),
        ("reflect", (32, 0), 32, ValueError, "pad"),
        ("symmetric", (33, 0), 31, ValueError, "pad"),
    ],
)
def test_bad_input_is_named(ends, pad, n_samples, error, name):
    with pytest.raises(error, match=name):
        Extension.of(scalogram(64), ends, pad, n_samples)


def test_all_ends_are_looked_at_here():
    assert set(ENDS) == {"periodic", *MODES}
