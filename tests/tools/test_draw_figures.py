"""The README's example runs, and tools.draw_figures draws the README's pictures."""

import re
import statistics
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from scalinv_utils.benchmark import summary
from scalinv_utils.course import signals
from scalinv_utils.tools import draw_figures

# The browser tests take these: pytest -m browser --screenshots figures
SCREENSHOTS = {"your_own_sound"}

README = Path(__file__).resolve().parents[2] / "README.md"


def test_the_example_of_the_readme_recovers_the_waveform():
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.S)
    names = {}
    exec(example, names)
    assert names["metrics"].waveform_error_db(names["y"], names["x"]) < -60


def test_every_picture_of_the_readme_can_be_drawn_again():
    pictures = re.findall(r"!\[[^\]]{20,}\]\(figures/(\w+)\.png\)", README.read_text())
    assert pictures and set(pictures) <= set(draw_figures.FIGURES) | SCREENSHOTS
    assert all((README.parent / "figures" / f"{name}.png").exists() for name in pictures)


def test_a_picture_is_drawn_into_the_folder_asked_for(tmp_path, monkeypatch):
    monkeypatch.setitem(draw_figures.FIGURES, "blank", Figure)
    (path,) = draw_figures.build(["blank"], tmp_path)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_an_unknown_picture_is_refused_by_name():
    with pytest.raises(ValueError, match="voice_and_recovery"):
        draw_figures.build(["nothing_such"])


def rows_of_the_table():
    """Compute the lines of the README's table from the stored benchmark."""
    for method in ("recover", "L-BFGS", "fast Griffin-Lim"):
        cells = [f"`{method}`" if method == "recover" else method]
        for wavelet in ("cauchy", "gmw"):
            runs = summary.select(summary.stored(), method=method, wavelet=wavelet, snr_db=None)
            errors = [
                run["waveform_error_db"] for run in runs if run["signal"] in signals.RECORDINGS
            ]
            cells += [f"{statistics.median(errors):.0f}", f"{max(errors):.0f}"]
        yield "| " + " | ".join(cells) + " |"


def test_the_table_of_the_readme_is_that_of_the_benchmark():
    for row in rows_of_the_table():
        assert row in README.read_text(), row


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name == "error_against_bound" else ())
        for name in draw_figures.FIGURES
    ],
)
def test_the_stored_pictures_are_those_that_are_drawn_today(name, tmp_path):
    (path,) = draw_figures.build([name], tmp_path)
    with Image.open(path) as today, Image.open(README.parent / "figures" / path.name) as stored:
        assert today.size == stored.size
        difference = np.abs(np.subtract(today.convert("L"), stored.convert("L"), dtype=float))
    # Fonts and rounding differ from machine to machine; another curve moves far more.
    assert difference.mean() < 3
