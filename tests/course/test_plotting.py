"""Pictures show what they are given: axes in Hz and s, levels in dB, and words beside them."""

import io
import math

import matplotlib

matplotlib.use("agg")

import numpy as np
import pytest
import torch
from IPython.core.formatters import DisplayFormatter
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from PIL import Image

from scalinv_utils.course import plotting, signals

FREQUENCIES = np.geomspace(4000, 125, 11)  # descending, two rows per octave


@pytest.fixture
def ax():
    with plt.rc_context():
        plotting.use_style()
        yield Figure().add_subplot()


@pytest.fixture
def S():
    S = np.full((11, 400), 1e-9)
    S[3, 100] = 2.0
    S[4, 200] = 0.2
    return S


# --- Curves --------------------------------------------------------------------------------------


def test_signal_is_drawn_over_seconds(ax):
    line = plotting.signal(ax, torch.arange(4.0, requires_grad=True), 2, label="x")
    assert line.get_xdata().tolist() == [0, 0.5, 1, 1.5] and line.get_ydata()[3] == 3
    assert ax.get_xlabel() == "time (s)" and ax.get_xlim() == (0, 2)


def test_convergence_tells_curves_apart_without_colour(ax):
    histories = {str(k): [-k, -2.0 * k] for k in range(7)} | {"timed": ([0.5, 2.5], [-1, -9])}
    lines = plotting.convergence(ax, histories)
    looks = [(line.get_color(), line.get_linestyle()) for line in lines[:7]]
    assert len(set(looks)) == 7 and len({style for _, style in looks[:4]}) == 4
    assert lines[0].get_xdata().tolist() == [1, 2] and lines[7].get_xdata().tolist() == [0.5, 2.5]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == list(histories)


def test_convergence_has_its_styles_without_the_style_sheet():
    lines = plotting.convergence(Figure().add_subplot(), {"a": [1, 2], "b": [1, 2]})
    assert [line.get_linestyle() for line in lines] == ["-", "--"]


def test_filterbank_peaks_stand_at_their_frequencies(ax):
    from scalinv_utils.transforms.scalogram import Scalogram

    W = Scalogram(1024, 8000, lowpass="modulus")
    lines = plotting.filterbank(ax, W, every=5)
    peaks = [line.get_xdata()[line.get_ydata().argmax()] for line in lines]
    expected = W.frequencies[::5].numpy()
    middle = slice(2, -3)
    assert peaks[middle] == pytest.approx(expected[middle], rel=0.05)
    assert ax.get_xscale() == "log" and "Hz" in ax.get_xlabel()


# --- Levels and time-frequency pictures ----------------------------------------------------------


def test_levels():
    S = np.array([[1.0, 0.1], [1e-9, 0.0]])
    assert plotting.level_db(S).ravel() == pytest.approx([0, -20, -60, -60])
    assert plotting.level_db(S, reference=10, floor_db=-30).ravel() == pytest.approx(
        [-20, -30, -30, -30]
    )
    assert np.all(plotting.level_db(np.zeros((2, 2))) == -60)


@pytest.mark.parametrize("order", [1, -1])
def test_scalogram_puts_a_spot_where_it_belongs(ax, S, order):
    mesh = plotting.scalogram(ax, S[::order], FREQUENCIES[::order], 100)
    levels = mesh.get_array()[::order]
    assert levels[3, 100] == 0 and levels[4, 200] == pytest.approx(-20) and levels.min() == -60
    corners = mesh.get_coordinates()[::order]
    low, high = sorted([corners[3, 100, 1], corners[4, 100, 1]])
    assert low < FREQUENCIES[3] < high and high / low == pytest.approx(math.sqrt(2))
    assert corners[0, 100, 0] == pytest.approx(1.0)
    assert ax.get_yscale() == "log" and ax.get_xlim() == (0, 4) and mesh.get_clim() == (-60, 0)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("time (s)", "frequency (Hz)")


def test_colour_bar_names_its_unit(ax, S):
    plotting.scalogram(ax, S, FREQUENCIES, 100)
    assert ax.figure.axes[1].get_ylabel() == "level (dB re peak)"
    other = Figure().add_subplot()
    plotting.scalogram(other, S, FREQUENCIES, 100, colorbar=False)
    assert len(other.figure.axes) == 1


def test_one_reference_makes_pictures_comparable(ax, S):
    mesh = plotting.scalogram(ax, S / 10, FREQUENCIES, 100, reference=S.max())
    assert mesh.get_array().max() == pytest.approx(-20)


def test_frequency_labels(ax, S):
    plotting.scalogram(ax, S, FREQUENCIES, 100)
    ax.figure.canvas.draw()
    labels = {label.get_text() for label in ax.get_yticklabels()}
    assert {"200", "500", "1k", "2k"} <= labels


def test_long_signals_are_pooled_without_losing_clicks(ax):
    S = np.full((11, 50_001), 1e-9)
    S[5, 33_333] = S[5, 50_000] = 1
    mesh = plotting.scalogram(ax, S, FREQUENCIES, 1000)
    levels, times = mesh.get_array(), mesh.get_coordinates()[0, :, 0]
    assert levels.shape[1] <= plotting.MAX_COLUMNS and times[-1] == pytest.approx(50.001)
    first, last = np.flatnonzero(levels[5] == 0)
    assert times[first] <= 33.333 < times[first + 1] and last == levels.shape[1] - 1


def test_lowpass_rows_are_left_out(ax, S):
    S = np.vstack([S, np.full((1, 400), -5.0)])
    mesh = plotting.scalogram(ax, S, np.append(FREQUENCIES, 0), 100)
    assert mesh.get_array().shape == (11, 400) and mesh.get_array().max() == 0


def test_phase_fades_where_there_is_nothing(ax):
    c = np.full((11, 400), 1e-9 + 0j)
    c[3, :200], c[3, 200:] = 1, -1
    colours = plotting.phase(ax, c, FREQUENCIES, 100).get_array()
    assert np.allclose(colours[7], plotting.FADED)
    assert colours[3, 50].mean() < 0.25 and colours[3, 250].mean() > 0.8
    assert ax.figure.axes[1].get_ylabel() == "phase (rad)"


def test_phase_colours_close_the_circle(ax):
    c = np.exp(1j * np.array([math.pi - 1e-6, -math.pi + 1e-6]))
    colours = plotting.phase(ax, np.tile(c, (11, 1)), FREQUENCIES).get_array()
    assert np.allclose(colours[0, 0], colours[0, 1], atol=0.01)


def test_error_map_is_signed_and_relative_to_the_target(ax, S):
    T = S.copy()
    T[3, 100], T[4, 200] = 1.5, 0.6
    mesh = plotting.error_map(ax, T, S, FREQUENCIES, 100)
    values = mesh.get_array()
    assert values[3, 100] == pytest.approx(-0.25) and values[4, 200] == pytest.approx(0.2)
    assert mesh.get_clim() == pytest.approx((-0.25, 0.25))
    colours = mesh.to_rgba(values)
    assert colours[3, 100, 2] > colours[3, 100, 0] and colours[4, 200, 0] > colours[4, 200, 2]


def test_error_map_keeps_single_errors_of_long_signals(ax):
    target = np.ones((11, 50_000))
    S = target.copy()
    S[2, 12_345], S[2, 12_346], S[8, 1] = 0.5, 1.1, 1.5
    values = plotting.error_map(ax, S, target, FREQUENCIES).get_array()
    assert values[2].min() == -0.5 and values[8].max() == 0.5


def test_synchrosqueezed_tone_is_a_thin_line(ax):
    x = signals.tones(1024, 8000, [1000])
    mesh = plotting.synchrosqueezed(ax, x, 8000)
    loud = mesh.get_array()[:, 300:700] > -20
    edges = mesh.get_coordinates()[:, 0, 1]
    rows = np.flatnonzero(loud.any(1))
    assert len(rows) <= 3
    assert 900 < edges[rows.max() + 1] and edges[rows.min()] < 1100


def test_silence_is_drawn(ax):
    silence = torch.zeros(11, 400)
    assert plotting.scalogram(ax, silence, FREQUENCIES, 100).get_array().max() == -60
    assert np.all(plotting.error_map(ax, silence, silence, FREQUENCIES).get_array() == 0)
    assert np.allclose(plotting.phase(ax, silence + 0j, FREQUENCIES).get_array(), plotting.FADED)
    squeezed = plotting.synchrosqueezed(ax, torch.zeros(400), 100).get_array()
    assert np.all(squeezed == -40)
    plotting.render(ax.figure)


@pytest.mark.parametrize(
    ("draw", "error", "argument"),
    [
        (lambda ax, S: plotting.signal(ax, S), ValueError, "x must be one mono"),
        (lambda ax, S: plotting.signal(ax, S[0], 0), ValueError, "sample_rate"),
        (lambda ax, S: plotting.scalogram(ax, -S, FREQUENCIES), ValueError, "S must not be neg"),
        (lambda ax, S: plotting.scalogram(ax, S[0], FREQUENCIES), ValueError, "S must have"),
        (lambda ax, S: plotting.scalogram(ax, S[1:], FREQUENCIES), ValueError, "S must have"),
        (lambda ax, S: plotting.scalogram(ax, S, -FREQUENCIES), ValueError, "frequencies"),
        (lambda ax, S: plotting.scalogram(ax, S, FREQUENCIES, floor_db=3), ValueError, "floor_db"),
        (
            lambda ax, S: plotting.scalogram(ax, S, FREQUENCIES, reference=0),
            ValueError,
            "reference",
        ),
        (lambda ax, S: plotting.phase(ax, S, FREQUENCIES), TypeError, "c must hold complex"),
        (lambda ax, S: plotting.phase(ax, S[1:] + 0j, FREQUENCIES), ValueError, "c must have"),
        (lambda ax, S: plotting.error_map(ax, S[:, 1:], S, FREQUENCIES), ValueError, "S must fit"),
        (lambda ax, S: plotting.error_map(ax, S, -S, FREQUENCIES), ValueError, "target"),
        (lambda ax, S: plotting.convergence(ax, {}), ValueError, "histories"),
        (lambda ax, S: plotting.convergence(ax, {"a": [math.nan]}), ValueError, "histories"),
        (lambda ax, S: plotting.convergence(ax, {"a": ([1, 2], [1])}), ValueError, "histories"),
        (lambda ax, S: plotting.synchrosqueezed(ax, [1.0]), ValueError, "x must be at least"),
        (lambda ax, S: plotting.render(ax.figure, "bmp"), ValueError, "format"),
        (lambda ax, S: plotting.strip([], "words"), ValueError, "frames"),
    ],
)
def test_bad_input_is_named(ax, S, draw, error, argument):
    with pytest.raises(error, match=argument):
        draw(ax, S)


# --- Showing and storing -------------------------------------------------------------------------


def test_picture_carries_its_words_and_closes_the_figure():
    fig, ax = plt.subplots(figsize=(3, 2), dpi=100)
    shown = plotting.picture(fig, "A line\n    rises.")
    assert not plt.fignum_exists(fig.number)
    data, metadata = DisplayFormatter().format(shown)
    assert data["text/plain"] == "A line rises." == metadata["image/png"]["alt"]
    assert Image.open(io.BytesIO(shown.png)).size == (300, 200)


@pytest.mark.parametrize("alt", ["", "  ", None])
def test_pictures_need_words(alt):
    with pytest.raises(ValueError, match="alt"):
        plotting.picture(plt.figure(), alt)
    plt.close("all")


def test_show_displays_the_picture_and_folded_words(monkeypatch):
    displayed = []
    monkeypatch.setattr(plotting, "display", lambda *objects: displayed.extend(objects))
    fig, _ = plt.subplots()
    assert plotting.show(fig, "1 < 2") is None
    shown, words = displayed
    assert shown.alt == "1 < 2" and "<details>" in words.data and "1 &lt; 2" in words.data


def test_render_keeps_the_figure_open_and_its_size(ax):
    for format in ("png", "webp"):
        image = Image.open(io.BytesIO(plotting.render(ax.figure, format)))
        assert image.format.lower() == format and image.size == (800, 300)


def test_strip_fills_row_by_row():
    frames = []
    for colour in ("red", "lime", "blue", "black"):
        buffer = io.BytesIO()
        Image.new("RGB", (90, 60), colour).save(buffer, format="PNG")
        frames.append(buffer.getvalue())
    sheet = Image.open(io.BytesIO(plotting.strip(frames, "Colours.", columns=3, width=90).png))
    assert sheet.size == (90, 40)
    places = [(15, 10), (45, 10), (75, 10), (15, 30), (75, 30)]
    expected = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 0, 0), (255, 255, 255)]
    assert [sheet.getpixel(place) for place in places] == expected
    with pytest.raises(ValueError, match="one size"):
        plotting.strip([frames[0], plotting.render(Figure())], "Two sizes.")


def test_style_sheet_has_a_colour_blind_safe_cycle_with_line_styles():
    with plt.rc_context():
        plotting.use_style()
        cycle = list(plt.rcParams["axes.prop_cycle"])
    assert len({(entry["color"], entry["linestyle"]) for entry in cycle}) == len(cycle) == 7
    okabe_ito = {"000000", "E69F00", "56B4E9", "009E73", "F0E442", "0072B2", "D55E00", "CC79A7"}
    assert {entry["color"].lstrip("#").upper() for entry in cycle} <= okabe_ito


def test_few_colours_weigh_half_and_look_alike():
    fig, ax = plt.subplots(figsize=(5, 3))
    field = np.random.default_rng(0).standard_normal((60, 80)).cumsum(0).cumsum(1)
    fig.colorbar(ax.imshow(np.angle(np.exp(1j * field / 20)), cmap="twilight"))
    png = plotting.render(fig)
    few = plotting.in_few_colours(png)
    plt.close(fig)
    before, after = (
        np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), int) for data in (png, few)
    )
    assert len(few) < 0.7 * len(png) and np.abs(after - before).max() < 24


@pytest.mark.parametrize(
    ("hertz", "label"),
    [
        (1e-5, "10µ"),
        (5e-4, "500µ"),
        (0.001, "0.001"),
        (0.5, "0.5"),
        (500, "500"),
        (1000, "1k"),
        (2500, "2.5k"),
        (100_000, "100k"),
        (1e6, "1M"),
        (1e8, "100M"),
        (5e9, "5G"),
        (1e12, "1T"),
        (1e15, "1e+15"),
        (1e-15, "1f"),
        (0, "0"),
    ],
)
def test_frequencies_have_the_prefix_of_their_size(hertz, label):
    assert plotting._hertz_label(hertz) == label
