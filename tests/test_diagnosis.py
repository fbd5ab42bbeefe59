"""What diagnose() finds in scalograms with one fault, and what it does not find in those without.

No threshold was chosen on what is drawn here: these recordings, sizes, rates and voices, and most
of these wavelets.
"""

import functools
from dataclasses import replace

import numpy as np
import pytest
import torch

from scalinv_utils import Scalogram, diagnose, metrics
from scalinv_utils.bounds import noisy
from scalinv_utils.course import signals
from scalinv_utils.diagnosis import _agreement, _diagnosis, _readings, _values
from scalinv_utils.measured import Measured
from scalinv_utils.recovery import Recovery
from scalinv_utils.transforms import _wavelets

torch.set_num_threads(1)

SOUNDS = ("guitar", "choir", "tabla", "bell")
WAVELETS = (
    ("cauchy", {"beta": 24}),
    ("cauchy", {"beta": 45}),
    ("gmw", {"beta": 15}),
    ("gmw", {"beta": 50}),
    "gmw",
    "cauchy",
)
CASES = range(10)


class Drawn:
    """A sound and a transform, drawn by a seed."""

    def __init__(self, seed, wavelets=WAVELETS, **options):
        self.rng = rng = np.random.default_rng(10_000 + seed)
        self.seed, name = seed, SOUNDS[seed % len(SOUNDS)]
        n_samples, rate = int(rng.choice([360, 450, 600])), float(rng.choice([6000, 11025]))
        start = rng.uniform(0, 0.1)
        self.x, _ = signals.recording(name, rate, n_samples, start)
        wavelet = wavelets[rng.integers(len(wavelets))]
        voices = int(rng.choice([10, 14, 20]))
        self.W = Scalogram(n_samples, rate, wavelet=wavelet, voices_per_octave=voices, **options)

    @functools.cached_property
    def S(self):
        return self.W.magnitude(self.x).numpy()


def names(S, W=None, **options):
    return {name for name, _ in diagnose(S, W, **options).findings}


def decibels(S, depth, step=None):
    levels = 20 * np.log10(np.maximum(S / S.max(), 10 ** (-depth / 20)))
    return levels if step is None else step * np.round(levels / step)


def padded(drawn, mode):
    """The scalogram of W's rows for the sound padded to twice its length, cropped."""
    W, n_samples = drawn.W, drawn.W.n_samples
    x = np.pad(drawn.x.numpy(), n_samples // 2, mode=mode)
    psi = W._psi(np.outer(W.scales.numpy(), 2 * np.pi * np.arange(len(x) // 2 + 1) / len(x)))
    c = np.fft.ifft(psi * np.fft.rfft(x), n=len(x))
    return np.abs(c)[:, n_samples // 2 : n_samples // 2 + n_samples]


def read_with(drawn, wavelet):
    """Rows of another wavelet at the same frequencies."""
    f = drawn.W.frequencies
    return Scalogram(
        drawn.W.n_samples,
        drawn.W.sample_rate,
        wavelet=wavelet,
        voices_per_octave=drawn.W.voices_per_octave,
        f_max=float(f[0]),
        f_min=float(f[-1]) * (1 - 1e-9),
    )


FAMILY = (("cauchy", {"beta": 20}), ("gmw", {"beta": 20}), "gmw", "cauchy")
OTHERS = {
    0: ("cauchy", {"beta": 60}),
    1: ("gmw", {"beta": 60}),
    2: ("gmw", {"beta": 20}),
    3: ("cauchy", {"beta": 20}),
}


def faulty(name, seed):
    """(S, W) with the fault of this name."""
    drawn = Drawn(seed, FAMILY if name == "another wavelet" else WAVELETS)
    S, W, rng = drawn.S, drawn.W, drawn.rng
    if name == "power":
        return S**2, W
    if name == "decibels":
        return decibels(S, 70) + (0 if seed % 2 else 70), W
    if name == "upside down":
        return S[::-1], W
    if name == "transposed":
        return S.T, W
    if name == "another wavelet":
        k = seed % 4
        other = OTHERS[k]
        if _wavelets.named(other) == W.wavelet:
            other = OTHERS[(k + 1) % 4]
        return S, read_with(drawn, other)
    if name == "ends":
        return padded(drawn, ("constant", "reflect", "symmetric")[seed % 3]), W
    if name == "hop":
        return S[:, :: (2, 3, 4, 6)[seed % 4]], W
    if name == "noise":
        return noisy(S, rng.uniform(15, 60), seed), W
    if name == "rounding":
        step = S.max() / (2 ** (4 + seed % 10) - 1)
        return (
            np.round(S / step) * step if seed % 2 else decibels(S, 70, (0.1, 0.5, 1)[seed % 3])
        ), W
    if name == "floor":
        return np.maximum(S, np.quantile(S, rng.uniform(0.05, 0.4))), W
    raise ValueError(name)


@functools.cache
def without_fault(kind, seed):
    """The findings in an exact, a noisy or a turned scalogram."""
    drawn = Drawn(100 + seed, FAMILY)
    if kind == "noisy":
        return names(noisy(drawn.S, (25, 40)[seed % 2], seed), drawn.W)
    return names(drawn.S[::-1] if kind == "upside down" else drawn.S, drawn.W)


def innocent(name, seed):
    """The findings in a scalogram that a careless rule would take for one with this fault."""
    if name == "noise":
        return without_fault(("upside down", "exact")[seed % 2], seed)
    exact = name in ("rounding", "floor") or seed % 3 == 0
    return without_fault("exact" if exact else "noisy", seed)


FAULTS = (
    "power",
    "decibels",
    "upside down",
    "transposed",
    "another wavelet",
    "ends",
    "hop",
    "noise",
    "rounding",
    "floor",
)


@pytest.mark.long
@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_is_found_where_it_is_and_not_where_it_is_not(name):
    found = [names(*faulty(name, seed)) for seed in CASES]
    missed = [seed for seed in CASES if name not in found[seed]]
    alarms = [seed for seed in CASES if name in innocent(name, seed)]
    assert (missed, alarms) == ([], [])


@pytest.mark.long
@pytest.mark.parametrize("seed", range(20))
def test_an_exact_scalogram_gets_no_finding_but_loud_edges(seed):
    drawn = Drawn(seed)
    diagnosis = diagnose(drawn.S, drawn.W)
    assert {name for name, _ in diagnosis.findings} <= {"unseen"}
    if not diagnosis.findings:
        assert str(diagnosis).startswith("S is a scalogram of W, to -")


@pytest.mark.parametrize("seed", CASES)
def test_the_level_of_the_noise_is_that_which_was_added(seed):
    drawn = Drawn(200 + seed)
    snr = drawn.rng.uniform(15, 50)
    sentence = dict(diagnose(noisy(drawn.S, snr, seed), drawn.W).findings)["noise"]
    told = float(sentence.split(", ")[1].split(" dB")[0])
    assert abs(told - snr) < 1.6


def small(**options):
    W = Scalogram(256, 8000, wavelet="cauchy", voices_per_octave=10, **options)
    return W, W.magnitude(signals.recording("crow", 8000, 256)[0])


def test_the_function_is_the_name_of_the_package_whatever_was_imported_before():
    import scalinv_utils.diagnosis._diagnosis

    assert scalinv_utils.diagnose is scalinv_utils.diagnosis.diagnose


@pytest.mark.long
def test_faults_together_are_found_in_the_order_in_which_they_are_put_right():
    W, S = small()
    S = decibels(S.numpy() ** 2, 80, 0.5)[::-1]
    found = [name for name, _ in diagnose(S / 2, W).findings]
    assert found[:3] == ["decibels", "upside down", "rounding"]
    found = [name for name, _ in diagnose(noisy(small()[1], 30).flip(0), W).findings]
    assert found == ["upside down", "noise"]


def test_without_a_transform_values_tell_decibels_steps_floors_and_columns_left_out():
    W, S = small()
    S = S.numpy()
    assert names(S) == set()
    assert "diagnose(S, W)" in str(diagnose(S))
    assert names(decibels(S, 60, 1.0)) == {"decibels", "rounding", "floor"}
    white = W.magnitude(signals.white_noise(256, 8000)).numpy()
    assert names(white[:, ::8]) == {"hop"} and names(white) == set()


def test_what_is_no_scalogram_is_called_so():
    W, S = small()
    assert "no scalogram" in names(np.random.default_rng(0).random(W.shape), W)


def test_numbers_that_are_no_moduli():
    W, S = small()
    assert names(W(W.inverse(S + 0j)), W) == {"complex"}
    assert names(0 * S, W) == {"silent"}
    holes = S.clone()
    holes[3, 4] = torch.nan
    assert names(holes, W) == {"not finite"}
    silence = 20 * torch.log10(torch.where(S > 1e-3 * S.max(), S, 0))
    assert {"not finite", "decibels"} <= names(silence, W)
    assert "negative" in names(noisy(S, 20, clip=False), W)


@pytest.mark.parametrize(
    "S, error, words",
    [
        ("S", TypeError, "S must be numbers"),
        (None, TypeError, "S must be numbers"),
        ([1.0, 2.0], ValueError, "S must have the shape"),
        ([[1.0, 2.0], [3.0]], ValueError, "rows of different lengths"),
        (np.ones((2, 3, 4)), ValueError, "S must be one scalogram"),
        (np.arange(12.0).reshape(3, 4), ValueError, "S must fit the transform"),
        (np.zeros((0, 4)), ValueError, "S must have the shape"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(S, error, words):
    with pytest.raises(error, match=words):
        diagnose(S, small()[0])


def test_sound_that_goes_on_beyond_the_band_is_told():
    middle, wide = small(f_min=1000, f_max=2500)[0], small(f_min=500)[0]
    for seed in CASES:
        x = signals.white_noise(256, 8000, seed=seed)
        tone = signals.tones(256, 8000, (np.random.default_rng(seed).uniform(1200, 2800),))
        assert "unseen" in names(middle.magnitude(x), middle)
        assert "unseen" not in names(wide.magnitude(tone), wide)


def test_a_lowpass_and_a_long_scalogram_are_examined_too():
    W = Scalogram(256, 8000, voices_per_octave=10, lowpass="signed")
    S = W.magnitude(signals.recording("crow", 8000, 256)[0])
    assert names(S, W) <= {"unseen"} and "power" in names(S**2, W)


@pytest.mark.long
def test_a_long_scalogram_is_judged_by_a_stretch_of_it():
    W = Scalogram(9000, 8000, wavelet="cauchy", voices_per_octave=8)
    S = W.magnitude(signals.recording("choir", 8000, 9000)[0])
    assert names(S, W) <= {"unseen"}
    assert {"power", "upside down"} <= names((S**2).flip(0), W)


def bursts(seed, apart):
    """Two bursts of tone, which silence separates in time and frequency, or which overlap."""
    rng, t = np.random.default_rng(seed), torch.arange(256).double()
    places = ((64, rng.uniform(700, 900)), (64 + apart, rng.uniform(2600, 3400)))
    if not apart:
        places = ((100, rng.uniform(1200, 1400)), (110, rng.uniform(1500, 1800)))
    burst = [
        torch.exp(-(((t - at) / 6) ** 2) / 2) * torch.cos(2 * torch.pi * f / 8000 * t)
        for at, f in places
    ]
    return sum(burst)


@pytest.mark.long
def test_starts_that_agree_and_starts_that_do_not():
    W = Scalogram(256, 8000, voices_per_octave=8)
    for seed in CASES[:3]:
        apart = diagnose(W.magnitude(bursts(seed, 128)), W, starts=2)
        assert "ambiguous" in dict(apart.findings)
        near = diagnose(W.magnitude(bursts(seed, 0)), W, starts=2)
        assert "ambiguous" not in dict(near.findings) and "same signal" in str(near)


def test_rows_that_ascend_have_their_edges_the_other_way_round():
    rate, frequencies = 8000, np.geomspace(300, 3000, 60)
    W = Scalogram.from_frequencies(512, rate, frequencies=frequencies)
    low = torch.sin(2 * np.pi * 310 / rate * torch.arange(512).double())
    ((name, sentence),) = diagnose(W.magnitude(low), W).findings
    assert name == "unseen" and "goes on below" in sentence and "above" not in sentence


# -- one small sound, quickly ------------------------------------------------------------------


def quick(name):
    """(S, W) of the small sound with a fault."""
    W, S = small()
    S = S.numpy()
    rounded = np.round(S / S.max() * 255) / 255
    return {
        "power": (S**2, W),
        "decibels": (decibels(S, 70), W),
        "upside down": (S[::-1], W),
        "transposed": (S.T, W),
        "hop": (S[:, ::4], W),
        "rounding": (rounded, W),
        "floor": (np.maximum(S, np.quantile(S, 0.2)), W),
        "noise": (noisy(S, 30, 1), W),
    }[name]


@pytest.mark.parametrize(
    "name, besides",
    [
        ("power", set()),
        ("decibels", {"floor"}),
        ("upside down", set()),
        ("transposed", set()),
        ("hop", set()),
        ("rounding", set()),
        ("floor", set()),
        ("noise", set()),
    ],
)
def test_one_fault_is_found_alone(name, besides):
    S, W = quick(name)
    for level in (1e-140, 1.0, 1e140) if name == "power" else (1.0,):
        assert names(level * S, W) == {name} | besides


@pytest.mark.parametrize("seed", [0, 1])
def test_another_wavelet_of_the_same_frequencies_is_found(seed):
    drawn = Drawn(seed, FAMILY)
    found = dict(diagnose(drawn.S, read_with(drawn, ("cauchy", {"beta": 60}))).findings)
    assert "another wavelet" in found and "upside down" not in found


def test_ends_that_were_padded_and_cropped_are_found():
    drawn = Drawn(3)
    found = dict(diagnose(padded(drawn, "constant"), drawn.W).findings)
    assert "76 % of the power" in found["ends"] and "another wavelet" not in found


def test_the_numbers_in_the_sentences_are_those_of_the_array():
    W, S = small()
    S = S.numpy() / float(S.max())
    level = str(diagnose(S, W))
    assert level.startswith("S is a scalogram of W, to -9")
    spoilt = S.copy()
    spoilt[:2, 5] = np.nan, np.inf
    diagnosis = diagnose(spoilt, W)
    assert f"2 NaN or infinite of {S.size} values" in str(diagnosis)
    assert "Values are missing" in str(diagnosis) and "W sees" not in str(diagnosis)
    said = dict(diagnose(noisy(S, 20, clip=False), W).findings)["negative"]
    negative = (noisy(S, 20, clip=False) < 0).double().mean()
    assert f"{100 * float(negative):.1f} % negative values" in said
    floor = np.maximum(S, np.quantile(S, 0.2))
    assert f"20.0 % of the values are exactly {floor.min():.6g}" in str(diagnose(floor, W))
    assert f"exactly {1e150 * floor.min():.6g}" in str(diagnose(1e150 * floor, W))
    grid = str(diagnose(np.round(S * 255) * 1e150 / 255, W))
    assert f"steps of {1e150 / 255:.4g}, 256 levels or 8 bits" in grid
    assert "all its values are 3e+150" in str(diagnose(np.full(W.shape, 3e150), W))
    three = diagnose(S[:, ::3], W)
    assert "S has 86 columns where W has 256: every 3th" in str(three)
    assert "the hop does not divide W.n_samples" in str(three)
    assert f"W sees {8000 / 256 * int(W.band.nonzero()[0]):.4g} to" in level


def test_one_start_is_compared_with_nothing():
    W, S = small()
    assert "starts" not in str(diagnose(S, W, starts=1))
    said = str(diagnose(S[:, ::4], W, starts=2))
    assert "Starts were not compared, because of hop." in said


RECOVERIES = [
    # (errors of two other starts, whether it fits, what is said)
    ((-30.0, -25.0), False, "led to the same signal, to -25 dB."),
    ((-30.0, -15.0), False, "signals that differ by -15 dB"),
    ((-35.0, -32.0), True, "led to the same signal, to -32 dB."),
]


@pytest.mark.parametrize("errors, fits, words", RECOVERIES)
def test_starts_are_compared_by_the_worst_of_them(monkeypatch, errors, fits, words):
    W = Scalogram(256, 8000, wavelet="cauchy", voices_per_octave=10)
    x = W.project(signals.linear_chirp(256, 8000, 800, 3000))
    noise = [W.project(signals.white_noise(256, 8000, seed=s)) for s in range(2)]
    answers = [x] + [x + 10 ** (db / 20) * n * x.norm() / n.norm() for db, n in zip(errors, noise)]
    asked = []

    def recover(S, W, seed, noise, progress):
        asked.append((seed, noise, progress))
        return Recovery(answers[seed], "known", consistency_db=0.0)

    monkeypatch.setattr(_diagnosis, "recover", recover)
    if fits:
        monkeypatch.setattr(_diagnosis, "misfit_db", lambda output, S: -70.0)
    diagnosis = diagnose(W.magnitude(x), W, starts=3)
    assert asked == [(0, "clipped", False), (1, "clipped", False), (2, "clipped", False)]
    assert words in str(diagnosis)
    assert ("ambiguous" in dict(diagnosis.findings)) == ("differ" in words)
    if not fits and "differ" not in words:
        diagnose(noisy(W.magnitude(x), 40, clip=False), W, starts=2)
        assert asked[3:] == [(0, "gaussian", False), (1, "gaussian", False)]


def test_good_fits_that_differ_are_no_one_signal(monkeypatch):
    W = Scalogram(256, 8000, wavelet="cauchy", voices_per_octave=10)
    x = W.project(signals.linear_chirp(256, 8000, 800, 3000))
    n = W.project(signals.white_noise(256, 8000))
    answers = [x, x + 10 ** (-25 / 20) * n * x.norm() / n.norm()]
    monkeypatch.setattr(
        _diagnosis, "recover", lambda S, W, seed, **_: Recovery(answers[seed], "k", 0.0)
    )
    for fit, ambiguous in ((-70.0, True), (-50.0, False)):
        monkeypatch.setattr(_diagnosis, "misfit_db", lambda output, S, fit=fit: fit)
        assert ("ambiguous" in names(W.magnitude(x), W, starts=2)) == ambiguous


def test_islands_that_silence_parts_may_be_turned_unnoticed(monkeypatch):
    W = Scalogram(256, 8000, voices_per_octave=8)
    answers = {"apart": W.project(bursts(0, 128)), "near": W.project(bursts(0, 0))}
    for name, x in answers.items():
        monkeypatch.setattr(
            _diagnosis, "recover", lambda S, W, seed, x=x, **_: Recovery(x, "known", 0.0)
        )
        diagnosis = diagnose(W.magnitude(x), W, starts=2)
        assert ("by chance" in str(diagnosis)) == (name == "apart"), name


def test_what_is_no_scalogram_may_lack_columns_besides():
    W, _ = small()
    rng = np.random.default_rng(0)
    slow = rng.standard_normal((W.n_freqs, 6)) @ np.cos(
        2 * np.pi * np.outer(np.arange(6), np.arange(256)) / 256
    )
    S = np.abs(1.5 + 0.2 * slow)
    for fast, found in ((False, ["no scalogram"]), (True, ["hop", "no scalogram"])):
        S[20] = rng.random(256) if fast else S[20]
        examination = _diagnosis._Examination(S, W)
        examination._unlike(reading(20.0))
        assert list(examination.findings) == found


@pytest.mark.parametrize("level", [1e-6, 1.0, 1e6])
def test_filters_may_pass_next_to_no_negative_frequency(level):
    filters = torch.zeros(3, 64, dtype=torch.float64)
    filters[:, 5] = level
    for leak, usable in ((0.9e-9, True), (1.1e-9, False)):
        filters[1, 60] = leak * level
        W = Scalogram.from_filters(filters, [3, 2, 1])
        psi = _diagnosis._Examination(np.ones(W.shape), W).psi
        assert (psi is not None) == usable
        assert psi is None or psi.tolist() == filters[:, :33].tolist()


def test_each_island_is_turned_by_a_multiple_of_the_golden_angle():
    W = Scalogram(256, 8000, voices_per_octave=8)
    x = W.project(bursts(0, 128))
    c, turned = W(x), W(_diagnosis._islands_turned(x, W))
    labels, _ = metrics.islands(c.abs())
    angles = np.angle((turned * c.conj()).numpy())
    loud = c.abs().numpy() > 0.3 * float(c.abs().max())
    golden = np.pi * (3 - np.sqrt(5))
    for label in (1, 2):
        there = loud & (labels == label)
        off = angles[there] - label * golden
        assert there.sum() > 20 and np.abs(np.sin(off / 2)).max() < 0.03


def examined(S=None, **options):
    """An examination of the small sound, or of another plane, and its transform."""
    W, own = small(**options)
    return _diagnosis._Examination((own if S is None else S).numpy(), W), W


@pytest.mark.parametrize(
    "grows, share, excess, level, differ",
    [
        (False, 0.16, 4.1, -89, True),
        (False, 0.14, 4.1, -89, False),
        (False, 0.16, 3.9, -89, False),
        (False, 0.16, 4.1, -91, False),
        (True, 0.59, 4.1, -89, False),  # rounded decibels
        (True, 0.61, 4.1, -89, True),
    ],
)
def test_ends_differ_by_three_numbers(monkeypatch, grows, share, excess, level, differ):
    examination, _ = examined()
    examination.grows = grows
    monkeypatch.setattr(_diagnosis, "seam", lambda power, psi: (share, excess, level))
    assert examination._ends_differ(examination.S) == differ
    examination.ends()
    assert ("ends" in examination.findings) == differ == (not examination.periodic)
    examination.hop = 2
    assert not examination._ends_differ(examination.S)


@pytest.mark.parametrize(
    "level, periodic, explained, found",
    [
        (-64, True, 0, "noise"),
        (-66, True, 0, ""),
        (-49, False, 0, "noise"),
        (-51, False, 0, ""),
        (-30, True, 1 / 3.1, "noise"),
        (-30, True, 1 / 2.9, ""),  # three times what rounding explains is no noise
        (-9, True, 0, "noise"),
        (-7, True, 0, "no scalogram"),
    ],
)
def test_noise_is_said_between_two_levels(monkeypatch, level, periodic, explained, found):
    examination, W = examined()
    rms = float(np.sqrt(np.mean(examination.S**2)))
    sigma = 10 ** (level / 20) * rms
    examination.periodic, examination.rounding = periodic, explained * sigma
    monkeypatch.setattr(_diagnosis, "noise_needed", lambda cases, bank: [level])
    examination.noise(reading(1.0), W, W.frequencies.numpy() / 8000)
    assert "".join(examination.findings) == found
    if found == "noise":
        words = f"deviation {sigma:.3g}, {-level} dB below"
        assert words in examination.findings["noise"] and not examination.notes
    if not found:
        assert examination.notes == [f"S is a scalogram of W, to {level} dB."]


@pytest.mark.parametrize(
    "shares, found",
    [
        ([0.001] * 7 + [0.021], True),
        ([0.001] * 7 + [0.019], False),
        ([0.001] * 2 + [0.0022] * 5 + [0.021], False),  # a quarter has less than 0.0022
        ([0.001] * 2 + [0.0019] * 5 + [0.021], True),
    ],
)
def test_columns_are_left_out_where_one_row_is_fast_and_a_quarter_slow(monkeypatch, shares, found):
    S = np.full((10, 64), 1.0)
    S[1], S[5] = 10 ** (-29 / 20), 10 ** (-31 / 20)  # this one is not loud
    S[7] = 0.0
    examination, seen = _diagnosis._Examination(S, None), []
    monkeypatch.setattr(
        _diagnosis, "high_share", lambda power: seen.append(power) or np.array(shares)
    )
    examination.aliasing()
    assert len(seen[0]) == 8 and seen[0][1] == pytest.approx(10**-2.9)
    assert list(examination.findings) == ["hop"] * found
    if found:
        assert examination.findings["hop"].startswith("Up to 2 % of")


@pytest.mark.parametrize("chi2, unlike", [(9.9, False), (10.1, True)])
def test_what_no_reading_explains_is_no_scalogram(monkeypatch, chi2, unlike):
    examination, W = examined()
    best = reading(chi2, -81.0)
    monkeypatch.setattr(examination, "_best_reading", lambda frequencies, window: (best, best))
    examination.readings(W)
    assert ("no scalogram" in examination.findings) == unlike
    assert bool(examination.notes) == (not unlike)  # then its noise is measured


def test_complex_filters_are_examined_as_far_as_they_can_be():
    W = Scalogram.from_filters(np.exp(1j * np.ones((3, 33))), [3, 2, 1], n_samples=64)
    rng = np.random.default_rng(0)
    diagnosis = diagnose(rng.random(W.shape), W)
    assert "filters are complex or pass" in str(diagnosis) and "W sees" in str(diagnosis)


@pytest.mark.parametrize("options", [{}, {"f_max": 2000}, {"lowpass": "modulus"}])
@pytest.mark.parametrize("level, loud", [(-19, True), (-21, False)])
def test_a_loud_row_at_an_edge_goes_on_beyond_it(options, level, loud):
    W, S = small(**options)
    S = torch.zeros_like(S)
    n_waves = int((W.frequencies > 0).sum())
    S[5], S[0], S[n_waves - 1] = 1.0, 10 ** (level / 20), 10 ** (level / 20)
    examination, _ = examined(S, **options)
    examination.unseen(W)
    said = examination.findings.get("unseen", "")
    low = loud and "lowpass" not in options  # a lowpass hears what is below
    assert (f"below {8000 / 256 * int(W.band.nonzero()[0]):.4g} Hz (row {level} dB)" in said) == low
    assert ("above" in said) == (loud and "f_max" in options)  # else the band has nearly all


@pytest.mark.parametrize("first", [0, 2000, 4098])
def test_the_stretch_of_a_long_scalogram_is_the_loudest(first):
    W = Scalogram(8194, 8000, wavelet="cauchy", voices_per_octave=1)
    S = torch.full(W.shape, 0.1)
    S[:, first : first + 4096] += 0.1
    examination = _diagnosis._Examination(S.numpy(), W)
    psi = examination.psi
    assert psi is not None
    piece, bank = examination._piece(examination.S, psi, False)
    assert piece.shape == (W.n_freqs, 4096) and (piece[:, 1:] > 0.15).all()
    assert bank.n_samples == 4096 and bank.window is not None
    # The filters at the frequencies of the shorter DFT.
    wanted = psi[bank.rows][:, ::2].max(1)
    assert bank.psi.shape[1] == 2049 and bank.psi.max(1) == pytest.approx(wanted, rel=1e-2)
    short = Scalogram(8192, 8000, wavelet="cauchy", voices_per_octave=1)
    whole = _diagnosis._Examination(np.ones(short.shape), short)
    assert whole.psi is not None
    piece, bank = whole._piece(whole.S, whole.psi, False)
    assert piece is whole.S and bank.n_samples == 8192 and bank.window is None


# -- pieces: values ----------------------------------------------------------------------------


def test_decibels_are_told_from_noise_by_the_share_and_the_depth_of_negative_values():
    S = np.linspace(0.1, 1, 100)
    for n_negative, lowest, answer in ((54, -0.1, False), (56, -0.1, True), (1, -0.5, False)):
        values = S.copy()
        values[:n_negative] = lowest
        assert _values.looks_like_decibels(values) == answer
    assert _values.looks_like_decibels(np.append(S, -0.61))
    assert not _values.looks_like_decibels(np.append(S, -0.59))
    assert _values.looks_like_decibels(-S) and _values.negative_share(np.append(S, -1)) == 1 / 101


@pytest.mark.parametrize(
    "values, wanted",
    [
        ([0, 1, 2, 5], (1.0, 6)),
        ([0.5, 0.8, 1.1, 2.0], (0.3, 6)),
        ([0, 2, 4, 6.2], None),  # 4 is 0.065 steps off the grid
        ([0, 2, 4, 6.02], (6.02 / 3, 4)),
        ([0, 1, 2], None),  # too few values
        ([0, 1, 2, 2 + 1e-7], None),  # two of them are one
        ([0, 1, 2, 2 + 1e-7, 4], (1.0, 5)),
    ],
)
def test_the_spacing_is_that_of_the_values(values, wanted):
    assert _values._spacing(np.array(values, float)) == (wanted and pytest.approx(wanted))


def test_grids_are_those_of_the_values_or_of_their_levels():
    grid = _values.grid_of(np.array([[0, 0.5, 1.0, 3.0]]))
    assert (grid.step, grid.levels, grid.in_db, grid.bits) == (0.5, 7, False, 3)
    grid = _values.grid_of(10 ** (np.array([[-3.0, -1.5, 0, 4.5]]) / 20))
    assert grid.in_db and grid.levels == 6 and grid.step == pytest.approx(1.5)
    silent = _values.grid_of(np.append(0, 10 ** (np.array([-3.0, -1.5, 0, 4.5]) / 20)))
    assert silent.in_db and silent.levels == 6
    assert _values.grid_of(-np.array([1.0, 2, 3.5, 4])) == _values.Grid(0.5, 7, False)
    assert _values.grid_of(np.array([-1.0, 1, 10, 100])) is None
    assert [_values.Grid(1, n, False).bits for n in (2, 4, 5, 256, 257)] == [1, 2, 3, 8, 9]


def test_a_floor_is_what_too_many_values_share():
    rest = np.arange(1.0, 901)
    for n_low, share in ((100, 0.1), (8, 0.0), (10, 10 / 910)):
        assert _values.floor_share(np.append(np.full(n_low, 0.5), rest)) == share
    assert _values.floor_share(np.append(np.zeros(100), rest)) == 0  # silence is no floor
    coarse = np.repeat([1.0, 2.0], [100, 20])
    assert _values.floor_share(coarse) == 0 and _values.floor_share(coarse[:119]) == 100 / 119
    assert _values.floor_share(np.ones(50)) == 0


def test_the_high_share_is_that_of_the_last_quarter_of_lags():
    t = 2 * np.pi * np.arange(64) / 64
    power = np.array(
        [3 + np.cos(24 * t), np.cos(25 * t), np.cos(31 * t) + 2 * np.cos(3 * t), 0 * t]
    )
    assert _values.high_share(power) == pytest.approx([0, 1, 0.2, 0], abs=1e-9)


# -- pieces: readings --------------------------------------------------------------------------


def reading(chi2, noise_db=0.0, **changes):
    return _readings.Reading(chi2=chi2, noise_db=noise_db, **changes)


def test_the_plain_reading_stays_unless_it_fails_and_another_is_clearly_better():
    better, plain = _readings._better, reading(6.0)
    assert better(plain, []) is plain
    good = reading(1.9, turn="upside down")
    assert better(plain, [good]) is good
    assert better(plain, [reading(2.1, turn="upside down")]) is plain
    assert better(reading(4.9), [reading(0.1, scale="power")]).chi2 == 4.9
    simple, both = reading(1.0, scale="power"), reading(0.5, scale="power", turn="transposed")
    assert better(plain, [both, simple]) is simple
    assert better(plain, [both, reading(1.6, scale="power")]) is both
    exact = reading(3.1, -81.0, scale="power", turn="transposed")
    assert better(plain, [exact, simple]) is simple  # beyond three times the least
    exact = reading(1.4, -81.0, scale="power", wavelet=("morlet", {"mu": 13.4}))
    assert better(plain, [exact, simple, reading(0.5, scale="decibels")]) is exact


def test_what_a_reading_is_follows_from_its_numbers():
    assert [reading(c).fails for c in (4.9, 5.1)] == [False, True]
    assert [reading(1, n).exact for n in (-79.0, -81.0)] == [False, True]
    full = reading(1, scale="power", turn="transposed", wavelet=("gmw", {}))
    assert full.changes == 3 and reading(1).changes == 0
    assert full.same(reading(9, 3.0, scale="power", turn="transposed", wavelet=("gmw", {})))
    for name, value in (("scale", ""), ("turn", ""), ("wavelet", None)):
        assert not full.same(replace(full, **{name: value}))
    S = np.array([[1.0, 4.0], [9.0, 20.0]])
    assert reading(1, scale="power", turn="upside down").modulus(S).tolist() == [
        [3, 20**0.5],
        [1, 2],
    ]
    assert reading(1, scale="decibels", turn="transposed").modulus(S)[1, 1] == pytest.approx(10)


def test_the_shortlist_has_those_that_explain_most_and_those_that_need_least_noise():
    readings = [reading(float(k), noise_db=-10.0 * k) for k in range(8)]
    assert [r.chi2 for r in _readings._shortlist(readings)] == [0, 1, 2, 7, 6, 5]
    same = [reading(float(k), noise_db=10.0 * k) for k in range(8)]
    assert [r.chi2 for r in _readings._shortlist(same)] == [0, 1, 2]


def test_readings_that_are_tried_are_those_that_the_array_admits():
    class Heard:
        n_samples = 6

        def heard(self, S):
            return 1.0

    S = np.full((6, 6), 20.0)

    def pairs(*given):
        return [(r.scale, r.turn) for r in _readings._turned(*given)]

    flat = np.full((5, 6), 2.0)
    assert pairs(flat, Heard(), False) == [
        ("", "upside down"),
        ("power", ""),
        ("power", "upside down"),
    ]
    assert pairs(flat, Heard(), True) == [("", "upside down")]
    assert len(pairs(S, Heard(), False)) == 3 * 3 - 1
    assert ("decibels", "transposed") in pairs(S, Heard(), False)
    for top, may_be in ((14.0, False), (16.0, True), (399.0, True), (401.0, False)):
        assert (("decibels", "") in pairs(np.full((5, 6), top), Heard(), False)) == may_be
    assert ("decibels", "") not in pairs(np.append(flat, [[20.0] * 5 + [-1]], 0), Heard(), False)
    Heard.heard = lambda self, S: 0.06 if S[0, 0] > 1 else 0.04
    assert pairs(np.array([[2.0] * 6, [1.0] * 6]), Heard(), False) == [("power", "")]


# -- pieces: agreement -------------------------------------------------------------------------


def bank(n_samples=64, **options):
    W = Scalogram(n_samples, 8000, wavelet="cauchy", voices_per_octave=8)
    psi = W.filters[:, : n_samples // 2 + 1].numpy()
    return W, psi, _agreement.bank_of(psi, n_samples, np.arange(len(psi)), **options)


def test_a_bank_has_at_most_so_many_rows_and_lags():
    psi = np.ones((300, 33))
    thin = _agreement.bank_of(psi, 64, np.arange(300))
    assert thin.rows.tolist() == list(range(0, 300, 3)) and len(thin.psi) == 100
    assert len(_agreement.bank_of(psi, 64, np.arange(128)).rows) == 128
    assert len(_agreement.bank_of(psi, 64, np.arange(129)).rows) == 65
    assert thin.coarse.rows.tolist() == list(range(0, 300, 6)) and thin.coarse.n_lags == 16
    long = _agreement.Bank(np.ones((1, 2049)), 4096, np.arange(1))
    assert long.lags[:24].tolist() == list(range(24)) and long.lags[-1] == 2048
    assert len(long.lags) <= 48 and (np.diff(long.lags) > 0).all()
    ratios = long.lags[30:] / long.lags[29:-1]
    assert ratios.max() / ratios.min() < 1.1  # geometric from there on
    short = _agreement.Bank(np.ones((1, 17)), 32, np.arange(1), hop=2)
    assert short.lags.tolist() == list(range(9))


def test_spectra_and_products_are_those_of_the_rows():
    W, psi, rows = bank(hop=2)
    power = np.random.default_rng(0).random((len(psi), 32))
    assert rows.spectra(power) == pytest.approx(2 * np.fft.rfft(power)[:, rows.lags])
    window = np.linspace(0, 1, 32)
    cut = replace(rows, window=window)
    assert cut.spectra(power) == pytest.approx(2 * np.fft.rfft(power * window)[:, rows.lags])
    assert rows.heard(power) == 1
    wanted = (power**2 * window).sum() / (power**2).sum()
    assert cut.heard(power) == pytest.approx(wanted)
    products = rows.products(3)
    assert (
        products.shape == (len(psi), 30)
        and products[:, 5].tolist() == (psi[:, 5] * psi[:, 8]).tolist()
    )
    assert rows.products(33).shape[1] == 0 == rows.products(40).shape[1]


def test_a_window_leaves_the_rows_that_are_short():
    plain = _agreement.Bank(np.ones((20, 129)), 256, np.arange(20))
    S = np.ones((20, 256))
    t = (np.arange(256) + 0.5) / 256
    for n_short, limit in ((12, 1 / 64), (9, 1 / 32), (8, 1 / 16)):
        durations = np.full(20, 100.0)
        durations[:n_short] = 0.99 * limit * 256
        cut = _agreement.windowed(plain, durations, S)
        assert len(cut.rows) == n_short == len(cut.psi)
        assert cut.window == pytest.approx(np.sin(np.pi * t) ** 4)
    durations[7] = 100.0
    assert len(_agreement.windowed(plain, durations, S).rows) == 20  # seven are too few
    durations[:12] = 1.0
    S[:12] = 1e-3  # nothing is heard in the short ones
    assert len(_agreement.windowed(plain, durations, S).rows) == 20


def test_another_wavelet_has_its_peak_at_the_same_frequency():
    W, psi, rows = bank()
    same = _agreement.with_wavelet(rows, W.wavelet, W.frequencies.numpy() / 8000)
    assert same.psi == pytest.approx(psi, abs=1e-12)
    other = _agreement.with_wavelet(rows, ("gmw", {"beta": 60}), W.frequencies.numpy() / 8000)
    own = Scalogram.from_frequencies(
        64, 8000, frequencies=W.frequencies, wavelet=("gmw", {"beta": 60})
    )
    assert other.psi == pytest.approx(own.filters[:, :33].numpy(), abs=1e-9)


def test_the_deviation_is_the_slope_of_the_power():
    S = np.array([[2.0, 3.0], [5.0, 0.5]])
    profile = np.array([[1.0, 2.0], [3.0, 4.0]])
    plain = _agreement.Noisy(S, np.abs, profile)
    assert plain.power == pytest.approx(S**2)
    assert plain.deviation == pytest.approx(2 * S * profile, rel=1e-5)
    power = _agreement.Noisy(S, lambda S: np.sqrt(np.abs(S)), profile)
    assert power.power == pytest.approx(S) and power.deviation == pytest.approx(profile, rel=1e-5)


@pytest.mark.parametrize("level_db", [-20, -50])
def test_the_noise_that_is_needed_is_what_was_added(level_db):
    W, psi, rows = bank(256)
    S = W.magnitude(signals.recording("crow", 8000, 256)[0]).numpy()
    rms = float(np.sqrt(np.mean(S**2)))
    rng = np.random.default_rng(1)
    spoilt = S + 10 ** (level_db / 20) * rms * rng.standard_normal(S.shape)
    profile = np.full_like(S, rms)
    given = [_agreement.Noisy(s, np.abs, profile) for s in (spoilt, S)]
    needed = _agreement.noise_needed(given, rows)
    assert needed[0] == pytest.approx(level_db, abs=2) and needed[1] < -85
    quiet = _agreement.chi_squared(given[0], rows, needed[0])
    assert quiet == pytest.approx(1, abs=0.4)
    # The noise that is said counts in squares.
    assert _agreement.chi_squared(given[0], rows, needed[0] - 10) > 5
    exact = _agreement.chi_squared(given[1], rows, -200.0)
    assert exact == _agreement.chi_squared(given[1], rows, -60.0)


def test_the_lags_that_count_are_neither_the_slowest_nor_without_power():
    _, _, rows = bank(64)
    assert [int(rows.lags[k]) for k in _agreement._moving(rows)] == list(range(4, 33))
    _, _, thinned = bank(64, hop=16)
    assert [int(thinned.lags[k]) for k in _agreement._moving(thinned)] == [2]
    few = replace(rows, psi=rows.psi[:, :7])
    assert [int(few.lags[k]) for k in _agreement._moving(few)] == [4, 5, 6]


def test_the_seam_has_its_share_at_both_ends():
    W, psi, _ = bank(256)
    S = W.magnitude(signals.white_noise(256, 8000)).numpy()
    spoilt = S**2
    spoilt[:, [0, 5, 250, 255]] += 0.01 * spoilt.mean()
    share, excess, level = _agreement.seam(spoilt, psi)
    assert 0.85 < share <= 1 and excess > 4 and -80 < level < -40
    middle = S**2
    middle[:, 100:104] += 0.01 * middle.mean()
    share, excess, _ = _agreement.seam(middle, psi)
    assert share < 0.2 and excess < 4
    assert _agreement.seam(S**2, psi)[2] < -80


def test_durations_are_the_spread_of_the_wavelets_in_time():
    W, psi, _ = bank(256)
    t = (torch.arange(256) + 128) % 256 - 128
    for row in (12, 16, len(psi) // 2):
        wavelet = np.abs(np.fft.ifft(np.append(psi[row], np.zeros(127)))) ** 2
        wanted = np.sqrt((t.numpy() ** 2 * wavelet).sum() / wavelet.sum())
        assert _diagnosis._durations(psi, 256)[row] == pytest.approx(wanted, rel=0.1)


def test_a_measured_one_has_its_transform_or_is_examined_by_its_values():
    W = Scalogram(512, 8000, wavelet="cauchy", voices_per_octave=16)
    S = W.magnitude(signals.recording("crow", 8000, 512)[0])
    assert str(diagnose(Measured(S, W))) == str(diagnose(S, W))
    rounded = (S / 0.01 / S.max()).round() * 0.01
    for M in (
        Measured(rounded[:, ::4], W, hop=4),
        Measured(rounded, W.like(1024), ends="zero", pad=(256, 256)),
        Measured(rounded, W, known=rounded > 0.05),
    ):
        found = diagnose(M)
        assert [name for name, _ in found.findings] == ["rounding"]
        assert found.notes == [_diagnosis.NOT_WHOLE]
    with pytest.raises(TypeError, match="W must be left out"):
        diagnose(Measured(S, W), W)
