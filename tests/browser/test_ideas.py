"""The animations of the ideas: what they compute in the browser is what the package computes."""

import base64
import functools

import numpy as np
import pytest
import torch

from scalinv_utils import Scalogram, metrics
from scalinv_utils.course import ideas
from scalinv_utils.recovery import integrate_phase, phase_derivatives

pytestmark = pytest.mark.browser

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>An idea</title>
<style>img {{ max-width: 100% }}</style><body>
<div><p>Text.</p><img alt="of other things" src="data:image/png;base64,{png}"></div>
<div class="cell_output"><img id="still" alt="still" src="data:image/png;base64,{png}">
<div class="output text_html">{html}</div></div></body></html>"""

# Moves a slider as a person does, and waits until the page has drawn.
MOVE = """([element, name, value]) => new Promise(resolve => {
    const input = element.shadowRoot.querySelector(`input[aria-label="${name}"]`);
    input.value = value;
    input.dispatchEvent(new Event("input"));
    requestAnimationFrame(() => resolve(input.getAttribute("aria-valuetext")));
})"""


@functools.cache
def made(name):
    return getattr(ideas, name)()


@pytest.fixture
def alive(page, tmp_path):
    """Return a function that opens a page with one idea and returns the element."""
    complaints = []
    page.on("pageerror", lambda error: complaints.append(str(error)))

    def open_page(name):
        idea = made(name)
        png = base64.b64encode(idea.picture.png).decode()
        file = tmp_path / f"{idea.name}.html"
        file.write_text(PAGE.format(png=png, html=idea.html), encoding="utf-8")
        page.set_viewport_size({"width": 390, "height": 844})
        page.goto(file.as_uri())
        return page.query_selector(f"scalinv-idea-{idea.name}")

    yield open_page
    assert complaints == []


def move(element, name, value):
    return element.owner_frame().evaluate(MOVE, [element, name, value])


def said(element):
    return element.evaluate("e => e.shadowRoot.querySelector('.said').textContent")


def short_voice(data, voices_per_octave):
    W = Scalogram(
        len(data["x"]), data["rate"], wavelet="cauchy", voices_per_octave=voices_per_octave
    )
    return W, W.project(data["x"])


def test_a_coefficient_turns_and_keeps_its_length(alive):
    data, element = made("rotation").data, alive("rotation")
    assert move(element, "time", 150) == "18.8 ms"
    move(element, "turn all phases by", 90)
    c = complex(data["re"][150], data["im"][150])
    assert element.evaluate("e => e.coefficient") == pytest.approx([-c.imag, c.real])
    assert element.evaluate("e => e.modulusChange") < 1e-12
    assert f"{abs(c):.2f} long" in said(element) and "no length has changed" in said(element)


def test_the_circle_moves_the_waveform_and_no_modulus(alive):
    data = made("circle").data
    element, (W, x) = alive("circle"), short_voice(data, 8)
    S = element.evaluate("e => [...e.S]")
    np.testing.assert_allclose(S, W.magnitude(x).flatten(), atol=1e-12)
    for degrees in (45, 90, 180):
        move(element, "turn", degrees)
        moved = metrics.hilbert_rotation(x, np.deg2rad(degrees)) - x
        level = metrics.decibels(moved.norm() / x.norm())
        assert element.evaluate("e => e.waveformChangeDb") == pytest.approx(level, abs=1e-9)
        assert element.evaluate("e => e.modulusChangeDb") < -270
    assert "This is −x" in said(element)


def test_the_sound_can_be_dragged_along_the_circle(alive, page):
    element = alive("circle")
    ring = element.evaluate_handle("e => e.shadowRoot.querySelector('circle[style]')").as_element()
    ring.scroll_into_view_if_needed()
    box = ring.bounding_box()
    x, y, r = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, box["width"] / 3
    page.mouse.move(x + r, y)
    page.mouse.down()
    page.mouse.move(x, y - r, steps=3)
    page.mouse.up()
    page.mouse.move(x - r, y)  # nobody holds it any more
    assert said(element).startswith("Turned by 90°. This is −Hx.")


def test_projections_take_the_steps_that_numpy_takes(alive, page):
    element = alive("projections")
    box = element.evaluate_handle("e => e.faster").as_element()
    for momentum in (0.0, ideas.FAST_MOMENTUM):
        box.set_checked(momentum > 0)
        for start in (-1.2, 0.4, 1.5):
            move(element, "start on the line", start)
            ours = list(ideas.alternate(ideas.Curve(), start, momentum))
            np.testing.assert_allclose(element.evaluate("e => e.iterates"), ours, atol=1e-6)


def test_one_start_arrives_and_one_is_stuck(alive):
    element = alive("projections")
    move(element, "start on the line", 0.4)
    move(element, "step", 60)
    assert "arrived" in said(element) and "below 1e−6" in said(element)
    move(element, "start on the line", -1.2)
    assert "step 0" in said(element)
    move(element, "step", 60)
    assert "0.124" in said(element) and "stuck" in said(element)


def test_the_heap_is_that_of_the_package(alive):
    data = made("heap").data
    element, (W, x) = alive("heap"), short_voice(data, 12)
    S = W.magnitude(x)
    phase, order, n_islands = integrate_phase(S, W, *phase_derivatives(S, W), torch.zeros_like(S))
    assert n_islands == 1
    ranks = order.flatten()
    ours = ranks.argsort()[(ranks < 0).sum() :].tolist()
    assert element.evaluate("e => e.order") == ours
    theirs = torch.tensor(element.evaluate("e => [...e.phase]"), dtype=S.dtype).reshape(S.shape)
    assert (theirs - phase)[order >= 0].abs().max() < 1e-6

    for stage in (20, 40, 60):
        move(element, "coefficients reached", stage)
        mask = (order >= 0) & (order < round(len(ours) * (stage / 60) ** 2))
        y = W.inverse(torch.polar(S * mask, phase))
        error = metrics.waveform_error_db(y, x)
        assert element.evaluate("e => e.errorDb") == pytest.approx(error, abs=1e-3)
    assert f"is {error:.1f} dB".replace("-", "−") in said(element)


@pytest.mark.parametrize("name", ["rotation", "circle", "projections", "heap"])
def test_controls_are_named_and_large_and_the_page_is_narrow(alive, page, name):
    element = alive(name)
    controls = element.evaluate(
        """e => [...e.shadowRoot.querySelectorAll("input, button")].map(control => ({
            name: control.ariaLabel || control.textContent || control.parentElement.textContent,
            text: control.getAttribute("aria-valuetext"),
            height: (control.closest("label.box") || control).getBoundingClientRect().height,
            range: control.type == "range"}))"""
    )
    assert all(control["name"].strip() and control["height"] >= 44 for control in controls)
    assert all(control["text"] for control in controls if control["range"])
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    pictures = element.evaluate("""e => [...e.shadowRoot.querySelectorAll(".figures > svg")].map(
        svg => svg.getAttribute("aria-label"))""")
    assert len(pictures) >= 2 and all(pictures)


def test_the_living_element_hides_its_still_picture_and_no_other(alive, page):
    alive("projections")
    assert not page.is_visible("#still") and page.is_visible("img[alt='of other things']")


def test_an_element_that_is_moved_stays_as_it_is(alive, page):
    element = alive("projections")
    move(element, "step", 7)
    page.evaluate("e => document.body.append(e)", element)
    assert "step 7" in said(element)
    assert element.evaluate("e => e.shadowRoot.querySelectorAll('.figures').length") == 1


def test_a_reader_hears_what_happened_once_it_stands_still(alive, page):
    element = alive("projections")
    live = "e => e.shadowRoot.querySelector('[role=status]').textContent"
    page.wait_for_timeout(700)
    assert element.evaluate(live) == ""  # nothing has happened yet
    move(element, "step", 3)
    page.wait_for_function(f"e => ({live})(e).includes('step 3')", arg=element)


@pytest.mark.parametrize("motion, jump", [("no-preference", 1), ("reduce", 8)])
def test_playing_moves_the_slider_in_jumps_where_motion_is_reduced(alive, page, motion, jump):
    page.emulate_media(reduced_motion=motion)
    element = alive("projections")
    button = element.evaluate_handle("e => e.shadowRoot.querySelector('button')").as_element()
    button.focus()
    page.keyboard.press("Enter")
    page.wait_for_function("e => e.step.value > 0", arg=element)
    first = int(element.evaluate("e => e.step.value"))
    assert button.text_content() == "Pause"
    assert (first < 8) == (jump == 1)
    page.keyboard.press("Enter")
    assert button.text_content() == "Play"
    stopped = element.evaluate("e => e.step.value")
    page.wait_for_timeout(300)
    assert element.evaluate("e => e.step.value") == stopped
