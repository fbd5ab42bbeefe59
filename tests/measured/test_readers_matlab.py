"""from_matlab against MATLAB's documented formulas, written out once more, and bad files."""

import numpy as np
import pytest
from scipy.io import savemat

from scalinv_utils.measured import _matlab, from_matlab
from scalinv_utils.measured._matlab import _extension

from .modelled import error_db, noise, speech


def morse(w, gamma=3, beta=20):
    w = np.where(w > 0, w, 0)
    peak = (beta / gamma) ** (1 / gamma)
    return peak, 2 * np.exp(peak**gamma - w**gamma) * (w / peak) ** beta


def amor(w):
    return 6, 2 * np.exp(-0.5 * (w - 6) ** 2) * (w > 0)


def bump(w):
    inside = np.abs(w - 5) < 0.6
    u = np.where(inside, (w - 5) / 0.6, 0)
    return 5, 2 * np.exp(1) * np.exp(-1 / (1 - u**2)) * inside


def matlab_cwt(x, f, rate, psi=morse, extend=True):
    """Compute what cwt gives: extend, filter on MATLAB's grid of frequencies, cut."""
    n = len(x)
    pad = n // 2 if extend else 0
    long = np.concatenate([x[:pad][::-1], x, x[n - pad :][::-1]])
    m = len(long)
    w = 2 * np.pi * np.arange(m) / m
    w[m // 2 + 1 :] -= 2 * np.pi  # the Nyquist frequency counts as positive
    peak, _ = psi(np.ones(1))
    rows = [np.fft.ifft(np.fft.fft(long) * psi(peak * rate / (2 * np.pi * g) * w)[1]) for g in f]
    return np.array(rows)[:, pad : pad + n]


def saved(tmp_path, **variables):
    path = tmp_path / "wt.mat"
    savemat(path, variables)
    return path


@pytest.mark.parametrize("n_samples", [256, 333, 1000])
@pytest.mark.parametrize("wavelet, psi", [("morse", morse), ("amor", amor), ("bump", bump)])
def test_the_wavelets_at_even_and_odd_lengths(tmp_path, n_samples, wavelet, psi):
    x, f = speech(n_samples), 3400 * 2.0 ** (-np.arange(50) / 10)
    wt = matlab_cwt(x, f, 8000, psi)
    path = saved(tmp_path, wt=wt, f=f[:, None])
    M = from_matlab(path, sample_rate=8000, wavelet=wavelet)
    assert error_db(M, x) < -170 and np.allclose(M.W.frequencies, f)


def test_other_parameters_and_names_and_the_modulus_alone(tmp_path):
    x, f = noise(400), 0.4 * 2.0 ** (-np.arange(40) / 10)
    wt = matlab_cwt(x, f, 1.0, lambda w: morse(w, 2, 15))
    path = saved(tmp_path, S=np.abs(wt), Hz=f)
    M = from_matlab(path, sample_rate=1, variable="S", frequencies="Hz", gamma=2, time_bandwidth=30)
    assert error_db(M, x) < -140


def test_without_extension_only_the_nyquist_bin_differs(tmp_path):
    f = 3400 * 2.0 ** (-np.arange(50) / 10)
    for n_samples, most in ((333, -170), (400, -25)):
        x = noise(n_samples)
        wt = matlab_cwt(x, f, 8000, extend=False)
        M = from_matlab(saved(tmp_path, wt=wt, f=f), sample_rate=8000, extend=False)
        assert error_db(M, x) < most


def test_long_signals_are_extended_by_few_samples():
    assert _extension(101) == 50 and _extension(10**5) == 5 * 10**4 and _extension(10**5 + 1) == 17


F = 400 * 2.0 ** (-np.arange(20) / 10)
BAD = {
    "no rows for f": (dict(wt=np.ones((19, 64)), f=F), {}, "f .*transposed"),
    "NaN": (dict(wt=np.full((20, 64), np.nan), f=F), {}, "wt"),
    "negative": (dict(wt=-np.ones((20, 64)), f=F), {}, "wt"),
    "a complex signal": (dict(wt=np.ones((20, 64, 2)), f=F), {}, "wt"),
    "no wt": (dict(cfs=np.ones((20, 64)), f=F), {}, "path .* 'wt'.*cfs"),
    "in radians": (dict(wt=np.ones((20, 64)), f=100 * F), {}, "f must be in Hz"),
    "unknown wavelet": (dict(wt=np.ones((20, 64)), f=F), dict(wavelet="gmw"), "wavelet"),
    "no bandwidth": (dict(wt=np.ones((20, 64)), f=F), dict(time_bandwidth=0), "time_bandwidth"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_variables_are_named(tmp_path, name):
    variables, options, said = BAD[name]
    with pytest.raises(ValueError, match=said):
        from_matlab(saved(tmp_path, **variables), sample_rate=1000, **options)


def test_variables_that_another_reader_read(tmp_path):
    f = 400 * 2.0 ** (-np.arange(20) / 10)
    held = {"wt": np.arange(20 * 64.0).reshape(20, 64), "f": f}
    M = from_matlab(held, sample_rate=1000)
    assert np.array_equal(M.S, from_matlab(saved(tmp_path, **held), sample_rate=1000).S)
    with pytest.raises(ValueError, match="path must hold the variable 'f', got variables with wt"):
        from_matlab({"wt": held["wt"]}, sample_rate=1000)


def test_text_is_no_matrix(tmp_path):
    with pytest.raises(TypeError, match="wt"):
        from_matlab(saved(tmp_path, wt="none", f=F), sample_rate=1000)


def test_bad_files_are_named(tmp_path):
    path = tmp_path / "wt.mat"
    for content, said in (
        (b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(64), "7.3"),
        (b"no such thing" * 20, "path must be a .mat file"),
        (b"", "path must be a .mat file"),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=said):
            from_matlab(path, sample_rate=1000)
    with pytest.raises(FileNotFoundError):
        from_matlab(tmp_path / "none.mat", sample_rate=1000)


def test_the_wavelets_of_matlab_follow_their_formulas():
    w = np.array([-1.0, 0.0, 0.5, 5.3, 6.7])
    wanted = np.where(w > 0, 2 * np.exp(-((w - 6) ** 2) / 2), 0)
    assert _matlab.amor(w) == pytest.approx(wanted)
    w = np.array([4.39, 4.7, 5.3, 5.59, 5.61])
    inside = np.abs((w - 5) / 0.6) < 1
    x = np.where(inside, (w - 5) / 0.6, 0)
    assert _matlab.bump(w) == pytest.approx(np.where(inside, 2 * np.exp(1 - 1 / (1 - x**2)), 0))
    assert _matlab._wavelet("morse", 60, 3) == ("gmw", {"gamma": 3, "beta": 20})
    assert _matlab._wavelet("amor", 60, 3) is _matlab.amor
    assert _matlab._wavelet("bump", 60, 3) is _matlab.bump


def test_half_of_the_signal_is_mirrored_unless_it_is_long():
    lengths = (64, 65, 100_000, 100_001, 2**17, 2**17 + 1)
    assert [_matlab._extension(n) for n in lengths] == [32, 32, 50_000, 17, 17, 18]


def test_frequencies_reach_up_to_half_of_the_rate(tmp_path):
    path = tmp_path / "wt.mat"
    savemat(path, {"wt": np.ones((3, 64)), "f": np.array([[500.0], [400], [300]])})
    assert from_matlab(path, sample_rate=1000).W.n_freqs == 3
    with pytest.raises(ValueError, match="f must be in Hz, at most the Nyquist frequency 499.5"):
        from_matlab(path, sample_rate=999)
