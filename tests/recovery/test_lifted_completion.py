"""Few rows and columns predict a dense Cauchy scalogram, whatever the filters are."""

import numpy as np
import pytest
import torch
from small import error_db, noise

from scalinv_utils import metrics
from scalinv_utils.course import signals
from scalinv_utils.measured import Measured
from scalinv_utils.recovery import _lifted_completion
from scalinv_utils.recovery._lifted_completion import (
    Completion,
    OwnBank,
    filled,
    has_dense_rows,
    is_liftable,
)
from scalinv_utils.transforms.scalogram import Scalogram

N, RATE = 256, 8000.0


def gmw(voices=16, n_samples=N, **options):
    return Scalogram(n_samples, RATE, voices_per_octave=voices, **options)


def delayed(W):
    """Make complex filters: each row of W comes later by a time of its own."""
    shifts = torch.arange(W.n_freqs).double() % 7
    bins = torch.arange(W.filters.shape[1])
    angles = -2 * torch.pi * shifts[:, None] * bins / W.n_samples
    return Scalogram.from_filters(
        torch.polar(W.filters, angles), W.frequencies, RATE, n_samples=W.n_samples
    )


def chirp(W):
    return W.project(signals.linear_chirp(W.n_samples, RATE, 800.0, 3000.0))


def measured(W, **options):
    x = chirp(W)
    return x, Measured(W.magnitude(x), W, **options)


SPREAD_HOPS = [(4, 3 * j % 4) for j in range(gmw().n_freqs)]
CASES = {
    "few voices": (gmw(6), {}),
    "a hop": (gmw(), {"hop": 4}),
    "per-row hops": (gmw(), {"hop": SPREAD_HOPS}),
    "hops of two kinds": (gmw(), {"hop": [(2 + 2 * (j % 2), 0) for j in range(gmw().n_freqs)]}),
    "complex filters": (delayed(gmw(8)), {}),
    "complex filters and a hop": (delayed(gmw()), {"hop": 2}),
}
every_case = pytest.mark.parametrize(("W", "options"), CASES.values(), ids=CASES.keys())


@every_case
def test_the_prediction_is_close(W, options):
    x, M = measured(W, **options)
    completion = Completion(M, 40.0)
    error = metrics.misfit_db(completion.start, completion.W.magnitude(x))
    assert error < -25, error


@every_case
def test_the_target_at_the_truth_is_the_truth(W, options):
    x, M = measured(W, **options)
    completion = Completion(M, 25.0)
    c = completion.W(x)
    # The systems are solved up to a share of 1e-10, of which rounding makes something.
    assert error_db(completion.target(x, c), c.abs()) < -90


def test_the_target_is_nearer_to_the_truth_than_the_estimate():
    W = gmw(6)
    x, M = measured(W)
    completion = Completion(M, 40.0)
    for share in (0.3, 0.03):
        y = x + share * W.project(noise(1, N)) * x.norm() / noise(1, N).norm()
        c, truth = completion.W(y), completion.W.magnitude(x)
        errors = [metrics.misfit_db(S, truth) for S in (completion.target(y, c), c.abs())]
        assert errors[0] < errors[1] - 3, errors


def test_a_better_prior_predicts_better():
    W = gmw(6)
    x = W.project(signals.am_fm_tone(N, RATE))
    completion = Completion(Measured(W.magnitude(x), W), 40.0)
    truth = completion.W.magnitude(x)
    errors = []
    for spectrum in (torch.ones(N // 2 + 1), torch.fft.rfft(x).abs().square() + 1e-3):
        completion.set_spectrum(spectrum.double().numpy())
        errors.append(metrics.misfit_db(completion.start, truth))
    assert errors[1] < errors[0] - 3, errors


def test_the_prediction_scales_with_the_scalogram():
    _, M = measured(gmw(8))
    louder = Measured(1000 * M.S, M.W)
    one, other = Completion(M, 40.0).start, Completion(louder, 40.0).start
    assert error_db(other, 1000 * one) < -80


def test_noise_makes_the_prediction_smoother():
    _, M = measured(gmw(8))
    calm = Completion(Measured(M.S, M.W, sigma=float(M.S.max())), 40.0)
    exact = Completion(M, 40.0)
    assert calm.start.std() < exact.start.std()


# -- what is filled in -------------------------------------------------------------------------


def test_what_is_known_stays_and_gaps_are_bridged_along_time():
    W = gmw(n_samples=64)
    ramp = torch.arange(64).double().expand(W.shape) + 1
    known = torch.ones(W.shape, dtype=torch.bool)
    known[:, 10:20] = False
    plane = filled(Measured(ramp, W, known=known))
    assert torch.allclose(plane, ramp)
    assert filled(M := Measured(ramp, W)) is M.S


@pytest.mark.parametrize("ends", ["reflect", "symmetric", "zero"])
def test_columns_beyond_the_ends_are_mirrored_or_silent(ends):
    W = gmw(n_samples=64)
    S = noise(2, W.n_freqs, 32).abs()
    M = Measured(S, W, ends=ends, pad=(16, 16))
    plane = filled(M)
    assert torch.equal(plane[:, 16:48], S)
    assert torch.equal(plane, M.extension(S))


def test_own_rows_are_the_scalogram_with_its_gaps_filled():
    known = noise(3, *gmw(32).shape) > -1
    x, M = measured(gmw(32), known=known)
    bank = OwnBank(M)
    assert torch.equal(bank.start, filled(M)) and bank.W is M.W
    assert torch.equal(bank.start[known], M.S[known])


@pytest.mark.parametrize("ends, n_even", [("symmetric", 64), ("reflect", 62)])
def test_own_rows_of_a_mirrored_signal_are_those_of_its_even_extension(ends, n_even):
    W = gmw(n_samples=64)
    S = noise(4, W.n_freqs, 32).abs()
    bank = OwnBank(Measured(S, W, ends=ends, pad=(16, 16)))
    assert bank.W.n_samples == n_even and bank.start.shape == bank.W.shape
    assert torch.equal(bank.start[:, :32], S)
    mirror = S.flip(1) if ends == "symmetric" else S.flip(1)[:, 1:-1]
    assert torch.equal(bank.start[:, 32:], mirror)


# -- where it applies --------------------------------------------------------------------------


def test_rows_are_dense_by_the_width_of_the_wavelet():
    assert has_dense_rows(measured(gmw(16))[1])
    assert not has_dense_rows(measured(gmw(8))[1])
    assert has_dense_rows(measured(gmw(8, wavelet="cauchy"))[1])
    assert not has_dense_rows(measured(gmw(16), hop=2)[1])
    assert not has_dense_rows(measured(delayed(gmw(16)))[1])


def test_short_transforms_without_negative_frequencies_are_liftable():
    both = torch.ones(2, 64)
    assert is_liftable(measured(gmw())[1])
    W = Scalogram.from_filters(both, [2, 1])
    assert not is_liftable(Measured(torch.ones(W.shape), W))
    W = Scalogram(16384, wavelet="cauchy", voices_per_octave=1)
    assert not is_liftable(Measured(torch.ones(W.shape), W))


# -- pieces ------------------------------------------------------------------------------------


def bank(filters):
    return Scalogram.from_filters(filters, range(len(filters), 0, -1))


@pytest.mark.parametrize("share, heard", [(0.019, True), (0.021, False)])
def test_a_row_passes_hardly_any_negative_frequency(share, heard):
    filters = torch.zeros(3, 64)
    filters[:, 5] = 1.0
    filters[0, 60] = (share / (1 - share)) ** 0.5
    M = Measured(torch.ones(3, 64), bank(filters))
    assert _lifted_completion._one_sided(M).tolist() == [heard, True, True]
    filters[1:, 60] = 1.0
    M = Measured(torch.ones(3, 64), bank(filters))
    assert not is_liftable(M)  # one of three is less than half of the rows
    filters[1, 60] = 0.0
    assert is_liftable(Measured(torch.ones(3, 64), bank(filters))) == heard


def test_transforms_are_liftable_up_to_their_longest():
    for n_samples, short in ((8192, True), (8194, False)):
        W = Scalogram(n_samples, wavelet="cauchy", voices_per_octave=1)
        assert is_liftable(Measured(torch.ones(W.shape), W)) == short


def test_no_more_rows_are_taken_than_tell_the_others():
    W = gmw(64, n_samples=64)
    M = Measured(torch.ones(W.shape), W)
    chosen = np.flatnonzero(_lifted_completion._enough(M))
    # One row for each 1 / P of an octave.
    step = int(np.ceil(64 / W.time_bandwidth**0.5 * (1 - 1e-9)))
    assert chosen.tolist() == list(range(0, W.n_freqs, step)) and step == 5
    few = Measured(torch.ones(gmw(6).shape), gmw(6))
    assert _lifted_completion._enough(few).all()
    thinned = Measured(torch.ones(W.shape), W, hop=2)
    assert _lifted_completion._enough(thinned).all()


def test_known_places_repeat_after_some_columns():
    W = gmw(4, n_samples=64)
    known = torch.zeros(W.shape, dtype=torch.bool)
    for period in (1, 2, 4, 8, 32):
        known[:] = False
        known[:, ::period] = True
        assert _lifted_completion._repeats(Measured(torch.ones(W.shape), W, known=known)) == period
    known[:, 0] = False  # nothing repeats within 32 columns but 32 itself
    known[0, 0] = True
    assert _lifted_completion._repeats(Measured(torch.ones(W.shape), W, known=known)) == 1
    padded = Measured(torch.ones(W.n_freqs, 32), W, ends="zero", pad=(16, 16))
    assert _lifted_completion._repeats(padded) == 1


def test_errors_of_the_power_follow_from_those_of_the_modulus():
    W = gmw(4, n_samples=64)
    S, known = torch.full(W.shape, 3.0).double(), torch.ones(W.shape, dtype=torch.bool)
    known[:, 7] = False
    sigma = torch.full(W.shape, 0.5).double()
    sigma[0, 9] = 2.0
    M = Measured(S, W, known=known, sigma=sigma)
    found = _lifted_completion._variances(M, S)
    wanted = 4 * (sigma * S) ** 2 + 2 * sigma**4
    wanted[0, 7] = wanted[0, 9]  # what was guessed is no better than the worst of its row
    assert torch.allclose(found, wanted)
    assert not _lifted_completion._variances(Measured(S, W), S).any()


def test_a_bank_reaches_a_little_beyond_the_rows():
    W = gmw(8)
    completion = Completion(Measured(W.magnitude(chirp(W)), W), 40.0)
    f = completion.W.frequencies
    assert float(f.min()) >= 0.97 * float(W.frequencies.min()) * (1 - 1e-9)
    assert float(f.min()) < 0.97 * float(W.frequencies.min()) * 2 ** (1 / 32)
    assert float(f.max()) == RATE / 2 and completion.W.voices_per_octave == 32
    assert completion.W.wavelet == ("cauchy", {"gamma": 1, "beta": 40.0})
    low = gmw(8, f_max=2000)
    f = Completion(Measured(low.magnitude(chirp(low)), low), 25.0).W.frequencies
    assert float(f.max()) == pytest.approx(2000 / 0.97)


def test_factors_are_kept_as_long_as_there_is_room(monkeypatch):
    W = gmw(6)
    completion = Completion(Measured(W.magnitude(chirp(W)), W), 40.0)
    first = completion.start
    kept = dict(completion._factors)
    assert len(kept) > 10 and torch.equal(completion.start, first)
    assert all(completion._factors[lag] is kept[lag] for lag in kept)
    completion.set_spectrum(completion._spectrum)
    assert completion._factors == {}
    monkeypatch.setattr(_lifted_completion, "MOST_KEPT", 3 * len(completion._rows) ** 2)
    assert torch.equal(completion.start, first) and len(completion._factors) == 3


@pytest.mark.parametrize("hop", [1, 2])
def test_the_prediction_solves_its_systems(hop):
    """Each lag is Z' = B' D B^H (sum B D B^H + n)^-1 z, over the aliases of that lag."""
    W = gmw(16, n_samples=32, f_min=1000)
    S = noise(5, *W.shape).abs() + 1
    M = Measured(S[:, ::hop], W, hop=hop, sigma=0.3)
    completion = Completion(M, 40.0)
    E, N, step = completion._spectrum, 32, 32 // hop
    psi, phi = W.filters.numpy()[:, :17], completion.W.filters.numpy()[:, :17]
    rows = _lifted_completion._enough(M)
    power = M.S.square().numpy()
    z = hop * np.fft.fft(power)[rows]
    errors = hop**2 * (4 * 0.09 * power + 2 * 0.3**4).sum(1)[rows]
    Z = np.zeros((completion.W.n_freqs, 17), complex)

    def lifted_of(filters, alias):
        reach = abs(alias)
        return filters[:, : 17 - reach] * filters[:, reach:]

    for lag in range(step // 2 + 1):
        aliases = [a for a in range(-16, 16) if (a - lag) % step == 0 and abs(a) < 16]
        K = np.diag(errors)
        for alias in aliases:
            D = E[: 17 - abs(alias)] * E[abs(alias) :] / N**2
            B = lifted_of(psi, alias)[rows]
            K = K + (B * D) @ B.T
        alpha = np.linalg.solve(K, z[:, lag])
        for alias in aliases:
            D = E[: 17 - abs(alias)] * E[abs(alias) :] / N**2
            part = lifted_of(phi, alias) @ (D * (lifted_of(psi, alias)[rows].T @ alpha))
            Z[:, abs(alias)] = part if alias >= 0 else part.conj()
    wanted = np.fft.irfft(Z, n=N)
    found = completion._predicted(M.S.square()).numpy()
    assert np.abs(found - wanted).max() < 1e-4 * np.abs(wanted).max()
