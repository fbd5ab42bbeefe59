"""How much of a signal W hears is known, said where it is little, and refused where it is none."""

import math
import warnings

import numpy as np
import pytest
import torch
from small import N, cosine, noise, scalogram

from scalinv_utils import Scalogram, _band, bounds, metrics, recover
from scalinv_utils.course import audio, signals
from scalinv_utils.measured import Measured
from scalinv_utils.recovery import griffin_lim, invert_gradient
from scalinv_utils.recovery._phase_equation import spectral_gap
from scalinv_utils.recovery.segments import Slices
from scalinv_utils.transforms.decimated import Decimated

W = scalogram()  # hears bins 22 to 62 of 64
BAND = torch.nonzero(W.band).flatten()
INSIDE, OUTSIDE = int(BAND[len(BAND) // 2]), 4


def mixed(share):
    """Make a signal with this share of its energy in the band."""
    return math.sqrt(share) * cosine(INSIDE) + math.sqrt(1 - share) * cosine(OUTSIDE)


@pytest.mark.parametrize("share", [1e-6, 0.003, 0.25, 1.0])
@pytest.mark.parametrize("level", [1e-250, 1.0, 1e250])
def test_the_share_is_that_of_the_energy(share, level):
    assert W.share_in_band(level * mixed(share)) == pytest.approx(share, rel=1e-9)
    assert W.share_in_band((mixed(share) + 3.0) * level) == pytest.approx(share, rel=1e-9)


def test_shares_of_a_batch_and_of_silence():
    x = torch.stack([mixed(0.25), torch.zeros(N).double(), mixed(1.0)])
    assert torch.allclose(W.share_in_band(x), torch.tensor([0.25, 1.0, 1.0]).double())
    assert W.share_in_band(torch.zeros(N)) == 1


def test_a_lowpass_hears_the_mean():
    low = scalogram(lowpass="modulus")
    x = 2.0 + math.sqrt(2) * cosine(INSIDE)  # energies 4 and 1
    assert W.share_in_band(x) == pytest.approx(1) and low.share_in_band(x) == pytest.approx(1)
    assert low.share_in_band(torch.ones(N)) == pytest.approx(1)
    assert low.magnitude(torch.ones(N))[-1].min() > 0.5


def test_the_case_that_was_reported():
    t = torch.arange(2000).double() / 1000
    slow = Scalogram(2000, 1000)
    x = 1 + torch.cos(4 * torch.pi * t)
    with pytest.raises(
        ValueError, match=r"x must have energy in the band of W, [\d.]+ to 499.5 Hz"
    ):
        recover(slow.magnitude(x), slow)
    assert slow.share_in_band(x) < 1e-25


@pytest.mark.parametrize(
    "x",
    [torch.ones(N), cosine(OUTSIDE), 1 + cosine(OUTSIDE), 1e-200 * cosine(OUTSIDE), mixed(1e-10)],
    ids=["a constant", "a tone", "both", "a quiet tone", "leakage"],
)
@pytest.mark.parametrize(
    "use",
    [
        W.magnitude,
        W.check_heard,
        Decimated(W).magnitude,
        lambda x: bounds.cramer_rao(x, W),
        lambda x: spectral_gap(W.magnitude(noise(0)), W, x),
        Slices(W).magnitude,
    ],
    ids=["magnitude", "check", "decimated", "bound", "gap", "slices"],
)
def test_next_to_nothing_is_refused(x, use):
    with pytest.raises(ValueError, match="must have energy in the band of W"):
        use(x)


def test_the_refused_argument_is_named():
    for score in (metrics.island_error_db, metrics.frequency_error_db):
        with pytest.raises(ValueError, match="ref must have energy"):
            score(noise(0), cosine(OUTSIDE), W)
    with pytest.raises(ValueError, match=r"x\[1, 0\] must have energy"):
        W.magnitude(torch.stack([noise(0, 2, N), torch.stack([cosine(OUTSIDE), noise(1)])]))
    with pytest.raises(ValueError, match="init must have energy"):
        invert_gradient(W.magnitude(noise(0)), W, init=cosine(OUTSIDE))


def test_little_is_said_with_its_share():
    with pytest.warns(UserWarning, match=r"99.7 % of the energy of x lies outside") as caught:
        S = W.magnitude(mixed(0.003))
    assert caught[0].filename == __file__
    wanted = math.sqrt(0.003) * W.magnitude(cosine(INSIDE))  # what is there is right
    assert metrics.misfit_db(S, wanted) < -80
    with pytest.warns(UserWarning, match=r"99.5 % of the energy of x\[1\] lies outside"):
        W.magnitude(torch.stack([mixed(0.5), mixed(0.005)]))
    W.magnitude(mixed(0.012))  # nothing is said


def test_an_offset_is_no_loss():
    S = W.magnitude(cosine(INSIDE) + 1e6)
    assert metrics.misfit_db(S, W.magnitude(cosine(INSIDE))) < -140


def test_silence_is_heard():
    assert not W.magnitude(torch.zeros(N)).any()


def test_a_projection_of_nothing_is_zero_and_comes_back_as_silence():
    for x in (torch.ones(N), 1 + cosine(OUTSIDE)):
        y = W.project(x)
        assert not y.any()
        assert recover(W.magnitude(y), W, progress=False).consistency_db == -math.inf
    assert metrics.misfit_db(W.project(mixed(1e-6)), 1e-3 * cosine(INSIDE)) < -200


def test_a_slice_may_be_out_of_the_band_if_the_sound_is_not():
    x = torch.cat([W.project(noise(0)), cosine(OUTSIDE), W.project(noise(1))])
    assert len(list(Slices(W).magnitude(x))) == Slices(W).count(3 * N)


def test_single_precision_and_gradients():
    single = W.like().float()
    with pytest.raises(ValueError, match="energy in the band"):
        single.magnitude(1 + cosine(OUTSIDE))
    x = noise(0).requires_grad_()
    W.magnitude(x).sum().backward()
    assert torch.isfinite(x.grad).all() and x.grad.any()


# -- bands with a gap -----------------------------------------------------------------------------

GAP = Scalogram.from_frequencies(256, frequencies=[0.4, 0.36, 0.33, 0.3, 0.09, 0.08, 0.07, 0.06])
IN_THE_GAP = cosine(45, 256)


def test_energy_in_a_gap_of_the_band_is_not_heard():
    heard = r"0.0\d+ to 0.1\d* Hz and 0.2\d+ to 0.4\d+ Hz"
    with pytest.raises(ValueError, match=f"x must have energy in the band of W, {heard}"):
        GAP.magnitude(IN_THE_GAP)
    with pytest.warns(UserWarning, match=f"W hears {heard}: 99.91 % of the energy"):
        GAP.magnitude(IN_THE_GAP + 0.03 * cosine(90, 256))


def test_slices_have_the_gap_of_their_transform():
    slices = Slices(GAP)
    with pytest.raises(ValueError, match="Hz and 0.2"):
        slices.magnitude(cosine(90, 512))
    kept = cosine(40, 512) + cosine(180, 512)
    assert metrics.misfit_db(slices.project(kept + cosine(90, 512)), kept) < -250
    assert torch.equal(Slices(W)._band(N), W.band)


def test_many_parts_of_a_band_are_not_all_named():
    comb = torch.zeros(6, 65).double()
    for row, k in enumerate(range(10, 60, 9)):
        comb[row, k] = 1.0
    many = Scalogram.from_filters(comb, torch.arange(1, 7) / 14, n_samples=N)
    with pytest.raises(
        ValueError, match=r"0.078125 to 0.078125 Hz and ... and 0.4\d+ to 0.4\d+ Hz"
    ):
        many.magnitude(cosine(OUTSIDE))


# -- starts, iterates, scores ---------------------------------------------------------------------


def test_starts_that_are_not_heard_are_refused_or_said_once():
    S = W.magnitude(noise(0))
    for method in (griffin_lim, invert_gradient):
        with pytest.raises(ValueError, match="init must have energy"):
            method(S, W, init=cosine(OUTSIDE), n_iter=1)
        with pytest.warns(UserWarning, match="99.6 % of the energy of init") as caught:
            method(S, W, init=mixed(0.004), n_iter=3)
        assert len(caught) == 1
        both = torch.stack([noise(1), cosine(OUTSIDE)])
        with pytest.raises(ValueError, match=r"init\[1\] must have energy"):
            method(torch.stack([S, S]), W, init=both, n_iter=1)
        quiet = method(torch.stack([S, 0 * S]), W, init=both, n_iter=1)  # silence needs no start
        assert quiet.signal[0].any() and not quiet.signal[1].any()


def test_starts_for_a_part_of_a_scalogram():
    M = Measured(W.magnitude(noise(0)), W, hop=2)
    for method in (griffin_lim, invert_gradient):
        with pytest.raises(ValueError, match="init must have energy"):
            method(M, init=cosine(OUTSIDE), n_iter=1)
        with pytest.warns(UserWarning, match="99.6 % of the energy of init"):
            method(M, init=mixed(0.004), n_iter=1)


def test_a_descent_does_not_warn_at_each_step():
    S = W.magnitude(noise(0))
    with pytest.warns(UserWarning, match="of the energy of x lies outside") as caught:
        invert_gradient(S, lambda x: W.magnitude(x), init=mixed(0.004), n_iter=10)
    assert len(caught) <= 2
    x = mixed(0.004).requires_grad_()
    W.magnitude(x).sum().backward()  # what is sought gets no warning
    assert x.grad.any()


def test_a_recovery_that_is_not_heard_has_no_frequency():
    ref = cosine(INSIDE)
    assert metrics.frequency_error_db(cosine(OUTSIDE), ref, W) == pytest.approx(0, abs=1e-9)
    assert metrics.island_error_db(cosine(OUTSIDE), ref, W) == pytest.approx(0, abs=1e-9)
    assert metrics.frequency_error_db(ref, ref, W) == -math.inf


@pytest.mark.parametrize("share, words", [(2e-7, "99.99998 %"), (0.004, "99.6 %")])
def test_a_share_is_told_from_everything(share, words):
    with pytest.warns(UserWarning, match=words):
        W.magnitude(mixed(share))


# -- changes of rate ------------------------------------------------------------------------------


def tone(frequency, rate=8000):
    angle = 2 * torch.pi * frequency / rate * torch.arange(rate).double()
    return signals.fade(angle.cos(), rate, 0.1)


def test_a_change_of_rate_says_what_it_removes():
    high, low = tone(3000), tone(200)
    with pytest.raises(ValueError, match="x must have energy below 500 Hz, half of the new rate"):
        signals.resample(high, 8000, 1000)
    with pytest.raises(ValueError, match=r"x\[1\] must have energy below 500 Hz"):
        signals.resample(torch.stack([low, 1e200 * high]), 8000, 1000)
    with pytest.warns(
        UserWarning, match=r"above 500 Hz: 99.[67]\d* % of the energy of x"
    ) as caught:
        signals.resample(high + 0.06 * low, 8000, 1000)
    assert len(caught) == 1
    for kept in (low, high + 0.2 * low, 0 * low, 0 * low + 3.0, 1e-250 * low):
        assert torch.isfinite(signals.resample(kept, 8000, 1000)).all()
    assert signals.polyphase(high, 8000, 1000).abs().max() < 1e-3


def test_loading_at_a_lower_rate_says_what_it_removes(tmp_path):
    audio.save_wav(tmp_path / "high.wav", tone(3000), 8000)
    with pytest.raises(ValueError, match="path must have energy below 500 Hz"):
        signals.load(tmp_path / "high.wav", sample_rate=1000)
    assert len(signals.load(tmp_path / "high.wav")[0]) == 8000


def test_nothing_is_played_in_place_of_what_no_browser_plays():
    with pytest.raises(ValueError, match=r"sounds\['bat'\] must have energy below \d+ Hz"):
        audio.players({"bat": tone(70_000, 200_000)}, 200_000, pictures=False)


# -- pieces ------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [8, 9])
def test_shares_are_those_of_the_energy_in_time(n):
    x = torch.from_numpy(np.random.default_rng(n).standard_normal(n))
    spectrum = torch.fft.rfft(x)
    for band in ([0, 1, 0, 0, 0], [0, 0, 0, 1, 1], [1, 0, 1, 0, 0]):
        kept = torch.fft.irfft(spectrum * torch.tensor(band), n=n)
        whole = x if band[0] else x - x.mean()
        share, of_all = _band.shares(x, torch.tensor(band) > 0)
        energy = kept.square().sum()
        assert float(share) == pytest.approx(float(energy / whole.square().sum()))
        assert float(of_all) == pytest.approx(float(energy / x.square().sum()))


@pytest.mark.parametrize(
    "share, of_all, dtype, enough",
    [
        (1.1e-9, 1.0, torch.float64, True),
        (0.9e-9, 1.0, torch.float64, False),
        (1.0, (65 * 2.0**-52) ** 2, torch.float64, True),
        (1.0, (63 * 2.0**-52) ** 2, torch.float64, False),
        (1.0, (65 * 2.0**-23) ** 2, torch.float32, True),
        (1.0, (63 * 2.0**-23) ** 2, torch.float32, False),
    ],
)
def test_enough_is_more_than_leakage_and_rounding(share, of_all, dtype, enough):
    both = (torch.tensor(value, dtype=torch.float64) for value in (share, of_all))
    assert bool(_band._enough(*both, dtype)) == enough


def test_intervals_and_members_are_named():
    band = torch.tensor([0, 1, 1, 0, 1, 0]) > 0
    assert _band._intervals(band, 10.0) == "10 to 20 Hz and 40 to 40 Hz"
    many = torch.tensor([1, 0, 1, 0, 1, 0, 1]) > 0
    assert _band._intervals(many, 1.0) == "0 to 0 Hz and ... and 6 to 6 Hz"
    assert _band._intervals(many[:5], 1.0) == "0 to 0 Hz and 2 to 2 Hz and 4 to 4 Hz"
    assert _band._member("x", 0, torch.zeros(4)) == "x"
    assert _band._member("x", 5, torch.zeros(2, 3, 4)) == "x[1, 2]"


@pytest.mark.parametrize(
    "left, words",
    [(0.011, None), (0.009, "99.1 % of the energy of x"), (2e-6, "removes"), (0.5e-6, "must have")],
)
def test_a_rate_that_keeps_little_is_told_and_one_that_keeps_nothing_refused(left, words):
    x = 5 + torch.tensor([1.0, -1.0] * 8).double()
    resampled = 5 + left**0.5 * torch.tensor([1.0, -1.0] * 4).double()
    if words is None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            _band.check_kept(x, resampled, 100.0, "x")
    elif left > 1e-6:
        with pytest.warns(UserWarning, match=words):
            _band.check_kept(x, resampled, 100.0, "x")
    else:
        with pytest.raises(ValueError, match=f"x {words} energy below 50 Hz"):
            _band.check_kept(x, resampled, 100.0, "x")
    _band.check_kept(5 + 0 * x, 5 + 0 * resampled, 100.0, "x")  # an offset has nothing to lose


def test_what_is_only_rounding_is_no_part_of_a_signal():
    x = torch.cos(2 * torch.pi * 3 * torch.arange(32).double() / 32)
    band = torch.zeros(17, dtype=torch.bool)
    band[5] = True
    assert not _band.restricted(x, band).any()
    part = 1e-12 * torch.cos(2 * torch.pi * 5 * torch.arange(32).double() / 32)
    assert torch.allclose(_band.restricted(x + part, band), part, rtol=1e-3, atol=1e-15)
