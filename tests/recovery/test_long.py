"""Long scalograms: recovered in pieces, next to each other, in any number of processes."""

import warnings

import numpy as np
import pytest
import torch

from scalinv_utils import Scalogram
from scalinv_utils.course import signals
from scalinv_utils.metrics import analytic, waveform_error_db
from scalinv_utils.recovery._piece import changed
from scalinv_utils.recovery._ring import turns
from scalinv_utils.recovery.long import recover_long
from scalinv_utils.transforms.long import Pieces, magnitude_of_long

RATE, N = 8000, 5001
PAUSE = 0.255  # seconds, in the middle of the second piece


def transform(wavelet="cauchy"):
    return Scalogram(2048, RATE, wavelet=wavelet, voices_per_octave=32, f_min=800)


@pytest.fixture(scope="module")
def glide():
    """A sound that has energy in all pieces, with its transform and its scalogram."""
    W = transform()
    x = W.like(N).project(signals.am_fm_tone(N, RATE))
    return W, x, magnitude_of_long(x, W, progress=False)


@pytest.mark.parametrize("wavelet", ["cauchy", "gmw"])
def test_a_recording_comes_back_in_all_its_pieces(wavelet):
    W = transform(wavelet)
    x = W.like(5000).project(signals.recording("guitar", RATE, 5000)[0])
    fits = []
    recovery = recover_long(
        magnitude_of_long(x, W, progress=False),
        W,
        callback=lambda number, y, fit: fits.append(fit),
        progress=False,
    )
    assert waveform_error_db(recovery.signal, x) < -120
    assert recovery.history["consistency_db"] == fits and recovery.consistency_db == min(fits)
    assert max(recovery.details["misfit_db"]) <= recovery.consistency_db
    assert len(recovery.details["links_db"]) == Pieces(W, 5000).count


def test_single_precision_on_the_disk_gives_what_it_allows(glide, tmp_path):
    W, x, S = glide
    np.save(tmp_path / "S.npy", S.astype(np.float32))
    y = recover_long(
        np.load(tmp_path / "S.npy", mmap_mode="r"), W, n_rounds=4, progress=False
    ).signal
    assert -170 < waveform_error_db(y, x) < -110


@pytest.mark.parametrize("level", [1e-200, 1e200])
def test_the_level_of_s_does_not_matter(glide, level):
    W, x, S = glide
    y = recover_long(S * level, W, progress=False).signal
    assert waveform_error_db(y / level, x) < -120


@pytest.mark.slow
def test_several_processes_give_the_same_sound(glide):
    pytest.importorskip("joblib")
    W, x, S = glide
    one, two = (recover_long(S, W, jobs=jobs, n_rounds=1, progress=False) for jobs in (1, 2))
    assert torch.allclose(one.signal, two.signal, rtol=0, atol=1e-9)


def test_what_was_done_is_not_done_again(glide, tmp_path, monkeypatch):
    W, x, S = glide
    calls, allowed = [], 2

    def stop(*task):
        if len(calls) == allowed:
            raise KeyboardInterrupt
        calls.append(task)
        return solved(*task)

    from scalinv_utils.recovery import long

    solved = long._solved
    monkeypatch.setattr(long, "_solved", stop)
    with pytest.raises(KeyboardInterrupt):
        recover_long(S, W, folder=tmp_path, n_rounds=2, progress=False)
    count = Pieces(W, N).count
    assert count > allowed and len(list(tmp_path.glob("000-*.pt"))) == 2
    allowed = 10**6
    kept = recover_long(S, W, folder=tmp_path, n_rounds=2, progress=False)
    assert len(calls) == 3 * count
    assert torch.equal(kept.signal, recover_long(S, W, n_rounds=2, progress=False).signal)
    n_calls = len(calls)
    again = recover_long(S, W, folder=tmp_path, n_rounds=2, progress=False)
    assert len(calls) == n_calls and torch.equal(again.signal, kept.signal)


def test_an_interrupt_brings_the_last_complete_round(glide):
    W, x, S = glide

    def stop(number, y, fit):
        if number == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as interrupt:
        recover_long(S, W, callback=stop, progress=False)
    assert len(interrupt.value.recovery.history["seconds"]) == 2
    assert waveform_error_db(interrupt.value.recovery.signal, x) < -30


def test_a_folder_of_another_scalogram_is_refused(glide, tmp_path):
    W, x, S = glide
    recover_long(S, W, folder=tmp_path, n_rounds=0, progress=False)
    with pytest.raises(ValueError, match="folder must be empty or belong to this S, W and seed"):
        recover_long(2.5 * S, W, folder=tmp_path, n_rounds=0, progress=False)


def test_parts_between_silences_are_told_and_come_back_each_for_itself():
    W = transform()
    x = torch.zeros(6000, dtype=torch.float64)
    x[1500:2600] = torch.hann_window(1100).double() * signals.linear_chirp(1100, RATE, 1200, 3000)
    x[4200:5300] = torch.hann_window(1100).double() * signals.linear_chirp(1100, RATE, 3000, 1200)
    S = magnitude_of_long(x, W, progress=False)
    S[S < 1e-7 * S.max()] = 0
    with pytest.warns(UserWarning, match="S is silent from 0.3"):
        recovery = recover_long(S, W, progress=False)
    parts = recovery.details["parts"]
    assert len(parts) == 2
    for first, last in parts:
        part = slice(round(first * RATE), round(last * RATE))
        assert waveform_error_db(recovery.signal[part], W.like(6000).project(x)[part]) < -60


def test_one_silence_does_not_tear_a_ring_apart():
    W = transform()
    x = torch.roll(torch.hann_window(N).double() ** 2, N // 2) * signals.am_fm_tone(N, RATE)
    S = magnitude_of_long(x, W, progress=False)
    S[S < 1e-4 * S.max()] = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        recovery = recover_long(S, W, n_rounds=0, progress=False)
    (_, first), (second, _) = recovery.details["parts"]
    assert first < second


def test_silence_is_recovered_as_silence():
    W = transform()
    recovery = recover_long(np.zeros((W.n_freqs, 5000)), W, progress=False)
    assert not recovery.signal.any() and recovery.consistency_db == -np.inf


def test_what_is_left_over_around_the_ring_goes_to_the_weakest_link():
    links = np.array([3.0, 1.0, 2.0]) * np.exp(1j * np.array([0.2, 0.3, 0.4]))
    first, second, third = turns(links)
    assert np.allclose(second / first, np.exp(0.2j))
    assert np.allclose(first / third, np.exp(0.4j))
    assert np.allclose(third / second, np.exp(-0.6j))


def with_one(S, value):
    S = S.copy()
    S[3, 2000] = value
    return S


@pytest.mark.parametrize(
    "change, error, words",
    [
        (lambda S: with_one(S, np.nan), ValueError, "S from column .* NaN"),
        (lambda S: with_one(S, -1.0), ValueError, "S from column .* negative"),
        (lambda S: S[:-1], ValueError, "S must have the .* rows of W"),
        (lambda S: S[:, :1000], ValueError, "n_samples must be a whole number of at least 2048"),
        (lambda S: S + 0j, TypeError, "S from column .* real"),
        (lambda S: S[None], TypeError, "S must be one scalogram"),
        (lambda S: S.tolist(), TypeError, "S must be one scalogram"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(glide, change, error, words):
    W, x, S = glide
    with pytest.raises(error, match=words):
        recover_long(change(S), W, progress=False)


# -- one piece ---------------------------------------------------------------------------------


def test_a_piece_turns_back_what_comes_after_a_pause_that_is_deeper_than_its_ends():
    """No path may lead from one end of a piece to the other, where nothing is known to be wrong."""
    W = transform()
    t = torch.arange(N, dtype=torch.float64) / RATE
    envelope = 1 - (1 - 1e-3) * torch.exp(-(((t - PAUSE) / 0.015) ** 2) / 2)
    x = W.like(N).project(envelope * signals.am_fm_tone(N, RATE))
    pieces, z = Pieces(W, N), analytic(x)
    S = pieces.of(magnitude_of_long(x, W, progress=False), 1)
    columns = pieces.columns(1)
    turned = z * torch.polar(torch.ones_like(t), 0.02 * torch.sigmoid((t - PAUSE) * 500))
    found = turned[columns] + changed(S, turned[columns], pieces)
    inside = (pieces.trusted > 0) & ((t[columns] - PAUSE).abs() > 0.04)
    before, after = (inside & side for side in (t[columns] < PAUSE, t[columns] > PAUSE))
    angles = [float(torch.vdot(z[columns][m], found[m]).angle()) for m in (before, after)]
    assert abs(angles[1] - angles[0]) < 1e-3
