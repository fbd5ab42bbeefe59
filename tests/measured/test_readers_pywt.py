"""from_pywt against PyWavelets itself: wavelets, scales, lengths, precisions, and bad input."""

import sys

import numpy as np
import pytest

from scalinv_utils.measured import from_pywt

from .modelled import error_db, noise, speech

pywt = pytest.importorskip("pywt")

SCALES = np.geomspace(2, 60, 30)


@pytest.mark.parametrize(
    "wavelet", ["cmor1.5-1.0", "cmor20-0.8", "cgau5", "shan1.5-1.0", "fbsp2-1-1.5"]
)
@pytest.mark.parametrize("n_samples", [333, 1000])
def test_complex_wavelets_are_met_to_rounding(wavelet, n_samples):
    x = speech(n_samples)
    coefs, frequencies = pywt.cwt(x, SCALES, wavelet, sampling_period=1 / 8000)
    M = from_pywt(coefs, SCALES, wavelet, sampling_period=1 / 8000)
    assert error_db(M, x) < -270
    assert np.allclose(M.W.frequencies, frequencies) and M.W.sample_rate == 8000


@pytest.mark.parametrize("scales", [np.arange(1, 32), np.arange(64, 4, -3), [5.5], [200.0, 300.0]])
@pytest.mark.parametrize("method", ["conv", "fft"])
def test_scales_and_methods(scales, method):
    x = noise(501)
    coefs, _ = pywt.cwt(x, scales, "cmor1.5-1.0", method=method)
    assert error_db(from_pywt(abs(coefs), scales, "cmor1.5-1.0"), x) < -260


def test_single_precision():
    x = noise(400).astype(np.float32)
    coefs, _ = pywt.cwt(x, SCALES, "cmor1.5-1.0")
    assert coefs.dtype == np.complex64
    assert error_db(from_pywt(coefs, SCALES, "cmor1.5-1.0"), x) < -115


@pytest.mark.parametrize("precision", [8, 10, 14])
def test_precisions(precision):
    x, wavelet = noise(400), pywt.ContinuousWavelet("cmor1.5-1.0")
    coefs, _ = pywt.cwt(x, SCALES, wavelet, precision=precision)
    assert error_db(from_pywt(coefs, SCALES, wavelet, precision=precision), x) < -260


BAD = {
    "NaN": (dict(coefs=np.full((30, 64), np.nan)), ValueError, "coefs"),
    "negative": (dict(coefs=-np.ones((30, 64))), ValueError, "coefs"),
    "transposed": (dict(coefs=np.ones((64, 30))), ValueError, "scales .* transposed"),
    "a negative scale": (dict(scales=-SCALES), ValueError, "scales"),
    "a short scale": (dict(scales=SCALES / 1e3), ValueError, "scales"),
    "real": (dict(wavelet="morl"), ValueError, "wavelet .* real"),
    "real, too": (dict(wavelet="gaus3"), ValueError, "wavelet .* real"),
    "orthogonal": (dict(wavelet="db4"), ValueError, "wavelet .* real"),
    "unknown": (dict(wavelet="gmw"), ValueError, "wavelet"),
    "a number": (dict(wavelet=3), TypeError, "wavelet"),
    "no period": (dict(sampling_period=-1), ValueError, "sampling_period"),
    "no precision": (dict(precision=10.5), TypeError, "precision"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.filterwarnings("ignore")  # pywt's own, of names without parameters
def test_bad_input_is_named(name):
    changed, error, said = BAD[name]
    good = dict(coefs=np.ones((30, 64)), scales=SCALES, wavelet="cmor1.5-1.0")
    with pytest.raises(error, match=said):
        from_pywt(**{**good, **changed})


def test_without_pywavelets_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pywt", None)
    with pytest.raises(ImportError, match="pip install pywavelets"):
        from_pywt(np.ones((30, 64)), SCALES, "cmor1.5-1.0")
