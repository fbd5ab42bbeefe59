"""The first screen is made of what the first notebook stores, or says what is missing there."""

import re

import pytest
import stored

from scalinv_utils.tools.site import _first_screen


@pytest.fixture(scope="module")
def heard():
    return stored.sounds()


def test_sounds_scores_and_pictures_are_those_of_the_notebook(tmp_path, heard):
    in_another_order = dict(reversed(heard.items()))
    page = _first_screen.html(stored.write(tmp_path / "00.ipynb", in_another_order))
    assert re.findall(r'data-sound="(\d)"', page) == ["3", "2", "1", "0"]
    assert re.findall(r"<small>(.*?)</small></span></button>", page) == [
        "as it was spoken",
        "error 0\N{NO-BREAK SPACE}dB",
        "error −3.4\N{NO-BREAK SPACE}dB",
        "error −191.9\N{NO-BREAK SPACE}dB",
    ]
    assert "the scalogram fits to −30.4\N{NO-BREAK SPACE}dB" in page
    assert page.count("</scalinv-sounds>") == 1 and page.count("<audio") == 4
    assert page.count("<img hidden ") == 3 and page.count('class="as-it-is"') == 8
    assert "$" not in page.split("<scalinv-sounds>")[0]


def test_one_sound_is_missing(tmp_path, heard):
    three = {label: x for label, x in heard.items() if label != "recover"}
    with pytest.raises(ValueError, match="players of .*'recover'.*'Griffin-Lim', 'random phase'"):
        _first_screen.html(stored.write(tmp_path / "00.ipynb", three))


def test_one_score_is_missing(tmp_path, heard):
    printed = stored.SCORES.replace("Griffin-Lim", "GLA")
    with pytest.raises(ValueError, match="waveform error of 'Griffin-Lim'"):
        _first_screen.html(stored.write(tmp_path / "00.ipynb", heard, printed))
