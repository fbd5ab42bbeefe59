"""The phase relations hold, the heap integrates them, and corrections make the result exact."""

import math
import statistics

import numpy as np
import pytest
import torch

from scalinv_utils import _levels, metrics
from scalinv_utils.course import signals
from scalinv_utils.measured import Measured
from scalinv_utils.metrics import consistency_db, decibels, waveform_error_db
from scalinv_utils.recovery import _dense_start, _phase_gradient
from scalinv_utils.recovery._dense_start import phase_gradient
from scalinv_utils.recovery._phase_gradient import (
    integrate_phase,
    phase_derivatives,
)
from scalinv_utils.transforms.scalogram import Scalogram

N, RATE = 512, 8000.0


@pytest.fixture(scope="module", params=["cauchy", "gmw", "morlet"])
def W(request):
    return Scalogram(N, RATE, wavelet=request.param, voices_per_octave=32)


@pytest.fixture(scope="module")
def cauchy():
    return Scalogram(N, RATE, wavelet="cauchy", voices_per_octave=32)


def true_derivatives(W, x):
    """Compute the phase's gradient from the coefficients themselves.

    In time it is exact, since d/dt is a factor i w. In log s it comes from two transforms whose
    scales are slightly smaller and larger.
    """
    c, h = W(x), 1e-4
    angular = 2 * math.pi * torch.fft.fftfreq(W.n_samples, dtype=torch.float64)
    in_time = (torch.fft.ifft(1j * angular * torch.fft.fft(c)) / c).imag
    top, bottom = (float(W.frequencies[row]) for row in (0, -1))
    smaller, larger = (
        Scalogram(
            W.n_samples,
            W.sample_rate,
            wavelet=W.wavelet,
            voices_per_octave=W.voices_per_octave,
            f_min=bottom * factor,
            f_max=top * factor,
        )(x)
        for factor in (math.exp(h / 2), math.exp(-h / 2))
    )
    return in_time, torch.angle(larger / smaller) / h


def weighted_error_db(got, true, weight):
    return decibels(((got - true) * weight).norm() / (true * weight).norm())


# For Cauchy the relations are exact, up to the finite difference in scale. For the others they
# hold to first order in the distance from the ridge.
@pytest.mark.parametrize(
    ("wavelet", "in_time", "in_scale"),
    [("cauchy", -80, -80), ("gmw", -35, -20), ("morlet", -35, -20)],
)
def test_derivatives_from_the_modulus_are_those_of_the_true_phase(wavelet, in_time, in_scale):
    W = Scalogram(N, RATE, wavelet=wavelet, voices_per_octave=32, f_max=3000)
    x = W.project(signals.am_fm_tone(N, RATE))
    S = W.magnitude(x)
    for got, true, bound in zip(
        phase_derivatives(S, W), true_derivatives(W, x), (in_time, in_scale)
    ):
        assert weighted_error_db(got, true, S) < bound
        # With the opposite sign the error is above 5 dB.
        assert weighted_error_db(-got, true, S) > 5


def test_a_steady_tone_turns_at_its_own_frequency_in_every_row(W):
    S = W.magnitude(signals.tones(N, RATE, [N // 8 * RATE / N]))
    own = 2 * math.pi / 8
    dphi_dt, dphi_dlogs = phase_derivatives(S, W)
    ridge = int(torch.argmin((W.frequencies - RATE / 8).abs()))
    assert abs(float(dphi_dt[ridge].mean()) / own - 1) < 1e-3
    assert float(dphi_dlogs[ridge].abs().max()) < 1e-6


def test_the_true_gradient_integrates_to_the_true_phase(cauchy):
    x = cauchy.project(signals.exponential_chirp(N, RATE))
    c = cauchy(x)
    phase, order, n_islands = integrate_phase(
        c.abs(), cauchy, *phase_derivatives(c.abs(), cauchy), torch.zeros(cauchy.shape)
    )
    turned = c.abs() * torch.exp(1j * phase)
    inner = (turned.conj() * c).sum()
    assert decibels((turned * inner / inner.abs() - c).norm() / c.norm()) < -60
    assert n_islands == 1
    # The order is a permutation that begins at the maximum, and -1 where no point was reached.
    reached = order[order >= 0]
    assert sorted(reached.tolist()) == list(range(len(reached)))
    assert order.flatten()[c.abs().argmax()] == 0
    assert ((order >= 0) == (c.abs() >= 1e-6 * c.abs().max())).all()


def test_islands_are_filled_one_after_the_other(cauchy):
    # Two tones far apart are two islands at -20 dB, each with a phase of its own.
    S = cauchy.magnitude(signals.tones(N, RATE, [250, 2500]))
    gradient = phase_derivatives(S, cauchy)
    _, order, n_islands = integrate_phase(S, cauchy, *gradient, torch.zeros(S.shape), tolerance=0.1)
    assert n_islands == 2
    # Each is filled in one go: all numbers of one island are below those of the other.
    high, low = (
        part[part >= 0]
        for part in (order[cauchy.frequencies > 800], order[cauchy.frequencies < 800])
    )
    assert high.max() < low.min() or low.max() < high.min()
    phase, _, _ = integrate_phase(S, cauchy, *gradient, torch.full(S.shape, 1.0), tolerance=0.1)
    assert (phase[order < 0] == 1).all()
    # Thousands of radians add up in double precision, even from a start in single precision.
    single, _, _ = integrate_phase(S, cauchy, *gradient, torch.ones(S.shape), tolerance=0.1)
    assert single.dtype == torch.float64 and torch.equal(single, phase)


@pytest.mark.parametrize(
    "name", ["linear chirp", "exponential chirp", "AM-FM tone", "crossing chirps", "white noise"]
)
def test_the_heap_alone_on_cauchy(cauchy, name):
    x = cauchy.project(signals.synthetic(name, N, RATE))
    S = cauchy.magnitude(x)
    errors = [
        waveform_error_db(phase_gradient(S, cauchy, n_iter=0, seed=seed).signal, x)
        for seed in range(3)
    ]
    assert max(errors) < -40, errors


def test_corrections_reach_the_waveform_with_every_wavelet(W):
    finals = {}
    for name in [
        "exponential chirp",
        "AM-FM tone",
        "crossing chirps",
        "three tones",
        "white noise",
    ]:
        x = W.project(signals.synthetic(name, N, RATE))
        S = W.magnitude(x)
        recovery = phase_gradient(S, W)
        finals[name] = waveform_error_db(recovery.signal, x)
        history = recovery.history["consistency_db"]
        # The history is that of the signals, and the best of them is returned.
        assert consistency_db(recovery.signal, S, W) == pytest.approx(min(history), abs=0.1)
        assert recovery.consistency_db == min(history)
    assert statistics.median(finals.values()) < -100, finals
    assert max(finals.values()) < -60, finals


def test_recordings_with_the_default_wavelet():
    W = Scalogram(1024, RATE, wavelet="gmw", voices_per_octave=32)
    for name in ["speech", "bell"]:
        x = W.project(signals.recording(name, RATE, 1024)[0])
        S = W.magnitude(x)
        heap = waveform_error_db(phase_gradient(S, W, n_iter=0).signal, x)
        corrected = waveform_error_db(phase_gradient(S, W).signal, x)
        assert corrected < -100 and corrected < heap - 60, (name, heap, corrected)


def test_same_seed_same_signal(cauchy):
    S = cauchy.magnitude(signals.tones(N, RATE, [250, 2500]))
    # A coarse tolerance leaves two islands and a sea, where the seed matters.
    first, again, other = (
        phase_gradient(S, cauchy, n_iter=0, tolerance=0.1, seed=seed).signal for seed in (1, 1, 2)
    )
    assert torch.equal(first, again) and not torch.allclose(first, other)


def test_neither_level_nor_place_matters(cauchy):
    x = signals.crossing_chirps(N, RATE)
    S = cauchy.magnitude(x)
    y = phase_gradient(S, cauchy, n_iter=0).signal
    louder = phase_gradient(1e6 * S, cauchy, n_iter=0).signal
    assert waveform_error_db(louder, 1e6 * y) < -100
    rolled = phase_gradient(S.roll(N // 3, -1), cauchy, n_iter=0).signal
    assert waveform_error_db(rolled, y.roll(N // 3)) < -60


def test_history_callback_and_iterates(cauchy):
    S = cauchy.magnitude(signals.recording("crow", RATE, N)[0])
    seen = []
    recovery = phase_gradient(
        S,
        cauchy,
        n_iter=3,
        keep_every=1,
        callback=lambda k, x, fit: seen.append((k, fit)) or k == 1,
    )
    assert [k for k, _ in seen] == [0, 1]
    assert [fit for _, fit in seen] == recovery.history["consistency_db"]
    assert [k for k, _ in recovery.iterates] == [0, 1] and recovery.seconds > 0
    assert phase_gradient(S, cauchy, n_iter=0).history["consistency_db"] == pytest.approx(
        [seen[0][1]]
    )


def test_batches_and_single_precision(cauchy):
    x = torch.stack([signals.am_fm_tone(N, RATE), signals.exponential_chirp(N, RATE)])
    x = cauchy.project(x)
    recovery = phase_gradient(cauchy.magnitude(x), cauchy, n_iter=2)
    assert recovery.signal.shape == x.shape
    assert (waveform_error_db(recovery.signal, x) < -80).all()
    single = Scalogram(N, RATE, wavelet="cauchy", voices_per_octave=32).float()
    recovery = phase_gradient(single.magnitude(x[0]), single, n_iter=2)
    assert recovery.signal.dtype == torch.float32
    assert waveform_error_db(recovery.signal, x[0]) < -40


def test_silence_and_few_rows(cauchy):
    silent = phase_gradient(torch.zeros(cauchy.shape), cauchy)
    assert not silent.signal.any() and silent.consistency_db == -math.inf
    derivatives = phase_derivatives(torch.zeros(cauchy.shape), cauchy)
    assert all(torch.isfinite(d).all() for d in derivatives)
    for f_min in (1950.0, 1500.0):  # These give one row, and a few.
        few = Scalogram(64, RATE, wavelet="cauchy", voices_per_octave=4, f_min=f_min, f_max=2000)
        x = phase_gradient(few.magnitude(signals.clicks(64, RATE)), few, n_iter=2).signal
        assert torch.isfinite(x).all()


@pytest.mark.parametrize("lowpass", ["modulus", "signed"])
def test_a_lowpass_row_is_left_out_of_the_integration(lowpass):
    W = Scalogram(N, RATE, wavelet="cauchy", voices_per_octave=32, lowpass=lowpass)
    x = W.project(signals.exponential_chirp(N, RATE))
    S = W.magnitude(x)
    gradient = phase_derivatives(S, W)
    assert not gradient[0][-1].any() and not gradient[1][-1].any()
    phase, order, _ = integrate_phase(S, W, *gradient, torch.ones(S.shape))
    assert not phase[-1].any() and (order[-1] == -1).all()
    recovery = phase_gradient(S, W, n_iter=3)
    assert torch.isfinite(recovery.signal).all() and recovery.consistency_db < -20


def test_noise_degrades_it_and_breaks_nothing(cauchy):
    x = cauchy.project(signals.crossing_chirps(N, RATE))
    S = cauchy.magnitude(x)
    noise = torch.randn(S.shape, dtype=S.dtype, generator=torch.Generator().manual_seed(0))
    fits = []
    for snr in (60, 40, 20):
        noisy = (S + noise * S.norm() / noise.norm() * 10 ** (-snr / 20)).clamp_min(0)
        recovery = phase_gradient(noisy, cauchy, n_iter=3)
        assert torch.isfinite(recovery.signal).all()
        fits.append(waveform_error_db(recovery.signal, x))
    assert fits[0] < -10 and fits == sorted(fits), fits


def test_eigen_is_the_phase_equation(cauchy):
    x = cauchy.project(signals.am_fm_tone(N, RATE))
    recovery = phase_gradient(cauchy.magnitude(x), cauchy, method="eigen")
    assert waveform_error_db(recovery.signal, x) < -60


def test_bad_input(cauchy):
    S = torch.ones(cauchy.shape)
    for arguments, words in [
        ((-S, cauchy), "S must not be negative"),
        ((S[:, 1:], cauchy), "S must fit"),
        ((S * math.nan, cauchy), "S must be finite"),
    ]:
        for function in (phase_gradient, phase_derivatives):
            with pytest.raises(ValueError, match=words):
                function(*arguments)
    with pytest.raises(ValueError, match="method must be one of 'heap', 'eigen', got 'stack'"):
        phase_gradient(S, cauchy, method="stack")
    for tolerance in (0, 1, -0.1, math.inf):
        with pytest.raises(ValueError, match="tolerance must be"):
            phase_gradient(S, cauchy, tolerance=tolerance)
    with pytest.raises(ValueError, match="seed must be"):
        phase_gradient(S, cauchy, seed=-1)
    with pytest.raises(ValueError, match="n_iter must be"):
        phase_gradient(S, cauchy, n_iter=-1)
    with pytest.raises(TypeError, match="callback must be"):
        phase_gradient(S, cauchy, callback=3)
    with pytest.raises(TypeError, match="complex"):
        phase_gradient(cauchy(np.ones(N)), cauchy)
    with pytest.raises(TypeError, match="ridges"):
        phase_gradient(S, cauchy, ridges=(1,))


def test_in_silence_nothing_is_integrated(cauchy):
    S, start = torch.zeros(cauchy.shape), torch.full(cauchy.shape, 0.5)
    phase, order, n_islands = integrate_phase(S, cauchy, S, S, start)
    assert n_islands == 0 and (order == -1).all()
    assert (phase == start).all()


def test_the_queue_goes_by_size_to_a_tenth_of_a_decibel(cauchy):
    """Each point taken is, to LEVEL_DB, the largest neighbour of all points taken before."""
    S = cauchy.magnitude(signals.white_noise(N, seed=1))
    gradient = phase_derivatives(S, cauchy)
    _, order, _ = integrate_phase(S, cauchy, *gradient, torch.zeros(S.shape), tolerance=0.5)
    S, order = S.numpy(), order.numpy()
    points = [divmod(int(p), N) for p in order.argsort(axis=None)[(order < 0).sum() :]]
    waiting, seen, slack = set(), set(), 10 ** (-0.1 / 20)
    for row, t in points:
        if (row, t) in waiting:
            assert S[row, t] >= slack * max(S[p] for p in waiting)
        waiting.discard((row, t))
        seen.add((row, t))
        near = [(row, (t + 1) % N), (row, (t - 1) % N), (row + 1, t), (row - 1, t)]
        waiting |= {p for p in near if 0 <= p[0] < len(S) and p not in seen and order[p] >= 0}
    assert len(seen) == len(points) > 500


def played(levels_db, monkeypatch, **options):
    """Run `rounds` with results of known fits: 1 after the first round, 2 after the second ..."""
    W = Scalogram(32, voices_per_octave=4)
    S = W.magnitude(torch.arange(32.0).double().square().sin())
    steps, corrected, loudness = [], [], float(S.norm())

    def refined(S, kept, W, x, n_steps, c, whole):
        steps.append(n_steps if n_steps is None or not whole else -n_steps)
        fit = 10 ** (levels_db[len(steps) - 1] / 20)
        return torch.full((32,), float(len(steps)), dtype=torch.float64), loudness * fit

    def correct(x):
        corrected.append(float(x[0]))
        return x

    monkeypatch.setattr(_phase_gradient, "_refined", refined)
    start = torch.zeros(32, dtype=torch.float64)
    made = list(_phase_gradient.rounds(S, W, start, correct, **options))
    fits = [float(decibels(torch.tensor(fit / loudness))) for _, fit in made[1:]]
    assert fits == pytest.approx(levels_db) and made[0][1] == pytest.approx(loudness)
    return steps, corrected


def test_rounds_without_a_gain_get_longer_and_what_is_worse_is_taken_back(monkeypatch):
    # Gains: much, 0.5 dB, worse, 9.5 dB, and then four times too little, which ends it.
    levels = [-20, -20.5, -10, -30, -30.1, -30.2, -30.3, -30.4]
    steps, corrected = played(levels, monkeypatch)
    assert steps == [10, 10, -20, -30, 30, -40, -40, -40]  # negative: all coefficients
    assert corrected == [1, 2, 2, 4, 5, 6, 7]


def test_slow_rounds_of_a_close_fit_take_gauss_and_newton(monkeypatch):
    # Above -80 dB a slow round changes nothing. Below, one that gains less than 10 dB is followed
    # by Gauss and Newton (None), unless that has just gained nothing; two more come at the end.
    levels = [-75, -79, -90, -95, -94, -95.5, -130, -130.1, -130.2, -130.3, -130.4, -130.5, -130.6]
    steps, _ = played(levels, monkeypatch, last_steps=2)
    assert [n is None for n in steps] == [False] * 4 + [True, False] * 3 + [True] * 3


@pytest.mark.parametrize(
    "levels, n_taken",
    [
        ([-100, -194, -196, -200], 3),  # -195 dB is enough
        ([-100, -179, -179.5, -181, -181.5, -190], 5),  # so is -180 dB without a gain of 1 dB
        ([-100, -181, -183, -185], 4),
    ],
)
def test_iterates_are_taken_until_they_are_good_enough(levels, n_taken):
    S, run = torch.ones(4, dtype=torch.float64), _phase_gradient.Run("recover")
    iterates = [(torch.full((2,), level), 2 * 10 ** (level / 20)) for level in levels]
    best = _phase_gradient.best_of(iterates, S, run)
    assert run.history["consistency_db"] == pytest.approx(levels[:n_taken])
    assert float(best[0]) == min(levels[:n_taken])


# -- on a dense bank ---------------------------------------------------------------------------


def few(voices=8, n_samples=128):
    W = Scalogram(n_samples, RATE, wavelet="gmw", voices_per_octave=voices)
    return W, W.project(signals.linear_chirp(n_samples, RATE, 800.0, 3000.0))


def test_few_rows_start_from_the_bank_that_they_predict():
    W, x = few()
    S = W.magnitude(x)
    start = _dense_start.start_from_phase(S, W)
    assert metrics.consistency_db(start, S, W) < -30
    assert (
        metrics.misfit_db(_dense_start.start_from_phase(2.0**300 * S, W), 2.0**300 * start) < -200
    )
    # Sixteen voices and more, a lowpass, a batch and silence are taken as they are.
    for plane, own in (
        (few(16)[0].magnitude(x), few(16)[0]),
        (torch.stack([S, S]), W),
        (0 * S, W),
    ):
        plain = phase_gradient(plane, own).signal
        assert torch.equal(_dense_start.start_from_phase(plane, own), plain)


def test_each_turn_of_a_start_is_kept_only_if_it_fits_better(monkeypatch):
    W, x = few()
    S, asked = W.magnitude(x), []
    y = {k: x + 10 ** (-k / 20) * W.project(signals.white_noise(128, RATE)) for k in range(5)}
    monkeypatch.setattr(_dense_start, "started", lambda bank, seed: y[1])
    monkeypatch.setattr(_dense_start, "turned", lambda bank, x: x)
    monkeypatch.setattr(_dense_start, "Completion", lambda M, beta: asked.append(beta))
    answers = iter([y[0], y[3], y[2], y[4]])

    def newton(S, M, x, n_steps):
        asked.append((float(x @ x), n_steps))
        return next(answers)

    monkeypatch.setattr(_dense_start, "gauss_newton", newton)
    level = float(_levels.unit(S))
    found = _dense_start.start_from_phase(S, W)
    assert torch.equal(found, y[4] * level)
    wanted = [(float(y[k] @ y[k]), 30) for k in (1, 1, 3, 3)]
    assert asked == [40.0, *wanted]


def test_a_measured_one_takes_as_many_rounds_as_it_is_told():
    W, x = few(16)
    thinned = Measured(W.magnitude(x), W, hop=4)
    run = phase_gradient(thinned)
    assert len(run.history["seconds"]) == 5  # a start and four rounds
    assert len(phase_gradient(thinned, n_iter=0).history["seconds"]) == 1
    assert run.method == "phase gradient (dense bank)"
    assert phase_gradient(thinned, callback=lambda k, *_: k == 1).history["seconds"][2:] == []
    loud = phase_gradient(Measured(2.0**300 * W.magnitude(x), W, hop=4))
    assert metrics.misfit_db(loud.signal, 2.0**300 * run.signal) < -150
    long = Scalogram(8194, wavelet="cauchy", voices_per_octave=1)
    with pytest.raises(ValueError, match="of a signal of at most 8192 samples"):
        phase_gradient(Measured(torch.ones(long.shape), long, hop=2))


def test_of_all_rotations_the_one_nearest_to_an_extension_is_folded():
    W = Scalogram(128, RATE, wavelet="cauchy", voices_per_octave=32)
    M = Measured(torch.ones(W.n_freqs, 64), W, ends="symmetric", pad=(32, 32))
    x = signals.linear_chirp(64, RATE, 1000.0, 2500.0) * torch.hann_window(64)
    extended = W.project(M.extension(x))
    folded = M.extension.inverse(extended)

    class Bank:
        extension = M.extension

    Bank.M = M
    for angle in (0.0, 0.5, 2.0, math.pi):
        y = metrics.hilbert_rotation(extended, angle)
        found = _dense_start.folded(Bank, y)
        assert metrics.sign_error_db(found, folded) < -25
    plain = Measured(torch.ones(W.shape), W)
    Bank.M, Bank.extension = plain, plain.extension
    assert _dense_start.folded(Bank, extended) is extended
