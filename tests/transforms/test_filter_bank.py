"""The inner loop gives the numbers of the plain formula in every layout, and their derivatives."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from small import complex_noise, error_db, noise, scalogram

from scalinv_utils.transforms import _filter_bank
from scalinv_utils.transforms._filter_bank import Bank, cpu_without_autograd, turned
from scalinv_utils.transforms.scalogram import Scalogram

EXACT = -280  # dB
KINDS = [{}, {"wavelet": "morlet"}, {"lowpass": "modulus"}]


def plain_analysis(W, x):
    """Compute the coefficients by the formula alone, which autograd can differentiate."""
    n_bins = W.filters.shape[-1]
    return torch.fft.ifft(torch.fft.fft(x)[..., None, :n_bins] * W.filters, n=W.n_samples)


@pytest.fixture(params=["at once", "in blocks"])
def layout(request, monkeypatch):
    if request.param == "in blocks":
        monkeypatch.setattr(_filter_bank, "COEFFICIENTS_PER_BLOCK", 3 * 128)


@pytest.mark.parametrize("options", KINDS, ids=str)
@pytest.mark.parametrize("shape", [(128,), (2, 3, 128)])
def test_the_layout_changes_no_number(layout, options, shape):
    W = Scalogram(128, voices_per_octave=8, **options)
    x = noise(0, *shape)
    c = W(x)
    assert c.shape == (*shape[:-1], *W.shape)
    assert error_db(c, plain_analysis(W, x)) < EXACT
    d = complex_noise(1, *c.shape)
    adjoint = (torch.fft.fft(d)[..., : W.filters.shape[-1]] * W.filters).sum(-2)
    assert error_db(W.adjoint(d), torch.fft.ifft(adjoint, n=128).real) < EXACT


def test_a_result_is_never_overwritten():
    W = scalogram()
    first = W(noise(0))
    kept = first.clone()
    W(noise(1))
    assert torch.equal(first, kept)
    assert W(noise(2, 2, 128)).shape == (2, *W.shape)
    assert torch.equal(W.coefficients(noise(1), out=first), W(noise(1)))
    assert torch.equal(W(noise(0)), kept)


def test_many_threads_share_one_transform():
    W = scalogram(wavelet="cauchy")
    signals = [noise(seed) for seed in range(40)]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(W, signals))
    assert all(torch.equal(c, W(x)) for c, x in zip(together, signals))


def test_copies_and_pickles_go_without_what_is_kept():
    W = Scalogram(4096)
    x = noise(0, 4096)
    before = len(pickle.dumps(W))
    c = W(x)
    assert len(pickle.dumps(W)) == before
    assert torch.equal(pickle.loads(pickle.dumps(W))(x), c)
    assert torch.equal(copy.deepcopy(W)(x), c)


def test_the_bank_follows_a_change_of_type():
    W = Scalogram(128)
    exact = W(noise(0))
    single = W.float()(noise(0))
    assert single.dtype == torch.complex64
    assert -150 < error_db(single.to(exact.dtype), exact) < -120


def test_single_precision_has_no_numbers_that_slow_processors_down():
    filters = Scalogram(2048, wavelet="cauchy").float().filters.abs()
    assert not ((filters > 0) & (filters < torch.finfo(torch.float32).tiny)).any()


# -- derivatives -------------------------------------------------------------------------------


@pytest.mark.parametrize("options", KINDS, ids=str)
def test_the_gradient_by_hand_is_that_of_autograd(layout, options):
    W, x, g = Scalogram(128, voices_per_octave=8, **options), noise(0), noise(1, 1)
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    (W.magnitude(ours).sin() * g).sum().backward()
    (plain_analysis(W, theirs).abs().sin() * g).sum().backward()
    assert error_db(ours.grad, theirs.grad) < EXACT


def test_it_can_be_differentiated_twice():
    W, x = scalogram(32), noise(3, 32).requires_grad_()
    assert torch.autograd.gradcheck(W.coefficients, x)
    assert torch.autograd.gradgradcheck(W.coefficients, x)
    assert torch.autograd.gradgradcheck(W.magnitude, x)
    c = complex_noise(4, *W.shape).requires_grad_()
    assert torch.autograd.gradcheck(W.adjoint, c) and torch.autograd.gradgradcheck(W.adjoint, c)


def magnitude(x):
    return scalogram(32).modulus(scalogram(32).coefficients(x))


def test_it_works_under_torch_func_in_every_direction():
    x, v = noise(5, 32), noise(6, 32)
    reverse = torch.func.jacrev(magnitude)(x)
    forward = torch.func.jacfwd(magnitude)(x)
    _, along = torch.func.jvp(magnitude, (x,), (v,))
    assert error_db(forward, reverse) < EXACT
    assert error_db(along, reverse @ v) < EXACT
    batch = noise(7, 3, 32)
    assert error_db(torch.func.vmap(magnitude)(batch), magnitude(batch)) < EXACT
    each = torch.func.vmap(torch.func.grad(lambda x: magnitude(x).square().sum()))(batch)
    assert error_db(each[1], 2 * reverse_product(batch[1])) < EXACT
    adjoints = torch.func.vmap(lambda c: _filter_bank.synthesise(c, scalogram(32)._bank))
    c = complex_noise(8, 3, *scalogram(32).shape)
    assert error_db(adjoints(c), scalogram(32).adjoint(c)) < EXACT


def reverse_product(x):
    return torch.einsum("jti,jt->i", torch.func.jacrev(magnitude)(x), magnitude(x))


def test_forward_mode_without_torch_func():
    x, v = noise(5, 32), noise(6, 32)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x, v)
        tangent = torch.autograd.forward_ad.unpack_dual(magnitude(dual)).tangent
    assert error_db(tangent, torch.func.jvp(magnitude, (x,), (v,))[1]) < EXACT


def test_forward_mode_leaves_tensors_without_a_tangent_to_numpy():
    W, x = scalogram(32), noise(5, 32)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x, noise(6, 32))
        assert cpu_without_autograd(x) and not cpu_without_autograd(x, dual)
        assert torch.equal(W.magnitude(x), magnitude(x))


def test_constants_inside_torch_func_are_transformed_too():
    W, constant, x = scalogram(32), noise(5, 32), noise(6, 32)
    S = W.magnitude(constant)

    def fitted():
        return W.inverse(W.impose(S, W.coefficients(constant)))

    slope = torch.func.grad(lambda y: y @ fitted())(x)
    assert error_db(slope, fitted()) < EXACT


def test_a_torch_that_cannot_tell_whether_torch_func_runs_gives_the_same_numbers(monkeypatch):
    W, x, S = scalogram(), noise(5), noise(6, *scalogram().shape).abs()
    expected = W(x), W.magnitude(x), W.impose(S, W(x)), W.adjoint(W(x))
    monkeypatch.setattr(_filter_bank, "_torch_func_is_active", lambda: True)
    slower = W(x), W.magnitude(x), W.impose(S, W(x)), W.adjoint(W(x))
    assert not cpu_without_autograd(x)
    assert max(map(error_db, slower, expected)) < EXACT


@pytest.mark.parametrize("at_zero", [0.0, 1.0])
@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
def test_turned_keeps_the_modulus_it_is_given(at_zero, dtype):
    c = complex_noise(0, 4, 5).to(dtype)
    c[1, 2] = 0
    g = noise(1, 4, 5).to(dtype.to_real())
    result = turned(g, c, c.abs(), at_zero)
    expected = g * torch.sgn(c)
    expected[1, 2] = at_zero * g[1, 2]
    torch.testing.assert_close(result, expected)
    extreme = torch.full((1,), 1e-30j, dtype=dtype)
    assert turned(torch.ones(1).to(g), extreme, extreme.abs()).imag == 1


def test_impose_on_the_quick_path_and_on_the_other_one():
    W = scalogram()
    S, c = noise(0, *W.shape).abs(), complex_noise(1, *W.shape)
    c[0, :3] = 0
    quick = W.impose(S, c)
    slow = W.impose(S.clone().requires_grad_(), c).detach()
    torch.testing.assert_close(quick, slow)
    assert torch.equal(quick[0, :3].real, S[0, :3])


@pytest.mark.parametrize("bins, rows", [(slice(5, 9), slice(0, 2)), (slice(0, 0), slice(0, 2))])
def test_a_bank_leaves_out_the_zeros_at_both_ends(bins, rows):
    filters = torch.zeros(2, 17)
    filters[rows, bins] = 1.0
    bank = Bank(filters, 32)
    assert bank._blocks[0][1] == bins
    assert bank.analyse(noise(0, 32).float()).shape == (2, 32)
