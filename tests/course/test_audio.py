"""Players share one gain, never clip, and leave silence alone."""

import base64
import functools
import io
import json
import math
import re
import time

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from scalinv_utils.course import _thumbnails, audio, signals


def decoded(players):
    """The samples and the rate of each player in the table."""
    uris = re.findall(r'src="data:audio/flac;base64,([^"]+)"', players._repr_html_())
    return [soundfile.read(io.BytesIO(base64.b64decode(uri))) for uri in uris]


def data(players):
    """What the element gets to know beside the table."""
    found = re.search(r'<script type="application/json">(.*?)</script>', players._repr_html_())
    return json.loads(found.group(1))


def peaks(players):
    return [float(np.abs(x).max()) for x, _ in decoded(players)]


@pytest.fixture
def tone():
    return signals.tones(4000, 8000, [500])


@pytest.mark.parametrize("level", [1e-3, 0.02, 1.0, 50.0])
def test_one_gain_for_all_keeps_level_differences(tone, level):
    table = audio.players({"a": level * tone, "b": 0.1 * level * tone}, 8000)
    loud, quiet = peaks(table)
    assert loud == pytest.approx(min(0.9, 100 * level), abs=1e-3)
    assert quiet == pytest.approx(loud / 10, abs=1e-3)
    assert table.gain == pytest.approx(min(0.9 / level, 100))


def test_nothing_clips_even_after_resampling():
    x = signals.white_noise(2000, seed=3)
    for rate in (5000, 8000, 96000):
        assert max(peaks(audio.player(x, rate))) <= 0.9 + 2**-15


def test_silence_stays_silence():
    table = audio.players({"nothing": torch.zeros(800), "rounding": torch.full((800,), 1e-9)}, 8000)
    assert peaks(table) == [0, 0]
    assert audio.player(torch.zeros(800), 8000).gain == 1
    assert table.levels["nothing"] == "silence"


def test_levels_in_words(tone):
    table = audio.players({"x": tone, "y <b>": tone / 2, "z": 0 * tone}, 8000)
    assert table.levels == {
        "x": "RMS -3.0 dB, peak +0.0 dB",
        "y <b>": "RMS -6.0 dB, peak -6.0 dB re x",
        "z": "silence",
    }
    assert "y <b>: RMS -6.0 dB" in repr(table) and "gain of -0.9 dB" in repr(table)
    assert "<b>" not in table._repr_html_() and "y &lt;b&gt;" in table._repr_html_()
    assert [sound["label"] for sound in data(table)["sounds"]] == ["x", "y <b>", "z"]
    assert "gain of -0.9 dB" in data(table)["note"]


def test_the_samples_come_back_bit_for_bit_at_every_rate():
    x = signals.white_noise(5000, seed=2)
    x[:3] = torch.tensor([-1e-9, 0.0, 1e-9])
    for rate in (8000, 9547, 11025, 44100, 47999):
        table = audio.player(x, rate)
        ((samples, played),) = decoded(table)
        assert played == rate
        assert np.array_equal(samples * 2**15, (table.gain * 2**15 * x).round().numpy())


def test_a_difference_is_measured_on_the_signals_as_they_were_given(tone):
    close = tone * (1 + 1e-9)  # the samples of 16 bits are the same
    table = audio.players({"x": tone, "y": close, "z": 0 * tone}, 8000, difference=True)
    assert table.differences == {
        "y": "x minus y: RMS -180.0 dB, peak -180.0 dB re x",
        "z": "x minus z: RMS +0.0 dB, peak +0.0 dB re x",
    }
    shown = [sound["difference"] for sound in data(table)["sounds"]]
    assert shown == [None, *table.differences.values()]
    assert "x minus y: RMS -180.0 dB" in repr(table)
    assert audio.players({"x": tone, "y": close}, 8000).differences == {}


def pictures(players):
    """The pictures of the table and their words."""
    uris = re.findall(
        r'<img alt="([^"]*)"[^>]*src="data:image/webp;base64,([^"]+)"', players._repr_html_()
    )
    return [(alt, Image.open(io.BytesIO(base64.b64decode(uri)))) for alt, uri in uris]


def test_pictures_have_one_reference_and_words(tone):
    table = audio.players({"loud": tone, "quiet": tone / 100, "none": 0 * tone}, 8000)
    (alt, loud), (_, quiet), (silent, none) = pictures(table)
    assert re.fullmatch(
        r"Scalogram of loud: 0 to 0\.5 s, 62 Hz to 4 kHz; loudest at 0\.\d+ s, 500 Hz\.", alt
    )
    assert silent == "Scalogram of none: 0 to 0.5 s, 62 Hz to 4 kHz; silence."
    brightest = [np.asarray(image.convert("L")).max() for image in (loud, quiet, none)]
    assert loud.size == (360, 90) and brightest[0] > 200 > brightest[1] > 50 > 20 > brightest[2]


@pytest.mark.parametrize("n", [1, 127, 2**17 + 1])
def test_too_short_or_too_long_for_a_picture(n):
    table = audio.players({"fits": torch.ones(800), "not": torch.ones(n)}, 8000)
    assert pictures(table) == [] and len(decoded(table)) == 2
    assert pictures(audio.player(torch.ones(800), 8000)) != []
    assert pictures(audio.players({"x": torch.ones(800)}, 8000, pictures=False)) == []


def test_pictures_are_small_and_quick():
    x = signals.recording("speech", 16000, 16000)[0].numpy()
    sounds = {"a": x, "b": x / 2, "c": x[::-1].copy()}
    draw = functools.partial(_thumbnails.thumbnails, sounds, 16000)
    draw()
    start = time.process_time()
    assert max(len(picture.webp) for picture in draw().values()) < 4500
    assert time.process_time() - start < 1  # 0.2 s, measured


@pytest.mark.parametrize("n", [1, 3, 4, 7])
def test_three_players_to_a_row_each_under_its_label_and_over_its_level(n):
    names = [f"sound {k}" for k in range(n)]
    x = torch.ones(800)
    page = audio.players({name: 10.0**-k * x for k, name in enumerate(names)}, 8000)._repr_html_()
    rows = [re.findall(r"<t[hd].*?</t[hd]>", row) for row in re.findall(r"<tr>.*?</tr>", page)]
    assert [len(row) for row in rows[::3]] == [3] * (n // 3) + [n % 3] * (n % 3 > 0)
    for k, name in enumerate(names):
        head, player, level = (rows[3 * (k // 3) + part][k % 3] for part in range(3))
        assert name in head and f'title="{name}"' in player
        assert f"{0.0 - 20.0 * k:+.1f} dB" in level


def test_levels_of_extreme_signals_are_finite(tone):
    table = audio.players({"tiny": 1e-300 * tone, "huge": 1e300 * tone}, 8000)
    assert not re.search("inf|nan", repr(table))


@pytest.mark.parametrize(
    ("sample_rate", "speed", "played"),
    [(16000, 1, 16000), (4000, 1, 8000), (96000, 1, 48000), (360, 10, 8000), (11025.4, 1, 11025)],
)
def test_browsers_get_rates_that_they_play(sample_rate, speed, played):
    x = torch.zeros(1000)
    ((samples, rate),) = decoded(audio.player(x, sample_rate, speed=speed))
    assert rate == played
    assert len(samples) / rate == pytest.approx(1000 / (sample_rate * speed), rel=1e-3)


def test_low_rates_are_refused_with_a_way_out():
    x, rate = signals.recording("ecg")
    with pytest.raises(ValueError, match="sample_rate.*speed=23") as refused:
        audio.player(x, rate)
    speed = int(re.search(r"speed=(\d+)", str(refused.value)).group(1))
    assert audio.player(x, rate, speed=speed).gain > 0


def test_stored_size_of_three_seconds():
    x, rate = signals.recording("speech", 8000)
    table = audio.players({"speech": x}, rate)
    assert len(table._table()) < 55_000 and len(table._repr_html_()) < 70_000


@pytest.mark.parametrize(
    ("call", "error", "argument"),
    [
        (lambda: audio.players([1.0, 2.0], 8000), TypeError, "sounds"),
        (lambda: audio.players({}, 8000), ValueError, "sounds"),
        (lambda: audio.players({"a": [1j]}, 8000), TypeError, "sounds\\['a'\\]"),
        (lambda: audio.player(np.ones((2, 9)), 8000), ValueError, "mono"),
        (lambda: audio.player([math.nan], 8000), ValueError, "sounds"),
        (
            lambda: audio.players({"a": [1.0], "b": [1.0, 2.0]}, 8000, difference=True),
            ValueError,
            "difference",
        ),
        (lambda: audio.player([1.0], 0), ValueError, "sample_rate"),
        (lambda: audio.player([1.0], 8000, speed=-1), ValueError, "speed"),
        (lambda: audio.save_wav(io.BytesIO(), [1.0], 8000, "mp3"), ValueError, "encoding"),
        (lambda: audio.save_wav(io.BytesIO(), np.ones((2, 9)), 8000), ValueError, "mono"),
    ],
)
def test_bad_input_is_named(call, error, argument):
    with pytest.raises(error, match=argument):
        call()


def test_save_wav_keeps_the_level_or_turns_down(tmp_path, tone):
    assert audio.save_wav(tmp_path / "a.wav", 0.5 * tone, 8000) == 1
    x, rate = signals.load(tmp_path / "a.wav")
    assert rate == 8000 and (x - 0.5 * tone).abs().max() < 1e-4
    gain = audio.save_wav(tmp_path / "b.wav", 3 * tone, 8000)
    assert gain == pytest.approx(0.3, rel=1e-6)
    assert signals.load(tmp_path / "b.wav")[0].abs().max() == pytest.approx(0.9, abs=1e-4)


def test_save_wav_as_float_is_exact_and_takes_open_files(tone):
    buffer = io.BytesIO()
    assert audio.save_wav(buffer, 3 * tone, 8000.2, encoding="float64") == 1
    buffer.seek(0)
    x, rate = signals.load(buffer)
    assert rate == 8000 and torch.equal(x, 3 * tone)


def test_each_cell_of_the_table_is_closed_before_the_next_one_opens():
    table = audio.players({"a": signals.tones(800), "b": signals.tones(800)}, 8000)._table()
    assert re.findall("</?t[dh]", table) == ["<th", "</th"] * 2 + ["<td", "</td"] * 4


@pytest.mark.parametrize("encoding", ["pcm16", "float64"])
@pytest.mark.parametrize("rate", [0.1, 0.4, 1.4, 12.5, 3e9, 1e300])
def test_save_wav_refuses_a_rate_that_the_file_cannot_store(tone, rate, encoding, tmp_path):
    with pytest.raises(ValueError, match="sample_rate must be "):
        audio.save_wav(tmp_path / "a.wav", tone, rate, encoding)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("rate", "encoding", "stored"),
    [
        (1, "pcm16", 1),
        (359.9, "pcm16", 360),
        (11025.0, "float64", 11025),
        (2**31 - 1, "pcm16", 2**31 - 1),
        (2**29 - 1, "float64", 2**29 - 1),
    ],
)
def test_save_wav_stores_the_nearest_whole_rate(tone, rate, encoding, stored):
    buffer = io.BytesIO()
    audio.save_wav(buffer, tone, rate, encoding)
    assert soundfile.info(io.BytesIO(buffer.getvalue())).samplerate == stored


def test_save_wav_says_what_16_bits_do_to_microvolts(tone):
    for level in (1e-6, 3e-5, 1e-300):
        with pytest.raises(ValueError, match="x must reach one step of 16 bits.*float64"):
            audio.save_wav(io.BytesIO(), level * tone, 8000)
    with pytest.warns(UserWarning, match="peak of 0.0005, which is 16 steps of 16 bits"):
        audio.save_wav(io.BytesIO(), 5e-4 * tone, 8000)
    buffer = io.BytesIO()
    assert audio.save_wav(buffer, 1e-6 * tone, 8000, "float64") == 1
    assert torch.equal(signals.load(buffer)[0], 1e-6 * tone)
    assert audio.save_wav(io.BytesIO(), 0 * tone, 8000) == 1


def test_save_wav_refuses_more_than_a_wav_file_holds(monkeypatch, tone):
    monkeypatch.setattr(audio, "LARGEST_WAV", 2 * len(tone))
    assert audio.save_wav(io.BytesIO(), tone, 8000) == pytest.approx(0.9)
    with pytest.raises(ValueError, match="x must have at most 1,000 samples.*pieces"):
        audio.save_wav(io.BytesIO(), tone, 8000, "float64")
