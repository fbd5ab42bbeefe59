"""from_image against the levels that were drawn: maps, kinds of files, sizes, axes, bad input."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from scalinv_utils import Scalogram
from scalinv_utils.course.plotting import use_style
from scalinv_utils.measured import from_image

from .modelled import noise, speech

N, RATE = 512, 8000
W = Scalogram.from_frequencies(N, RATE, frequencies=np.geomspace(3600, 150, 60))
FRAME = dict(sample_rate=RATE, seconds=N / RATE, f_min=150, f_max=3600)


def levels(x):
    S = W.magnitude(x).numpy()
    return 20 * np.log10(np.maximum(S, 1e-30) / S.max())


SPEECH = levels(speech(N, RATE))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "scalogram.png"


@pytest.fixture
def styled():
    """Draw in a style, whatever another test has left, and leave no trace of it."""
    with plt.rc_context():
        yield lambda style: use_style() if style == "course" else plt.style.use(style)


def draw(path, db=SPEECH, cmap="viridis", db_range=80):
    plt.imsave(path, db, vmin=-db_range, vmax=0, cmap=cmap)
    with Image.open(path) as image:
        return image.convert("RGB")


def read_db(M):
    """What was read, in dB; NaN where nothing is known."""
    return 20 * np.log10(np.where(M.known, M.S, np.nan))


def wrong(M, db=SPEECH):
    """The largest error in dB above the floor; what lies below has to be marked as below."""
    low, read = M.at_most.numpy(), read_db(M)
    assert (db[low] <= read[low] + 1e-9).all()
    return np.abs(read - db)[M.known.numpy() & ~low].max()


def step_db(M):
    """The step of which M knows, from the standard deviation of its errors."""
    return float((M.sigma / M.S)[M.known].median()) * np.sqrt(12) * 20 / np.log(10)


STEP = 80 / 256
HALF = STEP / 2 + 1e-6


@pytest.mark.parametrize(
    "cmap, most",
    [
        *((name, 0.5) for name in ("magma", "inferno", "plasma", "turbo", "hot", "RdBu_r", "bone")),
        *((name, 1.5) for name in ("viridis", "gray", "gray_r", "Greys", "cividis", "viridis_r")),
        ("jet", 2.0),  # four levels at its ends have one colour
    ],
)
def test_maps_are_found_with_their_direction(path, cmap, most):
    draw(path, cmap=cmap)
    M = from_image(path, **FRAME)
    assert wrong(M) <= most * STEP + 1e-6 and M.known.all() and np.isclose(step_db(M), STEP)
    assert np.allclose(M.W.frequencies, W.frequencies) and M.n_samples == N


@pytest.mark.parametrize("db_range", [40, 120])
@pytest.mark.parametrize("cmap", ["magma", "magma_r"])
def test_directions_of_noise_and_other_ranges(path, db_range, cmap):
    db = levels(noise(N))
    draw(path, db, cmap, db_range)
    assert wrong(from_image(path, **FRAME, db_range=db_range), db) <= db_range / 512 + 1e-6


def test_a_map_may_be_named(path):
    draw(path, cmap="viridis_r")
    assert wrong(from_image(path, **FRAME, cmap="viridis_r")) <= STEP
    turned = np.minimum(-80 - SPEECH, 0)
    assert wrong(from_image(path, **FRAME, cmap="viridis"), turned) <= STEP


@pytest.mark.parametrize("bits, turned", [(8, False), (8, True), (16, False), (16, True)])
def test_grey_values_without_a_map(path, bits, turned):
    full = 2**bits - 1
    grey = np.round(np.clip(SPEECH / 80 + 1, 0, 1) * full)
    kind = np.uint8 if bits == 8 else np.uint16
    Image.fromarray((full - grey if turned else grey).astype(kind)).save(path)
    M = from_image(path, **FRAME)
    assert wrong(M) <= 40 / full + 1e-6 and np.isclose(step_db(M), 80 / full)


def test_palettes(path):
    image = draw(path, cmap="magma").convert("P", palette=Image.Palette.ADAPTIVE, colors=256)
    image.save(path)
    assert image.mode == "P" and wrong(from_image(path, **FRAME)) <= HALF


def test_transparent_pixels_are_not_known(path):
    pixels = np.array(draw(path).convert("RGBA"))
    pixels[:5, :7, 3] = 0
    Image.fromarray(pixels).save(path)
    M = from_image(path, **FRAME)
    known = np.ones((60, N), bool)
    known[:5, :7] = False
    assert (M.known.numpy() == known).all() and wrong(M) <= STEP


def test_a_line_drawn_over_the_scalogram_is_not_known(path):
    image = draw(path)
    image.paste((255, 0, 0), (100, 20, 140, 22))
    image.save(path)
    known = from_image(path, **FRAME).known
    assert not known[20:22, 100:140].any() and (~known).sum() == 80


def test_jpeg_is_near(tmp_path):
    path = tmp_path / "scalogram.jpg"
    draw(tmp_path / "exact.png").save(path, quality=95)
    M = from_image(path, **FRAME)
    assert M.known.double().mean() > 0.75 and np.nanmedian(np.abs(read_db(M) - SPEECH)) < 1


def test_every_fourth_column(path):
    draw(path, SPEECH[:, ::4], "magma")
    M = from_image(path, **FRAME)
    assert M.columns.hop == 4 and wrong(M, SPEECH[:, ::4]) <= HALF


@pytest.mark.parametrize("width", [200, 300, 511, 700, 1024])
def test_other_widths_lie_at_the_nearest_samples(path, width):
    draw(path, cmap="magma").resize((width, 60), Image.Resampling.BILINEAR).save(path)
    M = from_image(path, **FRAME, columns="scaled")
    # Where a column lies between two samples, both show it.
    assert min(width, N) <= M.known.any(0).sum() <= 1.05 * width
    errors = np.abs(read_db(M) - SPEECH)[(M.known & ~M.at_most).numpy()]
    assert np.median(errors) < 0.3 and np.quantile(errors, 0.9) < 1.0


def test_columns_may_be_read_either_way(path):
    draw(path, SPEECH[:, ::4], "magma")
    scaled = from_image(path, **FRAME, columns="scaled")
    shown = np.flatnonzero(scaled.known.all(0))
    assert list(shown[:4]) == [1, 2, 5, 6]  # the middle of four samples lies between two


@pytest.mark.parametrize("style", ["default", "course", "ggplot"])
@pytest.mark.parametrize(
    "cmap, with_bar", [("viridis", True), ("magma", False), ("jet", True), ("turbo", False)]
)
def test_axes_are_cut_off(path, cmap, with_bar, style, styled):
    styled(style)
    figure, axes = plt.subplots(figsize=(7, 4), dpi=100)
    drawn = axes.imshow(SPEECH, cmap=cmap, vmin=-80, vmax=0, aspect="auto", interpolation="nearest")
    axes.set(xlabel="time", ylabel="row", title="A scalogram")
    if with_bar:
        figure.colorbar(drawn)
    figure.savefig(path)
    window, height = axes.get_window_extent(), figure.bbox.height
    edges = [window.x0, height - window.y1, window.x1, height - window.y0]
    M = from_image(path, **FRAME)
    # The lines around the axes are white in ggplot, and cover three rows.
    assert abs(M.W.n_freqs - window.height) <= 3
    same = from_image(path, **FRAME, cmap=cmap, box=[round(edge) for edge in edges])
    middle = slice(len(same.S) // 2 - 5, len(same.S) // 2 + 5), slice(50, 400)
    nearest = SPEECH[np.round(np.linspace(0, 59, len(same.S))).astype(int)]
    assert np.nanmedian(np.abs(read_db(same) - nearest)[middle]) < 2
    assert np.nanmedian(np.abs(read_db(M)[: len(same.S)] - read_db(same)[: len(M.S)])) < 1


def test_margins_in_a_colour_of_the_map_need_a_box(path):
    figure, axes = plt.subplots()
    axes.imshow(SPEECH, cmap="gray", vmin=-80, vmax=0, aspect="auto")
    figure.savefig(path)
    with pytest.raises(ValueError, match="box must be given"):
        from_image(path, **FRAME)


def test_a_photograph_is_refused(path):
    pixels = np.random.default_rng(0).integers(0, 256, (60, N, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(path)
    with pytest.raises(ValueError, match="path must be a picture in the colours"):
        from_image(path, **FRAME)


BAD = {
    "f_min": dict(f_min=0),
    "f_max": dict(f_max=100),
    "f_max ": dict(f_max=5000),
    "seconds": dict(seconds=-1),
    "sample_rate": dict(sample_rate=np.nan),
    "db_range": dict(db_range=0),
    "cmap": dict(cmap="sound"),
    "cmap ": dict(cmap="flag"),
    "box": dict(box=(0, 0, 600, 60)),
    "box ": dict(box=(10, 10, 5, 60)),
    "box  ": dict(box=(0, 0, 60)),
    "columns": dict(columns="first"),
    "wavelet": dict(wavelet="haar"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_named(path, name):
    draw(path)
    with pytest.raises(ValueError, match=name.strip()):
        from_image(path, **{**FRAME, **BAD[name]})


def test_bad_files_are_named(path):
    path.write_bytes(b"no picture")
    with pytest.raises(ValueError, match="path must be a picture"):
        from_image(path, **FRAME)
    with pytest.raises(FileNotFoundError):
        from_image(path.with_name("none.png"), **FRAME)
