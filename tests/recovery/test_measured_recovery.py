"""Signals come back from measured scalograms: few rows, few columns, bytes, masks, padded ends."""

import math

import pytest
import torch
from small import noise

from scalinv_utils import metrics
from scalinv_utils.course import signals
from scalinv_utils.measured import Measured
from scalinv_utils.recovery._dense_start import phase_gradient
from scalinv_utils.recovery._gradient_descent import invert_gradient
from scalinv_utils.recovery._pipeline import recover
from scalinv_utils.transforms.scalogram import Scalogram

N, RATE = 256, 8000.0


def gmw(voices=16, n_samples=N, **options):
    return Scalogram(n_samples, RATE, voices_per_octave=voices, **options)


def speech(W):
    return W.project(signals.recording("speech", int(RATE), W.n_samples)[0])


def recovered(M, **options):
    return recover(M, progress=False, **options)


W = gmw()
X = speech(W)
S = W.magnitude(X)
SPREAD = [(4, 3 * j % 4) for j in range(W.n_freqs)]
HOLES = noise(1, *W.shape) > -0.5


def error_in_band_db(recovery, x=X, W=W):
    """Compute the waveform error of what W sees: beyond its band a signal is hardly determined."""
    return metrics.waveform_error_db(W.project(recovery.signal), x)


# -- exact values ------------------------------------------------------------------------------

EXACT = {
    "few voices": (gmw(6), {}),
    "hop 4": (W, {"hop": 4}),
    "per-row hops": (W, {"hop": SPREAD}),
}


@pytest.mark.parametrize(("W", "options"), EXACT.values(), ids=EXACT.keys())
def test_exact_values_give_the_waveform(W, options):
    x = speech(W)
    recovery = recovered(Measured(W.magnitude(x), W, **options))
    assert error_in_band_db(recovery, x, W) < -100
    assert recovery.consistency_db < -100


def test_a_known_mask_gives_the_waveform():
    recovery = recovered(Measured(S, W, known=HOLES))
    assert error_in_band_db(recovery) < -100


def test_a_floor_gives_the_waveform():
    M = Measured(S, W, floor=float(S.max()) * 1e-3)
    assert M.at_most.any()
    assert error_in_band_db(recovered(M)) < -100


# -- values with errors ------------------------------------------------------------------------


@pytest.mark.long
def test_decibels_in_eight_bits_give_the_waveform():
    """The step is 80 dB / 255; what lies more than 80 dB below the peak is at the floor."""
    decibels, step = 20 * S.log10(), 80 / 255
    floor = float(decibels.max()) - 80
    levels = ((decibels - floor).clamp_min(0) / step).round()
    M = Measured(levels * step + floor, W, scale="db", step_db=step, floor=floor)
    recovery = recovered(M)
    assert error_in_band_db(recovery) < -35
    assert recovery.consistency_db < -35


@pytest.mark.long
def test_mirrored_ends_give_the_waveform_up_to_its_sign():
    n, pad = 128, (64, 64)
    wide = gmw(n_samples=2 * n)
    x = signals.fade(signals.linear_chirp(n, RATE, 800.0, 3000.0), RATE, 0.002)
    M = Measured(torch.ones(wide.n_freqs, n), wide, ends="symmetric", pad=pad)
    plane = wide.magnitude(M.extension(x))[:, pad[0] : pad[0] + n]
    M = Measured(plane, wide, ends="symmetric", pad=pad)
    seen = [M.extension.inverse(wide.project(M.extension(y))) for y in (recovered(M).signal, x)]
    assert metrics.sign_error_db(*seen) < -50


# -- one run -----------------------------------------------------------------------------------


def test_history_stages_and_the_fit_are_those_of_the_signal():
    M = Measured(S, W, hop=4)
    recovery = recovered(M, keep_every=5)
    assert recovery.consistency_db == pytest.approx(M.consistency_db(recovery.signal), abs=0.01)
    assert len(recovery.history["consistency_db"]) == len(recovery.history["seconds"]) > 5
    names = [name for name, _ in recovery.details["stages"]]
    assert names[0].startswith("completed") and names[-1] == "last descent"
    assert recovery.iterates[0][0] == 0 and torch.isfinite(recovery.iterates[0][1]).all()


def test_one_seed_gives_one_signal():
    M = Measured(S, W, hop=4)
    first, second = (recovered(M, seed=3, callback=until(4)).signal for _ in range(2))
    assert torch.equal(first, second)


def until(last):
    return lambda iteration, x, fit: iteration >= last


@pytest.mark.parametrize("last", [0, 10])
def test_a_callback_stops_and_the_best_so_far_is_kept(last):
    recovery = recovered(Measured(S, W, hop=4, sigma=1e-7), callback=until(last))
    fits = recovery.history["consistency_db"]
    assert len(fits) == last + 1 and recovery.consistency_db == min(fits)
    assert torch.isfinite(recovery.signal).all()


@pytest.mark.parametrize(
    "options", [{"hop": 4}, {"sigma": 0.1}, {"step_db": 0.1}, {"ends": "zero", "pad": (64, 64)}]
)
def test_silence_comes_back_as_silence(options):
    n_samples = N - sum(options.get("pad", (0, 0)))
    M = Measured(torch.zeros(W.n_freqs, n_samples), W, **options)
    for method in (recovered, phase_gradient, invert_gradient):
        recovery = method(M)
        assert recovery.signal.shape == (n_samples,) and not recovery.signal.any(), method
        assert recovery.consistency_db == -math.inf


def test_no_bar_is_shown_unless_it_is_wanted(capsys):
    recover(Measured(S, W, hop=4), progress=False, callback=until(0))
    assert capsys.readouterr().err == ""


def test_a_plain_measurement_is_recovered_as_its_scalogram():
    dense = gmw(32, wavelet="cauchy")
    plane = dense.magnitude(speech(dense))
    plain = recovered(Measured(plane, dense))
    assert torch.equal(plain.signal, recover(plane, dense, progress=False).signal)


# -- the other methods -------------------------------------------------------------------------


def test_phase_gradient_starts_close_and_its_rounds_come_closer():
    M = Measured(S, W, hop=4)
    start, rounds = (phase_gradient(M, n_iter=n) for n in (0, 2))
    assert start.consistency_db < -5 and rounds.consistency_db < start.consistency_db
    assert rounds.consistency_db == min(rounds.history["consistency_db"])


def test_invert_gradient_goes_down_from_where_it_is_told():
    M = Measured(S, W, hop=4)
    close = X + 0.01 * W.project(noise(2, N))
    recovery = invert_gradient(M, init=close, n_iter=100)
    assert recovery.consistency_db < M.consistency_db(close) - 20
    assert metrics.waveform_error_db(recovery.signal, X) < -60


# -- bad input ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "name"),
    [
        ({"W": gmw(8)}, ValueError, "W"),
        ({"seed": -1}, ValueError, "seed"),
        ({"seed": 0.5}, TypeError, "seed"),
        ({"noise": "pink"}, ValueError, "noise"),
        ({"callback": 3}, TypeError, "callback"),
        ({"keep_every": 0}, ValueError, "keep_every"),
    ],
)
def test_bad_input_of_recover_is_named(options, error, name):
    with pytest.raises(error, match=name):
        recover(Measured(S, W, hop=4), progress=False, **options)


def test_what_the_other_methods_cannot_take_is_named():
    M = Measured(S, W, hop=4)
    with pytest.raises(ValueError, match="method"):
        phase_gradient(M, method="eigen")
    with pytest.raises(ValueError, match="n_iter"):
        phase_gradient(M, n_iter=-1)
    both = Scalogram.from_filters(torch.ones(2, 64), [2, 1])
    with pytest.raises(ValueError, match="S must be the scalogram of a wavelet"):
        phase_gradient(Measured(torch.ones(both.shape), both, hop=2))
    for method in (recover, phase_gradient):
        with pytest.raises(TypeError, match="W must be given"):
            method(S)


def test_a_bank_made_from_filters_needs_no_phase_relation():
    W = Scalogram(256, 8000, voices_per_octave=12)
    bank = Scalogram.from_filters(W.filters, W.frequencies, 8000, n_samples=256)
    x = W.project(signals.linear_chirp(256, 8000, 800, 3000))
    S = bank.magnitude(x)
    recovery = recover(S, bank, progress=False)
    assert metrics.waveform_error_db(recovery.signal, x) < -200
    assert phase_gradient(S, bank).consistency_db < -40
    # The second width explained all: the third was not needed, and is not among those that ran.
    assert [name for name, _ in recovery.details["stages"]] == [
        "completed, beta 40",
        "completed, beta 25",
        "last descent",
    ]
