"""Signals come back from measured scalograms: few rows, few columns, bytes, masks, padded ends."""

import math
import types

import pytest
import torch
from small import noise

from scalinv_utils import metrics
from scalinv_utils.benchmark.tracks import posed
from scalinv_utils.course import signals
from scalinv_utils.measured import Measured
from scalinv_utils.recovery import _measured as rounds
from scalinv_utils.recovery._dense_start import phase_gradient
from scalinv_utils.recovery._gradient_descent import invert_gradient
from scalinv_utils.recovery._pipeline import recover
from scalinv_utils.recovery._stages import Run
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
def test_bytes_are_fitted_until_the_likelihood_is_at_its_maximum():
    """Two strokes are tied by quiet values: the last tenth of a decibel of the fit is 20 dB."""
    problem = posed("rounding", "8-bit linear", "tabla loop 4", "gmw", 0, 1024)
    y = recover(problem.S, progress=False).signal
    assert metrics.waveform_error_db(problem.S.project(y), problem.S.project(problem.x)) < -45


@pytest.mark.long
def test_a_sound_between_zeros_comes_back():
    """What lies beyond the band is equalised, not whitened: that came back to -9 dB."""
    problem = posed("ends", "zero", "cymbal 1", "gmw", 0, 512)
    y = recover(problem.S, progress=False).signal
    assert metrics.waveform_error_db(problem.S.project(y), problem.S.project(problem.x)) < -40


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
    # Powers explained all: other widths were not needed, and are not among those that ran.
    assert [name for name, _ in recovery.details["stages"]] == [
        "completed, beta 40",
        "powers",
        "last descent",
    ]


# -- rounds, with costs that are made up -------------------------------------------------------


class Told:
    """Stand for a measurement: each signal is the number of a cost in a list."""

    sigma, W = None, None

    def __init__(self, monkeypatch, costs, explained=0.0):
        self.costs, self.descended, self.turned = list(costs), [], []
        monkeypatch.setattr(rounds, "cost_of", lambda M, x: self.costs[int(x)])
        monkeypatch.setattr(rounds, "_is_explained", lambda M, x: self.costs[int(x)] < explained)
        monkeypatch.setattr(rounds, "_descended", self.further)

    def further(self, M, x, run):
        self.descended.append(int(x))
        return torch.tensor(len(self.descended))

    def consistency_db(self, x):
        return -float(x)


OWN = [
    # Rounds go on while the misfit falls by more than 0.5 dB: 1 dB, 0.6 dB and 0.4 dB.
    ([1.0, 10**-0.05, 10**-0.08, 10**-0.1, 0.0], 0.0, [0, 1, 2], 3),
    ([1.0, 2.0, 0.1], 0.0, [0], 0),  # worse is not kept
    ([1.0, 0.1, 0.01, 0.001], 0.05, [0, 1], 2),  # it is explained
    ([1.0, 0.1], 2.0, [], 0),
]


@pytest.mark.parametrize("costs, explained, descended, kept", OWN)
def test_own_rows_descend_as_long_as_they_gain(monkeypatch, costs, explained, descended, kept):
    told, asked = Told(monkeypatch, [c**2 for c in costs], explained**2), []
    monkeypatch.setattr(rounds, "OwnBank", lambda M: M)
    monkeypatch.setattr(
        rounds, "integrate_own", lambda *given: asked.append(given) or torch.tensor(0)
    )
    run = Run("rounds")
    rounds._own_rows(None, told, run, seed=3)
    assert told.descended == descended and int(run.x) == kept
    assert [given[2:] for given in asked] == [(3, rounds.OWN_ROUNDS)]


def test_own_rows_stop_where_they_are_told(monkeypatch):
    told = Told(monkeypatch, [1.0, 0.1, 0.01])
    monkeypatch.setattr(rounds, "OwnBank", lambda M: M)
    monkeypatch.setattr(rounds, "integrate_own", lambda *given: torch.tensor(0))
    run = Run("rounds")
    run.stopped = True
    rounds._own_rows(None, told, run, seed=0)
    assert told.descended == [] and int(run.x) == 0


DENSE = [
    # After rounds 0 and 2 the spectrum is learnt; small gains end the others.
    ([1.0, 0.99, 0.98, 0.97, 0.96], None, [0, 1], 2, 1),
    ([1.0, 0.99, 0.5, 0.49, 0.48, 0.47], None, [0, 1, 2, 3], 4, 2),
    ([1.0] + [0.5**k for k in range(1, 12)], None, list(range(8)), 8, 2),
    ([1.0, 2.0, 0.5, 0.4, 0.39], None, [0, 0, 2, 3], 4, 2),  # the better one is turned
    ([1.0, 0.99, 0.98], 0.5, [0, 1], None, 1),  # the signal so far was better
    ([1.0, 0.99, 0.98], 0.985, [0, 1], 2, 1),
]


@pytest.mark.parametrize("costs, so_far, turned, kept, learnt", DENSE)
def test_rounds_of_a_dense_bank_keep_the_better_signal(
    monkeypatch, costs, so_far, turned, kept, learnt
):
    told, seen = Told(monkeypatch, [c**2 for c in costs]), {"turned": [], "learnt": 0}

    class Bank:
        def __init__(self, M, beta):
            assert (M, beta) == (told, 25.0)

        def set_spectrum(self, spectrum):
            seen["learnt"] += 1

    monkeypatch.setattr(rounds, "Completion", Bank)
    monkeypatch.setattr(rounds, "started", lambda bank, seed: torch.tensor(0))
    monkeypatch.setattr(
        rounds, "turned", lambda bank, x: seen["turned"].append(int(x)) or torch.tensor(int(x))
    )
    monkeypatch.setattr(rounds, "spectrum_of", lambda x, W: x)
    told.extension = lambda x: x
    run = Run("rounds")
    if so_far is not None:
        run.x, told.costs = torch.tensor(len(costs)), [*told.costs, so_far**2]
    rounds._in_rounds(None, None, run, M=told, beta=25.0, seed=0)
    assert seen == {"turned": turned, "learnt": learnt}
    assert int(run.x) == (len(costs) if kept is None else kept)
    assert run.history["consistency_db"] == [0.0]


def test_rounds_end_where_all_is_explained(monkeypatch):
    told = Told(monkeypatch, [1.0, 0.1, 0.01], explained=0.5)
    monkeypatch.setattr(rounds, "Completion", lambda M, beta: types.SimpleNamespace())
    monkeypatch.setattr(rounds, "started", lambda bank, seed: torch.tensor(1))
    run = Run("rounds")
    rounds._in_rounds(None, None, run, M=told, beta=25.0, seed=0)
    assert told.descended == [] and int(run.x) == 1


# -- what decides on stages --------------------------------------------------------------------


def names(M):
    return [stage.name for stage in rounds._stages_for(M, 0)]


def test_the_stages_follow_from_what_is_known():
    one, two, three = (f"completed, beta {beta:g}" for beta in (40, 25, 80))
    ends = ["powers", "last descent"]
    assert names(Measured(S, W, hop=4)) == [one, "powers", two, three, *ends]
    assert names(Measured(S, W, hop=4, sigma=1e-3)) == [one, "powers", two, *ends]
    assert names(Measured(S, W, known=HOLES)) == ["own rows", "powers", one, two, three, *ends]
    both = Scalogram.from_filters(torch.ones(2, 64), [2, 1])
    assert names(Measured(torch.ones(both.shape), both, hop=2)) == ["filled in", "descent", *ends]
    long = Scalogram(4096, wavelet="cauchy", voices_per_octave=1)
    assert names(Measured(torch.ones(long.shape), long, hop=2)) == [one, "last descent"]
    lengths = [stage.n_iter for stage in rounds._stages_for(Measured(S, W, known=HOLES), 0)]
    assert lengths == [12, 81, 8 * 36, 8 * 36, 8 * 36, 81, 60]


def test_the_cost_is_chi2_per_known_value_or_the_squared_misfit():
    M, y = Measured(S, W, hop=4), 1.1 * X
    assert rounds.cost_of(M, y) == pytest.approx(0.01)
    with_errors = Measured(S, W, hop=4, sigma=0.1)
    misfit = 0.1 * with_errors.S
    wanted = float((misfit / 0.1).square().sum()) / misfit.numel()
    assert rounds.cost_of(with_errors, y) == pytest.approx(wanted)
    assert rounds._is_explained(M, X * (1 + 1e-8)) and not rounds._is_explained(M, X * (1 + 1e-7))
    sizes = math.sqrt(1.05 / wanted) * 0.1
    for share, explained in ((0.99, True), (1.01, False)):
        assert rounds._is_explained(with_errors, X * (1 + share * sizes)) == explained


def test_the_loud_part_is_open_where_errors_are_relative_and_the_misfit_is_large():
    relative = Measured(S, W, step_db=0.5)
    errors = float(relative.sigma.square().sum())
    for share, is_open in ((1.4, False), (1.6, True)):
        y = X * (1 + math.sqrt(share * errors / float(S.square().sum())))
        assert rounds._is_loud_part_open(relative, y) == is_open
    alike = Measured(S, W, sigma=torch.linspace(1e-3, 9e-3, W.n_freqs)[:, None])
    unlike = Measured(S, W, sigma=torch.linspace(1e-3, 11e-3, W.n_freqs)[:, None])
    assert not rounds._is_loud_part_open(alike, 2 * X)
    assert rounds._is_loud_part_open(unlike, 2 * X)
    assert not rounds._is_loud_part_open(Measured(S, W), 2 * X)


def test_other_starts_are_needless_where_one_is_good():
    run, holes = Run("rounds"), Measured(S, W, known=HOLES)
    thinned, noisy = Measured(S, W, hop=4), Measured(S, W, known=HOLES, sigma=1e-9)
    assert all(rounds._is_open(M, run) for M in (holes, thinned, noisy))
    run.x = X * (1 + 0.9e-3)  # a squared misfit of 0.8e-6
    assert not rounds._is_open(holes, run)
    assert rounds._is_open(thinned, run) and rounds._is_open(noisy, run)
    run.x = X * (1 + 1.1e-3)
    assert rounds._is_open(holes, run)
    run.x = X
    assert not any(rounds._is_open(M, run) for M in (holes, thinned, noisy))


def test_rows_are_interpolated_to_every_sample_around_the_end():
    plane = Measured(S, W, hop=4)
    dense = rounds._along_time(plane)
    assert torch.allclose(dense[:, ::4], S[:, ::4])
    for n, (one, other) in {1: (0, 4), 2: (0, 4), 255: (252, 0)}.items():
        share = (n % 4) / 4
        assert torch.allclose(dense[:, n], (1 - share) * S[:, one] + share * S[:, other])


def test_a_descent_takes_as_many_steps_as_its_kind_needs(monkeypatch):
    asked = []
    monkeypatch.setattr(
        rounds,
        "_lbfgs",
        lambda M, x, n, _, loss, whiten: (
            asked.append((n, loss is rounds.l2, whiten is not None)) or x
        ),
    )
    monkeypatch.setattr(rounds, "levenberg_marquardt", lambda M, x, n, step: asked.append(n) or x)
    run = Run("rounds")
    rounds._descended(Measured(S, W, hop=4), 2 * X, run)
    assert asked == [(30, True, True), 6]
    asked.clear()
    rounds._descended(Measured(S, W, hop=4, sigma=1.0), X, run, 7, 3)
    assert asked == [(7, False, True), 3]
    asked.clear()
    rounds._descended(Measured(S, W, step_db=0.1), 2 * X, run)  # the loud part is open
    assert asked == [(200, True, True), (30, False, True), 6]
    asked.clear()
    half, options = X[: N // 2], {"ends": "zero", "pad": (N // 4, N // 4)}
    wide = Measured(torch.ones(W.n_freqs, N // 2), W, **options)
    rounds._descended(wide, half, run)
    assert asked == [(30, True, True), 6]
    asked.clear()
    S_of_half = wide.magnitude(half)[:, N // 4 : -N // 4]
    rounds._descended(Measured(S_of_half, W, **options), half, run)  # the first explains it
    assert asked == [(30, True, True)]
    asked.clear()
    # What is explained within errors is not yet the most likely.
    rounds._descended(Measured(S_of_half, W, sigma=1.0, **options), half, run)
    assert asked == [(30, False, True), 6]
    asked.clear()
    with monkeypatch.context() as long:
        long.setattr(rounds, "is_small", lambda M: False)
        rounds._descended(wide, half, run)
        assert asked == [(30, True, True), (60, True, False), (60, True, True)]
    asked.clear()
    run.stopped = True
    rounds._descended(Measured(S, W, hop=4), 2 * X, run)
    assert asked == [(30, True, True)]


def test_the_last_descent_ends_at_the_better_of_two(monkeypatch):
    asked = []
    monkeypatch.setattr(
        rounds,
        "_descended",
        lambda M, x, run, *n: asked.append(n) or (X if M.n_samples == N else x),
    )
    monkeypatch.setattr(rounds, "levenberg_marquardt", lambda M, x, n, step: asked.append(n) or x)
    run = Run("rounds")
    run.x = 1.1 * X
    rounds._finish(None, Measured(S, W, hop=4), run)
    assert asked == [40, 40] and torch.allclose(run.x, 1.1 * X)
    asked.clear()
    run.x = X * (1 + 1e-9)
    rounds._finish(None, Measured(S, W, hop=4), run)
    assert asked == [40, 40] and len(run.history["seconds"]) == 2
    run.x = X
    asked.clear()
    # With errors what is explained is not yet the most likely.
    rounds._finish(None, Measured(S, W, hop=4, sigma=1.0), run)
    assert asked == [(60, 40)]
    asked.clear()
    run.x, options = X[: N // 2], {"ends": "zero", "pad": (N // 4, N // 4)}
    wide = Measured(torch.ones(W.n_freqs, N // 2), W, **options)
    rounds._finish(None, wide, run)
    assert asked == [40]
    # Where no step of Newton is taken, descents go on, as long as something is left.
    asked.clear()
    monkeypatch.setattr(rounds, "is_small", lambda M: False)
    rounds._finish(None, wide, run)
    assert asked == [(400, 40)]
    asked.clear()
    wide.S = wide.magnitude(run.x)
    monkeypatch.setattr(rounds, "LONGEST_DENSE", N - 1)
    rounds._finish(None, wide, run)
    assert not asked
    with_errors = Measured(wide.S[:, N // 4 : -N // 4], W, sigma=1.0, **options)
    rounds._finish(None, with_errors, run)
    assert asked == [(60, 40)]


def test_long_signals_start_from_filled_rows_or_from_noise():
    M, run = Measured(S, W, hop=2), Run("rounds")
    rounds._integrate_filled(None, M, run, seed=0)
    assert run.history["consistency_db"][-1] < -10
    two_sided = Scalogram.from_filters(torch.ones(2, 64), [2, 1])
    plane = Measured(two_sided.magnitude(noise(6, 64)), two_sided, hop=2)
    starts = []
    for seed in (0, 0, 1):
        rounds._integrate_filled(None, plane, run, seed=seed)
        starts.append(run.x)
    assert torch.equal(starts[0], starts[1]) and not torch.equal(starts[0], starts[2])
    level = float(plane.magnitude(starts[0]).norm() / plane.S.norm())
    assert 0.3 < level < 3


# -- powers ------------------------------------------------------------------------------------


def test_powers_lead_out_of_a_bottom_and_keep_the_better(monkeypatch):
    """They begin at a higher power when one stops gaining; stopped runs ask for no more."""
    asked, run, M = [], Run("rounds"), Measured(S, W, hop=4)

    def steps(M, x, n, step, power):
        asked.append((power, n))
        return x * 0.5 if (2, 6) == asked[-1] and len(asked) < 3 else x

    monkeypatch.setattr(rounds, "levenberg_marquardt", steps)
    run.x = 3 * X
    rounds._through_powers(None, M, run)
    two, three, four = ([(p, 6) for p in range(top, 1, -1)] + [(1, 15)] for top in (2, 3, 4))
    # The first gains, so that it is tried again; that gains nothing, and neither do the others.
    assert asked == [*two, *two, *three, *four] and torch.equal(run.x, 1.5 * X)
    asked.clear()
    run.stopped = True
    rounds._through_powers(None, M, run)
    assert not asked


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_powers_recover_what_steps_on_the_modulus_do_not(seed):
    W = Scalogram(128, 8000.0, voices_per_octave=4)
    x, run = W.project(noise(10 * seed + 3, 128)), Run("rounds")
    M = Measured(W.magnitude(x), W)
    start = x + 0.3 * W.project(noise(10 * seed + 4, 128))
    run.x = rounds.levenberg_marquardt(M, start, 60, lambda x, fit: False)
    assert M.consistency_db(run.x) > -50
    rounds._through_powers(None, M, run)
    assert M.consistency_db(run.x) < -250
