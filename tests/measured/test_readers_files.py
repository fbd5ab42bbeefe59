"""save and load: everything that is known comes back, and bad files are named."""

import numpy as np
import pytest
import torch

from scalinv_utils import Scalogram
from scalinv_utils.measured import Measured, from_librosa, load, save

from .modelled import noise

W = Scalogram(128, 1000.0, wavelet="cauchy", voices_per_octave=8)
S = W.magnitude(noise(128)).numpy()


def same(M, N):
    """Compare everything that Measured was told."""
    for name in ("S", "known", "at_most"):
        assert (getattr(M, name) == getattr(N, name)).all(), name
    assert (M.sigma is None) == (N.sigma is None)
    assert M.sigma is None or np.allclose(M.sigma, N.sigma, rtol=1e-12)
    assert M.ends == N.ends and (M.columns.offsets == N.columns.offsets).all()
    assert np.allclose(M.W.responses, N.W.responses, atol=1e-12) and M.W.wavelet == N.W.wavelet
    x = torch.from_numpy(noise(M.n_samples))
    return torch.allclose(M.magnitude(x), N.magnitude(x))


@pytest.mark.parametrize(
    "said",
    [
        {},
        dict(sigma=0.01, step=0.1),
        dict(hop=4, floor=0.05),
        dict(hop=[(4, k % 4) for k in range(W.n_freqs)], sigma=0.01 + S),
        dict(hop=3),
    ],
)
def test_what_is_known_comes_back(tmp_path, said):
    known = np.random.default_rng(0).random(S.shape) < 0.5
    for ends, pad in (("periodic", (0, 0)), ("reflect", (20, 28))):
        n_samples = 128 - sum(pad)
        cut = slice(0, n_samples)
        said = {**said, "ends": ends, "pad": pad, "n_samples": n_samples, "known": known[:, cut]}
        if isinstance(said.get("sigma"), np.ndarray):
            said["sigma"] = said["sigma"][:, cut]
        M = Measured(S[:, cut], W, **said)
        save(M, tmp_path / "kept.npz")
        assert same(load(tmp_path / "kept.npz"), M)


def test_a_bank_of_filters_comes_back(tmp_path):
    M = from_librosa(
        np.ones((24, 17)), sample_rate=8000, hop_length=64, fmin=500, bins_per_octave=12
    )
    save(M, tmp_path / "kept.npz")
    assert same(load(tmp_path / "kept.npz"), M)


@pytest.mark.parametrize("write", [np.save, np.savez])
def test_arrays_of_other_programs(tmp_path, write):
    path = tmp_path / ("S.npy" if write is np.save else "S.npz")
    write(path, S.astype(np.float32))
    M = load(path, W, sigma=0.1)
    assert np.allclose(M.S, S, rtol=1e-6) and (M.sigma == 0.1).all()
    with pytest.raises(TypeError, match="W must be the transform"):
        load(path)


def test_one_array_of_several(tmp_path):
    np.savez(tmp_path / "S.npz", S=S, f=W.frequencies)
    assert np.allclose(load(tmp_path / "S.npz", W).S, S)
    np.savez(tmp_path / "c.npz", c=S, f=W.frequencies)
    with pytest.raises(ValueError, match="path must hold an array S, got .* with c, f"):
        load(tmp_path / "c.npz", W)


def test_bad_files_are_named(tmp_path):
    path = tmp_path / "S.npy"
    np.save(path, np.array([{"S": 1}], dtype=object))
    with pytest.raises(ValueError, match="path must be an .npy or .npz file"):
        load(path, W)
    path.write_bytes(b"no array")
    with pytest.raises(ValueError, match="path must be an .npy or .npz file"):
        load(path, W)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="path must be an .npy or .npz file"):
        load(path, W)
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none.npy", W)
    with pytest.raises(ValueError, match="path"):
        save(Measured(S, W), tmp_path / "kept.mat")
