"""Columns that lie evenly between samples are put on samples of another rate, exactly."""

import numpy as np
import pytest
import torch

from scalinv_utils import Scalogram, recover
from scalinv_utils.measured import Measured
from scalinv_utils.metrics import misfit_db, waveform_error_db
from scalinv_utils.recovery._even_columns import evened

N, RATE = 512, 8000
W = Scalogram(N, RATE, f_min=300, f_max=3600, voices_per_octave=24)
X = W.project(torch.from_numpy(np.random.default_rng(3).standard_normal(N)))

HERE_AND_THERE = torch.rand(W.shape, generator=torch.manual_seed(0)) > 0.5


def with_columns(n_columns, rows=slice(None), sigma=1e-3):
    """The scalogram of X in the samples nearest to even places, as a picture shows it."""
    places = np.round((np.arange(n_columns) + 0.5) * N / n_columns - 0.5).astype(int)
    known = torch.zeros(W.shape, dtype=torch.bool)
    known[rows, places] = True
    return Measured(W.magnitude(X), W, known=known, sigma=sigma)


@pytest.mark.parametrize("n_columns", [60, 100, 171])
def test_the_columns_of_another_rate_are_those_between_the_samples(n_columns):
    even = evened(with_columns(n_columns))
    assert even.M.columns.hop == -(-N // n_columns) and bool(even.M.known.all())
    bins = torch.arange(N // 2 + 1)
    turned = torch.fft.rfft(X) * torch.exp(2j * np.pi * even.first / N * bins)
    turned[-1] = 0
    n_even = even.M.n_samples
    y = torch.fft.irfft(turned, n=n_even) * n_even / N
    assert waveform_error_db(even.back(y), X) < -140
    # Each value was taken within half a sample of its place.
    between = misfit_db(even.M.magnitude(y), even.M.S)
    assert -60 < between < -15


@pytest.mark.parametrize(
    "M",
    [
        Measured(W.magnitude(X), W, sigma=1e-3),
        Measured(W.magnitude(X)[:, ::8], W, hop=8, sigma=1e-3),
        with_columns(400),
        Measured(W.magnitude(X), W, known=HERE_AND_THERE, sigma=1e-3),
        with_columns(100, sigma=None),
    ],
    ids=["all", "hop", "nearly all", "here and there", "exact values are where they are"],
)
def test_other_columns_are_left_as_they_are(M):
    assert evened(M) is None


def test_what_is_not_known_and_floors_come_along():
    M = with_columns(100, slice(2, None), None)
    floor = float(M.S[M.known].quantile(0.1))
    M = Measured(M.S, W, known=M.known, sigma=1e-3, floor=floor)
    even = evened(M)
    assert not even.M.known[:2].any() and even.M.known[2:].all()
    assert int(even.M.at_most.sum()) == int(M.at_most[:, M.known.any(0)].sum()) > 0
    assert float(even.M.sigma[even.M.known].max()) == pytest.approx(1e-3)


def test_a_signal_comes_back_from_even_columns():
    result = recover(with_columns(171), progress=False)
    assert [name for name, _ in result.details["stages"]][-1] == "on the samples"
    assert result.signal.shape == X.shape
    assert waveform_error_db(result.signal, X) < -20


def shown(n_samples, places, two=()):
    """A measurement of a short signal that knows these columns, and two of them at both sides."""
    W = Scalogram(n_samples, 1.0, voices_per_octave=4)
    known = torch.zeros(W.shape, dtype=torch.bool)
    known[:, list(places)] = True
    known[:, list(two)] = True
    return Measured(torch.ones(W.shape), W, known=known, sigma=0.1)


@pytest.mark.parametrize(
    "places, two, first",
    [
        (range(1, 64, 8), (), 1.0),  # every eighth
        (range(3, 64, 8), [4 + 8 * k for k in range(8)], 3.5),  # half way between two samples
        ([1, 9, 17, 25, 33, 41, 49, 58], (), 1.5),  # one is a sample off
        ([1, 9, 17, 25, 33, 41, 49, 59], (), None),  # two are too many
        (range(1, 64, 10), (), None),  # seven columns are too few
        (range(63), (), None),  # nearly every sample
    ],
)
def test_columns_are_even_if_they_lie_near_even_places(places, two, first):
    even = evened(shown(64, places, two))
    assert (even is None) == (first is None)
    if even:
        assert even.first == first and even.M.columns.hop == 8 and even.M.n_samples == 64


def test_a_signal_is_sampled_anew_from_its_first_place_on():
    even = evened(shown(64, range(3, 64, 8)))
    y = torch.cos(2 * torch.pi * 5 * torch.arange(64).double() / 64)
    t = torch.arange(64).double() - 3
    assert torch.allclose(even.back(y), torch.cos(2 * torch.pi * 5 * t / 64), atol=1e-6)


def test_a_rate_between_columns_and_samples_keeps_the_seconds():
    # Nine columns, 6.67 samples apart, get seven samples each.
    M = shown(60, [0, 7, 13, 20, 27, 33, 40, 47, 53])
    even = evened(M)
    assert even.M.n_samples == 63 and even.M.columns.hop == 7
    assert even.M.W.sample_rate == pytest.approx(63 / 60)
    assert torch.allclose(even.M.W.frequencies, M.W.frequencies)
    y = torch.cos(2 * torch.pi * 5 * torch.arange(63).double() / 63)
    t = torch.arange(60).double() - even.first
    assert torch.allclose(even.back(y), torch.cos(2 * torch.pi * 5 * t / 60), atol=1e-6)
