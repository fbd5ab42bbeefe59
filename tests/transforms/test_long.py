"""Scalograms of long sounds: exact, whatever they are read from and written to."""

import numpy as np
import pytest
import torch

from scalinv_utils import Scalogram
from scalinv_utils.course import signals
from scalinv_utils.transforms._circle import CircleBank, reach
from scalinv_utils.transforms.long import Pieces, magnitude_of_long
from scalinv_utils.transforms.scalogram import BAND_FLOOR


def transform(n_samples=2048, **options):
    return Scalogram(n_samples, 8000, **{"f_min": 800, "voices_per_octave": 16, **options})


@pytest.mark.parametrize("n_samples", [2048, 4999, 5000])
@pytest.mark.parametrize("wavelet", ["cauchy", "gmw", "morlet"])
def test_every_column_is_that_of_the_whole_sound(wavelet, n_samples):
    """Noise has energy at all frequencies, that of the highest rows' sharp end among them."""
    W = transform(wavelet=wavelet, f_min=1200)
    x = signals.white_noise(n_samples, seed=3)
    S = magnitude_of_long(x, W, progress=False)
    whole = W.like(n_samples).magnitude(x).numpy()
    assert abs(S - whole).max() < 1e-12 * whole.max()


@pytest.mark.parametrize("level", [1e-200, 1e200])
def test_the_level_does_not_matter(level):
    W, x = transform(), signals.linear_chirp(3000, 8000, 1500, 3000)
    expected = magnitude_of_long(x, W, progress=False)
    S = magnitude_of_long(level * x, W, progress=False)
    assert abs(S / level - expected).max() < 1e-14


def test_it_is_written_into_what_is_given_in_its_own_precision(tmp_path):
    W, x = transform(), signals.linear_chirp(3000, 8000, 1500, 3000)
    shape = (W.n_freqs, 3000)
    out = np.lib.format.open_memmap(tmp_path / "S.npy", "w+", np.float32, shape)
    assert magnitude_of_long(x, W, out, progress=False) is out
    out.flush()
    S = magnitude_of_long(x, W, progress=False)
    assert S.dtype == np.float64
    assert np.array_equal(np.load(tmp_path / "S.npy"), S.astype(np.float32))


def test_the_reach_is_where_the_lowest_wavelet_has_died_away():
    W = transform(4096)
    wavelet = torch.fft.ifft(W.filters[-1], n=4096).abs()
    far = torch.minimum(torch.arange(4096), 4096 - torch.arange(4096))
    assert wavelet[far >= reach(W)].max() <= 1e-13 * wavelet.max()
    assert wavelet[far == reach(W) - 1].max() > 1e-13 * wavelet.max()


def test_the_bank_inverts_itself_in_its_band():
    bank = CircleBank(transform())
    z = torch.zeros(2048, dtype=torch.complex128)
    z[200:500] = signals.white_noise(300, seed=1) + 1j * signals.white_noise(300, seed=2)
    heard = torch.zeros(2048, dtype=torch.bool)
    heard[:1025] = bank.band(2048)
    z = torch.fft.ifft(torch.fft.fft(z) * heard)
    c = bank.coefficients(z)
    assert (bank.inverse(c) - z).norm() < 1e-8 * z.norm()
    assert (bank.painless.refit(bank.painless.sampled(c.abs()), z) - z).norm() < 1e-8 * z.norm()


def test_its_band_agrees_with_that_of_the_transform_at_every_length():
    W = transform()
    for n_samples in (2048, 3000, 8191):
        last = (n_samples + 1) // 2  # the Nyquist frequency does not belong to the band of W
        band = CircleBank(W).band(n_samples, BAND_FLOOR)
        assert torch.equal(band[:last], W.like(n_samples).band[:last])


def test_windows_of_pieces_lie_inside_each_other():
    pieces = Pieces(transform(), 5000)
    for inner, outer in [("trusted", "known"), ("known", "taper"), ("opening", "taper")]:
        assert (getattr(pieces, outer)[getattr(pieces, inner) > 0] > 0).all()
    assert (pieces.taper[pieces.known > 0] == 1).all()
    assert (pieces.known[pieces.trusted > 0] == 1).all()
    assert (pieces.trusted[pieces.share(0) > 0] > 0.9).all()


def test_pieces_are_read_across_the_end():
    pieces = Pieces(transform(), 3001)
    S = np.arange(2 * 3001.0).reshape(2, 3001)
    for k in range(pieces.count):
        assert np.array_equal(pieces.of(S, k), S[:, pieces.columns(k)])


@pytest.mark.parametrize(
    "options, n_samples, words",
    [
        ({"lowpass": "modulus"}, 3000, "no lowpass"),
        ({"f_min": 100}, 3000, "8 times as long as its longest wavelet reaches"),
        ({}, 2000, "n_samples must be a whole number of at least 2048"),
    ],
)
def test_what_cannot_be_cut_into_pieces_is_refused(options, n_samples, words):
    with pytest.raises(ValueError, match=words):
        Pieces(transform(**options), n_samples)


def test_bad_input_is_refused_in_one_sentence():
    W, x = transform(), signals.white_noise(3000)
    with pytest.raises(ValueError, match="out must have shape"):
        magnitude_of_long(x, W, np.zeros((3, 3000)), progress=False)
    with pytest.raises(ValueError, match="x must have energy in the band of W"):
        magnitude_of_long(torch.ones(3000), W, progress=False)
    bank = Scalogram.from_filters(np.eye(4, 1025), [1, 2, 3, 4], 8000, n_samples=2048)
    with pytest.raises(ValueError, match="W must have a wavelet"):
        magnitude_of_long(x, bank, progress=False)
