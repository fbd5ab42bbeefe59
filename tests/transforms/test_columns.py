"""Columns are slices of W, whatever the hop, the offsets and the filters, with their adjoint."""

import pytest
import torch
from small import N, complex_noise, error_db, noise, scalogram

from scalinv_utils.transforms._columns import Columns
from scalinv_utils.transforms.scalogram import Scalogram


def two_sided():
    """Make a bank of complex filters that pass negative frequencies too."""
    return Scalogram.from_filters(complex_noise(3, 5, N), range(1, 6), n_samples=N)


BANKS = {
    "gmw": scalogram,
    "morlet that leaks": lambda: scalogram(wavelet=("morlet", (("mu", 4),))),
    "two-sided, complex": two_sided,
    "one-sided, complex": lambda: Scalogram.from_filters(
        complex_noise(4, 3, N // 2 + 1), [3, 2, 1], n_samples=N
    ),
}
every_bank = pytest.mark.parametrize("make", BANKS.values(), ids=BANKS.keys())
every_hop = pytest.mark.parametrize("hop", [1, 2, 8, N])


def scattered(W, most=N):
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, most, (W.n_freqs,), generator=generator)


def slices(c, columns):
    """Take the columns out of all coefficients."""
    return torch.gather(c, -1, columns.times.expand(*c.shape[:-1], -1))


@every_hop
@every_bank
def test_columns_are_slices_of_all_coefficients(make, hop):
    W, x = make(), noise(1, 2, N)
    for offsets in (None, scattered(W)):
        columns = Columns(W, hop, offsets)
        c = columns.coefficients(x)
        assert c.shape == (2, *columns.shape) == (2, W.n_freqs, N // hop)
        assert error_db(c, slices(W(x), columns)) < -280


def test_an_odd_length_has_slices_too():
    W = scalogram(135)
    x, columns = noise(2, 135), Columns(W, 5, scattered(W, 135))
    assert error_db(columns.coefficients(x), slices(W(x), columns)) < -280


@every_hop
@every_bank
def test_the_adjoint_satisfies_its_definition(make, hop):
    W, x = make(), noise(5)
    columns = Columns(W, hop, scattered(W))
    c = complex_noise(6, *columns.shape)
    left = float((columns.coefficients(x).conj() * c).real.sum())
    assert left == pytest.approx(float(x @ columns.adjoint(c)), rel=1e-10)
    assert error_db(columns.adjoint(c), W.adjoint(columns.spread(c))) < -270


@every_bank
def test_derivatives_are_those_of_the_adjoint(make):
    columns = Columns(make(), 4)
    x = noise(7).requires_grad_()
    (gradient,) = torch.autograd.grad(columns.coefficients(x).abs().square().sum() / 2, x)
    assert error_db(gradient, columns.adjoint(columns.coefficients(x.detach()))) < -270


def test_spread_puts_each_coefficient_at_its_sample():
    W = scalogram()
    columns = Columns(W, 4, scattered(W))
    plane = columns.spread(torch.ones(columns.shape))
    expected = (torch.arange(N) - columns.offsets[:, None]) % 4 == 0
    assert torch.equal(plane == 1, expected) and not plane[~expected].any()


def test_the_columns_of_a_bank_in_single_precision_are_single():
    W = Scalogram(N).float()
    c = Columns(W, 4, scattered(W)).coefficients(noise(8).float())
    assert c.dtype == torch.complex64


@pytest.mark.parametrize(
    ("options", "error", "name"),
    [
        ({"hop": 3}, ValueError, "hop"),
        ({"hop": 0}, ValueError, "hop"),
        ({"hop": 2.0}, TypeError, "hop"),
        ({"hop": True}, TypeError, "hop"),
        ({"offsets": [1, 2]}, ValueError, "offsets"),
        ({"offsets": noise(9, scalogram().n_freqs)}, ValueError, "offsets"),
    ],
)
def test_bad_input_is_named(options, error, name):
    with pytest.raises(error, match=name):
        Columns(scalogram(), **options)
