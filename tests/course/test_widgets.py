"""Explorers without a browser: every callback at the ends, in the middle and at random."""

import asyncio
import base64
import functools
import html
import io
import json
import re
import time

import ipywidgets
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image, ImageChops, ImageStat

from scalinv_utils.course import _pictures, _stored, audio, plotting, widgets
from scalinv_utils.course._stored import Control, thinned
from scalinv_utils.course.widgets import Question, choice, explore, film, frame_player, slider


def draw(ax, number):
    """A line that only this number draws."""
    ax.plot([0, 1], [0, number])
    ax.set(xlim=(0, 1), ylim=(0, 40))


@functools.cache
def reference(number):
    """What `draw` looks like, drawn elsewhere: rendering is slow, so once each."""
    return film(draw, (2, 1))(number)


def player(n=12, frames=None):
    return frame_player(
        frames or film(draw, (2, 1)),
        [f"frame {k} of {n}" for k in range(n)],
        "A line",
        "A line turns upwards.",
    )


def explorer(compute=lambda slope, steps: slope * steps, draw=draw):
    return explore(
        compute,
        draw,
        {"slope": slider("slope (Hz/s)", [1, 2, 4], 2), "steps": slider("steps", range(8), 3)},
        "A line",
        "A line of slope six.",
        figsize=(2, 1),
    )


@functools.cache
def shared_player():
    """One player for all the random walks: as in a notebook, the moves add up."""
    return player()


@functools.cache
def shared_explorer():
    return explorer()


def size(png):
    return Image.open(io.BytesIO(png)).size


@settings(max_examples=15, deadline=None)
@given(st.lists(st.sampled_from(range(12)), min_size=1, max_size=6))
def test_frames_follow_the_slider(moves):
    p = shared_player()
    for index in [0, 11, 5, *moves]:
        p.slider.value = index
        assert p.label.value == f"frame {index} of 12" and p.error is None
        assert p.picture.value == reference(index)


def test_each_frame_is_drawn_once_and_none_too_early():
    drawn = []
    p = player(30, lambda k: drawn.append(k) or reference(k))
    assert drawn == [0]
    for k in (7, 0, 7, 29):
        p.slider.value = k
    assert drawn == [0, 7, 29]


def test_play_and_slider_cover_the_same_frames():
    p = player(5)
    assert (p.play.min, p.play.max) == (p.slider.min, p.slider.max) == (0, 4)
    link = p._link
    assert link.source == (p.play, "value") and link.target == (p.slider, "value")
    assert p.slider.description == "frame" and "arrow keys" in p.slider.tooltip


@pytest.mark.parametrize("n", [1, 2, 7, 40])
def test_ready_made_frames_and_the_film_strip(n):
    frames = [reference(k % 12) for k in range(n)]
    p = player(n, frames)
    p.slider.value = n - 1
    assert p.picture.value == frames[-1]
    width, height = size(frames[0])
    height += plotting.LINE_HEIGHT  # a label above each
    assert size(p.still()) == (width * min(n, 2), height * -(-min(n, 6) // 2))


def test_webp_frames_are_declared_as_such():
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, "WEBP")
    assert player(1, [buffer.getvalue()]).picture.format == "webp"
    assert player(1).picture.format == "png"


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([1, 2, 4]), st.sampled_from(range(8)))
def test_the_picture_follows_the_controls(slope, steps):
    e = shared_explorer()
    for slope_now, steps_now in [(1, 0), (4, 7), (2, 4), (slope, steps)]:
        e.controls["slope"].value, e.controls["steps"].value = slope_now, steps_now
        assert e.error is None
        assert e.picture.value == reference(slope_now * steps_now)


def test_each_combination_is_computed_once():
    calls = []
    e = explorer(lambda slope, steps: calls.append((slope, steps)) or slope * steps)
    for steps in (5, 3, 5, 3):
        e.controls["steps"].value = steps
    assert calls == [(2, 3), (2, 5)]


def in_idle_kernel(make, monkeypatch):
    """What `make` returns in a kernel that then has nothing to do until all is drawn."""

    async def kernel():
        box = make()
        while len(box._pictures._made) < wanted:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        return box

    wanted = 4
    monkeypatch.setattr(_pictures, "REST", 0.01)
    monkeypatch.setattr(_pictures, "MOST_AHEAD", wanted)
    return asyncio.run(asyncio.wait_for(kernel(), 60))


def test_frames_are_drawn_ahead_in_an_idle_kernel_and_no_more_than_memory_allows(monkeypatch):
    drawn = []
    p = in_idle_kernel(lambda: player(9, lambda k: drawn.append(k) or reference(k)), monkeypatch)
    assert drawn == [0, 1, 2, 3] and p.slider.value == 0 and p.picture.value == reference(0)
    p.slider.value = 3
    assert drawn == [0, 1, 2, 3] and p.picture.value == reference(3)


def test_combinations_are_drawn_ahead_and_what_fails_waits_for_the_person(monkeypatch):
    calls = []

    def compute(slope, steps):
        calls.append((slope, steps))
        return 1 / (steps - 1)

    e = in_idle_kernel(lambda: explorer(compute), monkeypatch)
    assert calls == [(2, 3), (1, 3), (4, 3), (2, 2), (2, 4)]  # the start, then the nearest
    assert e.error is None and e.picture.value == reference(0.5)
    e.controls["slope"].value, e.controls["steps"].value = 1, 1
    assert isinstance(e.error, ZeroDivisionError)


def test_nothing_is_drawn_ahead_under_the_hands_of_a_person(monkeypatch):
    async def kernel():
        p = player(9, lambda k: drawn.append(k) or reference(k))
        for k in [5, 6] * 10:
            p.slider.value = k
            await asyncio.sleep(0.01)

    drawn = []
    monkeypatch.setattr(_pictures, "REST", 5)
    asyncio.run(kernel())
    assert drawn == [0, 5, 6]


def test_players_follow_the_controls():
    e = explore(
        lambda level: level,
        draw,
        {"level": slider("level", [1, 2], 1)},
        "A",
        "A line.",
        listen=lambda level: audio.player([0.1 * level] * 800, 8000),
        figsize=(2, 1),
    )
    first = e.sound.value
    assert first.count("<audio") == 1 and e.sound in e.children
    e.controls["level"].value = 2
    assert e.sound.value.count("<audio") == 1 and e.sound.value != first
    e.controls["level"].value = 1
    assert e.sound.value == first


@pytest.mark.parametrize("fails_at", [1, 4])
def test_a_trial_finds_what_fails_away_from_the_start(monkeypatch, fails_at):
    monkeypatch.setenv(widgets.TRIAL, "yes")
    with pytest.raises(ZeroDivisionError):
        explorer(lambda slope, steps: 1 / (slope - fails_at))
    with pytest.raises(KeyError):
        player(9, {k: reference(k) for k in (0, 4)}.__getitem__)


def test_a_trial_visits_every_end_and_middle_and_leaves_things_as_they_were(monkeypatch):
    seen = []
    monkeypatch.setenv(widgets.TRIAL, "yes")
    e = explorer(lambda slope, steps: seen.append((slope, steps)) or slope * steps)
    assert {(1, 3), (2, 3), (4, 3), (2, 0), (2, 4), (2, 7)} < set(seen)
    assert (e.controls["slope"].value, e.controls["steps"].value) == (2, 3)
    assert e.picture.value == reference(6)
    e = explore(
        lambda x, k: k * x,
        draw,
        {"x": ipywidgets.FloatSlider(max=2.0), "k": ipywidgets.IntSlider(max=3)},
        "A",
        "A line.",
    )
    assert e.controls["x"].value == e.controls["k"].value == 0


def test_what_a_callback_raises_is_shown_and_goes_away():
    e = explorer(lambda slope, steps: 1 / (steps - 5))
    before = e.picture.value
    e.controls["steps"].value = 5
    assert isinstance(e.error, ZeroDivisionError) and e.picture.value == before
    assert "ZeroDivisionError" in e.message.value and "&lt;lambda&gt;" in e.message.value
    e.controls["steps"].value = 6
    assert e.error is None and e.message.value == ""
    p = player(3, {0: reference(0), 2: reference(2)}.__getitem__)
    p.slider.value = 1
    assert isinstance(p.error, KeyError) and 'role="alert"' in p.message.value
    p.slider.value = 2
    assert p.error is None and p.label.value == "frame 2 of 3"


def test_what_fails_at_the_start_raises():
    with pytest.raises(ZeroDivisionError):
        explorer(lambda slope, steps: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        player(3, lambda k: 1 // 0)


@pytest.mark.parametrize("make", [player, explorer])
def test_viewers_without_a_kernel_get_a_picture_and_words(make):
    box = make()
    data, metadata = box._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    assert size(base64.b64decode(data["image/png"])) == size(box.still())
    assert data["text/plain"] == metadata["image/png"]["alt"] == box.alt
    assert box.picture.tooltip is None  # ipywidgets 8.1 cannot show an Image that has one
    assert html.escape(box.alt) in box.words.value and box.words in box.children


def test_controls_are_labelled_and_wait_for_the_release():
    control = slider("momentum", [0, 0.5, 0.99], 0.5)
    assert control.description == "momentum" and control.continuous_update is False
    assert isinstance(control, ipywidgets.SelectionSlider) and control.options == (0, 0.5, 0.99)


def test_a_choice_is_a_row_of_buttons():
    control = choice("wavelet", [("Cauchy", "cauchy"), "gmw"], "gmw")
    assert isinstance(control, ipywidgets.ToggleButtons)
    assert (control.description, control.value) == ("wavelet", "gmw")


def test_a_slow_picture_is_dimmed_until_the_next_one_is_there(monkeypatch):
    def slow(slope, steps):
        time.sleep(0.3 if steps == 5 else 0)
        if boxes:
            seen.append((*boxes[0].picture._dom_classes, "drawing ..." in boxes[0].heading.value))
        return slope * steps

    seen, boxes = [], []
    monkeypatch.setattr(widgets, "SLOW", 0.1)
    boxes.append(explorer(slow))
    for steps in (5, 6):
        boxes[0].controls["steps"].value = steps
        assert boxes[0].picture._dom_classes == ()
        assert "drawing ..." not in boxes[0].heading.value
    assert seen == [(widgets.DIMMED, True), (False,)]


# -- predictions -------------------------------------------------------------------------------

QUESTIONS = [
    Question("Is it <red>?", ("yes", "no"), "no", "It is blue."),
    Question("Is it steep?", ("yes", "no"), "yes", "Its slope is 6."),
]


def asking():
    return frame_player(film(draw, (2, 1)), "ab", "A line", "Words.", predict=QUESTIONS)


def covered(box):
    return [widget.layout.display == "none" for widget in box.children[2:]]


def test_everything_is_covered_until_all_questions_have_an_answer():
    p = asking()
    assert all(covered(p)) and p.words in p.children[2:]
    first, second = p.predictions.choices
    first.value = "yes"
    assert all(covered(p)) and not p.predictions.verdicts[0].value
    second.value = "yes"
    assert not any(covered(p))
    texts = [verdict.value for verdict in p.predictions.verdicts]
    assert texts == ["You chose yes; it is no. It is blue.", "Right. Its slope is 6."]
    assert "&lt;red&gt;" in p.predictions.children[1].value


def test_questions_can_be_passed_over_and_a_trial_does_not_wait(monkeypatch):
    p = asking()
    p.predictions.skip.click()
    assert not any(covered(p))
    assert p.predictions.verdicts[0].value == "Answer: no. It is blue."
    monkeypatch.setenv(widgets.TRIAL, "yes")
    assert not any(covered(asking()))


def test_the_right_answer_is_one_of_the_choices():
    with pytest.raises(ValueError, match="predict: the choices of 'Why'"):
        explore(lambda: 0, draw, {}, "A", "B", predict=[Question("Why", ("a", "b"), "c", ".")])


# -- the stored form ---------------------------------------------------------------------------


def data_of(box):
    """What the stored form of a box hands to its script."""
    written = re.search(r'<script type="application/json">(.*?)</script>', box.element(), re.S)[1]
    return json.loads(written.replace("<\\/", "</"))


def stored_pictures(data):
    """The pictures that are stored, in order."""
    width, height = data["size"]
    for sheet in data["sheets"]:
        image = Image.open(io.BytesIO(base64.b64decode(sheet.split(",")[1])))
        for y in range(0, image.height, height):
            yield image.crop((0, y, width, y + height))


def assert_alike(picture, png):
    """Two pictures differ by no more than what few colours do to them."""
    whole = Image.open(io.BytesIO(png)).convert("RGB")
    differences = ImageChops.difference(picture.convert("RGB"), whole).convert("L")
    assert differences.getextrema()[1] < 64 and ImageStat.Stat(differences).mean[0] < 1


def test_a_stored_film_has_every_frame_and_its_label():
    data = data_of(player(20))
    (control,) = data["controls"]
    assert control["texts"][:2] == ["1 of 20", "2 of 20"] and control["kind"] == "range"
    assert data["labels"][7] == "frame 7 of 20" and data["interval"] == 200
    assert (data["title"], data["alt"]) == ("A line", "A line turns upwards.")
    pictures = list(stored_pictures(data))
    assert len(pictures) == 20
    for k in (0, 7, 15, 16, 19):
        assert_alike(pictures[k], reference(k))


def test_a_stored_grid_has_a_picture_for_each_combination():
    e = explorer()
    data = data_of(e)
    slope, steps = data["controls"]
    assert (slope["texts"], slope["start"]) == (["1", "2", "4"], 1)
    assert (steps["texts"], steps["start"]) == ([str(k) for k in range(8)], 3)
    pictures = list(stored_pictures(data))
    assert len(pictures) == 24 and "labels" not in data and "sounds" not in data
    for k, number in ((0, 0), (8 + 3, 6), (23, 28)):
        assert_alike(pictures[k], reference(number))


def test_the_author_may_say_which_values_are_stored():
    controls = {"x": slider("x", range(9), 4), "name": choice("name", [("A", 1), ("B", 2)], 2)}
    e = explore(lambda x, name: x, draw, controls, "A", "B", stored={"x": (0, 4), "name": (2,)})
    x, name = data_of(e)["controls"]
    assert (x["texts"], x["start"]) == (["0", "4"], 1)
    assert (name["texts"], name["kind"]) == (["B"], "choice")
    with pytest.raises(ValueError, match="stored must be"):
        explore(lambda x: x, draw, {"x": slider("x", range(9), 4)}, "A", "B", stored={"y": (1,)})
    e = explore(lambda x: x, draw, {"x": slider("x", range(9), 4)}, "A", "B", stored={"x": (10,)})
    with pytest.raises(ValueError, match=r"stored\['x'\] must hold values"):
        e.element()


def test_sounds_and_questions_are_stored_and_code_stands_once():
    levels = slider("level", [1, 2], 1)
    e = explore(
        lambda level: level,
        draw,
        {"level": levels},
        "A",
        "B",
        figsize=(2, 1),
        listen=Sounding,
        predict=QUESTIONS,
    )
    data = data_of(e)
    assert data["sounds"] == ["<b>1</b>", "<b>2</b>"]
    assert data["questions"][0] == {
        "text": "Is it <red>?",
        "choices": ["yes", "no"],
        "right": 1,
        "because": "It is blue.",
    }
    assert e.element().count("let a = 1") == 1


class Sounding:
    """Players with code of their own."""

    def __init__(self, level):
        self.level = level

    def _repr_html_(self):
        return f'<b>{self.level}</b><script data-scalinv="x">let a = 1</script>'


@given(
    st.lists(st.tuples(st.integers(1, 12), st.booleans(), st.floats(0, 1)), min_size=1, max_size=4),
    st.integers(1, 60),
)
def test_thinning_keeps_ends_and_start_and_all_categories(shapes, most):
    controls = [
        Control("c", [str(k) for k in range(count)], round(share * (count - 1)), ordered)
        for count, ordered, share in shapes
    ]
    kept = thinned(controls, most)
    product, can_shrink = 1, False
    for control, places in zip(controls, kept):
        count = len(control.texts)
        fewest = {0, control.start, count - 1}
        assert places == sorted(set(places)) and fewest <= set(places) <= set(range(count))
        assert control.ordered or len(places) == count
        product *= len(places)
        can_shrink |= control.ordered and len(places) > len(fewest)
    assert product <= most or not can_shrink


def test_what_is_kept_is_evenly_spread():
    (kept,) = thinned([Control("c", [""] * 25, 6, True)], 5)
    assert kept == [0, 6, 12, 18, 24]


def test_a_heavy_film_gets_fewer_colours_and_then_fewer_frames(monkeypatch):
    random = np.random.default_rng(0)
    frames = [noise(random) for _ in range(12)]
    p = player(12, frames)
    whole = data_of(p)
    assert len(whole["labels"]) == 12
    weight = sum(len(base64.b64decode(sheet.split(",")[1])) for sheet in whole["sheets"])
    monkeypatch.setattr(_stored, "MODEST", weight // 3)
    monkeypatch.setattr(_stored, "LARGEST", weight // 3)
    data = data_of(p)
    labels = data["labels"]
    assert 3 <= len(labels) < 12
    assert (labels[0], labels[-1]) == ("frame 0 of 12", "frame 11 of 12")
    assert sum(len(base64.b64decode(s.split(",")[1])) for s in data["sheets"]) <= weight // 3


def noise(random):
    buffer = io.BytesIO()
    Image.fromarray(random.integers(0, 256, (30, 40, 3), dtype=np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def test_the_element_comes_along_only_while_notebooks_are_stored(monkeypatch):
    p = player(2)
    assert "text/html" not in p._repr_mimebundle_()[0]
    monkeypatch.setenv(_stored.STORE, "yes")
    assert p._repr_mimebundle_()[0]["text/html"] == p.element()


def test_titles_are_text_and_not_markup():
    p = frame_player(film(draw, (2, 1)), ["a"], "P <b>& Q", "words")
    assert "P &lt;b&gt;&amp; Q" in p.children[0].value


@pytest.mark.parametrize(
    ("frames", "labels", "alt", "words"),
    [
        ([b"1"], ["a", "b"], "words", "labels must hold one text for each of the 1 frames, got 2"),
        ([], [], "words", "labels must hold"),
        (film(draw, (2, 1)), ["a"], " ", "alt must say"),
    ],
)
def test_bad_input_is_named(frames, labels, alt, words):
    with pytest.raises(ValueError, match=words):
        frame_player(frames, labels, "title", alt)
