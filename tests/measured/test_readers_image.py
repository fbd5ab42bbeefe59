"""from_image against the levels that were drawn: maps, kinds of files, sizes, axes, bad input."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from scalinv_utils import Scalogram
from scalinv_utils.course.plotting import use_style
from scalinv_utils.measured import _image, from_image

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


def test_of_grey_values_the_lowest_alone_is_the_floor(path):
    grey = np.random.default_rng(0).integers(0, 256, (60, N)).astype(np.uint8)
    grey[:, 100] = np.arange(60) % 3
    Image.fromarray(grey).save(path)
    M = from_image(path, **FRAME)
    turned = _image._dips(grey.astype(float)) < 0
    assert (M.at_most.numpy() == (grey == (255 if turned else 0))).all()


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


# -- pieces, with numbers that are told apart by hand ------------------------------------------


@pytest.mark.parametrize(
    "n_columns, meaning, hop, source, shown",
    [
        (4, None, 2, [0, 1, 2, 3], [1, 1, 1, 1]),
        (8, "sampled", 1, [*range(8)], [1] * 8),
        # The middle of two samples lies half a sample from both, and so both show it.
        (4, "scaled", 1, [0, 0, 1, 1, 2, 2, 3, 3], [1] * 8),
        # Four samples a column: the two in the middle show it.
        (2, "scaled", 1, [0, 0, 0, 0, 1, 1, 1, 1], [0, 1, 1, 0] * 2),
        # Columns 0, 1 and 2 are samples 0, 2.67 and 5.33.
        (3, "sampled", 1, [0, 0, 1, 1, 2, 2, 2, 2], [1, 0, 0, 1, 0, 1, 0, 0]),
        # Without a word, 3 columns of 8 samples are a drawing that was scaled.
        (3, None, 1, [0, 0, 0, 1, 1, 2, 2, 2], [0, 1, 0, 1, 1, 0, 1, 0]),
    ],
)
def test_which_column_each_sample_shows(n_columns, meaning, hop, source, shown):
    found = _image._columns(n_columns, 8, meaning)
    assert found[0] == hop and found[1].tolist() == source
    assert found[2].tolist() == [bool(s) for s in shown]


@pytest.mark.parametrize(
    "is_rounded, n_levels, step, middle", [(False, 4, 10, 5.0), (True, 5, 10, 0.0)]
)
def test_levels_stand_for_the_middle_of_a_step_or_for_themselves(
    is_rounded, n_levels, step, middle
):
    values = np.array([[0, 1, 3]])
    levels = _image.Levels(values, n_levels, is_rounded, 0.0, values >= 0)
    db, found, floor = _image._decibels(levels, 40)
    # What is in the lowest colour is at most half a step above the middle of it.
    assert db.tolist() == [[-40 + middle + 5, -30 + middle, -10 + middle]]
    assert found == step and 0 < floor - db[0, 0] < 1e-3


def test_the_lowest_of_levels_that_share_a_colour_ends_as_far_above_their_middle():
    values = np.array([[1.5, 3.0, 4.0]])  # levels 0 to 3 have one colour
    db, _, floor = _image._decibels(_image.Levels(values, 10, False, 1.5, values > 0), 10)
    assert db[0].tolist() == [-6, -6.5, -5.5] and floor == pytest.approx(-6, abs=1e-3)


@pytest.mark.parametrize(
    "box", [(0, 0, 2, 2), (8, 4, 10, 6), (0, 0, 10, 6), [np.int64(1), 1, 3, 3]]
)
def test_a_box_may_reach_from_edge_to_edge(box):
    assert _image._checked(box, (10, 6)) == tuple(box)


@pytest.mark.parametrize(
    "box",
    [(0, 0, 1, 2), (0, 0, 2, 1), (9, 0, 11, 2), (0, 5, 2, 7), (-1, 0, 2, 2), (3, 3, 3, 5), 7],
)
def test_a_box_outside_the_picture_or_too_small_is_refused(box):
    with pytest.raises(ValueError, match="box must be .* picture of 10 x 6"):
        _image._checked(box, (10, 6))


def test_the_longest_run_bridges_short_gaps_and_ends_at_low_values():
    share = np.array([0.3] * 2 + [0.0] * 8 + [1.0] * 5 + [0.1] * 6 + [0.21] * 4 + [0.19] * 9)
    assert _image._longest_run(share) == slice(10, 25)  # 6 below the share are bridged
    share[15:22] = 0.1
    assert _image._longest_run(share) == slice(10, 15)  # and 7 are not


def test_a_run_moves_to_the_middle_of_the_lines_of_its_frame():
    dark = np.zeros(40, bool)
    assert _image._framed(slice(10, 30), dark) == slice(10, 30)
    dark[[8, 9, 31, 32]] = True
    dark[[6, 34]] = True  # these are four pixels away, and no part of the frame
    assert _image._framed(slice(10, 30), dark) == slice(8, 33)
    dark[[7, 33]] = True
    assert _image._framed(slice(10, 30), dark) == slice(8, 33)


@pytest.mark.parametrize("line, start, stop", [(7, 7, 30), (6, 10, 30), (33, 10, 34), (34, 10, 30)])
def test_a_line_belongs_to_a_frame_up_to_three_pixels_away(line, start, stop):
    dark = np.zeros(40, bool)
    dark[line] = True
    assert _image._framed(slice(10, 30), dark) == slice(start, stop)


def test_dark_lines_count_as_a_frame_along_the_edges_alone():
    values = np.full((12, 10, 3), 200)
    values[1], values[5], values[:, -3], values[:, 4] = 99, 99, 99, 99
    values[1, :, 0] = 100
    assert not _image._frame(values)[1].any(where=np.arange(10) != 7)  # 100 is no longer dark
    values[1, :, 0] = 99
    wanted = np.zeros((12, 10), bool)
    wanted[1], wanted[:, -3] = True, True
    assert (_image._frame(values) == wanted).all()


def test_the_scalogram_is_found_between_margins_and_its_frame():
    known = np.zeros((60, 80), bool)
    known[10:50, 20:60] = True
    known[10:50, 67:71] = True  # a colour bar
    known[30, :] = True  # a line of text in a colour of the map
    values = np.full((60, 80, 3), 255)
    assert _image._inside(known, values) == (slice(10, 50), slice(20, 60))
    values[7:53, [17, 18, 19, 60, 61, 62]] = values[[7, 8, 9, 50, 51, 52], 17:63] = 0
    assert _image._inside(known, values) == (slice(8, 52), slice(18, 62))


def test_the_outline_has_the_four_edges_and_nothing_else():
    plane = np.zeros((5, 7), int)
    plane[1:-1, 1:-1] = 1
    outline = _image._outline(plane)
    assert len(outline) == 2 * 7 + 2 * 5 and not outline.any()
    assert _image._outline(np.arange(35).reshape(5, 7)).max() == 34


def test_dips_are_the_skewness_of_second_differences_at_five_lags():
    plane = np.abs(np.random.default_rng(1).standard_normal((4, 50)))
    plane[2, 7] = np.nan
    wanted = 0.0
    for lag in (1, 2, 4, 8, 16):
        bend = [
            row[t + lag] - 2 * row[t] + row[t - lag] for row in plane for t in range(lag, 50 - lag)
        ]
        bend = np.array([b for b in bend if b == b])
        wanted += np.sum(bend**3) / np.sqrt(np.sum(bend**2)) ** 3 * np.sqrt(len(bend))
    assert _image._dips(plane) == pytest.approx(wanted)
    assert _image._dips(-plane) == pytest.approx(-wanted)
    assert _image._dips(np.ones((3, 40))) == 0


def test_colours_are_counted_and_the_one_of_the_corner_is_left_out():
    red, green, blue = (255, 0, 1), (2, 255, 0), (0, 3, 255)
    values = np.array([[red, green, green], [green, green, blue]])
    colours, which = _image._different(values)
    assert (colours[which] == values).all() and len(colours) == 3
    seen, weights = _image._seen(_image.Picture(values, 0, np.ones((2, 3), bool)))
    found = dict(zip(map(tuple, seen.tolist()), weights.tolist()))
    assert found == {green: 2.0, blue: 1.0}  # the roots of 4 and 1 pixels
    opaque = np.array([[True, False, True], [True, True, True]])
    _, weights = _image._seen(_image.Picture(values, 0, opaque))
    assert sorted(weights) == pytest.approx([1, 3**0.5])
    only = _image._seen(_image.Picture(np.array([[red, red]]), 0, np.ones((1, 2), bool)))
    assert only[0].tolist() == [list(red)] and only[1] == pytest.approx([2**0.5])


def test_a_map_is_judged_by_weighted_distances_and_far_ones_count_as_four_near():
    scale = _image.ColourMap(np.array([[0, 0, 0], [10, 0, 0]]), np.arange(2), 2, False)
    colours, weights = np.array([[0, 3, 4], [10, 0, 1], [200, 200, 200]]), np.array([1, 2, 1])
    assert _image._misfit(scale, colours, weights) == pytest.approx((5 + 2 * 1 + 4 * 12) / 4)


@pytest.mark.parametrize(
    "n_off, n_left, may_cut", [(14, 30, True), (16, 14, True), (14, 30, False)]
)
def test_margins_are_cut_where_most_of_the_outline_is_off_the_map(n_off, n_left, may_cut):
    scale = _image.ColourMap(np.array([[200, 0, 0], [220, 0, 0]]), np.array([3.0, 4]), 9, False)
    values = np.tile([200, 0, 0], (20, 30, 1))
    values[5, 29] = 220, 0, 0
    values[:, :n_off] = 255  # of 100 pixels of the outline 48 or 52
    picture = _image.Picture(values, 0, np.ones((20, 30), bool))
    levels = _image._in_colours(picture, scale, may_cut)
    assert levels.known.shape == levels.values.shape == (20, n_left)
    assert levels.known.sum() == 20 * (30 - n_off) and not levels.is_rounded
    assert (levels.n_levels, levels.lowest) == (9, 3.0)
    assert levels.values[5, -1] == 4 and levels.values[6, -1] == 3
    if n_off == 16:
        with pytest.raises(ValueError, match="in which 47% of the pixels"):
            _image._in_colours(picture, scale, False)


@pytest.mark.parametrize("n_few", [199, 200])
def test_a_map_that_is_found_has_many_colours_and_no_other_name(monkeypatch, n_few):
    def of(n_levels, colour):
        def colormap(k, bytes):
            return np.array([(*colour(n), 255) for n in range(n_levels)], np.uint8)[k]

        colormap.N = n_levels
        return colormap

    maps = {
        "few": of(n_few, lambda n: (n, 0, 0)),
        "back_r": of(256, lambda n: (n, 0, 0)),
        "loop": of(256, lambda n: (n if n < 250 else 249 - n % 2, 0, 0)),
        "full": of(256, lambda n: (n, 5, 0)),
    }
    monkeypatch.setattr(_image, "_matplotlib_maps", lambda: maps)
    values = np.array([[(n, 0, 0) for n in range(n_few)]])
    found = _image._map_of(_image.Picture(values, 0, np.ones((1, n_few), bool)), None)
    assert found.n_levels == (n_few if n_few == 200 else 256)


def test_levels_of_one_colour_are_ambiguous_unless_they_are_neighbours():
    def painted(greys):
        def colormap(k, bytes):
            return np.array([[g, g, g, 255] for g in greys], np.uint8)[k]

        colormap.N = len(greys)
        return _image._colour_map(colormap)

    run = painted([0, 0, 0, 7, 8, 8])
    assert run.colours[:, 0].tolist() == [0, 7, 8] and run.levels.tolist() == [1, 3, 4.5]
    assert run.n_levels == 6 and not run.is_ambiguous
    assert painted([0, 5, 0, 7]).is_ambiguous and painted([1, 1, 2, 1]).is_ambiguous


def test_rows_go_down_from_f_max_to_f_min_up_to_half_the_rate():
    assert _image._frequencies(10, 1000, 3, 2000) == pytest.approx([1000, 100, 10])
    for f_min, f_max in ((10, 1001), (10, 10), (20, 10)):
        with pytest.raises(ValueError, match="f_max must be above f_min"):
            _image._frequencies(f_min, f_max, 3, 2000)


@pytest.mark.parametrize("mode, n_greys", [("L", 256), ("1", 256), ("LA", 256), ("I;16", 65536)])
def test_grey_values_are_levels_unless_a_map_is_named(mode, n_greys):
    deep = mode == "I;16"
    grey = np.array([[0, 255], [255, 0]], np.uint16 if deep else np.uint8)
    image = Image.fromarray(grey) if deep else Image.fromarray(grey).convert(mode)
    taken = _image._taken_apart(image, True)
    assert taken.n_greys == n_greys and taken.values.tolist() == grey.tolist()
    assert taken.opaque.all()
    if not deep:
        coloured = _image._taken_apart(image, False)
        assert coloured.n_greys == 0 and coloured.values.shape == (2, 2, 3)
