"""Slices of a sound add up to it, and recovered slices are turned into one sound."""

import math

import pytest
import torch

from scalinv_utils.course import signals
from scalinv_utils.metrics import analytic, waveform_error_db
from scalinv_utils.recovery import segments
from scalinv_utils.recovery._result import Recovery
from scalinv_utils.recovery.segments import Slices
from scalinv_utils.transforms.scalogram import Scalogram

N, RATE = 1024, 8000


@pytest.fixture(scope="module")
def W():
    return Scalogram(N, RATE, wavelet="cauchy", voices_per_octave=16, f_min=300)


@pytest.fixture(scope="module")
def slices(W):
    return Slices(W, overlap=384)


def sound(slices, n_samples=2500, name="speech"):
    return slices.project(signals.recording(name, RATE, n_samples, start=0.1)[0])


@pytest.mark.parametrize("overlap", [1, 100, 256, 512])
@pytest.mark.parametrize("n_samples", [1, 700, 1024, 3001])
def test_windows_add_up_to_one(W, overlap, n_samples):
    cut = Slices(W, overlap=overlap)
    total = torch.zeros(cut.count(n_samples) * cut.hop + overlap, dtype=torch.float64)
    for k in range(cut.count(n_samples)):
        total[k * cut.hop :][:N] += cut.window
    assert torch.allclose(total[overlap:][:n_samples], torch.ones(n_samples).double(), atol=1e-12)


def held(slices, x):
    """Add up the slices: x, except for parts that windows carry over the edges of the band."""
    total = torch.zeros(slices.count(len(x)) * slices.hop + slices.overlap, dtype=torch.float64)
    for k, part in enumerate(slices.split(x)):
        total[k * slices.hop :][:N] += part
    return total[slices.overlap :][: len(x)]


def test_slices_add_up_to_the_sound(slices):
    x = sound(slices)
    assert waveform_error_db(held(slices, x), x) < -30
    x = sound(slices, name="crow")  # It has little near the lower edge.
    assert waveform_error_db(held(slices, x), x) < -40


def test_rotated_slices_are_turned_into_one_sound(slices):
    """Each slice is known up to a rotation, so that only the joining can go wrong."""
    x, rotations = sound(slices), torch.Generator().manual_seed(1)
    angles = iter(2 * math.pi * torch.rand(10, generator=rotations))
    turned = ((analytic(part) * torch.exp(1j * next(angles))).real for part in slices.split(x))

    def rotated(S, W, progress):
        return Recovery(next(turned), "known", consistency_db=0.0)

    result = slices.recover(slices.magnitude(x), len(x), method=rotated)
    assert waveform_error_db(result.signal, x) < -140
    assert len(result.details["links_db"]) == slices.count(len(x)) - 1
    assert max(result.details["links_db"]) < 0


@pytest.mark.parametrize("name", ["speech", "guitar"])
def test_a_sound_comes_back_from_the_scalograms_of_its_slices(slices, name):
    x = sound(slices, name=name)
    heard = []
    result = slices.recover(
        slices.magnitude(x), len(x), callback=lambda k, y, db: heard.append((k, len(y), db))
    )
    assert waveform_error_db(result.signal, x) < -120
    assert [k for k, _, _ in heard] == list(range(slices.count(len(x))))
    assert {length for _, length, _ in heard} == {len(x)}
    assert max(result.history["consistency_db"]) < -100


def test_a_pause_is_reported_as_a_weak_link(slices):
    n = 4 * slices.hop
    x = torch.zeros(n, dtype=torch.float64)
    x[:500] = signals.tones(500, RATE, [800]) * torch.hann_window(500)
    x[-500:] = signals.tones(500, RATE, [1000]) * torch.hann_window(500)
    result = slices.recover(slices.magnitude(x), n)
    assert torch.isfinite(result.signal).all()
    assert min(result.details["links_db"]) < -60
    assert slices.recover(slices.magnitude(0 * x), n).signal.abs().max() == 0


def test_a_callback_stops_with_what_is_there(slices):
    x = sound(slices)
    result = slices.recover(slices.magnitude(x), len(x), callback=lambda k, y, db: k == 0)
    assert len(result.history["seconds"]) == 1
    known = slices.hop - slices.overlap
    assert result.signal[:known].norm() > 0.5 * x[:known].norm() and not result.signal[-100:].any()


def test_only_one_scalogram_is_held_at_a_time(slices):
    x, alive = sound(slices), []

    def one_by_one():
        for S in slices.magnitude(x):
            alive.append(len(alive))
            yield S

    def first(S, W, progress):
        assert len(alive) == len(seen) + 1
        seen.append(S.shape)
        return Recovery(torch.zeros(N), "nothing", consistency_db=0.0)

    seen = []
    slices.recover(one_by_one(), len(x), method=first)
    assert seen == [slices.W.shape] * slices.count(len(x))


def test_the_sound_is_copied_once_and_not_for_each_slice(slices, monkeypatch):
    """An hour in slices would take longer to copy than to recover."""
    copied, clone = [], torch.Tensor.clone

    def counted(x, *args, **options):
        copied.append(x.numel())
        return clone(x, *args, **options)

    def nothing(S, W, progress):
        return Recovery(torch.zeros(N), "nothing", consistency_db=0.0)

    monkeypatch.setattr(torch.Tensor, "clone", counted)
    x = torch.zeros(9000)
    slices.recover([torch.zeros(slices.W.shape)] * slices.count(9000), len(x), method=nothing)
    assert copied.count(len(x)) <= 1


@pytest.mark.parametrize(("change", "message"), [(1, "got more"), (-1, "got 3")])
def test_as_many_scalograms_as_slices(slices, change, message):
    S = torch.zeros(slices.W.shape)
    with pytest.raises(
        ValueError, match=f"scalograms must hold 4 slices for 2000 samples, {message}"
    ):
        slices.recover([S] * (4 + change), 2000)


@pytest.mark.parametrize("overlap", [0, 513, 2.5])
def test_bad_overlaps(W, overlap):
    with pytest.raises((ValueError, TypeError), match="overlap must be"):
        Slices(W, overlap=overlap)


def test_one_signal_at_a_time(slices):
    with pytest.raises(ValueError, match="x must be one mono signal"):
        next(slices.split(torch.zeros(2, 3000)))


def test_a_lowpass_leaves_a_sign_and_no_rotation():
    W = Scalogram(N, RATE, wavelet="cauchy", voices_per_octave=16, f_min=300, lowpass="signed")
    cut = Slices(W, overlap=384)
    x = sound(cut)
    signs = iter([1.0, -1.0, -1.0, 1.0, -1.0, 1.0])
    parts = cut.split(x)

    def signed(S, W, progress):
        return Recovery(next(signs) * next(parts), "known", consistency_db=0.0)

    result = cut.recover(cut.magnitude(x), len(x), method=signed)
    assert float((result.signal - x).norm() / x.norm()) < 1e-9


# -- pieces ------------------------------------------------------------------------------------


def test_too_many_scalograms_are_noticed_before_one_more_is_recovered(slices):
    S, taken = torch.zeros(slices.W.shape), []

    def nothing(S, W, progress):
        taken.append(S)
        return Recovery(torch.zeros(N), "nothing", consistency_db=0.0)

    for extra in (1, 3):
        with pytest.raises(ValueError, match="got more"):
            slices.recover([S] * (4 + extra), 2000, method=nothing, progress=False)
    assert len(taken) == 8
    with pytest.raises(ValueError, match="got 0"):
        slices.recover([], 2000, method=nothing)


def test_by_default_a_quarter_is_shared(W):
    assert Slices(W).overlap == N // 4 and Slices(W).hop == 3 * N // 4
    assert [Slices(W).count(n) for n in (1, 512, 513, 1280, 1281)] == [1, 1, 2, 2, 3]


def test_the_window_rises_as_vorbis_squared(W):
    cut = Slices(W, overlap=4)
    rise = [math.sin(math.pi / 2 * math.sin(math.pi * t / 16) ** 2) ** 2 for t in (1, 3, 5, 7)]
    assert cut.window[:5].tolist() == pytest.approx([*rise, 1])
    assert cut.window[-4:].tolist() == pytest.approx(rise[::-1]) and len(cut.window) == N


def test_the_band_of_a_sound_is_that_between_bins_of_a_slice(slices):
    seen = torch.where(slices.W.band)[0]
    first, last = int(seen[0]), int(seen[-1])
    band = torch.where(slices._band(4 * N))[0]
    assert int(band[0]) == 4 * first and int(band[-1]) == 4 * last
    assert len(band) == 4 * (last - first) + 1
    assert torch.equal(slices._band(N), slices.W.band)


def test_a_gap_in_the_band_of_a_slice_is_one_in_that_of_a_sound():
    filters = torch.zeros(2, 33)
    filters[0, 5:8], filters[1, 12:15] = 1, 1
    cut = Slices(Scalogram.from_filters(filters, [13, 6], 64, n_samples=64))
    half = torch.where(cut._band(128))[0].tolist()
    assert half == [*range(10, 15), *range(24, 29)]


def test_the_link_is_the_level_of_what_two_slices_share(slices):
    """For a tone in both, the sum of w_k w_{k+1} over the overlap, over the norm of the slice."""
    t = torch.arange(2 * N, dtype=torch.float64)
    z = torch.exp(2j * math.pi * 0.3 * t)
    before, after = z[:N], (z * torch.exp(torch.tensor(0.7j)))[slices.hop :][:N]
    before, after = before * slices.window, after * slices.window
    turned, level = slices._turn(after, before)
    lap = slices.overlap
    shared = (slices.window[:lap] * slices.window[-lap:]).square().sum()
    assert level == pytest.approx(20 * math.log10(float(shared.sqrt() / after.norm())), abs=0.01)
    assert torch.allclose(turned, after * torch.exp(torch.tensor(-0.7j)), atol=1e-6)
    louder, same = slices._turn(1e150 * after, 1e150 * before)
    assert torch.allclose(louder / 1e150, turned) and same == pytest.approx(level)
    assert slices._turn(after, None) == (after, 0.0)
    still, silent = slices._turn(0 * after, before)
    assert not still.any() and silent == -math.inf


def test_low_frequencies_have_no_say_in_the_turn(slices):
    weight, lowest = slices._far_from_zero, float(slices.W.frequencies.min())
    hertz = torch.fft.fftfreq(slices.overlap, 1 / RATE).double()
    assert torch.allclose(weight[hertz > 0], 1 - torch.exp(-((hertz[hertz > 0] / lowest / 4) ** 4)))
    assert not weight[hertz <= 0].any()


def test_a_method_has_to_say_how_well_its_recovery_fits(slices):
    S = torch.zeros(slices.W.shape)
    for answer in (torch.zeros(N), Recovery(torch.zeros(N), "no fit", consistency_db=None)):
        with pytest.raises(TypeError, match="method must return a Recovery with a consistency"):
            slices.recover([S] * 4, 2000, method=lambda S, W, progress, answer=answer: answer)


def test_bad_arguments_of_recover_are_named(slices):
    S = [torch.zeros(slices.W.shape)] * 4
    for name, bad in (("method", 3), ("scalograms", 3), ("progress", 2), ("callback", 3)):
        with pytest.raises((TypeError, ValueError), match=name):
            slices.recover(**{"scalograms": S, "n_samples": 2000, name: bad})
    with pytest.raises(TypeError, match="W must be"):
        Slices(3)
    with pytest.raises(ValueError, match="x"):
        slices.magnitude(torch.cos(2 * math.pi * 0.001 * torch.arange(3000)))  # below the band


def test_the_fit_of_all_slices_weighs_them_by_their_energy(slices):
    x, fits = sound(slices), iter([-20.0, -40.0, -30.0, -10.0, -50.0])
    planes = list(slices.magnitude(x))
    result = slices.recover(
        planes,
        len(x),
        method=lambda S, W, progress: Recovery(torch.zeros(N), "known", consistency_db=next(fits)),
    )
    energies = [float(S.square().sum()) for S in planes]
    errors = [e * 10 ** (db / 10) for e, db in zip(energies, result.history["consistency_db"])]
    wanted = 10 * math.log10(sum(errors) / sum(energies))
    assert result.consistency_db == pytest.approx(wanted)
    assert result.details["links_db"] == [-math.inf] * (len(planes) - 1)


def test_a_bar_is_shown_only_where_progress_is_wanted(slices, monkeypatch):
    shown = []

    def bar(items, total=None, *, unit, delay, desc=None, leave=True):
        shown.append((total or len(items), unit, delay))
        return items

    monkeypatch.setattr(segments, "Bar", bar)
    S = [torch.zeros(slices.W.shape)] * 4

    def nothing(S, W, progress):
        assert progress is False  # the slices have none of their own
        return Recovery(torch.zeros(N), "nothing", consistency_db=0.0)

    for options, wanted in (({}, [(4, "slice", 2.0), (6, "step", 2.0)]), ({"progress": False}, [])):
        shown.clear()
        slices.recover(S, 2000, method=nothing, **options)
        assert shown == wanted
