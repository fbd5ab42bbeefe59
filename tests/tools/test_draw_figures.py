"""The README's example runs, and tools.draw_figures draws the README's pictures."""

import re
import statistics
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from scalinv_utils import Scalogram, bounds
from scalinv_utils.benchmark import summary
from scalinv_utils.course import signals
from scalinv_utils.recovery import Recovery
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


def test_all_pictures_are_drawn_unless_some_are_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(draw_figures, "FIGURES", {"one": Figure, "two": Figure})
    for _ in range(2):  # the folder may be there
        paths = draw_figures.build(folder=tmp_path / "new")
        assert [path.name for path in paths] == ["one.png", "two.png"]
    assert capsys.readouterr().out.splitlines()[:2] == ["drawing one.png", "drawing two.png"]
    assert draw_figures.build([], str(tmp_path)) == [tmp_path / "one.png", tmp_path / "two.png"]


def test_an_unknown_picture_is_refused_by_name():
    with pytest.raises(ValueError, match="voice_and_recovery"):
        draw_figures.build(["nothing_such"])


@pytest.fixture
def made_up(monkeypatch):
    """Let both methods answer at once: the true voice with an error that depends on the seed."""
    asked = []

    def answering(name, share):
        def method(S, W, seed=0, **options):
            asked.append((name, seed, options))
            x = W.project(signals.recording("speech", W.sample_rate, W.n_samples)[0])
            error = W.project(np.random.default_rng(seed).standard_normal(W.n_samples))
            y = x + share * error * x.norm() / error.norm()
            return Recovery(y, name, consistency_db=0.0)

        return method

    monkeypatch.setattr(draw_figures, "griffin_lim", answering("griffin_lim", 0.5))
    monkeypatch.setattr(draw_figures, "recover", answering("recover", 0.01))
    return asked


def test_errors_are_drawn_with_the_bound_and_the_noise(made_up):
    (axes,) = draw_figures.error_against_bound((20, 30), n_seeds=2).axes
    lines = {line.get_label(): line.get_xydata() for line in axes.lines}
    W = Scalogram(256, 4000, wavelet="cauchy", voices_per_octave=12)
    x = W.project(signals.recording("speech", 4000, 256)[0])
    bound = bounds.cramer_rao(x, W)
    assert lines["as bad as the data"].tolist() == [[20, -20], [30, -30]]
    wanted = [[snr, float(bound.error_db(snr))] for snr in (20, 30)]
    assert lines["Cramér–Rao bound"] == pytest.approx(np.array(wanted))
    fast, best = (container.lines[0].get_xydata() for container in axes.containers)
    assert [c.get_label() for c in axes.containers] == ["fast Griffin-Lim", "recover()"]
    assert fast[:, 0].tolist() == best[:, 0].tolist() == [20, 30]
    # The best rotation leaves nearly all of an error of 6 and of 40 dB below the voice.
    assert fast[:, 1] == pytest.approx(-6, abs=1.5) and best[:, 1] == pytest.approx(-40, abs=0.5)
    assert [seed for name, seed, _ in made_up if name == "recover"] == [0, 1] * 2
    assert all(said["progress"] is False for name, _, said in made_up if name == "recover")


def test_a_voice_is_drawn_above_its_scalogram_and_both_recoveries(made_up):
    axes = draw_figures.voice_and_recovery(512).axes
    assert [said for name, _, said in made_up] == [{"momentum": 0}, {"progress": False}]
    titles = [ax.get_title(loc="left") for ax in axes]
    assert titles[:2] == ["A spoken syllable", "Its scalogram: the phase is gone"]
    assert titles[2].startswith("Griffin-Lim, 200 iterations: scalogram fits to -")
    assert (
        titles[3].startswith("recover(): scalogram fits to -4")
        and "dB, waveform to -40 dB" in (titles[3])
    )
    assert [ax.get_xlabel() for ax in axes[:3]] == [""] * 3 and axes[3].get_xlabel()


def test_what_breaks_the_circle_is_measured_at_every_angle():
    figure = draw_figures.ambiguity_circle(512)
    left, middle, right = figure.axes[:3]
    assert len(left.lines) >= 5 and left.get_xlim() == (0.1, 0.12)
    heights = [float(np.mean(line.get_ydata())) for line in left.lines[:5]]
    step = 1.2 * np.abs(left.lines[0].get_ydata()).max()
    assert np.diff(heights) == pytest.approx(-step, rel=0.02)
    assert left.get_yticks() == pytest.approx(-step * np.arange(5))
    curves = {line.get_label(): line.get_xydata() for line in right.lines}
    assert all(c[:, 0].tolist() == list(range(0, 181, 5)) for c in curves.values())
    assert all(c[0, 1] == -120 for c in curves.values())  # nothing was turned
    at = {name: {int(a): db for a, db in curve} for name, curve in curves.items()}
    assert at["analytic"][90] == -120 and at["lowpass, modulus"][180] == -120
    # By half a turn all but the signed lowpass are back; the real wavelet is farthest at 90.
    assert -60 < at["lowpass, signed"][180] and at["real wavelet"][180] == -120
    assert at["real wavelet"][90] > -10 and -80 < at["leaky Morlet"][90] < -40
    assert right.get_ylim() == (-125, 5)


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
