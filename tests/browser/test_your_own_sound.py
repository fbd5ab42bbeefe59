"""Notebook 10 in JupyterLab: the app, with a file of one's own, and the explorer of methods."""

from pathlib import Path

import browsing
import pytest
import soundfile

from scalinv_utils import Scalogram
from scalinv_utils.course import audio, signals
from scalinv_utils.course.plotting import in_few_colours
from scalinv_utils.measured import Measured, save

from .moves import (
    check_button,
    check_memory,
    check_players,
    check_stored_view,
    check_widths,
    path_of,
    reduced,
)

pytestmark = pytest.mark.browser

# In the app, which watches its methods through a callback, this one is still at work when it is
# cancelled, however slow the browser is.
ENDLESS = """
from scalinv_utils import griffin_lim
from scalinv_utils.app import session

def endless(S, W, seed, callback):
    n_iter = 10**6 if callback else 100
    return griffin_lim(S, W, seed=seed, callback=callback, n_iter=n_iter, momentum=0)

session.METHODS["Griffin-Lim"] = (endless, 10**6)
"""


def test_your_own_sound(page, open_notebook, lab, request):
    copy, numbers = reduced(lab, path_of("10"), before=ENDLESS)
    notebook = open_notebook(copy)
    check_stored_view(notebook, path_of("10"))
    notebook.run_cells(numbers)
    studio = page.locator(".scalinv-app").first
    studio.get_by_role("link", name="Download").wait_for(timeout=browsing.RUN_PATIENCE)
    nothing_of_the_app_is_serious_for_axe(page)

    a_file_comes_in_and_a_waveform_goes_out(page, studio, lab, request)
    another_recording_and_method_with_the_keyboard_alone(page, studio)
    a_bad_file_gets_a_sentence(page, studio, lab)
    a_scalogram_comes_in_by_the_second_door(page, studio, lab, request)
    methods_to_listen_to(page, notebook, lab)


def a_file_comes_in_and_a_waveform_goes_out(page, studio, lab, request):
    pictures, used = studio.locator(".scalinv-pictures img"), studio.locator(".widget-html")
    choose_file(page, studio, tone_file(lab.folder))
    used.filter(has_text="lasts 0.25 s at 11,025 samples per second").wait_for()
    studio.get_by_role("link", name="Download").wait_for(state="detached")
    assert studio.locator("audio").count() == 0
    pictures.nth(1).wait_for()
    assert pictures.count() == 2
    studio.locator("button[title=Recover]").first.click()
    studio.get_by_role("link", name="Download").wait_for()
    check_players(page, studio)
    assert pictures.count() == 4
    used.filter(has_text="This is the original waveform").first.wait_for()
    assert "recover(), from a scalogram" in studio.locator(".scalinv-made").first.inner_text()
    keep(request, page, studio, "your_own_sound")
    with page.expect_download() as saved:
        studio.get_by_role("link", name="Download").click()
    y, rate = soundfile.read(saved.value.path())
    assert saved.value.suggested_filename == "recovered.wav" and rate == 8000
    assert abs(y).max() > 0.3 and len(y) == 2000


def another_recording_and_method_with_the_keyboard_alone(page, studio):
    used, status = studio.locator(".widget-html"), studio.locator(".widget-label")
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


def nothing_of_the_app_is_serious_for_axe(page):
    """With its result on show; what is serious in the rest of the page is JupyterLab's."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    found = axe.Axe().run(page, context={"include": [[".scalinv-app"]]}).response["violations"]
    assert [f for f in found if f["impact"] in ("serious", "critical")] == []


def a_bad_file_gets_a_sentence(page, studio, lab):
    bad = lab.folder / "letter.wav"
    bad.write_text("Dear Sir or Madam")
    choose_file(page, studio, bad)
    studio.get_by_role("alert").filter(has_text="letter.wav cannot be read").wait_for()
    assert page.get_by_text("Traceback").count() == 0
    assert studio.locator(".scalinv-pictures, audio").count() == 0
    check_widths(page)


def a_scalogram_comes_in_by_the_second_door(page, studio, lab, request):
    studio.get_by_text("Or bring a scalogram").click()
    door = page.locator(".scalinv-app").nth(1)
    choose_file(page, door, scalogram_file(lab.folder), "a scalogram")
    door.get_by_text("S is a scalogram of W").wait_for()
    door.locator("button[title=Recover]").click()
    door.get_by_role("link", name="Download").wait_for()
    assert "dB" in door.get_by_text("Its scalogram fits").first.inner_text()
    keep(request, page, door, "your_own_scalogram")


def methods_to_listen_to(page, notebook, lab):
    explorer = page.locator(".widget-vbox").filter(has_text="Methods to listen to").first
    for button in notebook.choices(explorer):
        check_button(notebook, button)
    check_memory(notebook, lab)
    assert explorer.locator(".widget-html audio").count() == 4


def tone_file(folder):
    """A small file: a quarter of a second of a gliding tone at a rate of its own."""
    path = folder / "glide.wav"
    audio.save_wav(path, 0.5 * signals.linear_chirp(2756, 11025, 300, 2000), 11025)
    return path


def scalogram_file(folder):
    """A scalogram of a glide, with all that `load` has to know of it."""
    W = Scalogram(512, 8000, voices_per_octave=16)
    path = folder / "glide.npz"
    save(Measured(W.magnitude(signals.linear_chirp(512, 8000, 500, 2500)), W), path)
    return path


def keep(request, page, box, name):
    """Write a screenshot into the folder that --screenshots names, if it names one."""
    folder = request.config.getoption("--screenshots")
    if folder:
        tall = round(box.bounding_box()["height"]) + 300
        page.set_viewport_size({"width": 1280, "height": tall})
        box.scroll_into_view_if_needed()
        page.wait_for_timeout(1000)
        shot = in_few_colours(box.screenshot())
        (Path(folder) / f"{name}.png").write_bytes(shot)
        page.set_viewport_size({"width": 1280, "height": 900})


def choose_file(page, box, path, button="or your own file"):
    with page.expect_file_chooser() as dialog:
        box.get_by_role("button", name=button).click()
    dialog.value.set_files(path)


def tab_to_button(page, label):
    for _ in range(60):
        if page.evaluate("document.activeElement.textContent.trim()") == label:
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not lead to {label}")
