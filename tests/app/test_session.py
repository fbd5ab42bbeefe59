"""From a file to a recovered waveform, without a widget: lengths, rates, bad files, scores."""

import base64
import ctypes
import io
import math
import tracemalloc
import weakref

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings, strategies as st

from scalinv_utils import metrics
from scalinv_utils.app import session
from scalinv_utils.app._working import download
from scalinv_utils.course import signals
from scalinv_utils.course._memory import give_back


def file(samples, rate, kind="WAV", subtype=None):
    buffer = io.BytesIO()
    soundfile.write(buffer, np.asarray(samples), rate, format=kind, subtype=subtype)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG", "AIFF"])
def test_files_of_every_kind_and_number_of_channels(kind):
    tone = 0.5 * signals.tones(4410, 44100, [441]).numpy()
    x, rate = session.open_sound("a", file(np.stack([tone, 0 * tone], 1), 44100, kind))
    assert rate == 44100 and len(x) == 4410
    assert metrics.decibels((x - torch.from_numpy(tone)).norm() / x.norm()) < -30


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"Dear Sir or Madam", "cannot be read as a sound. WAV, FLAC"),
        (file([0.1] * 100, 8000)[:30], "cannot be read"),
        (file([], 8000), "0 samples"),
        (file([0.1, math.nan, 0.2], 8000, subtype="FLOAT"), "no numbers"),
        (b"\xff\xfb" + bytes(400), "cannot be read"),
    ],
    ids=["empty", "letter", "cut off", "no samples", "NaN", "noise"],  # the bytes hold the time
)
def test_bad_files_get_one_sentence_with_their_name(content, words):
    with pytest.raises(ValueError, match=words) as refused:
        session.open_sound("my song.wav", content)
    assert str(refused.value).startswith("my song.wav ") and str(refused.value).endswith(".")


@pytest.mark.parametrize("reason", session.REFUSALS)
def test_the_sentence_depends_on_the_reason_and_not_on_the_message(monkeypatch, reason):
    def read_sound(file, seconds, most_samples):
        raise signals.SoundFileError("finite, at least one sample", reason)

    monkeypatch.setattr(session, "read_sound", read_sound)
    with pytest.raises(ValueError) as refused:
        session.open_sound("my song.wav", b"1")
    assert str(refused.value) == f"my song.wav {session.REFUSALS[reason]}"


def test_of_a_very_long_file_the_beginning_is_read(monkeypatch):
    monkeypatch.setattr(session, "LONGEST_READ", 0.5)
    said = []
    x, rate = session.open_sound("a", file([0.1, -0.1] * 4000, 8000), said)
    assert len(x) == 4000 and said == ["The file lasts 1 s; its first 0.5 s were read."]
    words = session.prepare(x, rate, said=said).words
    assert words.startswith("The file lasts 1 s; its first 0.5 s were read. What was read lasts")


def test_of_a_very_high_rate_less_time_is_read(monkeypatch):
    monkeypatch.setattr(session, "MOST_READ", 3000)
    said = []
    x, rate = session.open_sound("a", file([0.1, -0.1] * 48000, 96000), said)
    assert len(x) == 3000 and said == ["The file lasts 1 s; its first 0.03125 s were read."]
    session.open_sound("a", file([0.1, -0.1] * 1500, 96000), said)
    assert len(said) == 1


def test_what_is_left_out_of_channels_is_said():
    tone = 0.5 * signals.tones(4410, 44100, [441]).numpy()
    said = []
    x, rate = session.open_sound("a", file(np.stack([tone, -tone / 2], 1), 44100), said)
    assert "Channel 0 of 2 was taken" in said[0]
    assert session.prepare(x, rate, said=said).words.startswith(said[0])


@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(2, 30_000),
    rate=st.sampled_from([360, 4000, 8000, 11025, 44100, 96000]),
    wanted=st.sampled_from(sorted(session.LENGTHS.values())),
    start=st.one_of(st.none(), st.floats(0, 60)),
)
def test_any_length_and_rate_gives_a_stretch_and_says_which(n, rate, wanted, start):
    x = signals.white_noise(n, seed=n) / 4
    part = session.prepare(x, rate, wanted, start)
    duration = n / rate
    assert session.SHORTEST <= len(part.x) <= wanted and part.x.isfinite().all()
    assert len(part.x) in (wanted, session.SHORTEST, math.ceil(n * session.RATE / rate))
    assert 0 <= part.start <= max(duration - len(part.x) / session.RATE, 0) + 1 / session.RATE
    assert ("resampled" in part.words) == (rate != session.RATE)
    assert f"{math.ceil(n * session.RATE / rate) / session.RATE:.2f} s" in part.words


def test_the_words_say_what_was_done():
    x = torch.cat([0.01 * signals.white_noise(40_000), signals.white_noise(4096, seed=1)])
    words = session.prepare(x, 8000).words
    assert "Used: 0.51 s from 5.00 s on, where it is loudest" in words and "1 GB" in words
    assert "where it is loudest" not in session.prepare(x, 8000, 2048, start=1.0).words
    assert "Silence was added up to 0.13 s" in session.prepare(x[:500], 8000).words
    assert "Used" not in session.prepare(x[:4000], 8000).words


def test_silence_is_refused_with_a_sentence():
    with pytest.raises(ValueError, match="silent.*choose another stretch"):
        session.prepare(torch.zeros(9000), 8000)


def tone(hertz, rate, seconds=1.0, phase=0.7):
    return torch.sin(
        2 * math.pi * hertz * torch.arange(int(seconds * rate)).double() / rate + phase
    )


@pytest.mark.parametrize(
    ("x", "rate"),
    [
        (tone(10_000, 44_100), 44_100),  # resampling leaves its leakage, at -57 dB
        (tone(19_000, 44_100), 44_100),
        *[(tone(f, 8000, s), 8000) for f in (0.5, 5) for s in (0.13, 0.25, 1, 3.3)],
        (torch.full((4000,), 0.5), 8000),
        (signals.white_noise(4000) * 1e-3 + 0.5, 8000),
    ],
)
def test_what_lies_outside_the_band_is_refused_and_not_its_leakage_recovered(x, rate):
    with pytest.raises(ValueError, match="Next to nothing of this stretch lies between 50 and"):
        session.prepare(x, rate)


def test_the_share_outside_the_band_is_said():
    voice = 0.1 * tone(440, 44_100)
    words = session.prepare(tone(10_000, 44_100) + voice, 44_100).words
    assert "99.0 % of its energy does not lie between 50 and 4,000 Hz" in words
    assert "energy" not in session.prepare(voice, 44_100).words


def test_a_slow_wave_is_removed_before_the_fades_and_a_weak_one_left_alone():
    voice = 0.1 * tone(440, 8000)
    part = session.prepare(voice + tone(5, 8000), 8000, start=0.25)
    alone = session.prepare(voice, 8000, start=0.25)
    assert metrics.decibels((part.x - alone.x).norm() / alone.x.norm()) < -40
    torch.testing.assert_close(alone.x, signals.fade(voice[2000:6096], 8000))


def test_what_will_not_be_heard_is_said_and_saved_all_the_same():
    part = session.prepare(1e-6 * tone(440, 8000), 8000)
    assert "very quiet: its peak is 120 dB below full scale" in part.words
    assert "quiet" not in session.prepare(1e-2 * tone(440, 8000), 8000).words
    uri = download(part.x, 8000).split("base64,")[1].split('"')[0]
    y, _ = soundfile.read(io.BytesIO(base64.b64decode(uri)))
    assert metrics.decibels(np.linalg.norm(y - part.x.numpy()) / np.linalg.norm(y)) < -60


def test_the_limit_of_files_is_that_of_the_server(monkeypatch):
    monkeypatch.delenv(session.UPLOAD, raising=False)
    assert session.largest_file() == 10_000_000
    monkeypatch.setenv(session.UPLOAD, "50000000")
    assert session.largest_file() == 50_000_000
    monkeypatch.setattr(session, "largest_file", lambda: 1000)
    with pytest.raises(ValueError, match="a.wav has 0.0 MB.*cut out the part"):
        session.open_sound("a.wav", bytes(1001))


@pytest.mark.parametrize("wavelet", session.WAVELETS.values())
@pytest.mark.parametrize("n_samples", [session.SHORTEST, 2048])
def test_the_task_is_in_the_band_and_starts_at_50_hz_or_above(wavelet, n_samples):
    task = session.pose(signals.white_noise(n_samples), wavelet, 8)
    torch.testing.assert_close(task.W.project(task.x), task.x)
    torch.testing.assert_close(task.W.magnitude(task.x), task.S)
    assert task.W.frequencies[-1] >= session.LOWEST
    assert task.W.voices_per_octave == 8


@pytest.fixture(scope="module")
def task():
    return session.pose(signals.am_fm_tone(session.SHORTEST, session.RATE), voices_per_octave=16)


def test_recover_finds_the_waveform_and_every_sound_is_there(task):
    steps = []
    result = session.solve(task, callback=lambda k, x, fit: steps.append(fit) and False)
    assert result.waveform_db < -60 and result.consistency_db < -60 and steps
    sounds = result.sounds()
    assert list(sounds) == ["original", "random phase", "recovered", "original minus recovered"]
    # The one turn is taken out: what is left of the difference is the score.
    assert metrics.decibels(sounds["original minus recovered"].norm() / task.x.norm()) < -60
    # right moduli, random phases: most of the sound cancels
    assert metrics.waveform_error_db(result.wreck, task.x) > -3
    assert "original waveform" in session.verdict(result.consistency_db, result.waveform_db, 0)
    assert [value for _, value, _ in result.meanings()][0] == f"{result.consistency_db:.1f} dB"


@pytest.mark.parametrize("method", session.METHODS)
def test_every_method_runs_reports_its_steps_and_stops_when_asked(task, method):
    seen = []
    result = session.solve(task, method, callback=lambda k, x, fit: seen.append(k) or len(seen) > 1)
    assert result.method == method and result.y.isfinite().all()
    assert 1 <= len(seen) <= 2  # asked to stop at the second step
    assert max(seen) <= (session.METHODS[method][1] or 2)


def test_unknown_methods_are_named(task):
    with pytest.raises(ValueError, match="method must be one of 'recover"):
        session.solve(task, "magic")


@pytest.mark.parametrize(
    ("scores", "words"),
    [
        ((-5, -1, -1), "not matched"),
        ((-30, -6, -6), "no proof"),
        ((-130, 2, -130), "Each part"),
        ((-130, -120, -121), "original waveform"),
    ],
)
def test_verdicts(scores, words):
    assert words in session.verdict(*scores)


def test_progress_counts_down_where_the_number_of_steps_is_known():
    clock = iter([0.0, *[2.0 * k for k in range(1, 100)]])
    progress = session.Progress(20, clock=lambda: next(clock))
    assert progress.fraction == 0
    progress.step(5, -12.3)
    assert progress.fraction == 0.25 and "step 5 of 20" in progress.words
    assert "30 s left" in progress.words and "-12 dB" in progress.words
    progress.step(20, -40.0)
    assert progress.fraction == 1 and ", 0 s left" in progress.words


def test_progress_promises_nothing_where_a_method_stops_by_itself():
    clock = iter([0.0, 1.0, 30.0])
    progress = session.Progress(None, clock=lambda: next(clock))
    progress.step(3, -234.0)
    assert progress.fraction is None and "left" not in progress.words
    progress.step(4, -234.0)
    assert "step 4, fits to -234 dB, 30 s so far; it stops by itself" in progress.words
    assert session.METHODS["recover()"][1] is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 s"), (9.0, "9 s"), (12.1, "15 s"), (89, "90 s"), (91, "2 min"), (600, "10 min")],
)
def test_times_have_no_digit_that_a_guess_does_not_have(seconds, words):
    assert session._rounded(seconds) == words


def test_memory_in_a_circle_is_given_back_on_every_system(monkeypatch):
    class Node:
        pass

    node = Node()
    node.itself, gone = node, weakref.ref(node)
    del node
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())  # a C library without malloc_trim
    give_back()
    assert gone() is None


@pytest.mark.parametrize("rate", [1, 7, 37])
def test_a_header_of_a_few_hertz_takes_neither_time_nor_memory(rate):
    x = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, 299 * rate + 11))
    tracemalloc.start()
    try:
        session.prepare(x, rate)
    except ValueError as error:
        assert "Next to nothing" in str(error)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 150e6
