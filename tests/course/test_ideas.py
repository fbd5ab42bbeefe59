"""What the animations of the ideas hand to the browser, and what they say in words."""

import functools
import json
import re

import numpy as np
import pytest

from scalinv_utils.course import ideas, plotting

LARGEST = 60_000  # bytes of one element, code and data


@functools.cache
def made(name):
    return getattr(ideas, name)()


@pytest.fixture(params=["rotation", "circle", "projections", "heap"])
def idea(request):
    return made(request.param)


def test_an_element_has_its_data_its_words_and_its_code(idea):
    assert idea.html.startswith(f"<scalinv-idea-{idea.name}>")
    data = re.search(r'<script type="application/json">(.*?)</script>', idea.html)[1]
    assert json.loads(data) == json.loads(json.dumps(idea.data))
    assert f'customElements.define("scalinv-idea-{idea.name}"' in idea.html
    assert f"{idea.words}</details>" in idea.html
    assert len(idea.html.encode()) < LARGEST


def test_a_notebook_gets_a_still_picture_with_words_and_the_element(idea, monkeypatch):
    shown = []
    monkeypatch.setattr(ideas, "display", lambda *outputs: shown.extend(outputs))
    idea._ipython_display_()
    picture, element = shown
    assert picture is idea.picture and element.data == idea._repr_html_() == idea.html
    assert repr(idea) == idea.words and idea.words.startswith(idea.picture.alt)


def test_no_figure_is_left_open(idea):
    assert plotting.plt.get_fignums() == []


def test_the_files_that_an_element_uses_stand_before_its_own(idea):
    parts = re.findall(r'<script data-scalinv="([\w-]+)">', idea.html)
    assert parts[:2] == ["_chart", "_idea"] and parts[-1] == f"idea-{idea.name}"
    assert ("_cauchy" in parts) == (idea.name in ("circle", "heap"))


@pytest.mark.parametrize("start", np.linspace(-1.6, 1.6, 9))
def test_the_distance_of_alternating_projections_never_grows(start):
    curve = ideas.Curve()
    distances = [np.hypot(*(curve.nearest(x) - (x, 0))) for x in ideas.alternate(curve, start)]
    assert (np.diff(distances) < 1e-9).all()
    assert distances[-1] < 1e-6 or distances[-1] == pytest.approx(0.1243, abs=1e-4)


def test_the_nearest_point_of_the_curve_is_the_nearest_of_very_many():
    curve = ideas.Curve()
    points = curve(np.linspace(0, 2 * np.pi, 100_000))
    for x in np.linspace(-1.7, 1.7, 35):
        least = np.hypot(points[0] - x, points[1]).min()
        assert np.hypot(*(curve.nearest(x) - (x, 0))) == pytest.approx(least, abs=1e-4)


def test_momentum_frees_one_start_and_traps_another():
    curve = ideas.Curve()

    def end(start, momentum):
        x = list(ideas.alternate(curve, start, momentum))[-1]
        return np.hypot(*(curve.nearest(x) - (x, 0)))

    plain = [end(start, 0) for start in (-1.2, 0.4)]
    fast = [end(start, ideas.FAST_MOMENTUM) for start in (-1.2, 0.4)]
    assert plain == pytest.approx([0.1243, 0], abs=1e-4)
    assert fast == pytest.approx([0, 0.1244], abs=1e-3)


def test_the_words_give_the_numbers_that_were_computed():
    assert "13.4 times in 60 ms" in made("rotation").words
    assert "by 0 and 6 dB" in made("circle").words
    assert "0.124 and falls no further" in made("projections").words
    assert "-10 dB from the truth" in made("heap").words


def test_the_circle_changes_no_modulus_but_for_rounding():
    level = float(re.search(r"more than (-\d+) dB of the largest", made("circle").words)[1])
    assert level < -280
