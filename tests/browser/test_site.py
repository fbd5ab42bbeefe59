"""The web pages, made once and opened from their folder: no server, no kernel, no network."""

import io
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
from browsing import wait_for
from PIL import Image

from scalinv_utils.tools.environment import ROOT
from scalinv_utils.tools.execute_notebooks import NOTEBOOKS_FOLDER

NOTEBOOKS = [path.stem for path in sorted(NOTEBOOKS_FOLDER.glob("*.ipynb"))]
WIDTHS = (390, 1024, 1280)
MOST_FIRST, MOST = 1_000_000, 6_000_000  # bytes of a page with all that it loads


class Links(HTMLParser):
    """Everything that a page loads or leads to, its ids, and the words of its pictures."""

    def __init__(self, text):
        super().__init__()
        self.loaded, self.led_to, self.ids, self.pictures = [], [], set(), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.ids.add(given.get("id"))
        if tag == "img":
            self.pictures.append(given)
        if tag == "a":
            self.led_to.append(given.get("href") or "")
        source = given.get("href") if tag == "link" else given.get("src")
        if source and tag != "a":
            self.loaded.append(source)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages") / "site"
    command = [sys.executable, "-m", "scalinv_utils.tools.site.build", str(folder)]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert made.returncode == 0, made.stdout + made.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site):
    return {path.relative_to(site).as_posix(): path for path in site.rglob("*.html")}


@pytest.fixture
def visit(chromium, site):
    """Return a function that opens a page; at the end nothing was fetched and nothing failed."""
    wrong = []
    contexts = []

    def open_page(name, width=1280, theme="light", **options):
        context = chromium.new_context(
            viewport={"width": width, "height": 844},
            color_scheme=theme,
            reduced_motion="reduce",
            **options,
        )
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(f"{name}: {error}"))
        page.on("request", lambda request: _local(request.url) or wrong.append(request.url))
        page.on("requestfailed", lambda request: wrong.append(f"missing: {request.url}"))
        page.goto((site / name).as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


def _local(address):
    return urlsplit(address).scheme in ("file", "data", "blob")


# The files


def test_every_notebook_has_a_page_and_a_file_to_download(site, pages):
    for name in NOTEBOOKS:
        assert f"notebooks/{name}.html" in pages
        stored = (NOTEBOOKS_FOLDER / f"{name}.ipynb").read_bytes()
        assert (site / "downloads" / f"{name}.ipynb").read_bytes() == stored


def test_every_link_leads_somewhere_and_nothing_is_loaded_from_elsewhere(site, pages):
    read = {path: Links(path.read_text("utf-8")) for path in pages.values()}
    for path, links in read.items():
        for address in links.loaded + links.led_to:
            parts = urlsplit(address)
            if parts.scheme in ("http", "https", "mailto"):
                assert address not in links.loaded, f"{path.name} loads {address}"
            elif parts.scheme != "data" and "${" not in address:
                target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
                assert target.exists(), f"{path.name}: {address}"
                if parts.fragment and target in read:
                    assert unquote(parts.fragment) in read[target].ids, f"{path.name}: {address}"


def test_every_picture_has_its_words(pages):
    for name, path in pages.items():
        for picture in Links(path.read_text("utf-8")).pictures:
            assert len(picture["alt"]) > 20, f"{name}: {picture}"
            assert "No description" not in picture["alt"]


def test_formulas_are_mathml_and_no_script_renders_them(pages):
    for name in NOTEBOOKS:
        text = pages[f"notebooks/{name}.html"].read_text("utf-8")
        prose = re.sub(r"<(pre|code|script|math)\b.*?</\1>", "", text, flags=re.DOTALL)
        assert not re.search(r"\$[^$<]*\\[a-z]", prose), name
        assert not re.search(r"<script[^>]*(mathjax|katex)", text, re.IGNORECASE)
    why = pages["notebooks/02_why_inversion_is_possible.html"].read_text("utf-8")
    assert why.count("<math") > 50


def test_no_page_is_heavier_than_a_phone_can_bear(site, pages):
    for name, path in pages.items():
        loaded = {
            (path.parent / unquote(urlsplit(address).path)).resolve()
            for address in Links(path.read_text("utf-8")).loaded
            if not urlsplit(address).scheme
        }
        weight = path.stat().st_size + sum(file.stat().st_size for file in loaded)
        assert weight < (MOST_FIRST if name == "index.html" else MOST), f"{name}: {weight}"


def test_the_builder_leaves_a_folder_with_other_files_alone(tmp_path):
    from scalinv_utils.tools.site import build

    (tmp_path / "thesis.tex").write_text("mine")
    assert "holds other files" in build.main([str(tmp_path)])
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


# The pages in a browser

KINDS = [
    "index.html",
    "your_voice.html",
    "notebooks/00_start_here.html",
    "notebooks/09_benchmark.html",
    "notebooks/glossary.html",
    "reference/scalinv_utils.html",
    "run_it.html",
]
everywhere = pytest.mark.parametrize("name", KINDS)


@pytest.mark.browser
@everywhere
def test_no_page_is_wider_than_its_screen(visit, name):
    for width in WIDTHS:
        page = visit(name, width)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.browser
@everywhere
@pytest.mark.parametrize(
    "theme, width", [("dark", 390), pytest.param("light", 1280, marks=pytest.mark.slow)]
)
def test_axe_finds_nothing_serious(visit, name, theme, width):
    from axe_playwright_python.sync_playwright import Axe

    page = visit(name, width, theme)
    # Without preload axe leaves the style sheets where they are, and fetches nothing.
    found = Axe().run(page, options={"preload": False}).response["violations"]
    serious = [
        f"{violation['id']}: {node['html'][:200]}"
        for violation in found
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]
    assert serious == []


@pytest.mark.browser
def test_lines_have_about_seventy_characters(visit):
    page = visit("notebooks/00_start_here.html")
    longest = page.evaluate("""() => {
        const counts = [];
        for (const p of document.querySelectorAll("article section > p")) {
            const lines = Math.round(p.offsetHeight / parseFloat(getComputedStyle(p).lineHeight));
            if (lines > 3) counts.push(p.innerText.length / (lines - 0.5));
        }
        return Math.max(...counts);
    }""")
    assert 55 < longest < 80


@pytest.mark.browser
def test_a_word_is_found_without_a_network(visit):
    page = visit("notebooks/04_griffin_lim.html")
    page.locator(".sidebar-search").first.fill("holomorphic")
    page.keyboard.press("Enter")
    page.wait_for_selector("#search-results li a")
    found = page.locator("#search-results li a").all_inner_texts()
    assert any("inversion is possible" in text for text in found), found


@pytest.mark.browser
def test_a_term_says_what_it_means_to_pointer_and_keyboard(visit):
    page = visit("notebooks/00_start_here.html")
    term = page.locator("a.term", has_text="coefficient").first
    note = page.locator("#definition")
    term.hover()
    assert note.inner_text().startswith("One value c(s,t) of the wavelet transform")
    assert term.get_attribute("aria-describedby") == "definition"
    page.mouse.move(0, 0)
    assert note.is_hidden()
    term.focus()
    assert note.is_visible()
    page.keyboard.press("Escape")
    assert note.is_hidden()


@pytest.mark.browser
def test_the_tables_of_the_benchmark_sort(visit):
    page = visit("notebooks/09_benchmark.html")
    table = page.locator("table", has=page.locator("th", has_text="speech")).first
    column = (
        table.locator("th")
        .all_inner_texts()
        .index(
            next(
                text for text in table.locator("th").all_inner_texts() if text.startswith("speech")
            )
        )
    )
    for direction in ("ascending", "descending"):
        table.locator("th button", has_text="speech").click()
        assert table.locator("th").nth(column).get_attribute("aria-sort") == direction
        cells = table.locator(f"tbody td:nth-child({column + 1})").all_inner_texts()
        numbers = [float(text.split()[0].replace("−", "-")) for text in cells if text.strip()]
        assert numbers == sorted(numbers, reverse=direction == "descending")
        assert len(set(numbers)) > 5


# What moves and sounds

UNCOVERED = """explorer => {
    const image = explorer.shadowRoot.querySelector(".stage img");
    return image && `${image.src} ${image.style.transform} ${image.alt}`;
}"""
# A short sound may have come to its end before anybody asks: its players note what was played.
PLAYED = """sounds => {
    sounds.played = new Set();
    sounds.addEventListener("scalinv-sounds", () => {
        if (sounds.playing) sounds.played.add(sounds.selected);
    });
    return sounds.clock.ready;
}"""
IDEAS = """() => [...document.querySelectorAll("article *")].map(element => element.localName)
    .filter(name => name.startsWith("scalinv-idea-"))"""
# With sounds, grids, films, predictions and ideas; the pages of the other notebooks take minutes.
BY_DEFAULT = ("00", "01", "05")
notebook_pages = pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name[:2] in BY_DEFAULT else [pytest.mark.slow])
        for name in NOTEBOOKS
    ],
)


def picture(explorer):
    """What an explorer shows: which sheet, which part of it, and its words."""
    explorer.locator(".stage img").wait_for()
    return explorer.evaluate(UNCOVERED)


def moved(explorer, act, what):
    """Do something to an explorer; its picture has to become another one."""
    before = picture(explorer)
    act()
    after = picture(explorer)
    assert after != before, what
    assert " Now: " in after


def move_slider(page, slider, explorer):
    """Move a slider by a key, and by the mouse to its other half."""
    name = slider.get_attribute("aria-label")
    last = slider.get_attribute("max") == slider.input_value()
    slider.focus()
    moved(explorer, lambda: page.keyboard.press("ArrowLeft" if last else "ArrowRight"), name)
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    right = int(slider.input_value()) * 2 < int(slider.get_attribute("max"))
    x = box["x"] + (box["width"] - 3 if right else 3)
    moved(explorer, lambda: page.mouse.click(x, box["y"] + box["height"] / 2), name)


@pytest.mark.browser
@notebook_pages
def test_every_explorer_moves_by_key_and_by_mouse(visit, name):
    page = visit(f"notebooks/{name}.html", 1024)
    explorers = page.locator("scalinv-explorer").all()
    assert explorers
    for explorer in explorers:
        skip = explorer.get_by_role("button", name="Show without choosing")
        if skip.count():
            skip.click()
        for slider in explorer.locator(".controls input[type=range]").all():
            move_slider(page, slider, explorer)
        for group in explorer.locator(".controls fieldset").all():
            other = group.locator("label", has=page.locator("input:not(:checked)")).first
            moved(explorer, other.click, group.inner_text())
            moved(explorer, lambda: page.keyboard.press("ArrowRight"), group.inner_text())


@pytest.mark.browser
@notebook_pages
def test_every_sound_plays(visit, name):
    page = visit(f"notebooks/{name}.html", 390)
    for sounds in page.locator("scalinv-sounds").all():
        sounds.evaluate(PLAYED)
        buttons = sounds.locator('button[aria-label^="Play: "]').all()
        assert buttons
        for k, play in enumerate(buttons):
            play.click()
            wait_for(page, "([sounds, k]) => sounds.played.has(k)", [sounds.element_handle(), k], k)
        assert sounds.evaluate("sounds => sounds.duration") > 0.05


@pytest.mark.browser
@notebook_pages
def test_every_idea_answers_to_a_key_in_words(visit, name):
    page = visit(f"notebooks/{name}.html", 390)
    for tag in page.evaluate(IDEAS):
        idea = page.locator(tag).first
        slider = idea.locator("input[type=range]").first
        said = idea.evaluate("idea => idea.shadowRoot.textContent")
        slider.focus()
        page.keyboard.press("ArrowRight")
        assert idea.evaluate("idea => idea.shadowRoot.textContent") != said


@pytest.mark.browser
def test_a_voice_breaks_and_comes_back_within_ten_seconds(visit):
    page = visit("index.html", 390, has_touch=True, is_mobile=True)
    everything = page.get_by_role("button", name="Play all four in a row")
    box = everything.bounding_box()
    assert box["y"] + box["height"] < 844, "above the fold"
    everything.tap()
    page.wait_for_function(
        "document.querySelector('scalinv-sounds').selected === 3", timeout=10_000
    )


# What it looks like

SCREENS = Path(__file__).parent / "screens"
AT_ONCE = [(390, "light"), (1280, "dark")]  # the others, and more notebooks, with --slow
LOOKED_AT = [("index.html", "first"), ("notebooks/00_start_here.html", "course")]
SEEN = [
    pytest.param(width, theme, marks=[] if (width, theme) in AT_ONCE else [pytest.mark.slow])
    for width in WIDTHS
    for theme in ("light", "dark")
]


def coarse(picture, size):
    """A screenshot as a small grey picture, in which fonts and their smoothing hardly show."""
    return np.asarray(picture.convert("L").resize(size, Image.Resampling.BOX), float)


def alike(one, other):
    """Tell whether two screenshots show the same, by their coarse pictures.

    A missing picture, style sheet or theme changes far more than another font does.
    """
    size = one.width // 16, one.height // 16
    difference = np.abs(coarse(one, size) - coarse(other, size))
    return difference.mean() < 6 and (difference > 60).mean() < 0.03


@pytest.mark.browser
@pytest.mark.parametrize("width, theme", SEEN)
@pytest.mark.parametrize("name, short", LOOKED_AT)
def test_a_page_looks_as_it_was_seen_by_its_authors(visit, request, name, short, width, theme):
    """To take them again: pytest tests/browser -k looks --screenshots tests/browser/screens."""
    page = visit(name, width, theme)
    page.wait_for_timeout(300)
    taken = Image.open(io.BytesIO(page.screenshot()))
    file = f"{short}_{width}_{theme}.webp"
    folder = Path(request.config.getoption("--screenshots") or "nowhere")
    if folder.name == SCREENS.name:
        half = taken.convert("RGB").resize((taken.width // 2, taken.height // 2))
        half.save(folder / file, quality=60)
    assert alike(taken, Image.open(SCREENS / file))


@pytest.mark.browser
def test_a_page_without_its_pictures_or_in_the_other_theme_looks_different(visit):
    seen = Image.open(SCREENS / "first_390_light.webp")
    without = visit("index.html", 390)
    without.add_style_tag(content="img { visibility: hidden; }")
    without.wait_for_timeout(300)
    assert not alike(Image.open(io.BytesIO(without.screenshot())), seen)
    dark = visit("index.html", 390, "dark")
    assert not alike(Image.open(io.BytesIO(dark.screenshot())), seen)
