"""Rows of one's own: from frequencies, from filters, like another bank, with any wavelet."""

import copy
import io
import pickle

import numpy as np
import pytest
import ssqueezepy
import torch
from small import N, complex_noise, error_db, noise, scalogram

from scalinv_utils.transforms import Scalogram, _rows

RATE = 8000.0


def gaussian(w):
    """A wavelet that no library has."""
    return np.exp(-((np.asarray(w) - 6) ** 2) / 2)


def row_of(W, frequency):
    return int((W.frequencies - frequency).abs().argmin())


# -- from_frequencies --------------------------------------------------------------------------


@pytest.mark.parametrize("wavelet", ["gmw", "cauchy", "morlet", gaussian])
def test_the_rows_of_a_scalogram_can_be_made_by_their_frequencies(wavelet):
    W = Scalogram(N, RATE, wavelet=wavelet, voices_per_octave=8)
    same = Scalogram.from_frequencies(N, RATE, frequencies=W.frequencies, wavelet=wavelet)
    assert torch.allclose(same.filters, W.filters, rtol=1e-12, atol=1e-14)
    assert same.voices_per_octave == 8 and same.is_log_uniform and same.wavelet == W.wavelet
    assert torch.equal(same.band, W.band)


@pytest.mark.parametrize("order", [1, -1])
def test_linear_rows_keep_their_order_and_peak_where_they_say(order):
    frequencies = np.arange(500, 3600, 125)[::order]
    W = Scalogram.from_frequencies(N, RATE, frequencies=frequencies)
    assert W.frequencies.tolist() == frequencies.tolist() and not W.is_log_uniform
    peaks = W.filters.argmax(1) * RATE / N
    assert np.abs(peaks.numpy() - frequencies).max() <= RATE / N / 2
    x = W.project(noise(1))
    assert error_db(W.inverse(W(x)), x) < -250


@pytest.mark.parametrize(
    ("frequencies", "error"),
    [
        ("a", TypeError),
        (None, TypeError),
        ([True], TypeError),
        ([1j, 2], TypeError),
        ([], ValueError),
        (0.1, ValueError),
        ([[0.1, 0.2]], ValueError),
        ([[0.1], [0.1, 0.2]], ValueError),
        ([0.1, np.nan], ValueError),
        ([0.1, np.inf], ValueError),
        ([0.0, 0.1], ValueError),
        ([-0.1, 0.1], ValueError),
        ([0.1, 0.1], ValueError),
        ([0.1, 0.3, 0.2], ValueError),
        ([1e-5, 0.1], ValueError),
        ([0.1, 50.0], ValueError),
    ],
)
def test_bad_frequencies_are_named(frequencies, error):
    with pytest.raises(error, match="frequencies"):
        Scalogram.from_frequencies(64, frequencies=frequencies)


def test_frequencies_may_be_differentiated_elsewhere():
    frequencies = torch.tensor([0.1, 0.2], requires_grad=True)
    W = Scalogram.from_frequencies(64, frequencies=frequencies)
    assert not W.frequencies.requires_grad
    filters = torch.ones(2, 64, requires_grad=True)
    assert not Scalogram.from_filters(filters, frequencies).filters.requires_grad


def test_the_number_of_voices_is_whole_where_the_rows_are_spaced_for_one():
    assert _rows.voices_per_octave(2.0 ** (np.arange(9) / 4)) == 4
    assert _rows.voices_per_octave(np.array([100.0, 200.0, 300.0])) == pytest.approx(2 / np.log2(3))
    assert _rows.voices_per_octave(np.array([5.0])) == 1


# -- from_filters ------------------------------------------------------------------------------


def test_complex_two_sided_filters_do_what_the_formula_says():
    filters, x = complex_noise(1, 4, N), noise(2)
    W = Scalogram.from_filters(filters, [1, 2, 3, 4])
    assert error_db(W(x), torch.fft.ifft(filters * torch.fft.fft(x))) < -280
    assert error_db(W.responses, filters) < -300
    assert W.wavelet == ("filters", {}) and not W.has_wavelet and not W.is_one_sided


@pytest.mark.parametrize("shape", [(4, N), (4, N // 2 + 1)])
def test_the_adjoint_and_the_inverse_are_exact_for_complex_filters(shape):
    W = Scalogram.from_filters(complex_noise(3, *shape), [4, 3, 2, 1], n_samples=N)
    x, c = noise(4), complex_noise(5, *W.shape)
    assert float((W(x).conj() * c).real.sum()) == pytest.approx(float(x @ W.adjoint(c)), rel=1e-10)
    assert error_db(W.inverse(W(W.project(x))), W.project(x)) < -250


def test_an_empty_half_is_left_out():
    both = torch.zeros(2, N)
    both[:, 5:20] = 1
    W = Scalogram.from_filters(both, [2, 1])
    assert W.is_one_sided and W.filters.shape == (2, N // 2 + 1)


def test_a_bank_without_a_wavelet_says_so():
    W = Scalogram.from_filters(scalogram().filters, scalogram().frequencies, n_samples=N)
    for use in (lambda: W.psi, lambda: W.like(64), lambda: W.response(0.1)):
        with pytest.raises(ValueError, match="W must have a wavelet"):
            use()


def test_the_time_bandwidth_of_a_bank_is_about_that_of_its_wavelet():
    W = Scalogram(1024, wavelet=("cauchy", {"beta": 60}), f_max=0.2)
    one = Scalogram.from_filters(W.filters, W.frequencies, n_samples=1024)
    mirror = torch.zeros(W.n_freqs, 1024)
    mirror[:, :513], mirror[:, -512:] = W.filters, W.filters[:, 1:].flip(1)
    both = Scalogram.from_filters(mirror, W.frequencies)
    assert W.time_bandwidth == pytest.approx(60, rel=1e-3)
    assert one.time_bandwidth == pytest.approx(60, rel=0.1)
    assert both.time_bandwidth == pytest.approx(one.time_bandwidth)


@pytest.mark.parametrize(
    ("filters", "options", "error", "name"),
    [
        ("a", {}, TypeError, "filters"),
        (np.ones(64), {}, ValueError, "filters"),
        (np.ones((1, 2, 64)), {}, ValueError, "filters"),
        (np.zeros((2, 64)), {}, ValueError, "filters"),
        (np.full((2, 64), np.nan), {}, ValueError, "filters"),
        (np.ones((2, 64)), {"n_samples": 100}, ValueError, "filters"),
        (np.ones((2, 64)), {"n_samples": 64.0}, TypeError, "n_samples"),
        (np.ones((2, 8)), {}, ValueError, "n_samples"),
        (np.ones((3, 64)), {}, ValueError, "frequencies"),
        (np.ones((2, 64)), {"sample_rate": 0}, ValueError, "sample_rate"),
    ],
)
def test_bad_filters_are_named(filters, options, error, name):
    with pytest.raises(error, match=name):
        Scalogram.from_filters(filters, [0.1, 0.2], **options)


# -- like --------------------------------------------------------------------------------------


def test_like_keeps_wavelet_rows_and_type():
    W = Scalogram(N, RATE, wavelet=("cauchy", {"beta": 20}), voices_per_octave=8).float()
    longer = W.like(2 * N)
    assert longer.shape == (W.n_freqs, 2 * N) and longer.filters.dtype == torch.float32
    assert longer.wavelet == W.wavelet and torch.equal(longer.frequencies, W.frequencies)
    assert torch.allclose(longer.filters[:, :-1:2], W.filters[:, :-1], atol=1e-6)


def test_like_takes_other_rows_and_leaves_a_lowpass_out():
    W = Scalogram(N, RATE, lowpass="signed")
    assert W.like().n_freqs == W.n_freqs - 1 and W.like().lowpass is None
    assert W.like(frequencies=[1000, 500]).frequencies.tolist() == [1000, 500]


@pytest.mark.parametrize("n_samples, error", [(0, ValueError), ("a", TypeError)])
def test_like_names_a_bad_length(n_samples, error):
    with pytest.raises(error, match="n_samples"):
        scalogram().like(n_samples)


# -- wavelets ----------------------------------------------------------------------------------


@pytest.mark.parametrize("wavelet", [("gmw", {"gamma": 3, "beta": 40}), ("morlet", {"mu": 8})])
def test_a_wavelet_of_ssqueezepy_is_the_one_of_its_name(wavelet):
    theirs = Scalogram(N, wavelet=ssqueezepy.Wavelet(wavelet), voices_per_octave=8)
    ours = Scalogram(N, wavelet=wavelet, voices_per_octave=8)
    assert torch.allclose(theirs.filters, ours.filters, atol=1e-12)
    assert theirs.wavelet[0] == wavelet[0]
    assert {**theirs.wavelet[1], **wavelet[1]} == theirs.wavelet[1]


def test_a_function_is_sampled_at_the_scales_of_its_own_peak():
    W = Scalogram(N, wavelet=gaussian, voices_per_octave=8)
    assert W.peak == pytest.approx(6, abs=1e-6) and W.wavelet == ("gaussian", {})
    w = 2 * np.pi * np.arange(N // 2) / N
    expected = gaussian(W.scales.numpy()[:, None] * w)
    assert np.abs(W.filters.numpy()[:, : N // 2] - expected).max() < 1e-12
    assert W.time_bandwidth == pytest.approx(36, rel=1e-4)


BAD_FUNCTIONS = {
    "complex": lambda w: w + 0j,
    "nothing": lambda w: None,
    "text": lambda w: np.full(np.shape(w), "a"),
    "another shape": lambda w: np.ones(3),
    "NaN": lambda w: w * np.nan,
    "no peak": lambda w: w,
    "zero": lambda w: 0 * w,
    "negative": lambda w: -gaussian(w),
}


@pytest.mark.parametrize("psi", BAD_FUNCTIONS.values(), ids=BAD_FUNCTIONS.keys())
def test_a_function_that_is_no_wavelet_is_named(psi):
    with pytest.raises(ValueError, match="wavelet must"):
        Scalogram(64, wavelet=psi)


# -- copies ------------------------------------------------------------------------------------

MADE = {
    "name": lambda: Scalogram(N),
    "frequencies": lambda: Scalogram.from_frequencies(N, frequencies=[0.4, 0.3, 0.2]),
    "complex filters": lambda: Scalogram.from_filters(complex_noise(6, 3, N), [1, 2, 3]),
    "ssqueezepy": lambda: Scalogram(N, wavelet=ssqueezepy.Wavelet("bump")),
    "function": lambda: Scalogram(N, wavelet=gaussian),
}
COPIES = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda W: pickle.loads(pickle.dumps(W)),
    "torch.save": lambda W: _saved_and_loaded(W),
}


def _saved_and_loaded(W):
    file = io.BytesIO()
    torch.save(W, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES.keys())
@pytest.mark.parametrize("make", MADE.values(), ids=MADE.keys())
def test_copies_compute_the_same_and_can_be_sampled_again(make, copied):
    W, x = make(), noise(7)
    c = W(x)
    other = copied(W)
    assert torch.equal(other(x), c) and other.wavelet == W.wavelet
    if W.has_wavelet:
        assert torch.equal(other.like(2 * N).filters, W.like(2 * N).filters)


@pytest.mark.parametrize("make", MADE.values(), ids=MADE.keys())
def test_single_precision_agrees_with_double(make):
    W, single = make(), make().float()
    x = noise(8)
    c = single(x)
    assert c.dtype == torch.complex64 and error_db(c.to(torch.complex128), W(x)) < -110
    assert single.inverse(c).dtype == torch.float32
