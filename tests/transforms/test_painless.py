"""At its lowest rates a transform is the same frame, and Griffin-Lim has the same solutions."""

import numpy as np
import pytest
import torch
from small import complex_noise, error_db, noise, scalogram

from scalinv_utils import Scalogram
from scalinv_utils.transforms import _painless
from scalinv_utils.transforms._circle import CircleBank
from scalinv_utils.transforms._painless import Painless, _hop

EXACT = -270  # dB
KINDS = [{}, {"wavelet": "cauchy"}, {"lowpass": "modulus"}, {"lowpass": "signed"}]


@pytest.mark.parametrize("n_samples", [128, 120, 97])
@pytest.mark.parametrize("options", KINDS, ids=str)
def test_what_is_kept_is_a_share_of_all_and_the_frame_stays_the_same(options, n_samples):
    W = Scalogram(n_samples, voices_per_octave=8, **options)
    x, fewer = noise(0, 2, n_samples), W.painless
    c = fewer.coefficients(x)
    assert c.shape == (2, fewer.n_kept)
    assert error_db(c, fewer.sampled(W(x))) < EXACT
    assert error_db(fewer.sampled(W.magnitude(x)).abs(), c.abs()) < EXACT
    d = complex_noise(1, *c.shape)
    inner = (c.conj() * d).real.sum(), (x * fewer.adjoint(d)).sum()
    assert float(inner[0]) == pytest.approx(float(inner[1]))
    assert error_db(fewer.adjoint(c), W.adjoint(W(x))) < EXACT
    assert error_db(fewer.precondition(fewer.adjoint(c)), W.project(x)) < -240


def test_rows_keep_about_as_many_coefficients_as_their_band_has_bins():
    W = Scalogram(512, voices_per_octave=8)
    largest = W.filters.max()
    bands = (W.filters > 1e-12 * largest).sum(1)
    kept = [
        part.n_kept for part in W.painless._parts for _ in range(part.rows.start, part.rows.stop)
    ]
    assert len(kept) == W.n_freqs and sum(kept) == W.painless.n_kept < 0.25 * W.n_freqs * 512
    assert all(n >= band for n, band in zip(kept, bands))
    # The next larger hop would be too large.
    assert all(n / 2 < 1.1 * band for n, band in zip(kept, bands) if n < 512)


@pytest.mark.parametrize(
    "n_bins, n_samples, hop", [(10, 48, 4), (16, 48, 3), (17, 48, 2), (25, 48, 1), (2, 7, 1)]
)
def test_the_hop_divides_the_length(n_bins, n_samples, hop):
    assert _hop(range(5, 5 + n_bins), n_samples) == hop


@pytest.mark.parametrize("options", KINDS, ids=str)
def test_a_signal_with_its_modulus_is_a_solution(options, monkeypatch):
    monkeypatch.setattr(_painless, "NUMBERS_AT_ONCE", 3 * 128)
    W = Scalogram(128, voices_per_octave=8, **options)
    x, other = W.project(noise(0, 128)), noise(1, 128)
    kept = W.painless.sampled(W.magnitude(x))
    assert error_db(W.painless.refit(kept, x), x) < EXACT
    # A step is the least-squares fit of what is kept, with the phase of the other signal.
    c = W.painless.coefficients(other)
    phase = torch.sgn(c)
    if W.lowpass == "signed":
        phase[-128:] = 1
    wanted = W.painless.precondition(W.painless.adjoint(kept * phase))
    assert error_db(W.painless.refit(kept, other), wanted) < -240


def test_silence_has_phase_zero_and_batches_are_as_their_members():
    W = scalogram()
    x = torch.stack([noise(0), torch.zeros(128, dtype=torch.float64)])
    kept = W.painless.sampled(W.magnitude(torch.stack([noise(1), noise(2)])))
    together = W.painless.refit(kept, x)
    silent = W.painless.precondition(W.painless.adjoint(kept[1].to(torch.complex128)))
    assert error_db(together[1], silent) < -240
    assert error_db(together[0], W.painless.refit(kept[0], x[0])) < EXACT


def test_a_change_next_to_known_coefficients():
    W = CircleBank(Scalogram(512, 8000, wavelet="cauchy", f_min=1500))
    z, e = (W.inverse(W.coefficients(complex_noise(seed, 512))) for seed in (0, 1))
    fewer, c = W.painless, W.coefficients(z)
    S = (c + W.coefficients(e)).abs()
    assert fewer.refit(fewer.sampled(S), e, fewer.sampled(c)).is_complex()
    assert error_db(fewer.refit(fewer.sampled(S), e, fewer.sampled(c)), e) < -150
    assert error_db(fewer.sampled(c), fewer.coefficients(z)) < EXACT


def test_bands_wider_than_what_is_kept_begin_anew():
    """Two rows of one hop, whose bands together are wider than a row of coefficients."""
    filters = torch.zeros(2, 33, dtype=torch.float64)
    filters[0, 8:24] = torch.linspace(1, 2, 16, dtype=torch.float64)
    filters[1, 4:20] = torch.linspace(2, 1, 16, dtype=torch.float64)
    W = Scalogram.from_filters(filters, [20.0, 10.0], 64.0, n_samples=64)
    x, fewer = noise(0, 64), W.painless
    assert len(fewer._parts) == 1 and fewer.n_kept == 32
    assert error_db(fewer.coefficients(x), fewer.sampled(W(x))) < EXACT
    assert error_db(fewer.adjoint(fewer.coefficients(x)), W.adjoint(W(x))) < EXACT


def test_complex_filters_and_empty_rows():
    angles = np.exp(1j * np.arange(17))
    filters = np.stack([np.zeros(17), np.arange(17.0) * (np.arange(17) < 9)]) * angles
    filters[0, 3] = 1j
    W = Scalogram.from_filters(filters, [8.0, 4.0], 32.0, n_samples=32)
    x = noise(0, 32)
    assert error_db(W.painless.sampled(W(x)), W.painless.coefficients(x)) < EXACT
    empty = Painless(torch.zeros(1, 17), 32, torch.ones(32))
    assert not empty.coefficients(torch.ones(32)).any()


def test_the_lowest_rates_follow_a_change_of_type():
    W = Scalogram(128)
    exact = W.painless.coefficients(noise(0))
    assert W.painless is W.painless
    single = W.float().painless.coefficients(noise(0).float())
    assert single.dtype == torch.complex64 and len(single) < len(exact)
