"""The app of notebook 10 without a browser: controls at their ends and at random, and cancel."""

import base64
import datetime
import html
import io
import re
import threading
import time
import tracemalloc

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings, strategies as st

from scalinv_utils.app import Studio, session
from scalinv_utils.course import _stored, plotting, signals, widgets

CONTROLS = ("recording", "length", "wavelet", "voices", "method")
CHOICES = {
    "recording": [name for name in signals.RECORDINGS if name != "ecg"],
    "length": [2048, 4096],
    "wavelet": list(session.WAVELETS.values()),
    "voices": list(session.VOICES),
    "method": list(session.METHODS),
}


def answer_at_once(S, W, seed, callback):
    """Stand in for a method: what the app does with an answer is what is tried."""
    if callback is not None:
        callback(1, torch.ones(W.n_samples, dtype=torch.float64), -1.0)
    return session.griffin_lim(S, W, n_iter=1, seed=seed)


@pytest.fixture
def fast(monkeypatch):
    """Make every method answer at once."""
    methods = dict.fromkeys(session.METHODS, (answer_at_once, 1))
    monkeypatch.setattr(session, "METHODS", methods)


@pytest.fixture(scope="module")
def app():
    """Open one app for all the tests: as on the screen, the moves add up."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "METHODS", dict.fromkeys(session.METHODS, (answer_at_once, 1)))
        return Studio()


def upload(app, name, content):
    app.upload.value = (
        {
            "name": name,
            "type": "",
            "size": len(content),
            "content": content,
            "last_modified": datetime.datetime.now(datetime.UTC),
        },
    )


def wav(x, rate, subtype=None):
    buffer = io.BytesIO()
    soundfile.write(buffer, x.numpy(), rate, format="WAV", subtype=subtype)
    return buffer.getvalue()


def images(app):
    """The words of the pictures on show."""
    return re.findall('<img alt="([^"]{10,})"', app.views.value)


def check_nothing_is_shown(app):
    """No result, no picture and no sound is left from before."""
    assert app.result is None and images(app) == [] and app.bar.value == 0
    for part in (app.sound, app.file, app.made, app.scores, app.status, app.used):
        assert part.value == ""


@pytest.mark.long
def test_it_opens_with_a_sound_that_is_recovered():
    app = Studio("bell")
    assert app.result.waveform_db < -60 and app.result.task is app.task
    assert app.sound.value.count("<audio") == 4 and "original waveform" in app.scores.value
    data, _ = app._repr_mimebundle_()
    assert base64.b64decode(data["image/png"]) == plotting.in_few_colours(app.still(), widgets.FEW)
    assert "recover() recovered" in data["text/plain"]


def test_it_may_open_with_its_controls_alone_and_compute_nothing(monkeypatch, fast):
    opened, given = threading.Event(), signals.recording
    monkeypatch.setattr(signals, "recording", lambda name: opened.wait(30) and given(name))
    app = Studio("bell", solved=False)
    assert app.task is None and app.go.disabled and app.error is None
    assert "image/png" not in app._repr_mimebundle_()
    app.wavelet.value = "morlet"  # before there is a sound
    opened.set()
    app.wait(30)
    assert app.error is None and app.result is None and not app.go.disabled
    assert app.task.W.wavelet[0] == "morlet" and images(app)


def test_a_click_recovers_and_shows_everything(app, fast):
    app.recording.value, app.length.value = "crow", 2048
    assert app.result is None and app.sound.value == app.scores.value == ""
    assert len(images(app)) == 2
    app.go.click()
    app.wait(60)
    assert app.error is None and app.result.task is app.task
    assert len(images(app)) == 4 and app.bar.value == 1 and "done" in app.status.value
    assert app.sound.value.count("<audio") == 4 and "consistency" in app.scores.value
    assert not app.go.disabled and app.stop.disabled
    (link,) = re.findall(
        r'download="recovered.wav" href="data:audio/wav;base64,([^"]+)"', app.file.value
    )
    y, rate = soundfile.read(io.BytesIO(base64.b64decode(link)))
    assert rate == session.RATE and abs(y - app.result.y.numpy()).max() < 1e-3


@pytest.mark.long
@settings(max_examples=5, deadline=None)
@given(
    st.lists(
        st.sampled_from(CONTROLS).flatmap(
            lambda name: st.tuples(st.just(name), st.sampled_from(CHOICES[name]))
        ),
        min_size=1,
        max_size=3,
    ),
    st.floats(0, 1),
)
def test_controls_at_random(app, moves, place):
    for name, value in [*moves]:
        getattr(app, name).value = value
    app.start.value = place * app.start.max
    assert app.error is None and app.notice.value == "", app.notice.value
    assert len(app.task.x) == app.length.value or app.start.max == 0
    assert app.task.W.voices_per_octave == app.voices.value
    assert app.task.W.wavelet[0] == app.wavelet.value
    assert f"from {app.start.value:.2f} s on" in app.used.value or app.start.max == 0


@pytest.mark.parametrize("name", CONTROLS)
def test_controls_at_their_ends_and_in_the_middle(app, name):
    app.recording.value, app.length.value = "tabla", 2048
    options = CHOICES[name]
    for value in (options[0], options[len(options) // 2], options[-1]):
        getattr(app, name).value = value
        assert app.error is None and app.notice.value == "" and not app.go.disabled


def test_a_file_is_used_as_far_as_it_goes(app):
    upload(app, "short.wav", wav(signals.linear_chirp(3000, 16000), 16000))
    assert app.length.value == session.LONGEST and len(app.task.x) == 1500
    assert "lasts 0.19 s" in app.used.value and app.start.disabled and not app.go.disabled
    assert app.recording.value == "your file"
    app.recording.value = "bell"
    assert "lasts 0.19 s" not in app.used.value
    app.recording.value = "your file"
    assert "lasts 0.19 s" in app.used.value
    upload(app, "tiny.wav", wav(signals.linear_chirp(10, 8000), 8000))
    assert len(app.task.x) == session.SHORTEST and "Silence was added" in app.used.value


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"no sound", "cannot be read"), (b"", "is empty"), (wav(torch.zeros(900), 8000), "silent")],
)
def test_a_bad_file_gets_a_sentence_and_the_next_sound_works(app, content, words):
    upload(app, "<b>.wav", content)
    assert words in app.notice.value and 'role="alert"' in app.notice.value
    assert "<b>.wav" not in app.notice.value and "Traceback" not in app.notice.value
    assert app.go.disabled and app.error is None and app.task is None
    check_nothing_is_shown(app)
    app.recording.value = "bell"
    assert app.notice.value == "" and not app.go.disabled


def test_a_bad_file_leaves_nothing_of_the_result_before_and_no_sound_chosen(app, fast):
    app.recording.value = "bell"
    app.go.click()
    app.wait(30)
    assert app.result is not None and images(app)
    upload(app, "letter.wav", b"Dear Sir")
    check_nothing_is_shown(app)
    assert app.recording.value is None and app.whole.value == ""
    app.length.value = 4096 if app.length.value == 2048 else 2048
    assert app.task is None and "cannot be read" in app.notice.value  # the old sound is gone
    app.recording.value = "bell"  # the same sound can be chosen again
    assert app.notice.value == "" and not app.go.disabled


def test_of_half_an_hour_the_beginning_is_read_and_that_is_said(app, monkeypatch):
    monkeypatch.setattr(session, "largest_file", lambda: 20_000_000)
    tone = signals.tones(8000, 8000).numpy()
    file = io.BytesIO()
    soundfile.write(file, np.tile(0.5 * tone, 1800), 8000, format="WAV", subtype="PCM_U8")
    tracemalloc.start()
    upload(app, "long.wav", file.getvalue())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "The file lasts 1800 s; its first 300 s were read." in app.used.value
    assert "What was read lasts 300.00 s" in app.used.value and app.task is not None
    assert peak < 200e6  # 2.4 million samples; 14.4 million would take 115 MB each time


def test_the_same_file_twice_is_read_twice(app):
    content = wav(signals.linear_chirp(3000, 8000), 8000)
    moment = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    file = {"name": "a.wav", "type": "", "size": 1, "content": content, "last_modified": moment}
    for _ in range(2):
        app.wavelet.value = "morlet"
        task = app.task
        app.upload.value = (file,)
        assert app.task is not task and app.upload.value == () and app.error is None


def test_a_bad_file_twice_is_refused_twice(app):
    for _ in range(2):
        upload(app, "letter.wav", b"Dear Sir")
        assert "letter.wav cannot be read" in app.notice.value and app.upload.value == ()


def test_a_file_that_is_too_large_is_refused_by_the_kernel_as_well(app, monkeypatch):
    monkeypatch.delenv(session.UPLOAD, raising=False)
    monkeypatch.setattr(session, "SMALLEST_LIMIT", 10)
    upload(app, "long.wav", wav(signals.tones(800), 8000))
    assert "long.wav has 0.0 MB, and at most 0 MB can be sent" in app.notice.value
    check_nothing_is_shown(app)


def test_a_result_says_what_it_was_made_with_and_when_that_has_changed(app, fast):
    app.recording.value, app.method.value = "bell", "Griffin-Lim"
    app.wavelet.value, app.voices.value = "gmw", 16
    app.go.click()
    app.wait(30)
    made = "Griffin-Lim, from a scalogram of generalised Morse wavelets with 16 voices per octave"
    assert made in app.made.value and "have changed" not in app.made.value
    app.method.value = "recover()"
    assert made in app.made.value and "The controls have changed since" in app.made.value
    assert "scalinv-stale" in app.found._dom_classes
    app.method.value = "Griffin-Lim"
    assert "have changed" not in app.made.value and "scalinv-stale" not in app.found._dom_classes
    app.voices.value = 8  # another scalogram: the result is not its
    assert app.made.value == "" and app.result is None
    app.wavelet.value, app.voices.value = "cauchy", 32


def test_the_whole_sound_is_shown_with_the_stretch_marked(app):
    app.recording.value, app.length.value = "guitar", 2048
    app.start.value = 2.0
    (left, width) = re.findall(r'<rect x="([\d.]+)" y="1" width="([\d.]+)"', app.whole.value)[0]
    seconds = 320 / 3.53  # the width of the picture
    assert abs(float(left) / seconds - 2.0) < 0.02 and abs(float(width) / seconds - 0.256) < 0.02
    app.recording.value = "tabla"


def test_the_stored_form_is_the_picture_alone(app, fast, monkeypatch):
    monkeypatch.setenv(_stored.STORE, "yes")
    app.recording.value = "bell"
    app.go.click()
    app.wait(30)
    data, metadata = app._repr_mimebundle_()
    assert metadata["image/png"]["alt"] == app.alt
    assert data["image/png"] and "text/html" not in data


def test_scripts_of_players_run(app, fast):
    app.go.click()
    app.wait(30)
    (output,) = app.sound.outputs  # an Output shows it, an ipywidgets.HTML would not run scripts
    assert output["output_type"] == "display_data" and "<audio" in output["data"]["text/html"]


@pytest.fixture
def endless(monkeypatch):
    """A method that goes on until it is told to stop."""
    running, ended = threading.Event(), threading.Event()

    def method(S, W, seed, callback):
        k = 0
        while not callback(min(k, 9), torch.zeros(W.n_samples), -3.0):
            running.set()
            time.sleep(0.01)
            k += 1
        ended.set()
        return session.griffin_lim(S, W, n_iter=1)

    monkeypatch.setattr(session, "METHODS", dict.fromkeys(session.METHODS, (method, 10)))
    return running, ended


def test_cancel_stops_the_method_and_frees_the_controls(app, endless):
    app.recording.value, app.length.value = "bell", 2048
    app._take(*signals.recording("bell"))
    picture = app.views.value
    running, ended = endless
    app.go.click()
    assert running.wait(30) and app.go.disabled and not app.stop.disabled
    app.stop.click()
    assert app.status.value == "cancelled" and not app.go.disabled and app.stop.disabled
    app.wait(30)
    assert ended.is_set() and app.result is None and app.views.value == picture
    assert app.status.value == "cancelled" and app.error is None


def test_another_sound_cancels_what_is_running_for_the_old_one(app, endless):
    app.recording.value = "bell"
    running, ended = endless
    app.go.click()
    assert running.wait(30)
    app.recording.value = "tabla"
    app.wait(30)
    assert ended.is_set() and app.result is None and not app.go.disabled


def test_a_slider_moved_while_a_method_runs_ends_it_and_shows_the_new_stretch(app, endless):
    app.recording.value, app.length.value = "guitar", 2048
    running, ended = endless
    app.go.click()
    assert running.wait(30)
    app.start.value = 1.0
    app.wait(30)
    assert ended.is_set() and app.task is not None and app.result is None
    assert "from 1.00 s on" in app.used.value and not app.go.disabled and app.stop.disabled
    assert app.status.value == "" and app.bar.value == 0 and app.error is None


def test_two_apps_in_one_kernel_do_not_disturb_each_other(monkeypatch):
    both = threading.Barrier(2)

    def method(S, W, seed, callback):
        both.wait(30)  # each waits for the other: they do run at the same time
        return session.griffin_lim(S, W, n_iter=3, seed=seed, callback=callback)

    monkeypatch.setattr(session, "METHODS", dict.fromkeys(session.METHODS, (method, 3)))
    apps = [Studio(name, 2048, solved=False) for name in ("bell", "crow")]
    for app in apps:
        app.wait(30)
        app.voices.value = 8
        app.go.click()
    for app in apps:
        app.wait(60)
        assert app.error is None and app.result.task is app.task
        alone = session.griffin_lim(app.task.S, app.task.W, n_iter=3, seed=0)
        fit = session.metrics.consistency_db(alone.signal, app.task.S, app.task.W)
        assert abs(app.result.consistency_db - float(fit)) < 1e-6
    assert apps[0].result.task.x is not apps[1].result.task.x


def test_progress_is_on_the_screen(app, endless):
    running, _ = endless
    app.go.click()
    assert running.wait(30)
    end = time.monotonic() + 30
    while "left" not in app.status.value and time.monotonic() < end:
        time.sleep(0.02)
    assert re.search(r"step \d of 10, fits to -3 dB, \d+ s left", app.status.value)
    assert app.bar.layout.display == ""
    app.stop.click()
    app.wait(30)


def test_what_a_method_raises_is_shown(app, monkeypatch):
    def method(S, W, seed, callback):
        raise RuntimeError("out of <memory>")

    monkeypatch.setattr(session, "METHODS", dict.fromkeys(session.METHODS, (method, 1)))
    app.recording.value = "crow" if app.recording.value != "crow" else "bell"
    app.go.click()
    app.wait(30)
    assert isinstance(app.error, RuntimeError) and not app.go.disabled
    assert html.escape("out of <memory>") in app.message.value
