"""Where there is a lowpass, wavelets are inverted first, and it tells by how much to turn."""

import pytest
import torch

from scalinv_utils import Scalogram, recover
from scalinv_utils.course import signals
from scalinv_utils.metrics import sign_error_db
from scalinv_utils.recovery._lowpass_start import signs


def smooth(n, highest, seed=0, mean=0.0):
    """Make a real periodic row without frequencies above `highest` periods, but for its mean."""
    generator = torch.Generator().manual_seed(seed)
    spectrum = torch.zeros(n // 2 + 1, dtype=torch.complex128)
    spectrum[1 : highest + 1] = torch.randn(highest, dtype=torch.complex128, generator=generator)
    return torch.fft.irfft(spectrum, n=n, norm="forward") + mean


@pytest.mark.parametrize("n", [200, 201])
@pytest.mark.parametrize("seed", range(8))
def test_signs_change_at_the_zeros_of_a_smooth_row(n, seed):
    row = smooth(n, 6, seed, mean=0.5)
    assert 2 <= int((row.sign() != row.sign().roll(1)).sum()) <= 20
    found = signs(row.abs()) * row.abs()
    assert torch.equal(found, row) or torch.equal(found, -row)


def test_rows_without_zeros_have_one_sign():
    row = smooth(200, 10, 1)
    above = row - row.min() + 0.3 * row.std()
    for modulus in (above, torch.zeros(200), torch.full((200,), 2.0)):
        assert torch.equal(signs(modulus), torch.ones_like(modulus))


@pytest.mark.parametrize(
    ("name", "wavelet", "lowpass", "bound"),
    [
        ("tabla", "gmw", "modulus", -40),
        ("choir", "cauchy", "modulus", -15),
        ("guitar", "gmw", "signed", -20),
        ("speech", "cauchy", "signed", -40),
    ],
)
def test_a_sound_comes_back_up_to_its_sign(name, wavelet, lowpass, bound):
    """The choir and the guitar have so little next to the lowpass that it hardly ties them."""
    W = Scalogram(512, 4000, wavelet=wavelet, voices_per_octave=32, lowpass=lowpass)
    x = W.project(signals.recording(name, 4000, 512)[0])
    recovery = recover(W.magnitude(x), W)
    assert sign_error_db(recovery.signal, x) < bound
    assert recovery.consistency_db < -60
    assert recovery.details["stages"][0][0] == "wavelets, turned by the lowpass"


def test_what_only_the_lowpass_hears_comes_back():
    W = Scalogram(512, 4000, wavelet="cauchy", voices_per_octave=32, lowpass="modulus")
    lowest = float(W.frequencies[W.frequencies > 0].min())
    t = torch.arange(512, dtype=torch.float64)
    slow = 1 + 0.5 * torch.cos(2 * torch.pi * t * round(0.2 * lowest * 512 / 4000) / 512)
    for x in (torch.full((512,), 3.0, dtype=torch.float64), slow):
        assert sign_error_db(recover(W.magnitude(x), W).signal, W.project(x)) < -40
