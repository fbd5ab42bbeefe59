"""The page "Try it on your own voice", opened from a file: every way in, every button."""

import io
import re

import browsing
import numpy as np
import pytest
import soundfile

from scalinv_utils.course import signals
from scalinv_utils.tools.environment import ROOT

pytestmark = pytest.mark.browser

SITE = ROOT / "scalinv_utils/tools/site"

# Notes each sound that is played: its level, length and rate.
LISTENER = """
    window.played = [];
    const start = AudioBufferSourceNode.prototype.start;
    AudioBufferSourceNode.prototype.start = function (...args) {
        const x = this.buffer.getChannelData(0);
        const rms = Math.sqrt(x.reduce((sum, value) => sum + value * value, 0) / x.length);
        window.played.push({ rms, length: x.length, rate: this.buffer.sampleRate });
        return start.apply(this, args);
    };
"""
FAKE_MICROPHONE = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
SMALLEST_TARGET, PHONE = 44, {"width": 390, "height": 844}


def standalone(folder):
    """Write a page around the fragment, with the assets that its comment names, in that order."""
    fragment = (SITE / "pages/your_voice.html").read_text(encoding="utf-8")
    names = re.findall(r"\w+\.(?:js|css)", fragment.split("-->")[0])
    assets = [
        f'<link rel="stylesheet" href="{(SITE / "assets" / name).as_uri()}">'
        if name.endswith(".css")
        else f'<script src="{(SITE / "assets" / name).as_uri()}"></script>'
        for name in names
    ]
    head = '<!doctype html><html lang="en"><meta charset="utf-8"><title>Voice</title>'
    file = folder / "your_voice.html"
    file.write_text("\n".join([head, assets[0], "<body>", fragment, *assets[1:]]), "utf-8")
    return file.as_uri()


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    return standalone(tmp_path_factory.mktemp("voice"))


@pytest.fixture
def voice(chromium, address):
    """Open the page on a phone; what it requests and what goes wrong in it is noted."""
    context = chromium.new_context(viewport=PHONE)
    context.add_init_script(LISTENER)
    page = context.new_page()
    page.requested, page.wrong = [], []
    page.on("request", lambda request: page.requested.append(request.url))
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    page.goto(address)
    yield page
    assert not page.wrong
    assert all(url.startswith(("file:", "blob:")) for url in page.requested)
    context.close()


def press(page, act, stage=None):
    within = f"[data-stage={stage}] " if stage else ""
    page.click(f"{within}[data-act={act}]")


def verdict(page, stage):
    """Wait for the verdict of a stage; return it, and its (fit, error) in dB."""
    place = f"[data-stage={stage}] .voice-verdict"
    browsing.wait_for(
        page, "place => document.querySelector(place).textContent", place, f"the verdict: {stage}"
    )
    text = page.inner_text(place)
    return text, [int(level) for level in re.findall(r"(-?\d+) dB", text)[:2]]


def play(page, stage):
    """Press Play, and return what was played."""
    press(page, "play", stage)
    button = page.locator(f"[data-stage={stage}] [data-act=play]")
    assert button.inner_text() == "Stop playing"
    press(page, "play", stage)
    assert button.inner_text().startswith("Play ")
    return page.evaluate("played.at(-1)")


def test_the_example_breaks_and_comes_back(voice):
    press(voice, "example")
    fit, error = verdict(voice, "scramble")[1]
    assert -3 < fit <= 0
    assert -3 < error <= 3
    griffin_lim_goes_on_until_it_is_stopped(voice)
    recovery_is_told_in_words(voice)
    every_sound_is_played_at_one_gain(voice)
    pictures_say_what_they_show(voice)
    everything_fits_a_phone_and_a_finger(voice)


def griffin_lim_goes_on_until_it_is_stopped(page):
    press(page, "one")
    text, _ = verdict(page, "griffinLim")
    assert text.startswith("After 1 step the scalogram fits")
    assert page.evaluate("document.activeElement.dataset.act") == "one"
    press(page, "fifty")
    assert page.evaluate("document.activeElement.dataset.act") == "stop"
    count = "document.querySelector('[data-stage=griffinLim] .voice-numbers').textContent"
    browsing.wait_for(page, f"() => parseInt({count}.slice(5)) >= 4", None, "three more steps")
    press(page, "stop", "griffinLim")
    text, (fit, error) = verdict(page, "griffinLim")
    assert 4 <= int(re.findall(r"After (\d+) steps", text)[0]) < 51
    assert fit < -8 and error > -20
    assert "it is another waveform" in text
    assert page.evaluate("document.activeElement.dataset.act") == "fifty"


def recovery_is_told_in_words(page):
    press(page, "recover")
    text, (fit, error) = verdict(page, "recover")
    assert text.startswith("Recovered: ")
    assert fit < -150 and error < -140
    assert page.locator(".voice-progress").is_hidden()


def every_sound_is_played_at_one_gain(page):
    sound, scrambled, attempt, recovered = (
        play(page, stage) for stage in ("sound", "scramble", "griffinLim", "recover")
    )
    assert sound["length"] == 4096 and sound["rate"] == 8000
    assert 0.05 < sound["rms"] < 0.5
    assert recovered["rms"] == pytest.approx(sound["rms"], rel=1e-4)
    quieter = int(re.findall(r"(\d+) dB quieter", verdict(page, "scramble")[0])[0])
    assert 20 * np.log10(sound["rms"] / scrambled["rms"]) == pytest.approx(quieter, abs=0.6)
    assert 0.3 * sound["rms"] < attempt["rms"] < 1.1 * sound["rms"]


def pictures_say_what_they_show(page):
    labels = [picture.get_attribute("aria-label") for picture in page.locator("[role=img]").all()]
    assert len(labels) == len(set(labels)) == 8
    assert re.fullmatch(
        r"Scalogram of the recovered signal\. Fit -\d+ dB, waveform error -\d+ dB\.", labels[-2]
    )
    colours = page.evaluate(
        "() => { const c = document.querySelector('[data-stage=sound] canvas');"
        "return [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]; }"
    )
    pixels = np.array(colours, dtype=int).reshape(-1, 4)[:, :3]
    assert [0, 0, 3] in pixels.tolist() and [251, 252, 191] in pixels.tolist()  # magma's ends


def everything_fits_a_phone_and_a_finger(page):
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    boxes = [button.bounding_box() for button in page.locator("button").all()]
    assert len(boxes) == 12
    assert all(min(box["width"], box["height"]) >= SMALLEST_TARGET for box in boxes)


def test_a_file_replaces_the_sound_and_what_was_shown_of_it(voice, tmp_path):
    press(voice, "example")
    verdict(voice, "scramble")
    press(voice, "one")
    verdict(voice, "griffinLim")
    x = signals.recording("speech", sample_rate=16000)[0].numpy()
    soundfile.write(tmp_path / "two.wav", np.stack([x, 0.5 * x], axis=1), 16000)
    voice.set_input_files("input[type=file]", tmp_path / "two.wav")
    said = "two.wav. Its 2 channels were averaged into one. The loudest half second is used, "
    voice.locator(".voice-status", has_text=said).wait_for()
    _, (fit, _) = verdict(voice, "scramble")
    assert fit <= 0
    assert voice.locator("[data-stage=griffinLim] canvas").count() == 0
    assert voice.is_disabled("[data-stage=griffinLim] [data-act=play]")
    expected = signals.recording("speech", sample_rate=8000, n_samples=4096)[0].numpy()
    crest = np.sqrt((expected**2).mean()) / abs(expected).max()
    assert play(voice, "sound")["rms"] == pytest.approx(0.5 * crest, rel=0.1)


def wav(x, rate=8000):
    file = io.BytesIO()
    soundfile.write(file, x, rate, format="WAV", subtype="FLOAT")
    return list(file.getvalue())


TONE = 0.5 * np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)
SENTENCES = {
    "words.txt": (list(b"not a sound"), "This browser cannot read words.txt as sound"),
    "empty.wav": ([], "This browser cannot read empty.wav as sound"),
    "silence.wav": (wav(0 * TONE), "silence.wav is silent, so there is nothing to recover."),
    "click.wav": (wav(TONE[:400]), "click.wav lasts 0.05 s; it takes at least 0.1 s."),
    "against.wav": (wav(np.stack([TONE, -TONE], 1)), "channels that cancel each other"),
    "two.wav": (wav(np.stack([TONE, TONE], 1)), "Its 2 channels were averaged into one."),
    "short.wav": (wav(TONE[:2000]), "It lasts 0.25 s; silence fills up half a second."),
    "quiet.wav": (wav(0.002 * TONE), "It is quiet, 60 dB below full scale, and is played louder"),
    "clipped.wav": (wav(np.clip(4 * TONE, -1, 1)), "It is clipped: it reaches full scale"),
}


@pytest.fixture(scope="module")
def reader(context, address):
    """Open the page once for files that are only read."""
    page = context.new_page()
    page.goto(address)
    yield page
    page.close()


@pytest.mark.parametrize("name", SENTENCES)
def test_what_is_odd_about_a_sound_is_said(reader, name):
    content, sentence = SENTENCES[name]
    said = reader.evaluate(
        """([name, bytes]) => scalinvVoice.fromFile(new File([new Uint8Array(bytes)], name))
            .then(({ x, notes }) => [String(x.length), ...notes].join(" "), e => e.message)""",
        [name, content],
    )
    assert sentence in said


def test_nothing_is_said_of_an_ordinary_sound(reader):
    notes = reader.evaluate(
        """bytes => scalinvVoice.fromFile(new File([new Uint8Array(bytes)], "tone.wav"))
            .then(({ notes }) => notes)""",
        wav(TONE[:4096]),
    )
    assert notes == []


def test_without_a_microphone_other_ways_are_named(voice):
    press(voice, "record")
    voice.locator(".voice-status", has_text="Choose a file or use the example instead.").wait_for()
    assert voice.evaluate("document.activeElement.dataset.act") == "record"
    assert voice.locator("[data-stage=sound]").is_hidden()


def test_a_bad_file_leaves_the_sound_that_is_there(voice, tmp_path):
    press(voice, "example")
    verdict(voice, "scramble")
    (tmp_path / "words.wav").write_text("not a sound")
    voice.set_input_files("input[type=file]", tmp_path / "words.wav")
    voice.locator(".voice-status", has_text="cannot read words.wav as sound").wait_for()
    assert voice.locator("[data-stage=sound] canvas").is_visible()


def test_a_microphone_is_recorded_and_let_go(chromium, address):
    """Chromium's fake microphone beeps once a second."""
    browser = chromium.browser_type.launch(
        executable_path=browsing.browser_path(), args=[*browsing.SWITCHES, *FAKE_MICROPHONE]
    )
    page = browser.new_page(viewport=PHONE)
    page.add_init_script(LISTENER)
    page.goto(address)
    press(page, "record")
    page.locator(".voice-status", has_text="Recording 2 seconds: speak now.").wait_for()
    browsing.wait_for(page, "() => document.querySelector('meter').value > -40", None, "a level")
    text, _ = verdict(page, "scramble")
    assert "quieter than the sound" in text
    assert page.inner_text(".voice-status").startswith("Your recording.")
    assert play(page, "sound")["rms"] > 0.01
    assert page.locator(".voice-level").is_hidden()
    browser.close()


def test_without_workers_the_page_itself_computes(voice):
    voice.evaluate("() => { window.Worker = () => { throw new Error('none'); }; }")
    press(voice, "example")
    assert verdict(voice, "scramble")[1][0] <= 0
