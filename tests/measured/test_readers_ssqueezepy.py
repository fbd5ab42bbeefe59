"""from_ssqueezepy against ssqueezepy itself: paddings, lengths, wavelets, norms, and bad input."""

import numpy as np
import pytest
import ssqueezepy

from scalinv_utils.measured import _ssqueezepy, from_ssqueezepy
from scalinv_utils.transforms._wavelets import understood

from .modelled import error_db, noise, speech

# Single precision, in which ssqueezepy computes, leaves this.
SINGLE_DB = -107


@pytest.mark.parametrize(
    "n_samples, sound",
    [(300, speech), (1000, noise), (1448, noise), (1449, speech), (2048, speech)],
)
def test_the_default_call_at_any_length(n_samples, sound):
    x = sound(n_samples)
    Wx, scales = ssqueezepy.cwt(x)
    M = from_ssqueezepy(Wx, "gmw", scales, sample_rate=8000)
    assert M.W.n_samples in (512, 2048, 4096) and M.n_samples == n_samples
    assert error_db(M, x) < SINGLE_DB


@pytest.mark.parametrize("padtype", ["reflect", "symmetric", "zero", None])
@pytest.mark.parametrize("n_samples", [512, 777])
def test_every_padding(padtype, n_samples):
    x = speech(n_samples)
    Wx, scales = ssqueezepy.cwt(x, padtype=padtype)
    assert error_db(from_ssqueezepy(Wx, "gmw", scales, padtype=padtype), x) < SINGLE_DB


@pytest.mark.parametrize(
    "wavelet, scales",
    [
        ("morlet", "log-piecewise"),
        ("bump", "log"),
        (("gmw", {"gamma": 3, "beta": 20}), "linear"),
        ("cmhat", "log-piecewise"),
    ],
)
def test_wavelets_and_scales(wavelet, scales):
    x = speech(600)
    Wx, used = ssqueezepy.cwt(x, wavelet, scales=scales, nv=16)
    assert error_db(from_ssqueezepy(Wx, wavelet, used), x) < SINGLE_DB


@pytest.mark.parametrize("wavelet", ["gmw", "morlet", ("gmw", {"beta": 20, "norm": "energy"})])
def test_the_other_norm(wavelet):
    x = speech(600)
    Wx, scales = ssqueezepy.cwt(x, wavelet, l1_norm=False)
    M = from_ssqueezepy(Wx, wavelet, scales, l1_norm=False)
    assert error_db(M, x) < SINGLE_DB
    assert wavelet == "morlet" or M.W.responses.max() == pytest.approx(2, rel=1e-3)


def test_the_norm_that_ssqueezepy_writes_into_its_argument_changes_nothing():
    wavelet = ("gmw", {"gamma": 3, "beta": 20})
    Wx, scales = ssqueezepy.cwt(speech(600), wavelet)
    M = from_ssqueezepy(Wx, wavelet, scales)
    assert wavelet[1]["norm"] == "bandpass" and M.W.wavelet == ("gmw", {"gamma": 3, "beta": 20})


def test_a_wavelet_in_double_precision_is_met_to_rounding():
    x, wavelet = speech(600), ssqueezepy.Wavelet("gmw", dtype="float64")
    Wx, scales = ssqueezepy.cwt(x, wavelet)
    assert error_db(from_ssqueezepy(Wx, wavelet, scales), x) < -250


WX, SCALES = ssqueezepy.cwt(noise(64))
BAD = {
    "NaN": (dict(Wx=np.full_like(WX, np.nan)), ValueError, "Wx"),
    "negative": (dict(Wx=-np.abs(WX)), ValueError, "Wx"),
    "transposed": (dict(Wx=WX.T), ValueError, "scales .* transposed"),
    "a batch": (dict(Wx=np.stack([WX, WX])), ValueError, "Wx"),
    "text": (dict(Wx="Wx"), TypeError, "Wx"),
    "too few scales": (dict(scales=SCALES[:-1]), ValueError, "scales"),
    "a negative scale": (dict(scales=-SCALES), ValueError, "scales"),
    "unsorted scales": (dict(scales=np.r_[SCALES[1:], SCALES[0]]), ValueError, "scales"),
    "scales in words": (dict(scales=["log"] * len(WX)), TypeError, "scales"),
    "no wavelet": (dict(wavelet="haar"), ValueError, "wavelet"),
    "a number": (dict(wavelet=3), TypeError, "wavelet"),
    "wrong parameters": (dict(wavelet=("morlet", {"beta": 3})), ValueError, "wavelet"),
    "wrapped": (dict(padtype="wrap"), ValueError, "padtype .* puts neither zeros"),
    "replicated": (dict(padtype="replicate"), ValueError, "padtype .* puts neither zeros"),
    "no padding": (dict(padtype="mirror"), ValueError, "padtype"),
    "no rate": (dict(sample_rate=0), ValueError, "sample_rate"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_named(name):
    changed, error, said = BAD[name]
    good = dict(Wx=WX, wavelet="gmw", scales=SCALES)
    with pytest.raises(error, match=said):
        from_ssqueezepy(**{**good, **changed})


@pytest.mark.parametrize(
    "padtype, n_samples, pad",
    [
        ("reflect", 64, (32, 32)),
        ("zero", 65, (32, 31)),  # of an odd number the larger half comes first
        ("symmetric", 90, (19, 19)),  # twice 64, the nearest power of two
        ("symmetric", 91, (83, 82)),  # twice 128
        (None, 65, (0, 0)),
    ],
)
def test_signals_are_padded_to_twice_the_nearest_power_of_two(padtype, n_samples, pad):
    assert _ssqueezepy._padding(padtype, n_samples)[1] == pad


def test_how_much_larger_a_wavelet_is_than_one_that_peaks_at_two():
    plain = _ssqueezepy._plain
    assert plain("gmw", True) == (("gmw", {"gamma": 3, "beta": 60}), 1.0)
    assert plain(("morlet", {"mu": 5}), False) == (("morlet", {"mu": 5}), 1.0)
    own = ssqueezepy.Wavelet("gmw")
    assert plain(own, False) == (own, 1.0)
    wavelet, factor = plain("gmw", False)
    energy = ssqueezepy.Wavelet(("gmw", {"norm": "energy"}))
    assert wavelet == ("gmw", {"gamma": 3, "beta": 60})
    w = np.linspace(0.1, 6, 50)
    assert factor * understood(wavelet)[1](w) == pytest.approx(np.real(energy(w)), rel=1e-4)
    assert plain(("gmw", {"norm": "energy"}), True)[1] == pytest.approx(factor)
    assert plain(("gmw", {"norm": "bandpass"}), False)[1] == 1.0
