"""Recovered slices are put together by least squares, for the sound and their rotations."""

import itertools
import math

import pytest
import torch

from scalinv_utils.course import signals
from scalinv_utils.metrics import analytic, waveform_error_db
from scalinv_utils.recovery import _joints
from scalinv_utils.recovery._joints import Cutting, coordinates, joined, signal
from scalinv_utils.recovery.segments import Slices
from scalinv_utils.transforms.long import rise
from scalinv_utils.transforms.scalogram import Scalogram

RATE, N_STEPS = 8000, 6


def cutting(n_samples, length, overlap, lowest, whole=False):
    """Cut a sound; its band begins at `lowest` cycles of a slice, or holds everything."""
    window = torch.cat([rise(overlap), torch.ones(length - 2 * overlap), rise(overlap).flip(0)])
    hop = length - overlap
    band = torch.arange(n_samples // 2 + 1) >= lowest * n_samples / length
    slice_band = torch.arange(length // 2 + 1) >= lowest
    if not whole:
        band[-1] = slice_band[-1] = False
    return Cutting(window, hop, math.ceil((n_samples + overlap) / hop), n_samples, band, slice_band)


def noise(n, seed=0):
    return torch.randn(n, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("n_samples", [501, 700])
@pytest.mark.parametrize("length", [128, 129])
def test_the_adjoint_of_cutting(n_samples, length, whole):
    cut = cutting(n_samples, length, 32, 0 if whole else 5, whole)
    x = coordinates(noise(n_samples), cut.band)
    rows = [coordinates(noise(length, k + 1), cut.slice_band) for k in range(cut.count)]
    y = torch.stack(rows)
    there = (cut.slices(x).conj() * y).real.sum()
    assert float(there) == pytest.approx(float((x.conj() * cut.sound(y)).real.sum()))


def test_slices_are_windowed_sounds_in_the_band():
    cut, x = cutting(500, 128, 32, 5), noise(500)
    X = coordinates(x, cut.band)
    inside = signal(X, cut.band, 500)
    assert torch.allclose(coordinates(inside, cut.band), X)
    assert float(X.norm()) == pytest.approx(float(inside.norm()))
    padded = torch.cat([torch.zeros(32), inside, torch.zeros(200)])
    for k, row in enumerate(cut.slices(X)):
        wanted = torch.fft.rfft(cut.window * padded[k * cut.hop :][:128])
        wanted[~cut.slice_band] = 0
        there = torch.fft.rfft(signal(row, cut.slice_band, 128))
        assert torch.allclose(there, wanted, atol=1e-12)


@pytest.fixture(scope="module")
def slices():
    W = Scalogram(1024, RATE, wavelet="cauchy", voices_per_octave=8, f_min=300)
    return Slices(W, overlap=384)


def turned(parts, angles):
    return [
        (analytic(part) * torch.exp(torch.tensor(1j * float(angle)))).real
        for part, angle in zip(parts, angles)
    ]


def put_together(slices, parts, n_samples, turning=True):
    return joined(torch.stack(parts), slices._cutting(n_samples), turning, range(N_STEPS))


def test_unturned_slices_give_the_sound(slices):
    x = slices.project(signals.recording("choir", RATE, 3001)[0])
    y = put_together(slices, list(slices.split(x)), len(x), turning=False)
    assert float((y - x).norm() / x.norm()) < 1e-9


@pytest.mark.parametrize("level", [1e-150, 1.0, 1e150])
def test_rotations_are_found_together_with_the_sound(slices, level):
    """All are turned by 1.2, beside a little each: 1 + i d is far from exp(i d) there."""
    x = slices.project(signals.recording("speech", RATE, 3001, start=0.1)[0])
    angles = 1.2 + 0.1 * noise(slices.count(len(x)))
    parts = [level * part for part in turned(slices.split(x), angles)]
    y = put_together(slices, parts, len(x))
    assert waveform_error_db(y / level, x) < -150


def test_a_step_that_gains_nothing_is_not_taken(slices):
    x = slices.project(signals.recording("speech", RATE, 3001, start=0.1)[0])
    parts, steps = list(slices.split(x)), itertools.count()
    assert put_together(slices, parts, len(x)).allclose(x, atol=1e-12)
    y = joined(torch.stack(parts), slices._cutting(len(x)), True, steps)
    assert next(steps) <= N_STEPS and waveform_error_db(y, x) < -200
    other = slices.project(noise(3001, 7))
    mixed = torch.stack([part + noise(1024, k) for k, part in enumerate(slices.split(other))])
    one, many = (joined(mixed, slices._cutting(3001), True, range(n)) for n in (2, 50))
    assert waveform_error_db(one, many) < -30


def test_noise_in_the_slices_is_averaged_where_they_overlap(slices):
    x = slices.project(signals.recording("choir", RATE, 3001)[0])
    parts = list(slices.split(x))
    size = 0.01 * float(x.norm()) / len(x) ** 0.5
    noisy = [part + size * slices.W.project(noise(1024, k)) for k, part in enumerate(parts)]
    y = put_together(slices, noisy, len(x))
    assert -45 < waveform_error_db(y, x) < -37


def test_silent_slices_stay_silent_and_turn_nothing(slices):
    x = torch.zeros(4 * slices.hop, dtype=torch.float64)
    assert not put_together(slices, list(slices.split(x)), len(x)).any()
    x[:500] = signals.tones(500, RATE, [800]) * torch.hann_window(500)
    x[-500:] = signals.tones(500, RATE, [1000]) * torch.hann_window(500)
    x = slices.project(x)
    parts = [part if k != 2 else 0 * part for k, part in enumerate(slices.split(x))]
    y = put_together(slices, parts, len(x))
    assert torch.isfinite(y).all() and waveform_error_db(y, x) < -45


def test_many_slices_take_no_more_iterations_than_few(slices, monkeypatch):
    taken = []

    def counted(*problem, **options):
        found = solved(*problem, **options)
        taken.append(found[2])
        return found

    solved = _joints.lsqr
    monkeypatch.setattr(_joints, "lsqr", counted)
    for n_samples in (3001, 24001):
        x = slices.project(noise(n_samples, 4))
        angles = noise(slices.count(n_samples), 5)
        parts = turned(slices.split(x), 0.3 * angles.cumsum(0))
        taken.append(-1)
        assert waveform_error_db(put_together(slices, parts, n_samples), x) < -150
    few, many = (max(part) for part in (taken[1 : taken.index(-1, 1)], taken[taken.index(-1, 1) :]))
    assert few < 60 and many < 1.5 * few
