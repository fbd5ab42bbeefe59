"""The app alone, as `python -m scalinv_utils app` serves it: controls and no code."""

import contextlib
import importlib.util
import json
import shutil
import timeit

import browsing
import nbformat
import numpy as np
import pytest
import soundfile
from nbclient import NotebookClient

from scalinv_utils.app import session
from scalinv_utils.tools import cli
from scalinv_utils.tools.environment import ROOT

from .moves import check_players, path_of

pytestmark = pytest.mark.browser

PHONE = {"width": 390, "height": 844}

# What one can press, and how large it is: a slider's handle is as large as the area that takes a
# finger.
SMALL_TARGETS = """app => [...app.querySelectorAll(
        'button, a[href], input:not([type=file]), summary, [role=button], [role=slider]')]
    .filter(target => target.checkVisibility())
    .map(target => [target, (target.querySelector('.noUi-touch-area') || target)
        .getBoundingClientRect()])
    .filter(([_, box]) => box.width < 43.5 || box.height < 43.5)
    .map(([target, box]) => `${target.className} ${target.innerText}: ${box.width} x ${box.height}`)
"""

# What a screen reader has for the controls; a name that is missing is an empty string here.
NAMES = """app => [...app.querySelectorAll('[role=group], [role=slider], [role=progressbar], img')]
    .map(part => part.getAttribute('aria-label') || part.getAttribute('alt') || '')"""

PRESSED = "app => [...app.querySelectorAll('[aria-pressed=true]')].map(button => button.innerText)"

LOST_WIDTH = """() => document.scrollingElement.scrollWidth - innerWidth"""


@pytest.fixture(scope="module")
def address(chromium, tmp_path_factory):
    """Serve the app with the arguments of its command, and the limit that it tells its kernels."""
    if importlib.util.find_spec("voila") is None:
        pytest.skip("the app alone needs Voila: .[app]")
    _, _, module, *options = cli.commands("python", "", [])["app"]
    options += ["--Voila.ip=127.0.0.1", "--port={port}", "--show_tracebacks=True"]
    # The braces of the settings are no place for a port.
    options = [o.replace("{'", "{{'").replace("000}", "000}}") for o in options]
    with contextlib.ExitStack() as running:
        with pytest.MonkeyPatch.context() as patch:  # for the kernels of this server alone
            patch.setenv(session.UPLOAD, "12000000")
            folder = tmp_path_factory.mktemp("app")
            server = browsing.server(module, folder, *options)
            process, place = running.enter_context(server)
        browsing.answer(process, f"{place}/nothing_such")
        yield place


@pytest.fixture
def app(page, address):
    page.goto(address, timeout=browsing.PATIENCE)
    studio = page.locator(".scalinv-app").first
    studio.locator("button[title=Recover]").first.wait_for()
    browsing.wait_for(
        page, "() => !document.querySelector('[title=Recover]').disabled", None, "the first sound"
    )
    yield studio
    page.set_viewport_size({"width": 1280, "height": 900})


def test_controls_work_files_are_looked_at_and_a_phone_shows_it_all(page, app, tmp_path):
    assert page.get_by_text("import torch").count() == 0
    app.get_by_role("button", name="Recover", exact=True).first.wait_for()
    assert app.evaluate(PRESSED)[:2] == ["tabla", "a quarter of a second"]
    app.get_by_role("button", name="bell").click()
    app.get_by_text("lasts 0.28 s").wait_for()
    assert app.evaluate(PRESSED)[0] == "bell"
    recover(app)
    check_players(page, app)
    assert (
        "recover(), from a scalogram of Cauchy" in app.locator(".scalinv-made").first.inner_text()
    )

    nothing_serious_is_found_by_axe(page)
    another_method_greys_what_another_one_made(app)
    a_phone_shows_it_all(page, app)
    a_file_that_is_too_large_is_not_sent(page, app, tmp_path)
    a_bad_file_takes_the_result_away_and_is_refused_again(page, app, tmp_path)
    the_same_file_is_read_twice(page, app, tmp_path)


@pytest.mark.slow
def test_it_is_shown_in_an_eighth_of_the_time_of_the_whole_notebook(page, address):
    def shown():
        page.goto(address, timeout=browsing.PATIENCE)
        page.locator(".scalinv-app .widget-toggle-button").first.wait_for()

    def executed():
        notebook = nbformat.read(path_of("10"), as_version=4)
        resources = {"metadata": {"path": str(path_of("10").parent)}}
        NotebookClient(notebook, timeout=900, resources=resources).execute()

    # The app before and after, since the machine may be busier at one time than at another.
    before, whole, after = (timeit.timeit(run, number=1) for run in (shown, executed, shown))
    print(
        f"\nthe app is shown in {before:.1f} and {after:.1f} s, notebook 10 runs in {whole:.1f} s"
    )
    assert max(before, after) < whole / 8


@pytest.mark.slow
def test_it_opens_beside_jupyterlab_by_the_path_that_readme_gives_for_binder(page, lab):
    path = cli.APP.relative_to(ROOT).as_posix()
    assert f"?urlpath=voila/render/{path}" in (ROOT / "README.md").read_text("utf-8")
    (lab.folder / path).parent.mkdir(parents=True)
    shutil.copy(cli.APP, lab.folder / path)
    page.goto(f"{lab.address}/voila/render/{path}?token={lab.token}", timeout=browsing.PATIENCE)
    page.locator(".scalinv-app .widget-toggle-button").first.wait_for()
    # What such a server takes is what the app says it takes.
    data = page.locator("scalinv-upload script").first.text_content()
    assert json.loads(data) == {"largest": session.SMALLEST_LIMIT}
    browsing.end_kernels(lab)


def recover(app):
    app.locator("button[title=Recover]").first.click()
    app.get_by_role("link", name="Download").wait_for()


def a_player_that_a_script_drives_plays(page, app):
    sounds = app.locator("scalinv-sounds").first
    sounds.get_by_role("button").first.click()
    browsing.wait_for(
        page, "sounds => sounds.playing || sounds.position > 0", sounds.element_handle(), "a sound"
    )


def another_method_greys_what_another_one_made(app):
    app.get_by_role("button", name="Griffin-Lim", exact=True).click()
    app.get_by_text("The controls have changed since").wait_for()
    assert app.locator(".scalinv-stale").count() == 1
    app.get_by_role("button", name="recover()").click()
    app.locator(".scalinv-stale").wait_for(state="detached")


def a_phone_shows_it_all(page, app):
    page.set_viewport_size(PHONE)
    narrow = "app => app.clientWidth < innerWidth && innerWidth < 400"
    browsing.wait_for(page, narrow, app.element_handle(), "the app to be as narrow as a phone")
    assert page.evaluate(LOST_WIDTH) <= 0
    assert app.evaluate(SMALL_TARGETS) == []
    names = app.evaluate(NAMES)
    assert all(names) and {"recording", "start of the stretch, in seconds"} <= {*names}
    widths = app.evaluate(
        "app => [...app.querySelectorAll('.scalinv-pictures img')].map(i => i.width)"
    )
    assert len(widths) == 4 and all(300 < width <= 390 for width in widths)
    nothing_serious_is_found_by_axe(page)
    page.set_viewport_size({"width": 1280, "height": 900})


def a_file_that_is_too_large_is_not_sent(page, app, tmp_path):
    rate = 44_100
    noise = np.random.default_rng(0).standard_normal(6_200_000) / 10
    soundfile.write(tmp_path / "large.wav", noise, rate)
    choose(page, app, tmp_path / "large.wav")
    app.get_by_role("alert").filter(
        has_text="large.wav has 12.4 MB, and at most 12.0 MB"
    ).wait_for()
    assert app.get_by_role("link", name="Download").count() == 1  # nothing has changed
    # A file of more than Jupyter's own 10 MiB comes in, since this server was told to take it.
    soundfile.write(tmp_path / "long.wav", noise[:5_500_000], rate)
    choose(page, app, tmp_path / "long.wav")
    app.get_by_text("receiving long.wav (11.0 MB)").wait_for()
    app.get_by_text("lasts 124.72 s").wait_for()
    app.get_by_text("receiving").wait_for(state="detached")


def a_bad_file_takes_the_result_away_and_is_refused_again(page, app, tmp_path):
    recover(app)
    bad = tmp_path / "letter.wav"
    bad.write_text("Dear Sir or Madam")
    for _ in range(2):
        choose(page, app, bad)
        app.get_by_role("alert").filter(has_text="letter.wav cannot be read").wait_for()
        assert app.locator("audio, img, a[download]").count() == 0
        assert app.locator(".scalinv-status").first.inner_text() == ""
    assert app.locator("button[title=Recover]").first.is_disabled()


def the_same_file_is_read_twice(page, app, tmp_path):
    sound = tmp_path / "tone.wav"
    soundfile.write(sound, 0.5 * np.sin(np.arange(4000)), 8000)
    for _ in range(2):
        choose(page, app, sound)
        app.get_by_text("lasts 0.50 s").wait_for()
        app.get_by_role("button", name="bell").click()
        app.get_by_text("lasts 0.28 s").wait_for()


def choose(page, app, path):
    with page.expect_file_chooser() as dialog:
        app.get_by_role("button", name="or your own file").first.click()
    dialog.value.set_files(path)


def nothing_serious_is_found_by_axe(page):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    found = axe.Axe().run(page, context={"include": [[".scalinv-app"]]}).response["violations"]
    assert [f for f in found if f["impact"] in ("serious", "critical")] == []
