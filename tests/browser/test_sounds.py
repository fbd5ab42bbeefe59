"""Players of sounds on a page of its own, opened as a file: what is heard, shown and announced.

What is heard is measured where it leaves the page (`hearing`).
"""

import functools
import math

import browsing
import pytest
import torch

from scalinv_utils.course import audio, signals

from .hearing import LISTEN, check_with_axe, level

pytestmark = pytest.mark.browser

RATE, SECONDS = 8000, 3
TONE = signals.tones(RATE * SECONDS, RATE, [500])

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Sounds</title>
<meta name="viewport" content="width=device-width">
<main><h1>Sounds</h1>{}</main></html>"""


@functools.cache
def two_sets():
    other = signals.tones(RATE * SECONDS, RATE, [1000])
    first = {"loud": TONE, "half": TONE / 2, "other": other, "loud again": TONE}
    sets = [
        audio.players(first, RATE, difference=True),
        audio.players({"a": TONE, "b": TONE[:RATE]}, RATE),
    ]
    return PAGE.format("<hr>".join(table._repr_html_() for table in sets))


@pytest.fixture
def sounds(page, tmp_path):
    """Open a page with two sets of sounds; nothing on it may raise an exception."""
    file = tmp_path / "sounds.html"
    file.write_text(two_sets(), "utf-8")
    errors = []
    page.on("pageerror", lambda error: errors.append(error))
    page.add_init_script(LISTEN)
    page.goto(file.as_uri())
    elements = page.locator("scalinv-sounds").all()
    for element in elements:
        element.evaluate("e => e.clock.ready")
    yield elements
    assert not errors


def button(element, name):
    return element.get_by_role("button", name=name, exact=True)


def state(element):
    return element.evaluate("e => [e.playing, e.selected, e.position]")


def test_mouse_enter_and_keys_play_and_switch_on_one_clock(page, sounds):
    first, _ = sounds
    button(first, "Play: loud").click()
    loud = level(page)
    assert loud == pytest.approx(20 * math.log10(0.9 / math.sqrt(2)), abs=0.3)
    button(first, "Play: half").focus()
    page.keyboard.press("Enter")
    half = level(page)
    *now, before = state(first)
    page.keyboard.press("3")
    assert now == [True, 1] and half == pytest.approx(loud - 6.02, abs=0.1)
    page.wait_for_timeout(100)
    *now, after = state(first)
    assert now == [True, 2] and before < after < before + 2
    assert level(page) == pytest.approx(loud, abs=0.3)
    assert button(first, "Play: other").get_attribute("aria-pressed") == "true"
    assert first.get_by_text("Playing: other").count() == 1
    button(first, "Play: other").click()
    assert level(page) < -100 and state(first) == [False, 2, 0]


def test_the_difference_is_that_of_the_samples(page, sounds):
    first, second = sounds
    assert second.get_by_role("button", name="Difference").count() == 0
    button(first, "Loop").click()
    button(first, "Play: loud").click()
    loud = level(page)
    button(first, "Difference").click()
    assert level(page) == pytest.approx(loud - 6.02, abs=0.1)  # a tone minus its half
    assert first.get_by_text("Playing: loud minus half: RMS -6.0 dB").count() == 1
    page.keyboard.press("3")
    assert level(page) == pytest.approx(loud + 3.01, abs=0.3)  # two tones of the same power
    page.keyboard.press("4")
    assert level(page) < -120
    button(first, "Difference").click()
    assert level(page) == pytest.approx(loud, abs=0.1)


def test_one_player_stops_the_other_and_all_share_one_context(page, sounds):
    first, second = sounds
    button(first, "Play: loud").click()
    alone = level(page)
    button(second, "Play: a").click()
    assert level(page) == pytest.approx(alone, abs=0.1)
    assert not state(first)[0] and state(second)[0] and page.evaluate("contexts()") == 1


def test_slider_and_click_seek_and_the_sound_ends_by_itself_unless_it_loops(page, sounds):
    first, second = sounds
    slider = first.get_by_role("slider", name="Position in half")
    box = slider.bounding_box()
    page.mouse.click(box["x"] + 0.5 * box["width"], box["y"] + 20)
    assert state(first)[:2] == [False, 1] and state(first)[2] == pytest.approx(1.5, abs=0.02)
    page.keyboard.press("ArrowRight")
    assert state(first)[2] == pytest.approx(1.5 + SECONDS / 100, abs=0.02)
    assert slider.get_attribute("aria-valuetext") == f"{state(first)[2]:.2f} of 3.00 seconds"
    page.keyboard.press("End")
    page.keyboard.press("PageDown")
    # What is left lasts 0.3 s: it may be over before anybody asks.
    first.evaluate("e => e.addEventListener('scalinv-sounds', () => { e.began ||= e.playing; })")
    page.keyboard.press("2")
    browsing.wait_for(page, "e => e.began", first.element_handle(), "the sound to begin")
    browsing.wait_for(page, "e => !e.playing", first.element_handle(), "the sound to end")
    button(second, "Loop").click()
    button(second, "Play: b").click()  # it lasts a second
    page.wait_for_timeout(1200)
    assert state(second)[0] and state(second)[2] < 1


def test_a_switch_to_a_sound_that_is_over_begins_it_again(page, sounds):
    _, second = sounds
    second.evaluate("e => e.clock.seek(2)")
    button(second, "Play: a").click()
    page.wait_for_timeout(100)
    page.keyboard.press("2")
    page.wait_for_timeout(100)
    assert state(second)[:2] == [True, 1] and 0 < state(second)[2] < 0.9


def test_two_fades_and_no_click(page, sounds):
    """The steepest step of what is heard is that of the tone, though it is cut in its middle."""
    first, _ = sounds
    rendered = torch.tensor(first.evaluate(RECORD))
    of_the_tone = 0.9 * 2 * math.pi * 500 / 48000
    assert rendered.abs().max() > 0.8 and rendered.diff().abs().max() < 1.05 * of_the_tone


RECORD = """async element => {
    const { clock } = element;
    await clock.ready;
    await clock.play(0);
    const context = clock.run.master.context, ear = new AnalyserNode(context, {fftSize: 32768});
    clock.run.master.connect(ear);
    await new Promise(resolve => setTimeout(resolve, 200));
    clock.play(1);
    await new Promise(resolve => setTimeout(resolve, 100));
    clock.stop();
    await new Promise(resolve => setTimeout(resolve, 100));
    const samples = new Float32Array(32768);
    ear.getFloatTimeDomainData(samples);
    return [...samples];
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_it_whole_and_axe_finds_nothing_serious(page, sounds, scheme):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    for part in page.get_by_role("button").all():
        size = part.bounding_box()
        assert min(size["width"], size["height"]) >= 44
    check_with_axe(page)
    alts = [image.get_attribute("alt") for image in sounds[0].get_by_role("img").all()]
    assert len(alts) == 4 and alts[0].startswith("Scalogram of loud: 0 to 3 s, 62 Hz to 4 kHz;")


def test_without_script_there_is_the_table_of_native_players(chromium, tmp_path):
    table = audio.players({"x": TONE, "y": TONE / 2}, RATE, difference=True)
    file = tmp_path / "plain.html"
    file.write_text(PAGE.format(table._repr_html_()), "utf-8")
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(file.as_uri())
    assert page.locator("audio").count() == 2 and page.locator("audio").first.is_visible()
    assert page.get_by_text("x minus y: RMS -6.0 dB").is_visible()
    context.close()


def test_sounds_that_the_browser_does_not_decode_get_its_own_players(page, tmp_path):
    broken = audio.player(TONE, RATE)._repr_html_().replace("flac;base64,", "flac;base64,AAAA")
    file = tmp_path / "broken.html"
    file.write_text(PAGE.format(broken), "utf-8")
    page.goto(file.as_uri())
    page.get_by_text("its own players").wait_for()
    assert page.locator("audio").is_visible()
