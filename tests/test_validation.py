"""The checks that all public functions share accept the right values and return one form."""

import numpy as np
import pytest
import torch

from scalinv_utils import _validation
from scalinv_utils._validation import (
    check_callable,
    check_choice,
    check_coefficients,
    check_count,
    check_magnitudes,
    check_number,
    check_positive,
    check_signal,
)

GRID = [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]


@pytest.mark.parametrize(
    "value, dtype",
    [
        ([1, 2, 3], torch.float64),
        ((1.0, 2.0, 3.0), torch.float64),
        (range(1, 4), torch.float64),
        (np.array([1, 2, 3], dtype=np.int16), torch.float64),
        (np.array([1, 2, 3], dtype=np.float16), torch.float64),
        (np.array([1, 2, 3], dtype=np.longdouble), torch.float64),
        (np.array([1, 2, 3], dtype=">f4"), torch.float32),
        (np.array([3, 2, 1], dtype=np.float32)[::-1], torch.float32),
        (torch.tensor([1, 2, 3]), torch.float64),
        (torch.tensor([1, 2, 3], dtype=torch.bfloat16), torch.float64),
        (torch.tensor([1.0, 2.0, 3.0]), torch.float32),
        ([torch.tensor(1.0), torch.tensor(2.0), 3], torch.float64),
    ],
)
def test_real_arrays_of_every_kind_become_tensors(value, dtype):
    x = check_signal(value)
    assert x.dtype == dtype and x.tolist() == [1, 2, 3]


def test_arrays_are_copied_and_tensors_are_not():
    array = np.ones(4)
    x = check_signal(array)
    array[:] = 7
    assert x.tolist() == [1, 1, 1, 1]
    tensor = torch.ones(4).requires_grad_()
    assert check_signal(tensor) is tensor
    assert check_signal(2 * tensor).requires_grad


@pytest.mark.parametrize(
    "value, options, error, words",
    [
        ([], {}, ValueError, "at least one sample, got the empty shape (0,)"),
        (np.zeros((2, 0)), {}, ValueError, "the empty shape (2, 0)"),
        (3.0, {}, ValueError, "shape (..., n_samples), got shape ()"),
        ([1, 2], {"min_samples": 3}, ValueError, "at least 3 samples long, got 2"),
        (GRID, {"ndim": 1}, ValueError, "one mono signal of shape (n_samples,), got shape (2, 3)"),
        ([1, 2], {"ndim": 2}, ValueError, "with 2 axes, got shape (2,)"),
        ([1, np.nan, np.inf], {}, ValueError, "finite, got 2 NaN or infinite of 3"),
        ([[1, 2], [3]], {}, ValueError, "got rows of different lengths"),
        ([1j, 2], {}, TypeError, "got complex128"),
        (np.array([1j], dtype=np.complex64), {}, TypeError, "got complex64"),
        (torch.ones(3, dtype=torch.complex64), {}, TypeError, "got complex64"),
        ([True, False], {}, TypeError, "got bool"),
        ("sound.wav", {}, TypeError, "got str"),
        (None, {}, TypeError, "got NoneType"),
        ({"x": 1}, {}, TypeError, "got dict"),
        ([1, "a"], {}, TypeError, "got list"),
    ],
)
def test_what_is_no_signal(value, options, error, words):
    with pytest.raises(error) as caught:
        check_signal(value, name="sound", **options)
    assert str(caught.value).startswith("sound must ") and words in str(caught.value)


def test_magnitudes_and_coefficients_keep_their_form():
    assert check_magnitudes(GRID, (2, 3)).tolist() == GRID
    assert check_magnitudes([GRID, GRID], (2, 3)).shape == (2, 2, 3)
    assert check_magnitudes(torch.zeros(2, 3)).dtype == torch.float32
    assert check_coefficients(np.array(GRID, dtype=np.complex64)).dtype == torch.complex64
    assert check_coefficients(np.array(GRID)[::-1] * 1j, (2, 3)).dtype == torch.complex128
    assert check_coefficients(GRID).dtype == torch.float64


def test_only_the_last_rows_may_be_signed():
    signed_last, signed_first = [[1, 2], [-1, 2]], [[-1, 2], [1, 2]]
    assert check_magnitudes(signed_last, n_signed=1).tolist() == signed_last
    for S, n_signed in ((signed_last, 0), (signed_first, 1)):
        with pytest.raises(ValueError, match="S must not be negative.* smallest entry is -1"):
            check_magnitudes(S, n_signed=n_signed)


@pytest.mark.parametrize("check", [check_magnitudes, check_coefficients])
@pytest.mark.parametrize(
    "value, error, words",
    [
        ([1, 2], ValueError, "shape (..., n_freqs, n_samples), got shape (2,)"),
        (np.zeros((2, 0)), ValueError, "got shape (2, 0)"),
        (np.zeros((3, 2)), ValueError, "(n_freqs, n_samples) = (2, 3), got shape (3, 2)"),
        ([[1, 2, 3], [1, 2, np.nan]], ValueError, "finite, got 1 NaN or infinite of 6"),
        ("S", TypeError, "got str"),
        (np.zeros((2, 3), dtype=bool), TypeError, "got bool"),
    ],
)
def test_what_is_no_plane(check, value, error, words):
    with pytest.raises(error) as caught:
        check(value, (2, 3), "plane")
    assert str(caught.value).startswith("plane must ") and words in str(caught.value)


def test_complex_magnitudes_are_refused():
    with pytest.raises(TypeError, match="S must be real magnitudes .* got complex128"):
        check_magnitudes(np.array(GRID) + 0j)


@pytest.mark.parametrize("value", [3, np.int32(3), np.uint8(3), torch.tensor(3), np.array(3)])
def test_counts(value):
    assert check_count(value, "k") == 3 and type(check_count(value, "k")) is int


@pytest.mark.parametrize("value", [2.5, np.float32(2.5), torch.tensor(2.5).double(), np.array(2.5)])
def test_numbers(value):
    assert check_number(value, "a") == check_positive(value, "a") == 2.5


@pytest.mark.parametrize(
    "check, value, error",
    [
        (check_count, 0, ValueError),
        (check_count, -1, ValueError),
        (check_count, 2.0, TypeError),
        (check_count, True, TypeError),
        (check_count, np.bool_(True), TypeError),
        (check_count, "3", TypeError),
        (check_count, None, TypeError),
        (check_number, np.nan, ValueError),
        (check_number, np.inf, ValueError),
        (check_number, "1", TypeError),
        (check_number, 1j, TypeError),
        (check_number, True, TypeError),
        (check_number, [1], TypeError),
        (check_number, torch.ones(1), TypeError),
        (check_positive, 0, ValueError),
        (check_positive, -2.5, ValueError),
        (check_positive, torch.tensor(float("nan")), ValueError),
        (check_positive, None, TypeError),
    ],
)
def test_what_is_no_number(check, value, error):
    with pytest.raises(error, match="^level must be a .*, got "):
        check(value, "level")


def test_choices():
    assert check_choice("b", {"a": 1, "b": 2}, "key") == "b"
    assert check_choice(None, (None, "x"), "key") is None
    for value in ("c", None, ["a"], np.array(["a", "b"]), 0):
        with pytest.raises(ValueError, match="^key must be one of 'a', 'b', got "):
            check_choice(value, ("a", "b"), "key")
    with pytest.raises(ValueError, match="^flag must be one of 0, got False"):
        check_choice(False, [0], "flag")


def test_callables():
    assert check_callable(len, "f", "a function of x") is len
    with pytest.raises(TypeError, match="^f must be a function of x, got 3$"):
        check_callable(3, "f", "a function of x")


def test_finite_values_whose_sum_is_not_finite_are_finite():
    assert check_signal([1e308] * 4).shape == (4,)
    assert check_coefficients(np.full((2, 3), 1e308 + 1e308j)).shape == (2, 3)
    with pytest.raises(ValueError, match="got 1 NaN or infinite of 3"):
        check_signal([1e308, 1e308, float("inf")])


# -- what hints say ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "shape, words",
    [
        ((5,), ""),
        ((2, 3, 4), ""),
        ((5, 1), "; give x[:, 0]"),
        ((1, 5), "; give x[0]"),
        ((1, 1), "; give x[:, 0]"),
        ((2, 5), "; choose a channel, x[0], or mix them down, x.mean(0)"),
        ((2, 2), "; choose a channel, x[0], or mix them down, x.mean(0)"),
        ((5, 2), "; choose a channel, x[:, 0], or mix them down, x.mean(1)"),
    ],
)
def test_several_channels_become_one_signal(shape, words):
    assert _validation._mono_hint(shape, "x") == words


@pytest.mark.parametrize(
    "shape, words",
    [
        ((8, 1), "; its samples are on the axis before: give x[..., 0]"),
        ((8, 2), "; its samples are on the axis before: give x.T"),
        ((3, 8, 2), "; its samples are on the axis before: give x.swapaxes(-1, -2)"),
        ((9,), "; cut it, or make a transform for 9 samples, W.like(9)"),
        ((7,), "; pad it, or make a transform for 7 samples, W.like(7)"),
        ((2, 7), "; pad it, or make a transform for 7 samples, W.like(7)"),
    ],
)
def test_a_length_that_does_not_fit_is_explained(shape, words):
    assert _validation._length_hint(shape, 8, "x") == words


OTHER_ROWS = "; W has 5 rows: Scalogram.from_frequencies makes a transform of others"
FEWER = "; columns are missing: Measured(S, W, hop=...) takes every hop-th one, and W.like({0})"
MORE = "; it has more columns: cut off what was padded, or take W.like({0}) for a signal of {0}"


@pytest.mark.parametrize(
    "shape, words",
    [
        ((), ""),
        ((16,), "; a signal has this shape: W.magnitude(S) is its scalogram"),
        ((16, 5), "; it looks transposed: give S.T"),
        ((2, 16, 5), "; it looks transposed: give S.swapaxes(-1, -2)"),
        ((5, 16, 3), "; a picture in colours has such a shape: measured.from_image reads"),
        ((9, 9, 4), "; a picture in colours has such a shape: measured.from_image reads"),
        ((9, 9, 5), ""),
        ((5, 4), "; with a column every 4 samples, give Measured(S, W, hop=4)"),
        ((2, 5, 8), "; with a column every 2 samples, give Measured(S, W, hop=2)"),
        ((5, 6), "; with a column every 3 samples, give Measured(S, W, hop=3)"),
        ((5, 15), FEWER.format(15)),
        ((5, 7), FEWER.format(7)),
        ((5, 17), MORE.format(17)),
        ((4, 16), OTHER_ROWS),
        ((2, 6, 16), OTHER_ROWS),
        ((4, 15), ""),
        ((5, 0), ""),
    ],
)
def test_a_scalogram_that_does_not_fit_is_explained(shape, words):
    said = _validation._moduli_hint(shape, (5, 16), "S")
    assert said.startswith(words) and bool(said) == bool(words)
    turned = shape[-2:] == (16, 5)
    assert _validation._plane_hint(shape, (5, 16), "S") == (words if turned else "")


def test_negative_moduli_are_noise_or_decibels():
    # Of nine ones and a lowest value l, the mean modulus is (9 + |l|) / 10: half of it at 0.4737.
    for lowest, words in ((-0.47, "noise around zero"), (-0.48, "is it in dB")):
        assert words in _validation._negative_hint(torch.tensor([*[1.0] * 9, lowest]), "S")


@pytest.mark.parametrize(
    "shape, dtype, values, is_picture",
    [
        ((3, 4, 4), torch.uint8, None, True),
        ((4, 4, 4), torch.uint8, None, True),
        ((5, 4, 4), torch.uint8, None, False),
        ((3, 4), torch.uint8, None, False),
        ((3, 4, 4), torch.float64, [0.2, 0.4, 1.0], True),  # 51, 102 and 255
        ((3, 4, 4), torch.float64, [0.201, 0.4, 1.0], False),
        ((3, 4, 4), torch.float64, [0.0, 1.0], False),  # nothing between
        ((3, 4, 4), torch.float64, [0.0, 0.0], False),
        ((3, 4, 4), torch.float64, [0.2, 1.2], False),
    ],
)
def test_colours_of_a_picture_are_told_from_three_scalograms(shape, dtype, values, is_picture):
    given = torch.ones(shape, dtype=dtype)
    if values is not None:
        given = torch.tensor(values, dtype=dtype).repeat(48)[:48].reshape(shape)
    assert _validation._is_picture(given.double(), given) == is_picture


def test_words_for_values():
    assert _validation._article("Array") == "an Array" and _validation._article("list") == "a list"
    assert _validation._whole_hint(3.0) == "; int() makes 3 of it"
    assert _validation._whole_hint(3.5) == _validation._whole_hint("3") == ""
