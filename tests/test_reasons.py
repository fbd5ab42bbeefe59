"""Numbers and scalograms in another form than the one asked for are told the way to that."""

import decimal
import fractions
import math

import numpy as np
import pytest
import torch
from small import noise, scalogram

from scalinv_utils import Scalogram, griffin_lim
from scalinv_utils.measured import Measured, from_matlab

W = scalogram()
N_FREQS, N = W.shape
S = W.magnitude(noise(1))


@pytest.mark.parametrize(
    "rate",
    [8000, np.array(8000), np.float32(8000), torch.tensor(8e3), fractions.Fraction(16000, 2)],
)
def test_rates_that_are_numbers(rate):
    made = Scalogram(64, rate).sample_rate
    assert made == 8000 and isinstance(made, float)


@pytest.mark.parametrize(
    "rate, error, words",
    [
        ("8000", TypeError, "got '8000'; float() makes 8000 of it"),
        (b"8e3", TypeError, "float() makes 8000 of it"),
        (decimal.Decimal("44100"), TypeError, "float() makes 44100 of it"),
        ("8 kHz", TypeError, "got '8 kHz'; give the number alone"),
        ("inf", TypeError, "got 'inf'"),
        ("fast", TypeError, "got 'fast'"),
        (8000 + 0j, TypeError, "got (8000+0j)"),
        (np.array([8000.0]), TypeError, "got ndarray of shape (1,)"),
        (np.timedelta64(1, "s"), TypeError, "timedelta64"),
        (-0.0, ValueError, "got -0.0"),
        (-8000, ValueError, "got -8000"),
        (math.inf, ValueError, "got inf"),
        (1e300, ValueError, "from 1e-290 to 1e+290"),
        (fractions.Fraction(10**400, 3), ValueError, "must be a positive, finite number"),
    ],
)
def test_rates_that_are_none(rate, error, words):
    with pytest.raises(error) as caught:
        Scalogram(64, rate)
    message = str(caught.value)
    assert message.startswith("sample_rate must be ") and words in message
    assert (";" in message) == (";" in words or "float()" in words)


def test_frequencies_in_another_unit():
    f = W.frequencies.numpy() * 8000 / W.sample_rate
    for other in (f / 1000, f / 8000):
        with pytest.raises(ValueError, match="neither kHz nor cycles per sample"):
            Scalogram.from_frequencies(N, 8000, frequencies=other)
    with pytest.raises(ValueError, match="f must be in Hz, at most the Nyquist frequency 4 Hz"):
        from_matlab({"wt": S.numpy(), "f": f}, sample_rate=8)


@pytest.mark.parametrize(
    "given, words",
    [
        (S.clamp_min(1e-9).log(), "exp(S) undoes a natural logarithm"),
        (W(noise(1)).real, "abs(c) is the modulus of coefficients c"),
        (torch.view_as_real(W(noise(1))), "numpy.hypot(S[..., 0], S[..., 1]) is the modulus"),
        (S[..., None], "; give S[..., 0]"),
        (
            torch.cat([S, S[:, -1:]], 1),
            "it has more columns: cut off what was padded",
        ),
        (S[:, :-1], "columns are missing"),
    ],
)
def test_scalograms_in_another_form(given, words):
    with pytest.raises(ValueError) as caught:
        griffin_lim(given, W, n_iter=1)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "given, words",
    [
        (S[..., None], "; give S[..., 0]"),
        (torch.cat([S, S], 1), f"cut off what was padded, or take W.like({2 * N})"),
        (S[:, ::4], "with a column every 4 samples, give Measured(S, W, hop=4)"),
        (S[:, :-1], "columns are missing"),
    ],
)
def test_what_is_measured_in_another_form(given, words):
    with pytest.raises(ValueError) as caught:
        Measured(given, W)
    assert words in str(caught.value)


def test_levels_beyond_double_precision():
    with pytest.raises(ValueError, match="S must be at most 5800 dB, got 1e.04 dB"):
        Measured(torch.full_like(S, 1e4), W, scale="db")
    assert torch.isfinite(Measured(torch.full_like(S, 5800), W, scale="db").S).all()
    assert not Measured(torch.full_like(S, -math.inf), W, scale="db").S.any()
