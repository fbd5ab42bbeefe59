"""How much of a signal W hears is known, said where it is little, and refused where it is none."""

import math

import pytest
import torch
from small import N, cosine, noise, scalogram

from scalinv_utils import Scalogram, bounds, metrics, recover
from scalinv_utils.recovery import invert_gradient
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
