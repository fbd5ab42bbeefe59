"""What diagnose() finds in scalograms with one fault, and what it does not find in those without.

No threshold was chosen on what is drawn here: these recordings, sizes, rates and voices, and most
of these wavelets.
"""

import functools

import numpy as np
import pytest
import torch

from scalinv_utils import Scalogram, diagnose
from scalinv_utils.bounds import noisy
from scalinv_utils.course import signals
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
