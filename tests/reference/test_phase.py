"""The phase's gradient from the modulus, against closed forms of phase and modulus.

an impulse, Cauchy     c = A / s (1 - i t / s)^-(beta + 1)          phi = (beta + 1) atan(t / s)
a sinusoid             c = psi_hat(s w) exp(i w t) / 2              phi = w t
a Gaussian chirp and Morlet's wavelet, both Gaussians: a complex Gaussian
a sum of exponentials and Cauchy's wavelet: s^-beta c is analytic in t + i s
"""

import functools

import numpy as np
import pytest
from small import noise

from scalinv_utils import Scalogram
from scalinv_utils.recovery._phase_relations import phase_derivatives

from .exact import mp

N, BETA = 256, 30
CAUCHY = Scalogram(
    N, wavelet=("cauchy", {"beta": BETA}), voices_per_octave=16, f_min=0.03, f_max=0.15
)
S_CAUCHY = CAUCHY.scales.numpy()
INNER = slice(8, -8)  # rows with neighbours on both sides


def rms(error, wanted, where):
    """Compute the rms of an error relative to that of the value, at some points."""
    return np.sqrt((error[where] ** 2).mean() / (wanted[where] ** 2).mean())


def from_the_modulus(S, W):
    in_time, in_scale = (g.numpy() for g in phase_derivatives(S, W))
    return in_time, in_scale


def loud(S, floor_db=-60):
    """Mark the points of inner rows that are not too far below the loudest."""
    land = S >= S.max() * 10 ** (floor_db / 20)
    land[:8] = land[-8:] = False
    return land


# -- an impulse -----------------------------------------------------------------------------------


def impulse(j, n):
    """Compute a coefficient of an impulse at N/2: the wavelet, and its copies N samples away."""
    s = mp.mpf(float(S_CAUCHY[j]))
    factor = mp.gamma(BETA + 1) * (mp.e / BETA) ** BETA / mp.pi / s
    return factor * mp.fsum((1 - 1j * (n - N // 2 + m * N) / s) ** -(BETA + 1) for m in (-1, 0, 1))


def test_the_coefficients_of_an_impulse():
    c = CAUCHY(np.eye(1, N, N // 2)[0]).numpy()
    for j in range(0, CAUCHY.n_freqs, 4):
        for n in (N // 2, N // 2 + 1, N // 2 - 7, N // 2 + 30, 0, 5):
            assert abs(c[j, n] - impulse(j, n)) < 1e-13 * np.abs(c[j]).max()


def test_the_phase_of_an_impulse():
    S = CAUCHY.magnitude(np.eye(1, N, N // 2)[0]).numpy()
    t, s = np.arange(N) - N / 2, S_CAUCHY[:, None]
    in_time, in_scale = from_the_modulus(S, CAUCHY)
    turning, per_log = (BETA + 1) * s / (s**2 + t**2), -(BETA + 1) * t * s / (s**2 + t**2)
    assert rms(in_time - turning, turning, loud(S)) < 2e-4
    assert rms(in_scale - per_log, per_log, loud(S)) < 3e-7


# -- a sinusoid -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wavelet, floor_db, tolerance",
    [("cauchy", -40, 2e-4), ("cauchy", -10, 1e-7), ("gmw", -20, 5e-3), ("morlet", -20, 5e-3)],
)
def test_the_phase_of_a_sinusoid(wavelet, floor_db, tolerance):
    """Where the power falls steeply from row to row, its derivative in scale is less exact."""
    W = Scalogram(N, wavelet=wavelet, voices_per_octave=16, f_min=0.05, f_max=0.3)
    w = 2 * np.pi * 36 / N
    S = W.magnitude(np.cos(w * np.arange(N) + 0.7)).numpy()
    in_time, in_scale = from_the_modulus(S, W)
    where = loud(S, floor_db)
    assert where.any(1).sum() > 5 and where.all(1).sum() == where.any(1).sum()
    assert np.abs(in_time[where] / w - 1).max() < tolerance
    assert np.abs(in_scale[where]).max() < 1e-6


# -- a Gaussian chirp -----------------------------------------------------------------------------

MU, CENTRE, RATE, WIDTH = 13.4, 0.9, 4e-3, 25.0
MORLET = Scalogram(N, wavelet="morlet", voices_per_octave=24, f_min=0.08, f_max=0.22)


def chirp_coefficient(t, log_s):
    """Compute log c of exp(-a t^2 / 2 + i w0 t), a = 1/width^2 - i rate, by completing squares.

    The integral of exp(-(w - w0)^2 / (2 a)) exp(-(s w - mu)^2 / 2) exp(i w t) over w.
    """
    s, a = mp.exp(log_s), 1 / mp.mpf(WIDTH) ** 2 - 1j * mp.mpf(RATE)
    A, B = 1 / a + s**2, CENTRE / a + MU * s + 1j * t
    constant = mp.sqrt(2) * mp.pi ** mp.mpf("0.25") / 2  # half: a cosine has two halves
    rest = -(mp.mpf(CENTRE) ** 2) / (2 * a) - mp.mpf(MU) ** 2 / 2
    return B**2 / (2 * A) + rest - mp.log(A) / 2 - mp.log(a) / 2 + mp.log(constant)


def chirp():
    t = np.arange(N) - N / 2
    return np.exp(-(t**2) / (2 * WIDTH**2)) * np.cos(CENTRE * t + RATE * t**2 / 2)


POINTS = [(j, n) for j in range(6, MORLET.n_freqs - 6, 5) for n in range(84, 174, 9)]


@functools.cache
def chirp_table():
    """Compute log c and its two derivatives at some points, in thirty digits."""
    rows = []
    for j, n in POINTS:
        t, log_s = mp.mpf(n - N // 2), mp.log(mp.mpf(float(MORLET.scales[j])))
        rows.append(
            [
                complex(mp.diff(chirp_coefficient, (t, log_s), order))
                for order in [(0, 0), (1, 0), (0, 1)]
            ]
        )
    return np.array(rows).T


def test_the_coefficients_of_a_chirp():
    wanted = np.exp(chirp_table()[0])
    found = MORLET(chirp()).numpy()[tuple(np.transpose(POINTS))]
    # The chirp is not quite zero at both ends, nor its negative half in the positive one.
    assert np.abs(found - wanted).max() < 1e-5 * np.abs(wanted).max()


def test_the_phase_of_a_chirp():
    S = MORLET.magnitude(chirp()).numpy()
    where = tuple(np.transpose(POINTS))
    _, per_time, per_scale = chirp_table()
    heard = S[where] > 0.1 * S.max()
    assert heard.sum() > 20
    for found, wanted in zip(from_the_modulus(S, MORLET), (per_time.imag, per_scale.imag)):
        assert rms(found[where] - wanted, wanted, heard) < 3e-4


# -- the relation itself --------------------------------------------------------------------------

# Every so many samples are computed in many digits.
STEP = 32


@functools.cache
def exponentials():
    """Draw a signal of a few DFT bins, and log c with its derivatives, by sums in thirty digits."""
    bins = range(6, 60, 3)
    amplitudes = noise(3, 2, len(bins)).numpy()
    t = np.arange(N)
    x = sum(a * np.cos(2 * np.pi * (k * t % N) / N + b) for k, a, b in zip(bins, *amplitudes))
    logs = np.empty((3, len(S_CAUCHY), N // STEP), complex)
    for j, s in enumerate(map(mp.mpf, S_CAUCHY.tolist())):
        for column in range(N // STEP):
            c = in_time = in_scale = mp.mpc(0)
            for k, a, b in zip(bins, *amplitudes):
                w = 2 * mp.pi * k / N
                u = s * w
                psi = (u / BETA) ** BETA * mp.exp(BETA - u)
                term = mp.mpf(a) * psi * mp.expj(w * STEP * column + mp.mpf(b))
                c += term
                in_time += 1j * w * term
                in_scale += (BETA - u) * term
            logs[:, j, column] = [complex(mp.log(c)), complex(in_time / c), complex(in_scale / c)]
    return x, logs


def test_modulus_and_phase_are_conjugate():
    """Cauchy and Riemann: of log(s^-beta c), an analytic function of t + i s."""
    _, (log_c, in_time, in_scale) = exponentials()
    s = S_CAUCHY[:, None]
    assert s * in_time.imag == pytest.approx(BETA - in_scale.real, rel=1e-12, abs=1e-9)
    assert in_scale.imag == pytest.approx(s * in_time.real, rel=1e-12, abs=1e-9)


def test_the_modulus_of_a_sum_tells_its_phase():
    x, (log_c, in_time, in_scale) = exponentials()
    S = CAUCHY.magnitude(x).numpy()
    assert np.abs(CAUCHY(x).numpy()[:, ::STEP] / np.exp(log_c) - 1).max() < 1e-11
    where = loud(S)[:, ::STEP]
    for found, wanted, tolerance in zip(
        from_the_modulus(S, CAUCHY), (in_time.imag, in_scale.imag), (1e-3, 1e-7)
    ):
        assert rms(found[:, ::STEP] - wanted, wanted, where) < tolerance
