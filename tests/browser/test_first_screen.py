"""The first screen, opened as a file on a phone: four sounds, alone and in a row."""

import browsing
import pytest
import stored

from scalinv_utils.tools.site import _first_screen

from .hearing import LISTEN, check_with_axe, level

pytestmark = pytest.mark.browser

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>First screen</title>
<meta name="viewport" content="width=device-width"><style>:root {{color-scheme: light dark}}
body {{font: 16px/1.6 sans-serif; margin: 12px 16px}} {css}</style>
<main>{screen}</main><script>{js}</script></html>"""

PHONE = {"width": 390, "height": 844}
HEADER = 56  # pixels that a theme takes at the top

FOLLOW = """screen => {
    window.order = [];
    window.captions = [];
    const sounds = screen.querySelector('scalinv-sounds');
    sounds.addEventListener('scalinv-sounds', () => {
        if (!sounds.playing) return;
        window.order.push(sounds.selected);
        window.captions.push(screen.querySelector('figcaption').textContent);
    });
}"""


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    screen = _first_screen.html(stored.write(folder / "00.ipynb", stored.sounds()))
    assets = _first_screen.TEMPLATE.parent.parent / "assets"
    css, js = ((assets / f"first_screen.{kind}").read_text("utf-8") for kind in ("css", "js"))
    (folder / "index.html").write_text(PAGE.format(screen=screen, css=css, js=js), "utf-8")
    return folder / "index.html"


@pytest.fixture
def screen(page, file):
    """Open the page on a phone; nothing on it may raise an exception."""
    errors = []
    page.on("pageerror", lambda error: errors.append(error))
    page.add_init_script(LISTEN)
    page.set_viewport_size(PHONE)
    page.goto(file.as_uri())
    yield page.locator(".first-screen")
    assert not errors


def big(screen, name):
    return screen.locator("button", has_text=name).first


def test_it_is_light_and_stands_above_the_fold(page, screen, file):
    assert file.stat().st_size < 300_000  # the limit is a million bytes
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    boxes = [button.bounding_box() for button in screen.locator("> button, > .four > button").all()]
    assert len(boxes) == 5 and min(box["height"] for box in boxes) >= 56
    caption = screen.locator("figcaption").bounding_box()
    for box in [*boxes, caption]:
        assert box["y"] + box["height"] < PHONE["height"] - HEADER
    links = screen.locator(".ways a")
    assert [link.get_attribute("href") for link in links.all()] == [
        "your_voice.html",
        "notebooks/00_start_here.html",
    ]


def test_each_big_button_plays_its_sound_under_its_picture(page, screen):
    sounds, cursor = screen.locator("scalinv-sounds"), screen.locator(".cursor")
    sounds.evaluate("e => e.clock.loop(true)")
    levels = {}
    for k, name in enumerate(["The word", "Random phase", "Griffin-Lim", "Recovered"]):
        button = big(screen, name)
        button.press("Enter") if k % 2 else button.click()
        levels[name] = level(page)
        assert sounds.evaluate("e => [e.playing, e.selected]") == [True, k]
        assert button.get_attribute("aria-pressed") == "true"
        assert [image.is_visible() for image in screen.locator(".stage img").all()] == [
            k == shown for shown in range(4)
        ]
        assert cursor.is_visible()
        button.click()
        assert button.get_attribute("aria-pressed") == "false" and not cursor.is_visible()
    assert levels["Random phase"] < levels["Recovered"] - 15


def test_all_in_a_row_play_in_order_with_their_captions(page, screen):
    screen.evaluate(FOLLOW)
    row = big(screen, "Play all four in a row")
    row.click()
    assert row.get_attribute("aria-pressed") == "true"
    ended = "b => b.getAttribute('aria-pressed') == 'false'"
    browsing.wait_for(page, ended, row.element_handle(), "the end of the row")
    assert page.evaluate("order") == [0, 1, 2, 3]
    captions = page.evaluate("captions")
    assert (
        captions[0] == "The word, as it was spoken." and "−191.9\N{NO-BREAK SPACE}dB" in captions[3]
    )


def test_a_row_ends_when_somebody_stops_it_or_plays_something_else(page, screen):
    screen.evaluate(FOLLOW)
    row = big(screen, "Play all four in a row")
    row.click()
    browsing.wait_for(page, "window.order.length == 1", None, "the word")
    row.click()
    assert row.get_attribute("aria-pressed") == "false"
    row.click()
    browsing.wait_for(page, "window.order.length == 2", None, "the word again")
    big(screen, "Recovered").click()
    page.wait_for_timeout(2000)  # longer than the sound and the pause after it
    assert page.evaluate("order") == [0, 0, 3]
    assert row.get_attribute("aria-pressed") == "false"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(page, screen, scheme):
    page.emulate_media(color_scheme=scheme)
    big(screen, "Play all four in a row").click()
    check_with_axe(page)
