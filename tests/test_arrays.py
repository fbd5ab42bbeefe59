"""Arrays that carry more than numbers, and bad shapes, are handled or refused with the way out."""

import datetime
import decimal
import pathlib
import warnings

import numpy as np
import pytest
import torch
from scipy import sparse
from small import noise, scalogram, scattering

from scalinv_utils import Recovery, Scalogram, Scattering, griffin_lim, metrics
from scalinv_utils._validation import (
    check_choice,
    check_coefficients,
    check_count,
    check_flag,
    check_instance,
    check_magnitudes,
    check_mask,
    check_number,
    check_numbers,
    check_positive,
    check_signal,
)
from scalinv_utils.measured import Measured
from scalinv_utils.recovery import solve_phase_equation

RAMP = np.array([1.0, 2.0, 3.0])
MASKED = np.ma.array(RAMP, mask=[False, True, False])


class Series:
    """Stand for pandas' Series and DataFrame: no array, but one can be made of it."""

    def __init__(self, values):
        self.values = np.asarray(values)
        self.shape, self.index = self.values.shape, range(len(self.values))

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype)

    def __len__(self):
        return len(self.values)

    def mask(self, condition):
        """Have the name of the attribute that numpy's masked arrays have."""


class Lazy(Series):
    """Stand for dask's arrays, whose numbers may turn out to be masked."""

    def __array__(self, dtype=None, copy=None):
        return MASKED


class Elsewhere:
    """Stand for arrays on another device, or compressed ones, which numpy must not read."""

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("use .get() to copy it here")


def quietly(make):
    """Make a tensor of a kind that torch calls a prototype or a thing of the past."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return make()


def masked_tensor():
    return torch.masked.masked_tensor(torch.ones(3), torch.tensor([True, False, True]))


def nested_tensor():
    return torch.nested.nested_tensor([torch.ones(3), torch.ones(2)], layout=torch.jagged)


def compressed_tensor():
    return torch.eye(3).to_sparse_csr()


def quantised_tensor():
    return torch.quantize_per_tensor(torch.tensor([0.5, 1.0]), 0.5, 0, torch.qint8)


@pytest.mark.parametrize(
    "value",
    [
        np.ma.array(RAMP, mask=False),
        [np.ma.array(value) for value in RAMP],
        Series(RAMP),
        Series(RAMP.astype(np.int8)),
        memoryview(RAMP),
        np.rec.array(RAMP),
        [[torch.tensor(1.0), 2], [np.float32(3), 4.0]],
        torch.complex(*torch.tensor([[0.0, 0, 0], [-1, -2, -3]])).conj().imag,
        torch.complex(*torch.tensor([[1.0, 2, 3], [0, 0, 0]])).conj().real,
        torch.tensor([1, 2, 3], dtype=torch.uint8).to(torch.uint64),
        [torch.tensor([1.0, 2.0, 3.0], requires_grad=True), torch.ones(3, dtype=torch.bfloat16)],
    ],
    ids=lambda value: type(value).__name__,
)
def test_plain_numbers_are_taken_out_of_their_wrapping(value):
    x = check_signal(value)
    assert type(x) is torch.Tensor and x.flatten()[:3].tolist() == [1, 2, 3]
    assert not x.is_neg() and x.numpy().dtype in (np.float32, np.float64)


def test_quantised_tensors_give_their_values():
    assert check_signal(quietly(quantised_tensor)).tolist() == [0.5, 1.0]


@pytest.mark.parametrize(
    "value, error, words",
    [
        (MASKED, ValueError, "got 1 of 3 masked; fill them, e.g. x.filled(0)"),
        ([MASKED, MASKED], ValueError, "1 of 3 masked"),
        ([[1.0, np.ma.masked], [2.0, 3.0]], ValueError, "1 of 1 masked"),
        (Lazy(RAMP), ValueError, "1 of 3 masked"),
        (np.ma.masked_all(3), ValueError, "3 of 3 masked"),
        (RAMP.astype(object), TypeError, "of objects (float); where all are real numbers, numpy."),
        (Series(RAMP.astype(object)), TypeError, "got Series of objects (float)"),
        ([1.0, None], TypeError, "got list of objects (NoneType, float)"),
        ([decimal.Decimal(1)], TypeError, "of objects (Decimal)"),
        ([10**400], TypeError, "of objects (int)"),
        ([datetime.date(2020, 1, 1)], TypeError, "of objects (date)"),
        (np.zeros(3, "datetime64[s]"), TypeError, "got ndarray of dates"),
        (np.zeros(3, "timedelta64[s]"), TypeError, "got ndarray of times with a unit"),
        (["1", "2"], TypeError, "got list of text"),
        (np.zeros(3, [("left", "f8"), ("right", "f8")]), TypeError, "e.g. x['left']"),
        (np.void(b"12"), TypeError, "got void"),
        ("sound.wav", TypeError, "got str; read the file first"),
        (pathlib.Path("sound.wav"), TypeError, "; read the file first"),
        (sparse.csr_matrix(RAMP), TypeError, "got csr_matrix; x.toarray() makes an ordinary"),
        (sparse.coo_array(RAMP[None]), TypeError, "x.toarray()"),
        (torch.ones(3).to_sparse(), TypeError, "torch.sparse_coo; x.to_dense() makes an ordinary"),
        (quietly(compressed_tensor), TypeError, "torch.sparse_csr; x.to_dense()"),
        ([torch.ones(3).to_sparse()], TypeError, "x.to_dense()"),
        (quietly(masked_tensor), TypeError, "got a masked tensor"),
        (quietly(nested_tensor), TypeError, "got a nested tensor"),
        (torch.ones(3, device="meta"), TypeError, "the device meta: it has no data"),
        (Elsewhere(), TypeError, "which numpy cannot read (use .get() to copy it here)"),
        ((k for k in RAMP), TypeError, "got generator; list(x) makes a list"),
        (iter(RAMP), TypeError, "list(x) makes a list"),
        ({"y": RAMP}, TypeError, "got dict; give one of its values"),
        (Recovery(torch.ones(3), "none"), TypeError, "got Recovery; give its signal, x.signal"),
        ((RAMP, 8000), ValueError, "a tuple of an array of shape (3,) and int; give x[0] alone"),
        ((8000, RAMP), ValueError, "give x[1] alone"),
        ([torch.ones(3), 8000.0], ValueError, "give x[0] alone"),
        ((RAMP, RAMP[:2], RAMP[:1]), ValueError, "give one of them, e.g. x[0] alone"),
        ([True, False], TypeError, "got bool; 1.0 * x makes numbers of truth values"),
        (RAMP + 0j, TypeError, "got complex128; its imaginary part is zero: give x.real"),
        (torch.ones(3) + 1j, TypeError, "x.real and x.imag (I and Q) one after the other"),
        (np.full(3, np.longdouble("1e4000")), ValueError, "got 3 NaN or infinite of 3"),
    ],
)
def test_what_is_more_than_numbers_is_refused_with_the_way_out(value, error, words):
    with pytest.raises(error) as caught:
        check_signal(value)
    assert str(caught.value).startswith("x must ") and words in str(caught.value)


def test_complex_magnitudes_have_a_modulus():
    with pytest.raises(TypeError, match=r"got complex64; abs\(S\) is their modulus"):
        check_magnitudes(np.ones((2, 3), np.complex64) * 1j)
    with pytest.raises(TypeError, match="its imaginary part is zero: give S.real"):
        check_magnitudes(np.ones((2, 3)) + 0j)


# -- shapes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "shape, options, words",
    [
        ((5, 1), {}, "got a column of shape (5, 1); give x[..., 0]"),
        ((2, 5, 1), {}, "got a column of shape (2, 5, 1)"),
        ((5, 1), {"ndim": 1}, "got shape (5, 1); give x[:, 0]"),
        ((1, 5), {"ndim": 1}, "got shape (1, 5); give x[0]"),
        ((5, 2), {"ndim": 1}, "choose a channel, x[:, 0], or mix them down, x.mean(1)"),
        ((2, 5), {"ndim": 1}, "choose a channel, x[0], or mix them down, x.mean(0)"),
        ((5, 1), {"n_samples": 5}, "on the axis before: give x[..., 0]"),
        ((5, 2), {"n_samples": 5}, "on the axis before: give x.T"),
        ((3, 5, 2), {"n_samples": 5}, "on the axis before: give x.swapaxes(-1, -2)"),
        ((6,), {"n_samples": 5}, "cut it, or make a transform for 6 samples, W.like(6)"),
        ((4,), {"n_samples": 5}, "pad it, or make a transform for 4 samples, W.like(4)"),
    ],
)
def test_signals_of_another_shape(shape, options, words):
    with pytest.raises(ValueError) as caught:
        check_signal(np.ones(shape), **options)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "shape, words",
    [
        ((12, 4), "; it looks transposed: give S.T"),
        ((7, 12, 4), "; it looks transposed: give S.swapaxes(-1, -2)"),
        ((4, 3), "; with a column every 4 samples, give Measured(S, W, hop=4)"),
        ((4, 11), "; columns are missing: Measured(S, W, hop=...)"),
        ((4, 24), "; it has more columns: cut off what was padded, or take W.like(24)"),
        ((5, 12), "; W has 4 rows: Scalogram.from_frequencies makes a transform of others"),
        ((12,), "; a signal has this shape: W.magnitude(S) is its scalogram"),
        ((4, 12, 3), "; a picture in colours has such a shape: measured.from_image reads"),
        ((9, 9), "got shape (9, 9)"),
    ],
)
def test_scalograms_of_another_shape(shape, words):
    with pytest.raises(ValueError) as caught:
        check_magnitudes(np.ones(shape), (4, 12))
    assert words in str(caught.value)


def test_transposed_coefficients():
    with pytest.raises(ValueError, match="it looks transposed: give c.T"):
        check_coefficients(np.ones((12, 4), complex), (4, 12))


def test_negative_magnitudes_are_decibels_or_noise():
    S = np.abs(np.random.default_rng(0).standard_normal((4, 12)))
    for negative in (20 * np.log10(S), np.log(S), S - 2 * S.max()):
        with pytest.raises(ValueError, match="is it in dB. Measured.S, W, scale='db'. takes decib"):
            check_magnitudes(negative)
    noisy = np.where(S > S.min(), S, -0.01)
    with pytest.raises(ValueError, match="noise around zero. recover.S, W, noise='gaussian'"):
        check_magnitudes(noisy)
    with pytest.raises(ValueError, match="NaN or infinite.*Measured takes what is known of it"):
        check_magnitudes(np.where(S > S.min(), S, np.nan))


COLOURS = np.random.default_rng(0).integers(0, 256, (4, 5, 16))


@pytest.mark.parametrize(
    "picture",
    [
        COLOURS.astype(np.uint8),
        COLOURS[:3].astype(np.uint8),
        torch.from_numpy(COLOURS[:3]).to(torch.uint8),
        COLOURS[:3] / 255,
        (COLOURS[:3] / 255).astype(np.float32),
    ],
)
def test_a_picture_in_colours_is_no_batch(picture):
    W = Scalogram.from_frequencies(16, frequencies=[0.1, 0.15, 0.2, 0.25, 0.3])
    with pytest.raises(ValueError, match="with the values of a picture's colours; measured.from_i"):
        griffin_lim(picture, W, n_iter=1)


@pytest.mark.parametrize("batch", [(3, 5, 12), (4, 5, 12), (2, 5, 12), (3, 1, 5, 12)])
def test_a_batch_is_no_picture(batch):
    S = np.random.default_rng(1).random(batch)
    assert check_magnitudes(S).shape == batch
    assert check_magnitudes(np.ones(batch)).shape == check_magnitudes(0 * S).shape == batch


def test_a_batch_is_taken_apart_where_one_is_asked_for():
    W = scalogram()
    with pytest.raises(ValueError, match="one scalogram.*one after the other.*from_image"):
        solve_phase_equation(W.magnitude(noise(0, 3, W.n_samples)), W)


def test_columns_are_no_signals_for_any_score():
    x = noise(0)[:, None]
    for score in (metrics.waveform_error_db, metrics.sign_error_db, metrics.align):
        with pytest.raises(ValueError, match="x must have its samples on the last axis.*column"):
            score(x, x)
    assert metrics.misfit_db(x, x) == -np.inf


def test_statistics_of_textures_may_be_columns():
    T = scattering(T="global")
    S = T(noise(0, T.n_samples))
    assert S.shape[-1] == 1 and metrics.misfit_by_order(S, S, T)[1] == -np.inf
    with pytest.raises(ValueError, match="target must have the shape"):
        metrics.misfit_by_order(S, S[1:], T)


# -- options -------------------------------------------------------------------------------------


def test_options_may_be_numpys_scalars():
    W = Scalogram(np.int64(64), np.float32(8000), wavelet=np.str_("gmw"), f_min=np.float64(900))
    assert W.shape == Scalogram(64, 8000, f_min=900).shape
    M = Measured(W.magnitude(noise(0, 64)), W, scale=np.str_("modulus"), hop=np.int8(1))
    assert M.is_plain
    T = Scattering(256, J=np.int32(4), Q=np.array([2, 1]), orders=np.array([1, 2]))
    assert T.orders == (1, 2) and torch.equal(T.order, Scattering(256, J=4, Q=2).order)
    assert check_choice(np.str_("fft"), ("fft", "direct"), "method") == "fft"
    assert check_choice(np.True_, (True, None), "flag") is True
    assert check_flag(np.False_, "progress") is False is check_flag(torch.tensor(False), "progress")
    assert check_number(np.longdouble(2.5), "a") == 2.5


@pytest.mark.parametrize(
    "check, value, error, words",
    [
        (
            check_count,
            10**400,
            ValueError,
            "k must be at most 4611686018427387904, got a number of",
        ),
        (check_count, -(10**400), ValueError, "k must be a whole number of at least 1, got a numb"),
        (check_count, 2.0, TypeError, "got 2.0; int() makes 2 of it"),
        (check_count, np.float64(3), TypeError, "int() makes 3 of it"),
        (check_count, np.ma.masked, TypeError, "got masked"),
        (check_count, np.ones((3, 4)), TypeError, "got ndarray of shape (3, 4)"),
        (check_count, torch.ones((), device="meta"), TypeError, "k must be a whole number"),
        (check_number, 10**400, ValueError, "k must be a finite number, got a number of about"),
        (check_number, np.datetime64("2020-01-01"), TypeError, "k must be a finite number"),
        (check_number, "x" * 1000, TypeError, "... (str)"),
        (check_positive, 1e-320, ValueError, "k must be from 1e-290 to 1e+290, got 1e-320"),
        (check_positive, 1e308, ValueError, "k must be from 1e-290 to 1e+290, got 1e+308"),
        (check_flag, 1, TypeError, "k must be True or False, got 1"),
        (check_flag, RAMP, TypeError, "k must be True or False, got ndarray of shape (3,)"),
        (lambda v, k: check_choice(v, ("a",), k), RAMP, ValueError, "k must be one of 'a', got nd"),
        (
            lambda v, k: check_instance(v, Scalogram, k),
            3,
            TypeError,
            "k must be a Scalogram, got 3",
        ),
        (
            lambda v, k: check_mask(v, (3,), k),
            RAMP,
            TypeError,
            "k must be booleans of the shape (3,",
        ),
        (lambda v, k: check_mask(v, (3,), k), [True], ValueError, "got bool of shape (1,)"),
        (lambda v, k: check_mask(v, (3,), k), MASKED > 1, ValueError, "1 of 3 masked"),
        (
            check_numbers,
            3.0,
            ValueError,
            "k must be real numbers, an array of any shape, got shape",
        ),
    ],
)
def test_options_that_are_refused(check, value, error, words):
    with pytest.raises(error) as caught:
        check(value, "k")
    assert str(caught.value).startswith("k must ") and words in str(caught.value)
    assert len(str(caught.value)) < 400


def test_numbers_within_double_precision_stay_what_they_are():
    assert check_number(2**62, "a") == 2**62 and type(check_number(3, "a")) is int
    assert check_number(10**300, "a") == 1e300 and type(check_number(10**300, "a")) is float
    assert check_count(2**62, "k") == 2**62


class Mute:
    """A foreign object that cannot even be printed."""

    def __repr__(self):
        raise RuntimeError("no repr")


def test_what_cannot_be_printed_is_refused_all_the_same():
    with pytest.raises(TypeError, match="k must be a finite number, got an object whose repr fail"):
        check_number(Mute(), "k")
