"""The wavelet transform agrees with ssqueezepy and its own matrix, and keeps its promises."""

import math
import warnings

import numpy as np
import pytest
import ssqueezepy
import torch
from hypothesis import given, settings, strategies as st
from small import N, complex_noise, cosine, error_db, noise, scalogram

from scalinv_utils.metrics import hilbert_rotation
from scalinv_utils.transforms import Scalogram

WAVELETS = ("gmw", "cauchy", "morlet")
# This Morlet wavelet is so short that it passes negative frequencies: its filters keep all bins.
LEAKY = ("morlet", (("mu", 4),))
LOWPASS = (None, "modulus", "signed")
SEEDS = st.integers(0, 10**6)
a_few = settings(max_examples=8)

every_wavelet = pytest.mark.parametrize("wavelet", [*WAVELETS, LEAKY], ids=str)
every_lowpass = pytest.mark.parametrize("lowpass", LOWPASS)
odd_and_even = pytest.mark.parametrize("n_samples", [N, N - 1])


def matrix(W):
    """Make W a real matrix (2 n_freqs n_samples, n_samples), one impulse per column."""
    columns = torch.view_as_real(W(torch.eye(W.n_samples, dtype=torch.float64)))
    return columns.reshape(W.n_samples, -1).T


# -- analysis ----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype, tolerance", [("float64", 1e-12), ("float32", 3e-5)])
@odd_and_even
@every_wavelet
def test_rows_agree_with_ssqueezepy(wavelet, n_samples, dtype, tolerance):
    """The tolerance in float32 is for ssqueezepy, which rounds exponents near 100 before exp."""
    W, x = scalogram(n_samples, wavelet), noise(1, n_samples).numpy()
    ours = {"gmw": ("gmw", {"gamma": 3, "beta": 60}), "cauchy": ("gmw", {"gamma": 1, "beta": 30})}
    plain = wavelet if isinstance(wavelet, tuple) else (wavelet, {})
    name, parameters = ours.get(wavelet, plain)
    peer = ssqueezepy.Wavelet((name, dict(parameters)), dtype=dtype)
    expected, _ = ssqueezepy.cwt(x, peer, scales=W.scales.numpy(), padtype=None)
    expected = torch.as_tensor(expected)
    assert expected.shape == W.shape
    assert (W(x) - expected).abs().max() <= tolerance * expected.abs().max()


@pytest.mark.parametrize("wavelet, modulus", [("gmw", 1), ("cauchy", 1), ("morlet", 1.882793 / 2)])
def test_a_unit_cosine_has_modulus_one_at_its_own_frequency(wavelet, modulus):
    W = scalogram(256, wavelet, sample_rate=512.0, f_max=128.0)
    S = W.magnitude(cosine(32, 256))
    row = W.voices_per_octave
    assert W.frequencies[row] == pytest.approx(64)
    assert S[row].numpy() == pytest.approx(modulus, rel=1e-6)
    assert S.max() == S[row].max()


@pytest.mark.parametrize("voices", [1, 7, 16])
def test_the_grid_has_exactly_the_voices_per_octave(voices):
    f = Scalogram(64, 8000, voices_per_octave=voices, f_min=250, f_max=4000).frequencies
    assert len(f) == 4 * voices + 1
    assert f[0] == 4000 and f[-1] == pytest.approx(250)
    assert torch.allclose(f[:-1] / f[1:], torch.tensor(2.0 ** (1 / voices), dtype=f.dtype))


def test_the_grid_stops_above_f_min():
    f = Scalogram(64, voices_per_octave=4, f_min=0.1, f_max=0.25).frequencies
    assert 0.1 <= f[-1] < 0.1 * 2**0.25
    assert torch.equal(f, f.sort(descending=True).values)


@pytest.mark.parametrize("wavelet", WAVELETS)
def test_by_default_the_grid_goes_from_nyquist_to_a_wavelet_that_fits(wavelet):
    W = scalogram(512, wavelet, sample_rate=100.0)
    assert W.frequencies[0] == 50
    impulse = torch.zeros(512, dtype=torch.float64)
    impulse[256] = 1
    density = W.magnitude(impulse)[-1].square()
    t = torch.arange(512) - 256.0
    spread = ((t**2 * density).sum() / density.sum()).sqrt()
    assert 512 / 8 * 2 ** (-1 / 8) <= float(spread) <= 512 / 8 * 1.01


def test_frequencies_and_scales_are_two_names_for_the_rows():
    W = scalogram(wavelet="cauchy", sample_rate=8000.0)
    assert torch.allclose(
        W.frequencies * W.scales,
        torch.tensor(30 * 8000 / (2 * math.pi), dtype=torch.float64),
        rtol=1e-7,
    )


@pytest.mark.parametrize("wavelet", WAVELETS)
def test_the_response_to_a_cosine(wavelet):
    W = scalogram(256, wavelet, sample_rate=512.0, lowpass="modulus")
    expected = W.magnitude(cosine(30, 256))[:-1].mean(-1)
    assert torch.allclose(W.response(60.0)[:-1], expected, atol=1e-12)


def test_rows_shift_with_the_signal():
    """The transform is periodic in time and has no border."""
    W, x = scalogram(), noise(2)
    assert torch.allclose(W(x.roll(5)), W(x).roll(5, -1), atol=1e-13)


def test_what_is_known_about_the_wavelet():
    assert scalogram(wavelet="cauchy").is_cauchy
    assert scalogram(wavelet=("gmw", (("gamma", 1), ("beta", 9)))).is_cauchy
    assert not scalogram(wavelet="gmw").is_cauchy and not scalogram(wavelet="morlet").is_cauchy
    assert scalogram(wavelet="gmw").time_bandwidth == pytest.approx(180, rel=1e-4)
    assert scalogram(wavelet="cauchy").time_bandwidth == pytest.approx(30, rel=1e-4)
    assert scalogram(wavelet="gmw").wavelet == ("gmw", {"gamma": 3, "beta": 60})


@pytest.mark.parametrize("name", ["cauchy", "gmw", "morlet", "bump"])
def test_the_name_that_was_asked_for_is_the_name_that_is_printed(name):
    W = Scalogram(256, wavelet=name)
    assert W.wavelet[0] == name and f"({name} " in repr(W)
    assert torch.equal(Scalogram(256, wavelet=W.wavelet).filters, W.filters)


def test_a_cauchy_wavelet_has_gamma_1():
    with pytest.raises(ValueError, match="gamma 1 where it is 'cauchy', got 3"):
        Scalogram(256, wavelet=("cauchy", {"gamma": 3}))


@pytest.mark.parametrize(
    "wavelet",
    ["bump", "cmhat", "hhhat", ("gmw", {"gamma": 3, "beta": 20}), ("cauchy", {"beta": 900})],
    ids=str,
)
def test_every_wavelet_of_ssqueezepy_can_be_inverted(wavelet):
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        W = Scalogram(512, wavelet=wavelet, voices_per_octave=8)
    x = noise(3, 512)
    assert error_db(W.inverse(W(x)), W.project(x)) < -200
    assert error_db(W.project(x), x) < -1


def test_repr_says_what_it_is():
    text = repr(Scalogram(64, 8000, wavelet="cauchy", f_min=1000, lowpass="signed"))
    for words in (
        "cauchy {",
        "'beta': 30",
        "34 x 64",
        "1000 to 4000 Hz",
        "8000 Hz",
        "lowpass='signed'",
    ):
        assert words in text


# -- adjoint, inverse, frame -------------------------------------------------------------------


@every_lowpass
@odd_and_even
@every_wavelet
@a_few
@given(seed=SEEDS)
def test_adjoint(wavelet, n_samples, lowpass, seed):
    """W maps real signals to complex coefficients, so it is linear over the reals only."""
    W = scalogram(n_samples, wavelet, lowpass=lowpass)
    x, c = noise(seed, n_samples), complex_noise(seed + 1, *W.shape)
    left, right = (W(x).conj() * c).sum().real, x @ W.adjoint(c)
    assert abs(left - right) <= 1e-12 * W(x).norm() * c.norm()


def test_adjoint_is_the_transposed_matrix():
    W = scalogram(32, f_min=0.1)
    c = complex_noise(4, *W.shape)
    assert torch.allclose(W.adjoint(c), matrix(W).T @ torch.view_as_real(c).flatten(), atol=1e-12)


@every_lowpass
@odd_and_even
@every_wavelet
def test_inverse_is_exact_on_the_band(wavelet, n_samples, lowpass):
    W, x = scalogram(n_samples, wavelet, lowpass=lowpass), noise(5, n_samples)
    assert error_db(W.inverse(W(x)), W.project(x)) < -200
    assert error_db(W.project(W.project(x)), W.project(x)) < -200
    tone = cosine(30, n_samples)
    assert error_db(W.inverse(W(tone)), tone) < -200


@every_lowpass
@odd_and_even
def test_the_band_leaves_out_what_has_no_hilbert_partner(n_samples, lowpass):
    W = scalogram(n_samples, lowpass=lowpass)
    constant, alternating = (
        torch.ones(n_samples).double(),
        (-1.0) ** torch.arange(n_samples).double(),
    )
    assert torch.allclose(W.project(constant), constant * (lowpass is not None), atol=1e-14)
    assert bool(W.band[0]) == (lowpass is not None)
    if n_samples % 2 == 0:
        assert W.project(alternating).abs().max() < 1e-14 and not W.band[-1]


@every_lowpass
@every_wavelet
@a_few
@given(seed=SEEDS)
def test_inverse_is_the_least_squares_fit(wavelet, lowpass, seed):
    """If no signal has the coefficients, the residual is orthogonal to those that signals have."""
    W = scalogram(wavelet=wavelet, lowpass=lowpass)
    c = complex_noise(seed, *W.shape)
    residual = W.project(W.adjoint(c - W(W.inverse(c))))
    assert residual.norm() <= 1e-12 * W.adjoint(c).norm()


@every_lowpass
@every_wavelet
def test_whitened_it_is_a_tight_frame(wavelet, lowpass):
    W, x = scalogram(wavelet=wavelet, lowpass=lowpass), noise(6)
    assert W(W.whiten(x)).norm() == pytest.approx(float(W.project(x).norm()), rel=1e-12)
    assert error_db(W.adjoint(W(W.whiten(W.whiten(x)))), W.project(x)) < -200
    assert error_db(W.unwhiten(W.whiten(x)), W.project(x)) < -200
    assert error_db(W.whiten(W.unwhiten(x)), W.project(x)) < -200


@every_lowpass
@pytest.mark.parametrize("n_samples", [64, 63])
@every_wavelet
def test_frame_bounds_are_those_of_the_matrix(wavelet, n_samples, lowpass):
    W = scalogram(n_samples, wavelet, f_min=0.1, lowpass=lowpass)
    projector = W.project(torch.eye(n_samples, dtype=torch.float64))
    in_band = 2 * int(W.band.sum()) - int(W.band[0])
    eigenvalues = torch.linalg.eigvalsh(projector @ matrix(W).T @ matrix(W) @ projector)[-in_band:]
    assert torch.trace(projector) == pytest.approx(in_band)
    assert W.frame_bounds == pytest.approx((float(eigenvalues[0]), float(eigenvalues[-1])))


@every_lowpass
@odd_and_even
@every_wavelet
def test_the_frame_operator_is_diagonal_with_this_gain(wavelet, n_samples, lowpass):
    W = scalogram(n_samples, wavelet, lowpass=lowpass)
    tones = torch.stack([cosine(k, n_samples) for k in range(n_samples // 2 + 1)])
    assert torch.allclose(W.adjoint(W(tones)), W.gain[:, None] * tones, atol=1e-12)


@every_wavelet
@a_few
@given(seed=SEEDS)
def test_frame_bounds_hold_for_every_signal_of_the_band(wavelet, seed):
    W = scalogram(wavelet=wavelet)
    lower, upper = W.frame_bounds
    x = W.project(noise(seed))
    assert lower <= float(W(x).norm() / x.norm()) ** 2 <= upper


# -- lowpass -----------------------------------------------------------------------------------


@pytest.mark.parametrize("f_min, f_max", [(None, None), (0.3, None), (0.1, 0.15), (1e-4, None)])
def test_the_lowpass_fills_the_band_down_to_zero_frequency(f_min, f_max):
    W = scalogram(256, voices_per_octave=16, f_min=f_min, f_max=f_max, lowpass="modulus")
    bare = scalogram(256, voices_per_octave=16, f_min=f_min, f_max=f_max)
    plateau = float(bare.gain.max())
    first = int((bare.gain > 0.99 * plateau).int().argmax())
    assert W.band[: first + 1].all()
    assert W.gain[: first + 1].numpy() == pytest.approx(plateau, rel=0.01)
    assert torch.allclose(W.gain[2 * first :], bare.gain[2 * first :], rtol=1e-12)
    assert (W.n_freqs, W.frequencies[-1], W.scales[-1]) == (bare.n_freqs + 1, 0, math.inf)


def test_a_signed_lowpass_keeps_its_sign_and_a_modulus_does_not():
    x = 1 + 0.1 * cosine(1)
    signed, unsigned = (scalogram(lowpass=kind) for kind in ("signed", "modulus"))
    assert signed.magnitude(-x)[-1].max() < 0 < signed.magnitude(x)[-1].min()
    assert torch.equal(signed.magnitude(-x)[-1].abs(), unsigned.magnitude(x)[-1])
    assert torch.equal(signed.magnitude(x)[:-1], unsigned.magnitude(x)[:-1])
    assert torch.equal(unsigned.magnitude(-x), unsigned.magnitude(x))
    assert signed(x)[-1].imag.abs().max() < 1e-14


# -- modulus -----------------------------------------------------------------------------------


@odd_and_even
@pytest.mark.parametrize("wavelet", WAVELETS)
@a_few
@given(seed=SEEDS, theta=st.floats(-4, 4))
def test_hilbert_rotations_have_the_same_scalogram(wavelet, n_samples, seed, theta):
    W = scalogram(n_samples, wavelet)
    x = W.project(noise(seed, n_samples))
    S = W.magnitude(x)
    assert torch.allclose(W.magnitude(hilbert_rotation(x, theta)), S, atol=1e-13 * float(S.max()))


@pytest.mark.parametrize(
    "wavelet, lowpass", [("gmw", "modulus"), ("gmw", "signed"), (LEAKY, None)], ids=str
)
def test_a_lowpass_or_a_leak_tells_hilbert_rotations_apart(wavelet, lowpass):
    W = scalogram(wavelet=wavelet, lowpass=lowpass)
    x = W.project(noise(7))
    assert error_db(W.magnitude(hilbert_rotation(x, 1.0)), W.magnitude(x)) > -80


@every_lowpass
def test_impose_changes_the_modulus_and_not_the_phase(lowpass):
    W = scalogram(lowpass=lowpass)
    S, c = W.magnitude(noise(8)), complex_noise(9, *W.shape)
    c[0, 0] = 0
    imposed = W.impose(S, c)
    assert torch.allclose(W.modulus(imposed), S, atol=1e-13)
    assert imposed[0, 0] == S[0, 0]
    rows = W.n_freqs - (lowpass == "signed")
    turned = (imposed * c.conj())[:rows]
    assert turned.imag.abs().max() < 1e-12 and turned.real.min() >= 0
    assert torch.allclose(W.impose(S, W(noise(8))), W(noise(8)), atol=1e-13)


@every_lowpass
def test_the_gradient_of_the_scalogram(lowpass):
    W = scalogram(32, f_min=0.1, voices_per_octave=3, lowpass=lowpass)
    assert torch.autograd.gradcheck(W.magnitude, noise(10, 32).requires_grad_())


@every_lowpass
def test_the_gradient_at_silence_is_zero(lowpass):
    W = scalogram(lowpass=lowpass)
    x = torch.zeros(N, dtype=torch.float64, requires_grad=True)
    rows = W.n_freqs - (lowpass == "signed")
    (gradient,) = torch.autograd.grad(W.magnitude(x)[:rows].sum(), x)
    assert torch.equal(gradient, torch.zeros(N, dtype=torch.float64))


def test_silence():
    W, silence = scalogram(), torch.zeros(N, dtype=torch.float64)
    for result in (
        W(silence),
        W.magnitude(silence),
        W.inverse(W(silence)),
        W.project(silence),
        W.whiten(silence),
        W.unwhiten(silence),
    ):
        assert not result.any()


# -- shapes and types --------------------------------------------------------------------------


@pytest.mark.parametrize("lead", [(1,), (3,), (2, 3)])
def test_leading_axes_are_a_batch(lead):
    W, x = scalogram(), noise(11, *lead, N)
    c = W(x)
    assert c.shape == (*lead, *W.shape)
    flat, rows = x.reshape(-1, N), c.reshape(-1, *W.shape)
    for k, one in enumerate(flat):
        assert torch.allclose(rows[k], W(one), atol=1e-13)
        assert torch.allclose(W.inverse(c).reshape(-1, N)[k], W.inverse(W(one)), atol=1e-13)
    assert W.magnitude(x).shape == c.shape
    assert W.adjoint(c).shape == W.project(x).shape == W.whiten(x).shape == x.shape


def test_single_precision():
    W, x = Scalogram(N, voices_per_octave=8).float(), noise(12)
    assert W(x).dtype == torch.complex64 and W.inverse(W(x)).dtype == torch.float32
    exact = scalogram()
    assert error_db(W.magnitude(x), exact.magnitude(x)) < -120
    assert error_db(W.inverse(W(x)), exact.project(x)) < -110
    assert W.frame_bounds == pytest.approx(exact.frame_bounds, rel=1e-5)
    assert W.double()(x).dtype == torch.complex128


@pytest.mark.parametrize(
    "kind",
    [
        np.array,
        list,
        lambda x: np.array(x)[::-1][::-1],
        lambda x: np.array(x).astype(">f8"),
        torch.DoubleTensor,
        lambda x: np.repeat(x, 2)[::2],
    ],
)
def test_signals_of_every_kind(kind):
    W, x = scalogram(), noise(13)
    assert torch.equal(W(kind(x.tolist())), W(x))
    whole = list(range(N))
    assert torch.equal(W(whole), W(torch.arange(N)))


def test_coefficients_of_every_kind():
    W = scalogram()
    c = W(noise(14))
    expected = W.inverse(c)
    for kind in (c.numpy(), c.numpy()[::-1][::-1], c.tolist(), np.asfortranarray(c.numpy())):
        assert torch.equal(W.inverse(kind), expected)
    assert torch.equal(W.inverse(c.real), W.inverse(c.real + 0j))


def test_parameters_may_be_numpy_or_tensor_scalars():
    W = Scalogram(
        np.int64(N),
        np.float32(2.0),
        voices_per_octave=torch.tensor(8),
        f_min=scalogram().frequencies[9],
        f_max=np.float64(1.0),
    )
    assert (W.n_samples, W.sample_rate, W.voices_per_octave) == (N, 2.0, 8)
    assert W.frequencies[-1] == pytest.approx(float(scalogram().frequencies[9]))


def test_coefficients_work_inside_torch_func():
    W, x = scalogram(), noise(15, 3, N)
    assert torch.allclose(torch.func.vmap(W.coefficients)(x), W(x))


def test_it_is_saved_and_loaded_as_any_module():
    W, twin = Scalogram(N, f_min=0.1), Scalogram(N, f_min=0.1, wavelet="cauchy")
    assert not torch.equal(W.filters, twin.filters[: len(W.filters)])
    other = Scalogram(N, f_min=0.1)
    other.filters.zero_()
    other.load_state_dict(W.state_dict())
    assert torch.equal(other(noise(16)), W(noise(16)))
