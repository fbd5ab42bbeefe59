"""The course in a real browser: Chromium on a JupyterLab that these tests start.

Nothing in the repository changes: the server works on a copy. ``pytest -m browser -s`` also prints
how long pictures take to follow a slider, and the memory of the kernels; ``--screenshots figures``
takes the screenshot that the README shows.
"""

import importlib.util
import itertools
import statistics
from pathlib import Path

import browsing
import psutil
import pytest
import soundfile
from explorers import NOTEBOOKS, cells, explorer_cells, needed_for, read
from nbformat import write
from nbformat.v4 import new_code_cell, new_notebook

from scalinv_utils.course import audio, signals
from scalinv_utils.course.plotting import in_few_colours

pytestmark = pytest.mark.browser

# Times that a person does not notice, in milliseconds, for pictures that are ready and for those
# that are drawn on request. Machines differ and are shared: what is asserted is SLACK times that.
READY, ON_REQUEST, SLACK = 100, 250, 5

WHOLE = ["00", "04", "06", "10"]
OTHERS = [
    path for path in NOTEBOOKS if path.stem[:2] not in WHOLE and explorer_cells(cells(read(path)))
]


@pytest.fixture(scope="module")
def chromium():
    """One browser. No longer than this module: Playwright's event loop would be in others' way."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="the browser tests need playwright: .[test]"
    )
    path = browsing.browser_path()
    if path is None:
        pytest.skip("the browser tests need Chromium: sudo apt install chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=browsing.SWITCHES)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def lab(chromium, tmp_path_factory):
    folder = browsing.course_copy(tmp_path_factory.mktemp("course"))
    with browsing.jupyterlab(folder) as running:
        yield running


@pytest.fixture(scope="module")
def context(chromium):
    """One for all tests: what the first page has loaded of JupyterLab, the others need not."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    yield context
    context.close()


@pytest.fixture
def new_page(context, lab):
    def make():
        pages.append(context.new_page())
        pages[-1].set_default_timeout(60_000)
        return pages[-1]

    pages = []
    yield make
    for page in pages:
        page.close()
    browsing.end_kernels(lab)


@pytest.fixture
def page(new_page):
    return new_page()


def path_of(number):
    (path,) = [path for path in NOTEBOOKS if path.stem.startswith(number)]
    return f"notebooks/{path.name}"


def check_explorers(page, notebook, handles=None):
    """Every slider by mouse and by keys; returns how long pictures took, at first and again."""
    first, again = [], []
    handles = handles or notebook.handles()
    assert handles
    for handle in handles:
        picture = notebook.picture(handle)
        before = picture.get_attribute("src")
        start = browsing.position(handle)
        browsing.drag(page, handle)
        browsing.wait_for_change(
            page,
            picture,
            before,
            "the picture after the mouse took "
            f"{browsing.name_of(handle)} from position {start} to "
            f"{browsing.position(handle)}",
        )
        handle.focus()
        page.keyboard.press("Home")
        browsing.wait_until_settled(picture)
        steps = min(4, int(float(handle.get_attribute("aria-valuemax"))))
        times = browsing.waits(
            page, handle, picture, ["ArrowRight"] * steps + ["ArrowLeft"] * steps
        )
        first, again = first + times[:steps], again + times[steps:]
    return first, again


def report(notebook, lab, first, again):
    kernel, server = notebook.memory(), psutil.Process(lab.process.pid).memory_info().rss
    print(
        f"\n{notebook.name}: pictures follow a key after {statistics.median(again):.0f} ms "
        f"(median of {len(again)}, ready), {statistics.median(first):.0f} ms (of {len(first)}, "
        f"first look); its kernel held {kernel / 2**20:.0f} MiB at most, beside Lab's "
        f"{server / 2**20:.0f}"
    )
    assert statistics.median(again) < SLACK * READY
    assert statistics.median(first) < SLACK * ON_REQUEST
    assert kernel < 2**30


def two_by_two(paths):
    """Pairs whose cells run at the same time, as most machines have two cores.

    The second one may have drawn ahead when its turn comes. So films, whose frames a person waits
    for anyway, are second: what is computed on request is measured as such.
    """
    films = [path for path in paths if "frame_player" in first_explorer(path)]
    others = [path for path in paths if path not in films]
    mixed = [path for pair in itertools.zip_longest(others, films) for path in pair if path]
    return [mixed[k : k + 2] for k in range(0, len(mixed), 2)]


def first_explorer(path):
    sources = cells(read(path))
    return sources[explorer_cells(sources)[0]]


def in_turn(notebooks):
    """Run all cells of all notebooks at once; each notebook as soon as it is ready."""
    for notebook in notebooks:
        notebook.start(notebook.by_mouse)
    for notebook in notebooks:
        notebook.finish()
        notebook.page.bring_to_front()
        yield notebook


def test_a_copy_that_is_not_trusted_shows_pictures_where_widgets_would_be(page, lab):
    notebook = browsing.Notebook(page, lab, path_of("00"))
    stored = [
        output
        for cell in read(NOTEBOOKS[0]).cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    page.wait_for_function(
        "n => [...document.querySelectorAll('.jp-OutputArea-output img')]"
        ".filter(img => img.naturalWidth > 0).length == n",
        arg=len(stored),
    )
    assert not notebook.handles() and page.get_by_text("Error displaying widget").count() == 0
    assert page.locator(".jp-OutputArea-output audio").count() > 5
    assert page.evaluate(browsing.TOO_WIDE) == []


def test_the_explorer_of_the_first_notebook_with_the_keyboard_alone(page, lab):
    notebook = browsing.Notebook(page, lab, path_of("00"))
    with_the_keyboard_alone(page, notebook)
    use_everything(notebook, lab)


def test_every_explorer_by_mouse_and_by_keyboard(new_page, lab):
    notebooks = [browsing.Notebook(new_page(), lab, path_of(number)) for number in ("04", "06")]
    for notebook in in_turn(notebooks):
        use_everything(notebook, lab)


def use_everything(notebook, lab):
    page = notebook.page
    report(notebook, lab, *check_explorers(page, notebook))
    assert page.evaluate(browsing.TOO_WIDE) == []
    play = page.locator(".jupyter-widgets.widget-play button").first
    picture = notebook.picture(play)
    before = picture.get_attribute("src")
    play.click()
    browsing.wait_for_change(page, picture, before, "the picture after Play")
    play.click()


def with_the_keyboard_alone(page, notebook):
    """Run everything, walk to the explorer and move it, without a mouse."""
    notebook.run(notebook.by_keyboard)
    notebook.tab_to(".noUi-handle")
    picture = notebook.picture(notebook.handles()[0])
    before = picture.get_attribute("src")
    page.keyboard.press("ArrowRight")
    browsing.wait_for_change(page, picture, before)


@pytest.mark.parametrize(
    "paths", two_by_two(OTHERS), ids=lambda paths: "_".join(path.stem[:2] for path in paths)
)
def test_the_first_explorer_of_the_other_notebooks(new_page, lab, paths):
    notebooks = [browsing.Notebook(new_page(), lab, cut_down(lab, path)) for path in paths]
    for notebook in in_turn(notebooks):
        report(notebook, lab, *check_explorers(notebook.page, notebook))


def cut_down(lab, path):
    """A copy with the cells that the first explorer needs, and no others."""
    sources = cells(read(path))
    wanted = needed_for(sources, explorer_cells(sources)[0])
    small = new_notebook(
        cells=[new_code_cell(sources[k]) for k in wanted], metadata=read(path).metadata
    )
    write(small, lab.folder / "notebooks" / f"first_{path.name}")
    return f"notebooks/first_{path.name}"


def tone_file(folder):
    """A small file: a quarter of a second of a gliding tone at a rate of its own."""
    path = folder / "glide.wav"
    audio.save_wav(path, 0.5 * signals.linear_chirp(2756, 11025, 300, 2000), 11025)
    return path


def keep(request, page, box, name):
    """Write a screenshot into the folder that --screenshots names, if it names one."""
    folder = request.config.getoption("--screenshots")
    if folder:
        page.set_viewport_size({"width": 1280, "height": 1600})
        box.scroll_into_view_if_needed()
        page.wait_for_timeout(1000)
        shot = in_few_colours(box.screenshot())
        (Path(folder) / f"{name}.png").write_bytes(shot)
        page.set_viewport_size({"width": 1280, "height": 900})


def choose_file(page, studio, path):
    with page.expect_file_chooser() as dialog:
        studio.get_by_role("button", name="or your own file").click()
    dialog.value.set_files(path)


def tab_to_button(page, label):
    for _ in range(60):
        if page.evaluate("document.activeElement.textContent.trim()") == label:
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not lead to {label}")


def check_players(page, studio):
    """Four sounds come, and can be played."""
    browsing.wait_for(
        page,
        """box => {
        const players = [...box.querySelectorAll('audio')];
        return players.length == 4 && players.every(a => a.duration > 0.2 && a.error === null);
    }""",
        studio.element_handle(),
        "four players",
    )


def test_your_own_sound(page, lab, request):
    notebook = browsing.Notebook(page, lab, path_of("10"))
    notebook.run(notebook.by_mouse)
    studio = page.locator(".widget-vbox").filter(has_text="Your own sound").first
    picture = studio.locator("img.widget-image")
    used, status = studio.locator(".widget-html"), studio.locator(".widget-label")

    # A file comes in, a waveform goes out.
    before = picture.get_attribute("src")
    choose_file(page, studio, tone_file(lab.folder))
    browsing.wait_for_change(page, picture, before)
    assert used.filter(has_text="lasts 0.25 s at 11,025 samples per second").count() == 1
    assert studio.locator("audio").count() == 0
    before = picture.get_attribute("src")
    studio.locator("button[title=Recover]").click()
    browsing.wait_for_change(page, picture, before)
    check_players(page, studio)
    used.filter(has_text="This is the original waveform").first.wait_for()
    keep(request, page, studio, "your_own_sound")
    with page.expect_download() as saved:
        studio.get_by_role("link", name="Download").click()
    y, rate = soundfile.read(saved.value.path())
    assert saved.value.suggested_filename == "recovered.wav" and rate == 8000
    assert abs(y).max() > 0.3 and len(y) == 2000

    # With the keyboard alone: another recording, another method, start, cancel.
    studio.get_by_role("button", name="speech").focus()
    for label in ("guitar", "Griffin-Lim", "Recover"):
        tab_to_button(page, label)
        page.keyboard.press("Enter")
    status.filter(has_text="left").wait_for()
    assert used.filter(has_text="lasts 3.53 s").count() == 1
    tab_to_button(page, "Cancel")
    page.keyboard.press("Enter")
    status.filter(has_text="cancelled").wait_for()
    assert studio.locator("audio").count() == 0

    # A bad file gets a sentence.
    bad = lab.folder / "letter.wav"
    bad.write_text("Dear Sir or Madam")
    choose_file(page, studio, bad)
    studio.get_by_role("alert").filter(has_text="letter.wav cannot be read").wait_for()
    assert page.get_by_text("Traceback").count() == 0 and page.evaluate(browsing.TOO_WIDE) == []

    # The explorer of methods, with its sounds.
    report(notebook, lab, *check_explorers(page, notebook, notebook.handles()[-1:]))
    assert (
        page.locator(".widget-vbox")
        .filter(has_text="Methods to listen to")
        .first.locator(".widget-html audio")
        .count()
        == 4
    )


def test_as_an_app_there_is_no_code_and_the_controls_work(page, tmp_path):
    if importlib.util.find_spec("voila") is None:
        pytest.skip("the app without code needs Voila: .[test]")
    browsing.course_copy(tmp_path)
    notebook = tmp_path / path_of("10")
    small = read(notebook)
    small.cells = small.cells[:4]  # up to the app: the start takes less
    write(small, notebook)
    options = ["--Voila.ip=127.0.0.1", "--port={port}", "--show_tracebacks=True", str(notebook)]
    with browsing.server("voila", tmp_path, *options) as (process, address):
        browsing.answer(process, f"{address}/nothing_such")
        page.goto(address, timeout=browsing.PATIENCE)
        studio = page.locator(".widget-vbox").filter(has_text="Your own sound").first
        studio.wait_for()
        assert page.get_by_text("import torch").count() == 0
        picture = studio.locator("img.widget-image")
        before = picture.get_attribute("src")
        studio.get_by_role("button", name="bell").click()
        browsing.wait_for_change(page, picture, before)
        before = picture.get_attribute("src")
        studio.locator("button[title=Recover]").click()
        browsing.wait_for_change(page, picture, before)
        check_players(page, studio)
        assert page.locator("[role=alert]").count() == 0
