"""recover() returns the waveform of clean scalograms and handles noisy and impossible ones."""

import numpy as np
import pytest
import torch
from small import error_db, noise, scalogram

from scalinv_utils import bounds, metrics
from scalinv_utils._levels import rms
from scalinv_utils.bounds import cramer_rao, noisy
from scalinv_utils.course import signals
from scalinv_utils.recovery import _noisy, _pipeline
from scalinv_utils.recovery._griffin_lim import griffin_lim
from scalinv_utils.recovery._lifted_power import spectrum_of
from scalinv_utils.recovery._pipeline import recover
from scalinv_utils.recovery._stages import Run
from scalinv_utils.transforms.scalogram import Scalogram

N, RATE = 512, 8000.0


def transform(wavelet="cauchy", n_samples=N, **options):
    return Scalogram(n_samples, RATE, wavelet=wavelet, **{"voices_per_octave": 32, **options})


def chirp(W):
    return W.project(signals.linear_chirp(W.n_samples, RATE, 300.0, 3000.0))


@pytest.mark.parametrize("wavelet", ["cauchy", "gmw"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_recover_finds_the_waveform(wavelet, seed):
    W = transform(wavelet)
    x = chirp(W)
    recovery = recover(W.magnitude(x), W, seed=seed, progress=False)
    assert metrics.waveform_error_db(recovery.signal, x) < -90
    assert recovery.consistency_db == min(recovery.history["consistency_db"])


@pytest.mark.parametrize("wavelet", ["cauchy", "gmw"])
@pytest.mark.parametrize("name", ["crow", "tabla"])
def test_recover_finds_recordings(name, wavelet):
    W = transform(wavelet, n_samples=1024)
    x = W.project(signals.recording(name, int(RATE), 1024)[0])
    recovery = recover(W.magnitude(x), W, progress=False)
    assert metrics.island_error_db(recovery.signal, x, W) < -90


@pytest.mark.parametrize("wavelet", ["gmw", "morlet"])
def test_sixteen_voices_do(wavelet):
    W = transform(wavelet, n_samples=1024, voices_per_octave=16)
    for name in ("guitar", "speech", "crow"):
        x = W.project(signals.recording(name, int(RATE), 1024)[0])
        y = recover(W.magnitude(x), W, progress=False).signal
        assert metrics.waveform_error_db(y, x) < -120, name


def test_one_seed_gives_one_signal():
    W = transform()
    S = W.magnitude(chirp(W))
    first, second = (recover(S, W, seed=3, progress=False).signal for _ in range(2))
    assert torch.equal(first, second)


def test_silence_comes_back_as_silence():
    W = transform()
    assert not recover(torch.zeros(W.shape), W, progress=False).signal.any()


def test_a_callback_stops_the_recovery_and_keeps_the_best():
    W = transform()
    recovery = recover(W.magnitude(chirp(W)), W, callback=lambda k, x, fit: True, progress=False)
    assert len(recovery.history["seconds"]) == 1 and torch.isfinite(recovery.signal).all()


@pytest.mark.parametrize(
    "options",
    [
        {"wavelet": "cauchy", "voices_per_octave": 8},
        {"wavelet": "gmw", "voices_per_octave": 16},
        {"wavelet": "cauchy", "lowpass": "signed"},
    ],
)
def test_few_voices_and_a_lowpass_do(options):
    W = transform(**options)
    x = W.project(signals.am_fm_tone(N, RATE))
    recovery = recover(W.magnitude(x), W, progress=False)
    assert metrics.waveform_error_db(recovery.signal, x) < -60


@pytest.mark.parametrize("wavelet", ["cauchy", "gmw"])
@pytest.mark.parametrize("snr_db", [20, 40])
def test_noise_costs_no_more_than_it_must(wavelet, snr_db):
    # Many rows share the noise of one sample, so the waveform is better than S is.
    W = transform(wavelet)
    x = W.project(signals.recording("crow" if snr_db == 20 else "guitar", int(RATE), N)[0])
    recovery = recover(noisy(W.magnitude(x), snr_db, seed=0), W, progress=False)
    assert metrics.waveform_error_db(recovery.signal, x) < -snr_db
    assert -snr_db - 3 < recovery.details["noise_db"] < -snr_db + 8
    assert recovery.details["stages"][0][0] == "phase gradient, denoised"


def observed(x, W, noise, snr_db=20, seed=0):
    """Make the scalogram of x with noise of one kind."""
    S = W.magnitude(x)
    sigma = float(S.square().mean().sqrt()) * 10 ** (-snr_db / 20)
    generator = torch.Generator().manual_seed(seed)
    n = sigma * torch.randn((2, *W.shape), dtype=S.dtype, generator=generator)
    if noise == "rice":
        return (W(x) + torch.complex(n[0], n[1])).abs()
    return S + n[0] if noise == "gaussian" else (S + n[0]).clamp_min(0)


@pytest.mark.parametrize("wavelet", ["cauchy", "gmw"])
@pytest.mark.parametrize(
    "name, noise",
    [
        ("crossing chirps", "clipped"),
        ("crossing chirps", "gaussian"),
        ("crossing chirps", "rice"),
        ("exponential chirp", "clipped"),
    ],
)
def test_the_error_is_near_the_bound(name, wavelet, noise):
    W = transform(wavelet, voices_per_octave=16)
    x = W.project(signals.synthetic(name, N, RATE))
    S = observed(x, W, noise)
    assert (float(S.min()) < 0) == (noise == "gaussian")
    recovery = recover(S, W, noise=noise, progress=False)
    bound = cramer_rao(x, W, noise=noise, snr_db=20)
    error = metrics.waveform_error_db(recovery.signal, x)
    assert error < bound.error_db(20) + 2
    # Rice's bound is far up where some direction is lost, which takes little from the waveform.
    assert error < cramer_rao(x, W).error_db(20) + 4
    assert recovery.details["sigma"] == pytest.approx(bound.sigma(20), rel=0.03)
    assert recovery.details["reduced_chi2"] == pytest.approx(1, abs=0.05)
    names = [name for name, _ in recovery.details["stages"]]
    assert names == [
        "phase gradient, denoised",
        "fit to the denoised",
        "synchronization",
        "likelihood",
    ]


def small_and_noisy():
    W = transform(n_samples=256, voices_per_octave=16)
    x = W.project(signals.recording("guitar", int(RATE), 256)[0])
    return W, x, noisy(W.magnitude(x), 20)


def test_one_seed_gives_one_signal_from_noise_too():
    W, _, S = small_and_noisy()
    first, second = (recover(S, W, seed=3, progress=False) for _ in range(2))
    assert torch.equal(first.signal, second.signal)
    assert first.history["consistency_db"] == second.history["consistency_db"]


def test_a_level_that_is_given_is_used():
    W, x, S = small_and_noisy()
    sigma = cramer_rao(x, W).sigma(20)
    read, given, twice = (recover(S, W, sigma=s, progress=False) for s in (None, sigma, 2 * sigma))
    assert given.details["sigma"] == sigma != read.details["sigma"]
    assert metrics.waveform_error_db(given.signal, x) < -27
    # Twice the deviation explains what is left more than well: a quarter of it in squares.
    assert twice.details["sigma"] == 2 * sigma
    assert 0.2 < twice.details["reduced_chi2"] / given.details["reduced_chi2"] < 0.4


@pytest.mark.parametrize(
    "method, name",
    [
        ("start", "phase gradient, denoised"),
        ("fit", "fit to the denoised"),
        ("search", "synchronization"),
        ("ascend", "likelihood"),
    ],
    ids=["start", "fit", "search", "ascend"],
)
@pytest.mark.parametrize("n_steps", [1, 4])
def test_a_callback_stops_each_stage(monkeypatch, method, name, n_steps):
    W, x, S = small_and_noisy()
    carry_out, left = getattr(_noisy.Noisy, method), []

    def told(self, S, W, run):
        left.append(n_steps)
        carry_out(self, S, W, run)

    def stop(iteration, y, fit):
        if left:
            left[0] -= 1
        return bool(left) and left[0] == 0

    monkeypatch.setattr(_noisy.Noisy, method, told)
    recovery = recover(S, W, callback=stop, progress=False)
    assert left == [0]
    assert recovery.details["stages"][-1][0] == name
    assert len(recovery.history["seconds"]) == len(recovery.history["consistency_db"])
    fit = metrics.consistency_db(recovery.signal, S, W)
    assert recovery.consistency_db == pytest.approx(fit, abs=1e-6)
    assert metrics.waveform_error_db(recovery.signal, x) < (-3 if method == "start" else -12)


@pytest.mark.parametrize("n_steps", [3, 20], ids=["early", "late"])
def test_a_callback_stops_the_fit_of_an_edited_one(monkeypatch, n_steps):
    W, S = edited()
    refine, seen = _noisy.Noisy.refine, []

    def told(self, S, W, run):
        seen.append(0)
        refine(self, S, W, run)

    def stop(iteration, y, fit):
        seen[:] = [n + 1 for n in seen]
        return seen == [n_steps]

    monkeypatch.setattr(_noisy.Noisy, "refine", told)
    recovery = recover(S, W, callback=stop, progress=False)
    assert seen == [n_steps]  # and not once more
    assert recovery.consistency_db == min(recovery.history["consistency_db"])


def edited():
    """Cut a hole into the scalogram of a recording."""
    W = transform(n_samples=256, voices_per_octave=16)
    S = W.magnitude(W.project(signals.recording("guitar", int(RATE), 256)[0]))
    S[W.frequencies > 500, 80:130] = 0
    return W, S


def test_an_edited_one_is_fitted_as_well_as_by_many_projections():
    W, S = edited()
    ours = recover(S, W, progress=False)
    theirs = griffin_lim(S, W, n_iter=500, rule="fast")
    assert ours.details["reduced_chi2"] > _noisy.EXPLAINED
    assert ours.consistency_db == min(ours.history["consistency_db"])
    assert ours.consistency_db < theirs.consistency_db + 0.02


def test_a_single_precision_transform_recovers_from_noise():
    W = transform().float()
    x = chirp(W)
    recovery = recover(noisy(W.magnitude(x), 30), W, progress=False)
    assert metrics.waveform_error_db(recovery.signal, x) < -30


def test_a_clean_scalogram_is_not_denoised():
    W = transform()
    recovery = recover(W.magnitude(chirp(W)), W, progress=False)
    assert recovery.details["stages"][0][0] == "phase gradient"
    assert recovery.details["noise_db"] < -60


def test_a_picture_that_is_no_scalogram_is_fitted_as_well_as_anything_fits_it():
    W = transform()
    x, y = chirp(W), W.project(signals.recording("guitar", int(RATE), N)[0])
    mixed = W.magnitude(x) / x.norm() + W.magnitude(y) / y.norm()
    erased = W.magnitude(x)
    erased[W.frequencies > 1000, N // 3 : N // 2] = 0
    for S in (mixed, erased):
        ours = recover(S, W, progress=False).signal
        theirs = griffin_lim(S, W, n_iter=200).signal
        assert metrics.consistency_db(ours, S, W) < metrics.consistency_db(theirs, S, W) + 0.1


def test_the_level_of_the_scalogram_does_not_matter():
    W = transform("gmw")
    S = W.magnitude(chirp(W))
    usual, tiny = (recover(level * S, W, progress=False).signal for level in (1, 1e-9))
    assert metrics.waveform_error_db(1e9 * tiny, usual) < -90


@pytest.mark.parametrize(
    "S, message",
    [
        (torch.full((3, 4), 1.0), "S"),
        (torch.full((3, 4), -1.0), "S"),
        (torch.full((3, 4), float("nan")), "S"),
        (torch.ones(3, dtype=torch.complex128), "S"),
    ],
)
def test_bad_scalograms_are_refused_by_name(S, message):
    with pytest.raises((ValueError, TypeError), match=message):
        recover(S, transform(), progress=False)


def test_gaussian_noise_leaves_the_sign_of_a_signed_lowpass():
    W = scalogram(lowpass="signed")
    x = W.project(noise(3) - 0.5)
    S = W.magnitude(x)
    assert S[-1].min() < 0
    for kind in ("gaussian", "clipped"):
        found = recover(S, W, noise=kind, progress=False)
        assert metrics.consistency_db(found.signal, S, W) < -100, kind
    assert found.signal.mean() < 0


@pytest.mark.parametrize("seed", [0, 190])
def test_where_noise_would_explain_all_of_it_the_fit_counts(seed):
    W, rng = Scalogram(31, voices_per_octave=3, f_min=0.2), np.random.default_rng(seed)
    S = rng.exponential(size=W.shape) * (rng.random(W.shape) < 0.1)
    recovery = recover(S, W, callback=lambda k, x, fit: k > 40)
    assert recovery.consistency_db < 0 and torch.isfinite(recovery.signal).all()


@pytest.mark.parametrize(
    "span, fit_db, steps",
    [
        (25.5, -30.0, 26),  # 25 steps gain just too little, and 26 would gain enough
        (24.5, -30.0, 99),  # 25 steps gain just enough, and 24 would gain too little
        (1.0, -149.5, 99),  # always enough, short of the goal
        (1.0, -149.96, 15),  # the goal lies 0.04 dB ahead, 14 steps of 0.003 dB
    ],
)
def test_the_polish_ends_at_its_goal_or_when_25_steps_gain_less_than_3_mdb(
    span, fit_db, steps, monkeypatch
):
    W, taken = scalogram(), []
    run = _pipeline.Run("recover")
    run.x = W.project(noise(1))

    def descend(objective, u, n_iter, step, precondition):
        assert n_iter == 300 and not precondition
        while not taken or not (taken[-1] or len(taken) == 99):
            taken.append(step(u, fit_db - len(taken) * 0.003 / span))

    monkeypatch.setattr(_pipeline, "descend_lbfgs", descend)
    _pipeline._polish(W.magnitude(run.x), W, run)
    assert len(taken) == steps
    assert error_db(run.x, W.project(noise(1))) < -200  # the variables stand for the signal


@pytest.mark.parametrize("silent", [False, True])
def test_the_second_stage_of_noise_fits_what_is_left_of_it(silent):
    W, sigma = scalogram(), 0.05
    S = W.magnitude(W.project(noise(1)))
    S = (S + sigma * noise(2, *S.shape)).clamp_min(0)
    stages, run = _noisy.Noisy(S, W, sigma), _pipeline.Run("recover")
    run.x = W.project(noise(3))
    cleaned = stages.cleaned = 0 * S if silent else stages.cleaned
    before = run.x
    stages._fit_denoised(S, W, run)
    if silent:
        assert torch.equal(run.x, before)
        return
    assert (
        metrics.consistency_db(run.x, cleaned, W) < metrics.consistency_db(before, cleaned, W) - 6
    )
    fits = run.history["consistency_db"]
    assert fits[-1] == pytest.approx(metrics.consistency_db(run.x, S, W))  # the run is told of S


# -- the search in noise, with chi^2 made up ---------------------------------------------------


class Searching(_noisy.Noisy):
    """Signals are numbers; a descent replaces one by the next of a list, which is its chi^2."""

    def __init__(self, nexts, explained=True):
        self.nexts, self.explained, self.descents = iter(nexts), explained, []
        self.W, self.S, self.sigma, self.model = None, None, 1.0, "clipped"
        self.likelihood = None

    def chi2(self, x):
        return float(x)

    def explains(self, x):
        return self.explained

    def _descend(self, run, n_iter):
        self.descents.append((float(run.x), n_iter))
        run.x = torch.tensor(next(self.nexts))


class Short:
    n_samples = 100


def running(x):
    run = Run("search")
    run.x = torch.tensor(float(x))
    return run


@pytest.fixture
def starts(monkeypatch):
    """Let each synchronization add 0.5 and each turn of a slip take the number it is told."""
    told = {"places": []}
    monkeypatch.setattr(_noisy, "synchronise", lambda x, *_: x + 0.5)
    monkeypatch.setattr(_noisy, "places_of_slips", lambda x, W, likelihood: told["places"])
    monkeypatch.setattr(_noisy, "turned_back", lambda x, place, W: place)
    monkeypatch.setattr(_noisy, "turn_further", lambda before, x, W, sigma: 2 * x - before)
    return told


@pytest.mark.parametrize(
    "nexts, descents, end",
    [
        # The first descent, and then as long as chi^2 falls by 3.
        ([90.0, 86.0, 84.0], [100, 90.5, 86.5], 84.0),
        ([90.0, 86.0, 82.0, 78.0], [100, 90.5, 86.5, 82.5], 78.0),  # three times at most
        ([90.0, 95.0], [100, 90.5], 90.0),  # what is worse is not kept
        ([90.0, 88.0], [100, 90.5], 88.0),
    ],
)
def test_regions_are_synchronised_while_that_gains(starts, nexts, descents, end):
    noisy, run = Searching(nexts), running(100)
    noisy.search(None, Short, run)
    assert noisy.descents == [(start, 12) for start in descents] and float(run.x) == end


def test_each_place_is_turned_until_a_turn_gains(starts):
    starts["places"] = [[torch.tensor(1.0), torch.tensor(2.0), torch.tensor(3.0)]] * 2
    # One synchronization that gains nothing; at the first place the second turn gains, at the
    # second place none does.
    noisy, run = Searching([90.0, 90.0, 88.0, 80.0, 79.0, 81.0, 78.0]), running(100)
    noisy.search(None, Short, run)
    assert [start for start, _ in noisy.descents] == [100, 90.5, 1, 2, 1, 2, 3]
    assert float(run.x) == 78


def test_what_noise_does_not_explain_or_is_too_long_is_not_searched(starts):
    noisy, run = Searching([], explained=False), running(100)
    noisy.search(None, Short, run)
    noisy.ascend(None, Short, run)

    class Long:
        n_samples = 2049

    Searching([]).search(None, Long, run)
    assert noisy.descents == [] and float(run.x) == 100
    Long.n_samples = 2048
    noisy = Searching([90.0, 90.0])
    noisy.search(None, Long, run)
    assert len(noisy.descents) == 2


def test_a_search_that_is_stopped_ends(starts):
    starts["places"] = [[torch.tensor(1.0)]]
    noisy, run = Searching([90.0, 80.0]), running(100)
    run.stopped = True
    noisy.search(None, Short, run)
    assert noisy.descents == [(100, 12)]


@pytest.mark.parametrize(
    "nexts, descents, end",
    [
        # Each start goes on as far again as the last descent went: 100 to 90 to 85 to 84.5.
        ([90.0, 85.0, 84.5], [100, 80, 80], 84.5),
        # What that made worse is undone, and the descent goes on from where it was.
        ([90.0, 95.0, 88.0, 87.5], [100, 80, 90, 86], 87.5),
        ([100.0 - 2 * k for k in range(1, 20)], [100, *(96.0 - 2 * k for k in range(7))], 84.0),
    ],
)
def test_the_ascent_keeps_its_momentum_while_it_gains(starts, nexts, descents, end):
    noisy, run = Searching(nexts), running(100)
    noisy.ascend(None, Short, run)
    assert noisy.descents == [(start, 20) for start in descents] and float(run.x) == end


def test_the_stages_have_room_for_all_their_iterations():
    noisy = Searching([])
    assert [(stage.name, stage.n_iter) for stage in noisy.stages] == [
        ("phase gradient, denoised", 3),
        ("fit to the denoised", 50),
        ("synchronization", 48),
        ("likelihood", 160),
    ]
    assert (noisy.refinement.name, noisy.refinement.n_iter) == ("synchronization", 208)
    assert noisy.refinement.carry_out == noisy.refine


def test_noise_explains_what_is_no_more_than_a_third_beyond_it():
    W = transform(n_samples=256)
    x = chirp(W)
    S = W.magnitude(x)
    noisy = _noisy.Noisy(bounds.noisy(S, 20), W, float(rms(S)) / 10)
    modulus = W.magnitude(x)
    left = 1 - 2 * int(W.band.sum()) / modulus.numel()
    assert noisy.surprise(x) == pytest.approx(noisy.likelihood.surprise(modulus) / left)
    assert 0.9 < noisy.surprise(x) * left < 1.1 and noisy.explains(x)
    for surprise, explained in ((1.29, True), (1.31, False)):
        noisy.surprise = lambda x, surprise=surprise: surprise
        assert noisy.explains(x) == explained


@pytest.mark.parametrize("longest, dense", [(255, False), (256, True)])
def test_long_signals_descend_on_the_likelihood_without_a_matrix(monkeypatch, longest, dense):
    W = transform(n_samples=256)
    S = W.magnitude(chirp(W))
    noisy, run, asked = _noisy.Noisy(S, W, 0.1 * float(rms(S))), Run("ascend"), []
    monkeypatch.setattr(_noisy._fisher, "LONGEST_DENSE", longest)
    monkeypatch.setattr(_noisy._fisher, "descend", lambda *given: asked.append(("dense", *given)))
    monkeypatch.setattr(noisy, "_lbfgs", lambda *given: asked.append(("lbfgs", *given)))
    run.x = chirp(W)
    noisy._descend(run, 7)
    wanted = {
        True: ("dense", noisy.likelihood, run.x, noisy.W, 7, run.step),
        False: ("lbfgs", run, noisy.S, noisy.likelihood.loss, 7, run.step),
    }
    assert asked == [wanted[dense]]


def test_a_fit_to_the_denoised_ends_when_ten_steps_gain_a_hundredth(monkeypatch):
    W = transform(n_samples=256)
    S = W.magnitude(chirp(W))
    noisy, run = _noisy.Noisy(S, W, 0.1 * float(rms(S))), Run("fit")
    run.x, ends = chirp(W), []

    def descend(self, run, target, loss, n_iter, step):
        assert (loss, n_iter) == ("l2", 25) and target is self.cleaned
        for k in range(40):
            if step(run.x, -1.0 * min(k, 5) - 0.0009 * k):
                ends.append(k)
                return

    monkeypatch.setattr(_noisy.Noisy, "_lbfgs", descend)
    noisy._fit_denoised(S, W, run)
    assert ends == [15]  # from step 5 on, ten of them gain 0.009 dB
    assert run.history["consistency_db"] == [run.history["consistency_db"][0]] * 16
    noisy.cleaned = 0 * S
    noisy._fit_denoised(S, W, run)
    assert ends == [15]


def test_what_is_no_noise_is_searched_and_made_most_likely_as_if_it_were():
    W = transform(n_samples=256)
    x = chirp(W)
    S, asked = W.magnitude(x) + 0.3, []
    noisy, run = _noisy.Noisy(S, W, 0.01, model="rice"), Run("refine")
    noisy.search = lambda *given: asked.append(("search", noisy.sigma, noisy.model))
    noisy.ascend = lambda *given: asked.append(("ascend", noisy.sigma, noisy.likelihood.sigma))
    run.x = x
    noisy.refine(S, W, run)
    sigma = pytest.approx(0.3)
    assert asked == [("search", sigma, "gaussian"), ("ascend", sigma, sigma)]
    run.stopped = True
    noisy.refine(S, W, run)
    assert [name for name, *_ in asked[2:]] == ["search"]


# -- which stages a scalogram gets -------------------------------------------------------------


def names(stages):
    return [stage.name for stage in stages]


def test_sparse_rows_are_completed_and_slips_undone_where_rows_are_even():
    completed = [f"completed, beta {beta}" for beta in (40, 25, 80)]
    for voices, wanted in ((19, [*completed, "slips undone"]), (20, ["slips undone"])):
        W = transform(n_samples=256, voices_per_octave=voices)
        assert names(_pipeline._more_stages(torch.ones(W.shape), W, 0)) == wanted
    uneven = Scalogram.from_frequencies(256, RATE, frequencies=[3000, 2000, 1500, 1400])
    assert _pipeline._more_stages(torch.ones(uneven.shape), uneven, 0) == []


def test_a_denoised_scalogram_gets_a_start_of_its_own():
    plain = [("phase gradient", 30), ("polish", 300)]
    stages = [(stage.name, stage.n_iter) for stage in _pipeline._stages(None, 0)]
    assert stages == plain
    stages = _pipeline._stages(torch.ones(3), 0)
    assert [(s.name, s.n_iter) for s in stages] == [
        ("phase gradient, denoised", 30),
        ("polish", 300),
        *plain,
    ]
    assert [(s.name, s.n_iter) for s in _pipeline._other_start(0)] == [
        ("fast Griffin-Lim", 500),
        ("polish", 300),
    ]


def test_moduli_are_not_negative_but_the_row_of_a_signed_lowpass_is():
    S = torch.tensor([[1.0, -1.0], [-2.0, 3.0]])
    signed, none = transform(lowpass="signed"), transform()

    class Two:
        n_freqs = 2

    Two.lowpass = signed.lowpass
    assert _pipeline._moduli(S, Two).tolist() == [[1, 0], [-2, 3]]
    Two.lowpass = none.lowpass
    assert _pipeline._moduli(S, Two).tolist() == [[1, 0], [0, 3]]


def test_the_level_is_read_unless_it_is_given_or_nothing_tells_it():
    W = transform(n_samples=256)
    S = bounds.noisy(W.magnitude(chirp(W)), 20)
    own = float(rms(W.magnitude(chirp(W)))) / 10
    assert _pipeline._level(S, W, 0.7, "clipped") == 0.7
    assert _pipeline._level(S, W, None, "clipped") == pytest.approx(own, rel=0.1)
    lowpass = transform(n_samples=256, lowpass="signed")
    assert _pipeline._level(torch.ones(lowpass.shape), lowpass, 0.7, "clipped") == 0.0


def test_slips_and_voices_follow_in_the_stages_of_a_clean_scalogram():
    W = transform(n_samples=256, voices_per_octave=24)
    # Stages end where the fit is perfect, so that the last may not run.
    recovery = recover(W.magnitude(chirp(W)), W, callback=lambda k, *_: k > 40, progress=False)
    ran = names_of(recovery)
    assert ran == ["phase gradient", "slips undone", "polish"][: len(ran)]
    assert recovery.details["noise_db"] < -60 and recovery.details["islands"] == 1


def names_of(recovery):
    return [name for name, _ in recovery.details["stages"]]


@pytest.mark.parametrize("stopped", [False, True])
def test_the_denoised_is_fitted_again_once_its_spectrum_is_that_of_the_fit(monkeypatch, stopped):
    W = transform(n_samples=256)
    S = bounds.noisy(W.magnitude(chirp(W)), 20)
    noisy, run = _noisy.Noisy(S, W, float(rms(S)) / 10), Run("fit")
    first, fitted, asked = noisy.cleaned, [], []

    def fit(S, W, run):
        fitted.append(noisy.cleaned)
        run.x, run.stopped = chirp(W), stopped

    def denoise(S, W, sigma, **options):
        asked.append((sigma, options["about"], options["model"], options["spectrum"]))
        return 2 * first

    noisy._fit_denoised = fit
    monkeypatch.setattr(_noisy, "denoise_jointly", denoise)
    noisy.fit(S, W, run)
    if stopped:
        assert len(fitted) == 1 and asked == []
        return
    assert fitted[0] is first and torch.equal(fitted[1], 2 * first)
    ((sigma, about, model, spectrum),) = asked
    assert sigma == noisy.sigma and about is first and model == "clipped"
    assert spectrum == pytest.approx(spectrum_of(chirp(W), W))
