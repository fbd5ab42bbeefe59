"""Textures have the averages of a recording, not its samples, and may have another length."""

import pytest
import torch
from small import error_db, noise, scattering

from scalinv_utils.metrics import misfit_by_order, misfit_db
from scalinv_utils.recovery.texture import synthesize_texture


def crackle(seed, n_samples):
    hits = noise(seed, n_samples)
    return torch.where(hits.abs() > 2.5, hits, 0.0)


def test_a_texture_has_the_statistics_and_not_the_signal():
    W, x = scattering("global", n_samples=512), crackle(0, 512)
    y = synthesize_texture(W(x), W, n_iter=60).signal
    assert max(misfit_by_order(W(y), W(x), W).values()) < -30
    assert abs(float(x @ y) / float(x.norm() * y.norm())) < 0.5


def test_order_2_makes_a_texture_sparse():
    def sparsity(y):
        return float(y.abs().mean() / y.square().mean().sqrt())

    x = crackle(0, 512)
    found = {}
    for orders in ((1,), (1, 2)):
        W = scattering("global", orders, n_samples=512, J=5)
        found[orders] = sparsity(synthesize_texture(W(x), W, n_iter=60).signal)
    assert sparsity(x) < found[1, 2] < found[1,] - 0.05


def test_a_texture_may_be_longer_than_its_recording():
    short, long = (scattering("global", n_samples=n) for n in (256, 512))
    y = synthesize_texture(short(noise(0, 256)), long, n_iter=40).signal
    assert y.shape == (512,) and misfit_db(long(y), short(noise(0, 256))) < -30


def test_seeds_give_different_textures_and_silence_gives_silence():
    W = scattering("global")
    first, second = (
        synthesize_texture(W(noise(0, 256)), W, n_iter=5, seed=k).signal for k in (0, 1)
    )
    assert error_db(first, second) > -10
    assert synthesize_texture(W(torch.zeros(256)), W).signal.abs().max() == 0


def test_textures_refuse_what_keeps_time():
    W = scattering(16)
    with pytest.raises(ValueError, match="global.*16"):
        synthesize_texture(W(noise(0, 256)), W)
    with pytest.raises(ValueError, match="statistics must have the shape"):
        synthesize_texture(torch.ones(3, 1), scattering("global"))
