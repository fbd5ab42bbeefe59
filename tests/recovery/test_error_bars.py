"""Error bars without the truth: they agree with the real error, the bound, and what is loose."""

import numpy as np
import pytest
import torch

from scalinv_utils import bounds, metrics
from scalinv_utils.course import signals
from scalinv_utils.measured import Measured
from scalinv_utils.recovery import _error_bars as module
from scalinv_utils.recovery._error_bars import error_bars
from scalinv_utils.recovery._pipeline import recover
from scalinv_utils.transforms.scalogram import Scalogram

N, RATE = 256, 8000.0


def transform(wavelet="cauchy", n_samples=N, **options):
    return Scalogram(n_samples, RATE, wavelet=wavelet, **{"voices_per_octave": 16, **options})


def guitar(W):
    return W.project(signals.recording("guitar", int(RATE), W.n_samples)[0])


def quiet_valleys(W):
    """Three tones so far apart that hardly anything lies between them."""
    return W.project(signals.tones(W.n_samples, RATE, [406.25, 1187.5, 3000.0]))


@pytest.fixture(scope="module", params=[0, 1], ids=["seed 0", "seed 1"])
def well_determined(request):
    """(W, x, S, recovery)."""
    W = transform()
    x = guitar(W)
    S = bounds.noisy(W.magnitude(x), 20, seed=request.param)
    return W, x, S, recover(S, W, progress=False)


def test_a_well_determined_sound(well_determined):
    W, x, S, recovery = well_determined
    bars = error_bars(recovery.signal, S, W)
    assert bars.n_parts == 1 and not bars.parts.any() and bars.parts.shape == W.shape
    assert bars.phase_deviations.tolist() == [0]
    assert bars.reduced_chi2 == pytest.approx(1, abs=0.05)
    assert bars.error_db == pytest.approx(metrics.waveform_error_db(recovery.signal, x), abs=3)
    at_truth = bounds.cramer_rao(x, W, noise="clipped", snr_db=20).error_db(20)
    assert bars.error_db == pytest.approx(at_truth, abs=1.5)
    assert bars.within_db == pytest.approx(bars.error_db, abs=0.1)


def test_what_recover_tells_about_the_noise(well_determined):
    W, x, S, recovery = well_determined
    bars = error_bars(recovery.signal, S, W)
    assert recovery.details["sigma"] == pytest.approx(bounds.cramer_rao(x, W).sigma(20), rel=0.03)
    assert recovery.details["reduced_chi2"] == pytest.approx(1, abs=0.05)
    assert bars.sigma == recovery.details["sigma"]
    assert bars.reduced_chi2 == pytest.approx(recovery.details["reduced_chi2"], abs=1e-3)


@pytest.mark.parametrize("noise", ["clipped", "gaussian", "rice"])
def test_at_the_truth_they_are_the_bound(noise):
    W = transform("gmw")
    x = guitar(W)
    bound = bounds.cramer_rao(x, W, noise=noise, snr_db=20)
    sigma = bound.sigma(20)
    n = sigma * torch.randn(
        (2, *W.shape), dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    S = W.magnitude(x) + n[0] if noise != "rice" else (W(x) + torch.complex(*n)).abs()
    S = S.clamp_min(0) if noise == "clipped" else S
    bars = error_bars(x, S, W, noise=noise, sigma=sigma)
    assert bars.sigma == sigma
    assert bars.error_db == pytest.approx(bound.error_db(20), abs=1e-6)
    assert bars.reduced_chi2 == pytest.approx(1, abs=0.05)
    read = error_bars(x, S, W, noise=noise).sigma
    assert read == pytest.approx(sigma, rel=0.05) and read != sigma


def test_half_the_noise_leaves_half_the_error():
    W = transform()
    x = guitar(W)
    S = bounds.noisy(W.magnitude(x), 20, clip=False)
    sigma = bounds.cramer_rao(x, W).sigma(20)
    usual, half = (error_bars(x, S, W, noise="gaussian", sigma=s) for s in (sigma, sigma / 2))
    assert usual.error_db - half.error_db == pytest.approx(20 * np.log10(2))
    assert half.reduced_chi2 == pytest.approx(4 * usual.reduced_chi2)


def test_loose_parts_are_told():
    W = transform("gmw")
    x = quiet_valleys(W)
    S = bounds.noisy(W.magnitude(x), 10)
    bars = error_bars(x, S, W)
    assert bars.n_parts == 3 == len(bars.phase_deviations)
    assert bars.phase_deviations[0] == 0 and (bars.phase_deviations[1:] > 1).all()
    assert bars.within_db < -15 and bars.error_db > bars.within_db + 20
    assert np.array_equal(np.unique(bars.parts), [0, 1, 2])
    # Each part is one tone; the first is the loudest.
    for hertz in (406.25, 1187.5, 3000.0):
        row = int((W.frequencies - hertz).abs().argmin())
        assert len(np.unique(bars.parts[row])) == 1
    energy = np.bincount(bars.parts.ravel(), weights=W.magnitude(x).square().numpy().ravel())
    assert energy.argmax() == 0


def test_a_turned_part_is_the_error_that_they_tell():
    # The scalogram hardly changes where one of the loose parts is turned by 1 rad.
    W = transform("gmw")
    x = quiet_valleys(W)
    S = bounds.noisy(W.magnitude(x), 10)
    bars = error_bars(x, S, W)
    c = W.coefficients(x)
    turned = W.inverse(torch.where(torch.from_numpy(bars.parts == 1), np.exp(1j) * c, c))
    assert metrics.waveform_error_db(turned, x) > -8
    assert error_bars(turned, S, W).reduced_chi2 == pytest.approx(bars.reduced_chi2, abs=0.01)


def test_a_wrong_signal_leaves_something_to_explain():
    W = transform()
    x = guitar(W)
    S = bounds.noisy(W.magnitude(x), 20)
    assert error_bars(x.roll(4), S, W).reduced_chi2 > 2


def test_a_tie_can_be_asked_to_be_closer(monkeypatch):
    W = transform()
    x = guitar(W)
    S = bounds.noisy(W.magnitude(x), 20)
    assert error_bars(x, S, W).n_parts == 1
    monkeypatch.setattr(module, "KNOWN", 1e-6)
    bars = error_bars(x, S, W)
    assert bars.n_parts > 3
    energy = np.bincount(bars.parts.ravel(), weights=W.magnitude(x).square().numpy().ravel())
    assert (np.diff(energy) <= 0).all()  # the loudest first


def test_they_say_what_they_found():
    W = transform("gmw")
    x = guitar(W)
    bars = error_bars(x, bounds.noisy(W.magnitude(x), 20), W)
    said = str(bars)
    for number in (f"{bars.sigma:.3g}", f"{bars.reduced_chi2:.2f}", f"{bars.error_db:.1f} dB"):
        assert number in said
    assert "loose" not in said
    x = quiet_valleys(W)
    bars = error_bars(x, bounds.noisy(W.magnitude(x), 10), W)
    assert f"{bars.within_db:.1f} dB within each of 3 loose parts" in str(bars)


def test_a_wrong_signal_gets_no_bar_in_words():
    W = transform()
    x = guitar(W)
    said = str(error_bars(x + 0.5 * x.abs(), bounds.noisy(W.magnitude(x), 20), W))
    assert "its error is not known" in said and "as good as" not in said


def rounded(S):
    """Decibels in bytes: 256 levels over 80 dB."""
    step = 80 / 255
    db = (20 * (S / S.max()).log10()).clamp_min(-80)
    return {"S": (db / step).round() * step, "scale": "db", "step_db": step, "floor": -80.0}


def thinned(S, seed=0):
    """Every second column, each with noise 50 dB below the scalogram."""
    sigma = 10 ** (-50 / 20) * float((S / S.max()).square().mean().sqrt())
    noise = torch.randn(S.shape, generator=torch.Generator().manual_seed(seed)).double()
    return {"S": (S / S.max() + sigma * noise).clamp_min(0)[:, ::2], "hop": 2, "sigma": sigma}


@pytest.mark.parametrize("measure", [rounded, thinned])
def test_a_measured_scalogram_brings_its_errors(measure):
    W = transform(voices_per_octave=24)
    x = guitar(W)
    x = x / W.magnitude(x).max()
    options = measure(W.magnitude(x))
    M = Measured(options.pop("S"), W, **options)
    y = recover(M, progress=False).signal
    bars = error_bars(y, M)
    assert bars.reduced_chi2 == pytest.approx(1, abs=0.1)
    assert bars.error_db == pytest.approx(metrics.waveform_error_db(y, x), abs=5)
    assert bars.n_parts == 1 and bars.parts.shape == W.shape


def test_equal_errors_are_those_of_gaussian_noise():
    W = transform()
    x = guitar(W)
    S = bounds.noisy(W.magnitude(x), 20)
    one, other = error_bars(x, Measured(S, W, sigma=0.01)), error_bars(x, S, W, sigma=0.01)
    plain = error_bars(x, S, W, sigma=0.01, noise="gaussian")
    assert one.error_db == pytest.approx(plain.error_db, abs=1e-6) != other.error_db
    assert one.reduced_chi2 == pytest.approx(plain.reduced_chi2, rel=1e-6)


@pytest.mark.parametrize("options", [{}, {"ends": "zero", "pad": (20, 20), "sigma": 0.1}])
def test_exact_and_extended_scalograms_have_none(options):
    W = transform()
    n = W.n_samples - sum(options.get("pad", ()))
    M = Measured(torch.ones(W.n_freqs, n), W, **options)
    with pytest.raises(ValueError, match="S must have errors and be periodic"):
        error_bars(torch.ones(n).double(), M)


@pytest.mark.parametrize(
    "options, words",
    [({"lowpass": "modulus"}, "lowpass"), ({"n_samples": 8200, "voices_per_octave": 1}, "short")],
    ids=["lowpass", "too long"],
)
def test_transforms_that_are_refused(options, words):
    W = transform(**options)
    x = torch.arange(W.n_samples).double().square().sin()
    with pytest.raises(ValueError, match=words):
        error_bars(x, W.magnitude(x), W, sigma=0.1)


def test_a_level_that_nothing_tells():
    W = transform(f_min=3000.0, voices_per_octave=1)
    x = torch.zeros(N).double()
    with pytest.raises(ValueError, match="sigma must be given"):
        error_bars(x, torch.zeros(W.shape), W)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"noise": "pink"}, "noise"),
        ({"sigma": -1.0}, "sigma"),
        ({"S": -torch.ones(3, 4)}, "S"),
        ({"x": torch.full((N,), torch.nan)}, "x"),
        ({"x": torch.zeros(N)}, "x"),
        ({"x": torch.ones(N - 1)}, "x"),
    ],
    ids=["noise", "sigma", "S", "nan", "silence", "length"],
)
def test_bad_input_is_refused_by_name(change, words):
    W = transform()
    given = {"x": guitar(W), "S": W.magnitude(guitar(W)), **change}
    options = {key: given.pop(key) for key in ("noise", "sigma") if key in given}
    with pytest.raises(ValueError, match=words):
        error_bars(given["x"], given["S"], W, **options)


def test_the_phase_between_two_parts_varies_as_their_information_says():
    """The deviation of a linear function of the signal, from the directions of the bound."""
    W = transform("gmw", n_samples=128)
    x = quiet_valleys(W)
    S = bounds.noisy(W.magnitude(x), 10)
    sigma = float(W.magnitude(x).square().mean().sqrt()) / 10**0.5
    bars = error_bars(x, S, W, sigma=sigma)
    bound = bounds.cramer_rao(x, W, noise="clipped", snr_db=10)
    c = W.coefficients(x)
    slopes = []
    for part in range(bars.n_parts):
        inside = torch.where(torch.from_numpy(bars.parts == part), c, 0)
        # Turning the part by a small angle changes x by Re<1j inside, W e> / energy.
        slopes.append(W.adjoint(1j * inside) / inside.abs().square().sum())
    assert bars.n_parts > 1
    for part in range(1, bars.n_parts):
        spread = (slopes[part] - slopes[0]) @ bound.directions.T / bound.eigenvalues.sqrt()
        wanted = float(spread.norm()) * bound.sigma(10)
        assert bars.phase_deviations[part] == pytest.approx(wanted, rel=0.02)
