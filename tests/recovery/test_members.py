"""Members of a batch are recovered as if each were alone."""

import functools
import math

import numpy as np
import pytest
import torch
from small import N, cosine, noise, scalogram, scattering

from scalinv_utils import bounds, metrics
from scalinv_utils.recovery import (
    Recovery,
    _batches,
    _members,
    griffin_lim,
    invert_gradient,
    phase_gradient,
    recover,
)
from scalinv_utils.recovery._gradient_descent import OPTIMIZERS, random_start
from scalinv_utils.recovery._heap_integration import Paths
from scalinv_utils.recovery._objective import Objective
from scalinv_utils.recovery._phase_gradient import integrate_phase, paths_of
from scalinv_utils.recovery._phase_relations import phase_derivatives
from scalinv_utils.recovery.denoising import denoise
from scalinv_utils.recovery.losses import LOSSES, L2ToL1, gaussian, order_loss
from scalinv_utils.transforms.decimated import Decimated
from scalinv_utils.transforms.scattering import FORMS, Renormalized

W = scalogram(N, "cauchy", 16)
X = torch.stack([W.project(noise(seed)) for seed in range(4)])
X *= torch.tensor([1.0, 0.0, 1e-9, 1e200], dtype=torch.float64)[
    :, None
]  # loud, silent, quiet, very loud
S = W.magnitude(X)

METHODS = {
    "griffin_lim": lambda S: griffin_lim(S, W, n_iter=4, keep_every=3),
    "griffin_lim, admm": lambda S: griffin_lim(S, W, n_iter=4, keep_every=3, rule="admm"),
    "phase gradient": lambda S: phase_gradient(S, W, n_iter=2, keep_every=3),
    **{
        name: lambda S, name=name: invert_gradient(S, W, n_iter=4, optimizer=name, keep_every=3)
        for name in OPTIMIZERS
    },
    "l2 to l1": lambda S: invert_gradient(S, W, n_iter=4, loss=L2ToL1(after=2), keep_every=3),
    "coloured": lambda S: invert_gradient(S, W, n_iter=2, init="coloured", keep_every=3),
    "from the phase": lambda S: invert_gradient(
        S, W, n_iter=2, init="phase_gradient", keep_every=3
    ),
}


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())
def test_members_are_recovered_as_if_alone(method):
    together, alone = method(S), [method(member) for member in S]
    assert torch.equal(together.signal, torch.stack([r.signal for r in alone]))
    assert not together.signal[1].any()
    for k, x in together.iterates:
        wanted = [[y for j, y in r.iterates if j <= k][-1] for r in alone]
        assert torch.equal(x, torch.stack(wanted))
    assert len(together.history["seconds"]) == max(len(r.history["seconds"]) for r in alone)
    assert together.seconds >= max(r.seconds for r in alone) * 0.1 > 0


def test_recover_keeps_what_it_knows_of_each_member(tmp_path):
    """A loud sound, silence, and noise that no signal has: each with its own stages and history."""
    W = scalogram(64, "cauchy", 24)
    sound = W.magnitude(cosine(8, 64))
    unlike = torch.stack([sound, 0 * sound, 1e-12 * (sound + 0.1 * torch.rand_like(sound))])
    batch = recover(unlike.reshape(3, 1, *W.shape), W, progress=False)
    alone = [recover(part, W, progress=False) for part in unlike]
    assert batch.signal.shape == (3, 1, W.n_samples)
    batch.save(tmp_path / "batch.pt")
    for kept in (batch, Recovery.load(tmp_path / "batch.pt")):
        assert len(kept.members) == 3
        for member, own in zip(kept.members, alone):
            assert torch.equal(member.signal, own.signal)
            assert member.history["consistency_db"] == own.history["consistency_db"]
            assert member.details == own.details and member.members == []
        assert kept.details["stages"] == [own.details["stages"] for own in alone]
        assert kept.details["islands"] == sum(own.details.get("islands", 0) for own in alone)
    assert batch.consistency_db == pytest.approx(alone[0].consistency_db, abs=0.1)  # the loud one


def test_recover_stops_where_the_callback_says():
    seen = []

    def stop(iteration, x, fit):
        seen.append(x)
        return len(seen) == 2

    batch = recover(S, W, callback=stop)
    assert [len(member.history["seconds"]) for member in batch.members] == [2, 1, 1, 1]
    assert seen[1].shape == X.shape and not seen[1][1:].any()


def test_a_bank_without_a_wavelet_takes_batches_too():
    bank = type(W).from_filters(W.responses, W.frequencies, W.sample_rate, n_samples=N)
    batch = recover(S[:2], bank, callback=lambda k, *_: k > 2)
    assert torch.equal(batch.signal[0], recover(S[0], bank, callback=lambda k, *_: k > 2).signal)
    assert not batch.signal[1].any()


def test_the_history_is_that_of_the_batch():
    x = torch.stack([W.project(noise(5)), 0.3 * W.project(noise(6))])[:, None]
    target = W.magnitude(x)
    run = griffin_lim(target, W, n_iter=3, keep_every=1)
    assert run.signal.shape == x.shape
    for (_, y), fit in zip(run.iterates, run.history["consistency_db"], strict=True):
        assert metrics.misfit_db(W.magnitude(y), target) == pytest.approx(fit, abs=1e-6)
    assert run.consistency_db == pytest.approx(run.history["consistency_db"][-1])
    counts = [phase_gradient(v, W, n_iter=0).details["islands"] for v in target[:, 0]]
    assert phase_gradient(target[:, 0], W, n_iter=0).details["islands"] == sum(counts)
    assert griffin_lim(0 * target, W).consistency_db == -math.inf


def test_a_callback_sees_the_whole_batch_and_can_stop_it():
    seen = []

    def callback(iteration, x, fit):
        seen.append((iteration, x))
        return len(seen) == 5

    run = griffin_lim(W.magnitude(X[[0, 2, 0]]), W, n_iter=2, callback=callback)
    assert [k for k, _ in seen] == [0, 1, 2, 0, 1]
    assert all(x.shape == (3, N) for _, x in seen)
    assert seen[0][1][0].any() and not seen[0][1][1:].any()
    assert torch.equal(seen[4][1][0], run.signal[0])
    assert all(x.any() for x in run.signal)  # those that follow have their start
    first = griffin_lim(W.magnitude(X[0]), W, n_iter=2, callback=lambda *_: True).signal
    assert metrics.waveform_error_db(run.signal[2], first) > -40  # of phases of its own


def test_equal_members_get_starts_of_their_own():
    target = W.magnitude(X[0]).expand(3, -1, -1)
    for starts in (
        griffin_lim(target, W, n_iter=1).signal,
        random_start(target, W, (3, N)),
        invert_gradient(target, W, n_iter=1).signal,
    ):
        assert metrics.waveform_error_db(starts[1], starts[0]) > -20
        assert metrics.waveform_error_db(starts[2], starts[1]) > -20
    assert torch.equal(random_start(target, W, (3, N))[0], random_start(target[0], W, N))
    draws = np.random.default_rng([0, 1]).standard_normal((3, N))
    wanted = W.project(draws)
    starts = random_start(target, W, (3, N))
    assert metrics.misfit_db(starts / starts.norm(), wanted / wanted.norm()) < -10


def test_given_starts_belong_to_their_members():
    start = W.project(noise(9, 2, N))
    target = S[[0, 2]]
    start[1] *= 1e-9
    for init in (start, W(start)):
        run = griffin_lim(target, W, n_iter=2, init=init)
        alone = [griffin_lim(t, W, n_iter=2, init=i).signal for t, i in zip(target, init)]
        assert torch.equal(run.signal, torch.stack(alone))
    run = invert_gradient(target, W, n_iter=2, init=start)
    alone = [invert_gradient(t, W, n_iter=2, init=i).signal for t, i in zip(target, start)]
    assert torch.equal(run.signal, torch.stack(alone))


@pytest.mark.parametrize("form", [None, *FORMS])
def test_scattering_and_what_is_made_of_it(form):
    F = scattering()
    x = noise(3, 2, 256) * torch.tensor([[1.0], [1e-6]], dtype=torch.float64)
    transform = F if form is None else Renormalized(F, F(x), form=form)
    alone = [F if form is None else Renormalized(F, F(v), form=form) for v in x]
    run = invert_gradient(transform(x), transform, n_iter=3, loss=order_loss(F))
    for k in range(2):
        by_itself = invert_gradient(alone[k](x[k]), alone[k], n_iter=3, loss=order_loss(F))
        assert metrics.misfit_db(run.signal[k], by_itself.signal) < -150


def halves(x):
    return [x[..., : N // 2], 3 * x[..., N // 2 :]]


def test_plain_functions_are_split_if_they_can_be():
    x = noise(3, 2, N) * torch.tensor([[1.0], [1e-9]], dtype=torch.float64)
    start = noise(4, 2, N) * x.norm(dim=-1, keepdim=True)
    run = invert_gradient(halves(x), halves, init=start, n_iter=30)
    alone = [invert_gradient(halves(v), halves, init=i, n_iter=30) for v, i in zip(x, start)]
    assert torch.equal(run.signal, torch.stack([r.signal for r in alone]))
    assert all(metrics.misfit_db(y, v) < -100 for y, v in zip(run.signal, x))


MIXING = torch.tensor([[1.0, 1.0], [1.0, -1.0]], dtype=torch.float64)
COUPLED = {
    "sum and difference": lambda x: MIXING @ x,
    "with the sum": lambda x: x + 0.1 * x.sum(0),
    "takes nothing but a batch": lambda x: x.reshape(2, N) * 2,
}


@pytest.mark.parametrize("transform", COUPLED.values(), ids=COUPLED.keys())
def test_members_that_depend_on_each_other_stay_together(transform):
    x = noise(3, 2, N)
    run = invert_gradient(transform(x), transform, init=noise(4, 2, N), n_iter=30)
    assert metrics.misfit_db(run.signal, x) < -100


def test_a_joint_descent_shares_its_steps():
    target = W.magnitude(X[[0, 0]] * torch.tensor([[1.0], [0.5]], dtype=torch.float64))
    start = W.project(noise(7, 2, N))
    one = invert_gradient(target[0], W, n_iter=3, init=start[0])
    two = invert_gradient(target, W, n_iter=3, init=start, joint=True)
    assert metrics.misfit_db(two.signal[0], one.signal) > -100
    assert metrics.misfit_db(W.magnitude(two.signal), target) == pytest.approx(two.consistency_db)
    with pytest.raises(ValueError, match="joint must be one of False, True"):
        invert_gradient(target, W, joint=2)


def test_losses_with_numbers_for_each_member_are_not_split():
    x, target = X[[0, 2]], S[[0, 2]]
    sigma = torch.stack([torch.full(W.shape, u).double() for u in (0.1, 1e-10)])
    start = x + 0.1 * torch.tensor([[1.0], [1e-9]]) * W.project(noise(8, 2, N))

    def weighted(output, wanted):
        return ((output[0] - wanted[0]) / sigma).square().sum() / 2

    runs = [
        invert_gradient(target, W, loss=loss, init=start, n_iter=3)
        for loss in (gaussian(sigma), weighted)
    ]
    assert metrics.misfit_db(runs[0].signal, runs[1].signal) < -150
    before, after = (weighted([W.magnitude(y)], [target]) for y in (start, runs[0].signal))
    assert after < 0.9 * before
    one = invert_gradient(target, W, loss=gaussian(0.1), init=start, n_iter=3)
    alone = invert_gradient(target[1], W, loss=gaussian(0.1), init=start[1], n_iter=3)
    assert torch.equal(one.signal[1], alone.signal)


def test_each_member_has_a_floor_and_a_maximum_of_its_own():
    three = S[[0, 2, 3]]
    for together, *alone in zip(
        phase_derivatives(three, W), *(phase_derivatives(s, W) for s in three)
    ):
        assert torch.equal(together, torch.stack(alone))
    gradient = phase_derivatives(three, W)
    phase, order, n_islands = integrate_phase(three, W, *gradient, torch.zeros_like(three))
    alone = [
        integrate_phase(s, W, *(g[k] for g in gradient), torch.zeros_like(s))
        for k, s in enumerate(three)
    ]
    assert torch.equal(phase, torch.stack([p for p, _, _ in alone]))
    assert torch.equal(order, torch.stack([o for _, o, _ in alone]))
    assert n_islands == sum(n for _, _, n in alone)
    assert all(isinstance(paths, Paths) for paths in paths_of(three, W, 1e-6).values())
    assert torch.equal(denoise(three, W), torch.stack([denoise(s, W) for s in three]))


def test_what_serves_the_methods():
    D = Decimated(W)
    whole = D.complete(D.magnitude(X))
    parts = [D.complete(D.magnitude(x)) for x in X]
    assert torch.equal(whole, torch.stack(parts))
    noisy = bounds.noisy(S[[0, 2]], 20)
    assert metrics.misfit_db(noisy[1], S[2]) == pytest.approx(-20, abs=1)
    F, x = scattering(), noise(1, 2, 256)
    x[1] *= 1e-180
    assert torch.equal(F(x)[1], F(x[1]))


def test_scores_of_a_batch():
    y = torch.stack([X[0] + 0.1 * cosine(30), X[0] * 0.5])
    ref = torch.stack([X[0], X[0]])
    scale = torch.tensor([[1e200], [1e-200]], dtype=torch.float64)
    scores = {
        "waveform": metrics.waveform_error_db,
        "sign": metrics.sign_error_db,
        "consistency": functools.partial(
            lambda x, ref: metrics.consistency_db(x, W.magnitude(ref), W)
        ),
    }
    for score in scores.values():
        alone = [score(a, b) for a, b in zip(y, ref)]
        assert score(y * scale, ref * scale).tolist() == pytest.approx(alone)


def test_losses_are_split_if_they_are_of_this_package_and_alike_for_all():
    assert _batches._is_splittable(LOSSES["l2"]) and _batches._is_splittable(gaussian(0.1))
    assert not _batches._is_splittable(lambda output, target: output[0].sum())
    own = gaussian(torch.ones(2, *W.shape))
    assert not _batches._is_splittable(own)
    assert _batches._is_splittable(gaussian(torch.ones(W.shape)))  # the same for all members


def test_members_are_told_apart_by_what_the_transform_gives_for_the_last():
    x, shape = noise(10, 2, N), (2,)

    def split(transform, loss="l2", shape=shape, target=x):
        return _batches.members_of(Objective(target, transform, loss), shape, N)

    members = split(lambda x: 3 * x)
    assert list(members) == [(0,), (1,)]
    assert all(torch.equal(m.target[0], x[k]) for (k,), m in members.items())
    assert split(lambda x: 3 * x, shape=()) is None
    assert split(lambda x: 3 * x, shape=(3,)) is None  # the target has two members
    # 1e-5 of the largest is rounding in single precision; 1e-2 is not.
    for share, alone in ((1e-5, True), (1e-2, False)):
        for level in (1e-6, 1.0, 1e6):  # of what the transform gives

            def leaking(x, share=share, level=level):
                return level * (x + share * x.flip(0) if x.ndim == 2 else x)

            assert (split(leaking) is not None) == alone
    assert split(lambda x: [x, x.sum(0) if x.ndim == 2 else x]) is None
    # Pairs of the same target get draws of their own.
    same = split(lambda x: 3 * x, target=x[:1].expand(2, N))
    assert [m.repetition for m in same.values()] == [0, 1]
    assert [m.repetition for m in members.values()] == [0, 0]


def test_levels_of_members_add_up_by_energy():
    wanted = 10 * math.log10((3**2 * 10**-2 + 4**2 * 10**-4) / 25)
    assert _members.together([-20.0, -40.0], [3.0, 4.0]) == pytest.approx(wanted)
    assert _members.together([-20.0, 0.0], [1e-200, 0.0]) == pytest.approx(-20)
    assert _members.together([-20.0, -20.0], [1e200, 3e200]) == pytest.approx(-20)
    assert _members.together([-20.0], [0.0]) == -math.inf


def test_details_of_members_are_added_or_listed():
    def result(**details):
        return Recovery(torch.zeros(3), "m", details=details)

    results = [result(islands=2, stages=["a"]), result(islands=3), result()]
    assert _members._keys(results) == ["islands", "stages"]
    assert _members._of_all(results, "islands") == 5
    assert _members._of_all(results, "stages") == [["a"], None, None]
    assert [_members._at([1.0, 2.0], k) for k in range(4)] == [1, 2, 2, 2]


def test_an_interrupted_batch_has_silence_for_members_to_come():
    done = Recovery(
        torch.ones(3),
        "m",
        -20.0,
        {"consistency_db": [-10.0, -20.0], "seconds": [1.0, 2.0]},
        [(0, torch.zeros(3)), (5, torch.ones(3))],
        {"interrupted": True},
    )
    assert _members._interrupted([], (2,), [1.0, 2.0]) is None
    joined = _members._interrupted([done], (2,), [1.0, 2.0])
    assert joined.signal.tolist() == [[1, 1, 1], [0, 0, 0]] and joined.members == [done]
    assert joined.details == {"interrupted": True, "members": 0}
    wanted = 10 * math.log10((0.01 + 4) / 5)
    assert joined.consistency_db == pytest.approx(wanted)
    assert joined.history["seconds"] == [1.0, 2.0]
    assert [k for k, _ in joined.iterates] == [0, 5]
    plain = Recovery(torch.ones(3), "m", -20.0, {"consistency_db": [-20.0], "seconds": [1.0]})
    joined = _members._interrupted([plain], (2,), [1.0, 2.0])
    assert joined.details["members"] == 1 and joined.iterates == []
