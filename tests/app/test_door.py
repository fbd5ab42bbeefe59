"""The second door of the app: files that hold a scalogram are read, examined and recovered."""

import datetime
import io
import threading

import numpy as np
import pytest
import scipy.io
import torch

from scalinv_utils import metrics
from scalinv_utils.app import Studio, brought, session
from scalinv_utils.app.door import Door
from scalinv_utils.bounds import noisy
from scalinv_utils.course import signals
from scalinv_utils.measured import Measured, save
from scalinv_utils.transforms.scalogram import Scalogram

N, RATE, F_MIN, F_MAX = 256, 8000.0, 600.0, 3800.0
W = Scalogram.from_frequencies(N, RATE, frequencies=np.geomspace(F_MAX, F_MIN, 60))
X = W.project(signals.linear_chirp(N, RATE, 800.0, 3000.0))
S = W.magnitude(X).numpy()
FIELDS = {"sample_rate": RATE, "seconds": N / RATE, "f_min": F_MIN, "f_max": F_MAX}


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def mat(**arrays):
    file = io.BytesIO()
    scipy.io.savemat(file, arrays)
    return file.getvalue()


def png():
    from matplotlib import pyplot

    file = io.BytesIO()
    pyplot.imsave(file, 20 * np.log10(S / S.max() + 1e-9), vmin=-80, vmax=0, format="png")
    return file.getvalue()


def as_saved(tmp_path):
    save(Measured(S[:, ::4], W, hop=4), path := tmp_path / "kept.npz")
    return path.read_bytes()


def upload(door, name, content):
    moment = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    file = {"name": name, "type": "", "size": len(content), "content": content}
    door.upload.value = (file | {"last_modified": moment},)


def door_with(name, content):
    """Make a door whose fields are those of the scalogram here, and put a file through it."""
    door = Door()
    door.seconds.value, door.f_min.value, door.f_max.value = N / RATE, F_MIN, F_MAX
    upload(door, name, content)
    return door


# -- reading -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "options"),
    [
        ("S.npy", npy(S), {}),
        ("S.NPY", npy(S[:, ::4]), {}),
        ("S.npz", npz(anything=S), {}),
        ("S.npz", npz(S=S, other=np.ones(3)), {}),
        ("S.npy", npy(S**2), {"scale": "power"}),
        ("S.npy", npy(20 * np.log10(S)), {"scale": "db"}),
    ],
    ids=["npy", "columns", "npz", "npz by name", "power", "decibels"],
)
def test_arrays_are_read(name, content, options):
    given = brought.read(name, content, **FIELDS, **options)
    assert given.M.consistency_db(X) < -250 and given.name == name


def test_a_file_of_save_says_all_itself(tmp_path):
    given = brought.read("kept.npz", as_saved(tmp_path), seconds=17)
    assert given.M.n_samples == N and given.M.consistency_db(X) < -250


def test_a_picture_is_read():
    M = brought.read("S.png", png(), **FIELDS).M
    assert M.consistency_db(X / S.max()) < -35 and M.sigma is not None


def test_a_file_of_matlab_is_read():
    f = np.geomspace(3000, 500, 40)
    M = brought.read("wt.mat", mat(wt=np.ones((40, N)), f=f), sample_rate=RATE).M
    assert M.n_samples == N and np.allclose(M.W.frequencies, f)


BAD = {
    "ending": ("S.txt", b"1 2 3", {}, "ending of the file's name"),
    "no array": ("S.npy", b"Dear Sir", {}, "numbers, got S.np"),
    "no archive": ("S.npz", b"PK\x03\x04 and no more", {}, "numbers, got S.np"),
    "objects": ("S.npy", npy(np.array([None, 1])), {}, "numbers, got S.np"),
    "one axis": ("S.npy", npy(S[0]), {}, "two axes"),
    "text": ("S.npy", npy(np.full((4, N), "a")), {}, "numbers"),
    "decibels": ("S.npy", npy(20 * np.log10(S)), {}, "is it in decibels"),
    "columns": ("S.npy", npy(S[:, :100]), {}, "columns"),
    "no picture": ("S.png", b"Dear Sir", {}, "picture"),
    "no matlab": ("wt.mat", b"Dear Sir", {}, "path"),
    "rate": ("S.npy", npy(S), {"sample_rate": 0}, "sample_rate"),
    "seconds": ("S.npy", npy(S), {"seconds": -1}, "seconds"),
    "too short": ("S.npy", npy(S), {"seconds": 1e-4}, "n_samples"),
    "too long": ("S.npy", npy(np.ones((20, 9000))), {"seconds": 1.125}, "at most 8192"),
    "frequencies": ("S.npy", npy(S), {"f_min": 0}, "f_min"),
    "equal frequencies": ("S.npy", npy(S), {"f_min": F_MAX}, "frequencies"),
}


@pytest.mark.parametrize(("name", "content", "options", "words"), BAD.values(), ids=BAD.keys())
def test_what_cannot_be_read_is_named(name, content, options, words):
    with pytest.raises((ValueError, TypeError), match=words):
        brought.read(name, content, **{**FIELDS, **options})


# -- examining and answering -------------------------------------------------------------------


def test_what_is_unusual_is_said():
    said = brought.examined(brought.read("S.npy", npy(S**2), **FIELDS))
    assert "scale='power'" in said
    assert brought.examined(brought.read("S.npy", npy(S[:, ::4]), **FIELDS))


def test_the_answer_is_the_signal():
    answer = brought.answered(brought.read("S.npy", npy(S[:, ::4]), **FIELDS))
    assert metrics.waveform_error_db(answer.y, X) < -100 and answer.bar == ""
    assert answer.consistency_db < -100 and answer.seconds > 0


@pytest.mark.long
def test_noise_gets_an_error_bar():
    given = noisy(torch.from_numpy(S), 20).numpy()
    answer = brought.answered(brought.read("S.npy", npy(given), **FIELDS))
    assert answer.bar.startswith("noise of ") and "as good as -" in answer.bar
    assert metrics.waveform_error_db(answer.y, X) < -25


# -- controls ----------------------------------------------------------------------------------


def test_an_upload_is_shown_recovered_and_heard():
    door = door_with("<S>.npy", npy(S[:, ::4]))
    assert door.error is None and door.notice.value == "" and not door.go.disabled
    assert door.sentences.value.startswith("<p>") and door.still()[1:4] == b"PNG"
    assert door.views.value.count("<img alt=") == 1
    assert "image/png" in door._repr_mimebundle_()[0]
    door.go.click()
    door.wait(60)
    assert (
        door.error is None
        and door.views.value.count("<img alt=") == 2
        and "done in" in door.status.value
    )
    assert "fits what was given to -" in door.scores.value
    assert (
        door.sound.value.count("<audio") == 1
        and "Download" in door.file.value
        and "recover(), from &lt;S&gt;.npy" in door.made.value
        and metrics.waveform_error_db(door.answer.y, X) < -90
    )
    door.scale.value = "power"
    assert door.answer is None and door.sound.value == door.scores.value == ""


@pytest.mark.parametrize("name", ["S.txt", "<b>.npy", "S.png", "S.mat", "S.npz"])
def test_a_bad_file_gets_a_sentence_and_the_next_one_works(name):
    door = door_with(name, b"no scalogram")
    assert 'role="alert"' in door.notice.value and "Traceback" not in door.notice.value
    assert door.go.disabled and door.error is None and door.given is None
    door.go.click()
    assert door.answer is None
    upload(door, "S.npy", npy(S))
    assert door.notice.value == "" and not door.go.disabled


def test_a_bad_file_leaves_nothing_of_the_answer_before(monkeypatch):
    monkeypatch.setattr(
        brought, "answered", lambda given, callback: brought.Answer(given, X, -3.0, "", 1.0)
    )
    door = door_with("S.npy", npy(S))
    door.go.click()
    door.wait(30)
    assert door.answer is not None and door.sound.value and door.file.value
    for _ in range(2):  # the second time is said again
        upload(door, "letter.npy", b"Dear Sir")
        assert "letter.npy" in door.notice.value and door.upload.value == ()
        for part in (door.sound, door.file, door.made, door.views, door.scores, door.status):
            assert part.value == ""
    upload(door, "S.npy", npy(S))
    given = door.given
    upload(door, "S.npy", npy(S))
    assert door.given is not given  # the same file twice is read twice


def test_a_file_that_is_too_large_is_refused(monkeypatch):
    monkeypatch.delenv(session.UPLOAD, raising=False)
    monkeypatch.setattr(session, "SMALLEST_LIMIT", 10)
    assert "can be sent" in door_with("S.npy", npy(S)).notice.value


def test_a_field_that_does_not_fit_gets_a_sentence_and_can_be_put_right():
    door = door_with("S.npy", npy(S))
    door.seconds.value = 0.05
    assert "columns" in door.notice.value and door.go.disabled
    door.seconds.value = N / RATE
    assert door.notice.value == "" and not door.go.disabled


def test_cancel_stops_and_frees_the_controls(monkeypatch):
    running, ended = threading.Event(), threading.Event()

    def endless(given, callback):
        while not callback(1, X, -3.0):
            running.set()
        ended.set()
        return brought.Answer(given, X, -3.0, "", 1.0)

    monkeypatch.setattr(brought, "answered", endless)
    door = door_with("S.npy", npy(S))
    door.go.click()
    assert running.wait(30) and door.go.disabled and not door.stop.disabled
    door.stop.click()
    door.wait(30)
    assert ended.is_set() and door.answer is None and door.status.value == "cancelled"
    assert not door.go.disabled and door.stop.disabled


def test_the_app_has_both_doors(monkeypatch):
    monkeypatch.setattr(Studio, "_finish", lambda self, result: None)
    monkeypatch.setattr("scalinv_utils.app.session.solve", lambda task: None)
    app = Studio("bell")
    assert isinstance(app.door, Door) and app.children[-1].children == (app.door,)
