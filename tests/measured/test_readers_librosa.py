"""from_librosa against librosa itself, where it is installed, and bad input."""

import numpy as np
import pytest

from scalinv_utils.measured import _librosa, from_librosa
from scalinv_utils.measured._librosa import _early_halvings, _rows

from .modelled import error_db, faded, noise, speech

# librosa warns where a frame is longer than the signal.
pytestmark = pytest.mark.filterwarnings("ignore")

OPTIONS = dict(sample_rate=8000, hop_length=64, fmin=100, bins_per_octave=12)


def both(x, n_bins, kind="cqt", sample_rate=8000, hop_length=64, fmin=100.0, **options):
    """Transform x by librosa and read the result."""
    librosa = pytest.importorskip("librosa")
    grid = dict(hop_length=hop_length, fmin=fmin, bins_per_octave=options.pop("per_octave", 12))
    C = getattr(librosa, kind)(x, sr=sample_rate, n_bins=n_bins, **grid, **options)
    return C, from_librosa(C, sample_rate=sample_rate, kind=kind, length=len(x), **grid, **options)


@pytest.mark.long  # because librosa compiles
def test_two_seconds_of_speech():
    x = speech(44100, 22050)
    C, M = both(x, 84, sample_rate=22050, hop_length=128, fmin=32.7)
    assert error_db(M, x) < -42
    assert M.W.filters.numel() == 84 * (M.W.n_samples // 2 + 1) and M.n_samples == 44100
    exact = from_librosa(
        C,
        sample_rate=22050,
        hop_length=128,
        fmin=32.7,
        bins_per_octave=12,
        length=44100,
        only_exact=True,
    )
    known = exact.known[:, :345]
    assert not exact.known[:, 345:].any()
    assert 0.94 < known.double().mean() < 0.95 and known[-12:].all() and known[:, 172].all()
    assert error_db(exact, x) < -78
    C, M = both(faded(x, 0.05), 84, sample_rate=22050, hop_length=128, fmin=32.7)
    assert error_db(M, faded(x, 0.05)) < -60


def test_in_the_top_octave_negative_frequencies_alone_are_left_out():
    x = noise(8192)
    C, M = both(x, 12, fmin=1000.0)
    assert error_db(M, x) < -75


@pytest.mark.parametrize(
    "options",
    [
        {},
        dict(n_bins=55),
        dict(n_bins=7),
        dict(n_bins=1),
        dict(hop_length=100),
        dict(hop_length=1024, n_bins=24),
        dict(hop_length=1024, n_bins=24, scale=False),
        dict(per_octave=24, n_bins=100, filter_scale=0.5),
        dict(norm=2, tuning=0.3),
        dict(norm=None, scale=False),
        dict(sparsity=0.0, window="blackman"),
    ],
    ids=str,
)
def test_options_of_cqt(options):
    x = faded(noise(8191))
    C, M = both(x, **{"n_bins": 60, **options})
    assert error_db(M, x) < -60


@pytest.mark.parametrize("gamma, most", [(None, -60), (0, -70), (20, -50)])
def test_vqt(gamma, most):
    x = faded(noise(8191))
    C, M = both(x, 48, "vqt", gamma=gamma)
    assert error_db(M, x) < most


def test_columns_beyond_the_end_are_left_out_and_the_length_may_be_unknown():
    S = np.ones((36, 33))
    for length, n_columns, n_samples in ((2048, 32, 2048), (2111, 33, 2111), (None, 33, 2111)):
        M = from_librosa(S, **OPTIONS, length=length)
        assert M.known.sum() == 36 * n_columns and M.n_samples == n_samples
        assert M.columns.hop == 64


BAD = {
    "NaN": (dict(C=np.full((36, 33), np.nan)), ValueError, "C "),
    "negative": (dict(C=-np.ones((36, 33))), ValueError, "C "),
    "text": (dict(C="C"), TypeError, "C "),
    "too long": (dict(length=3000), ValueError, "length"),
    "too short": (dict(length=1000), ValueError, "length"),
    "beyond Nyquist": (dict(fmin=1000), ValueError, "fmin"),
    "no fmin": (dict(fmin=0), ValueError, "fmin"),
    "no hop": (dict(hop_length=0), ValueError, "hop_length"),
    "pseudo": (dict(kind="pseudo_cqt"), ValueError, "kind .* no linear map"),
    "unknown kind": (dict(kind="stft"), ValueError, "kind"),
    "a vqt": (dict(gamma=20), ValueError, "gamma"),
    "negative gamma": (dict(kind="vqt", gamma=-1), ValueError, "gamma"),
    "no window": (dict(window="hand"), ValueError, "window"),
    "sparse": (dict(sparsity=1.0), ValueError, "sparsity"),
    "norm": (dict(norm=-1), ValueError, "norm"),
    "bins": (dict(bins_per_octave=1.5), TypeError, "bins_per_octave"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_named(name):
    changed, error, said = BAD[name]
    with pytest.raises(error, match=said):
        from_librosa(**{"C": np.ones((36, 33)), **OPTIONS, **changed})


@pytest.mark.parametrize(("ratio", "halvings"), [(7.99, 1), (8.01, 2), (15.99, 2), (3.99, 0)])
def test_the_rate_is_halved_as_librosa_does_before_the_first_octave(ratio, halvings):
    # librosa: a row ends at f (1 + B / 2 Q), where B is 1.50018310546875 for a Hann window.
    rows = _rows(12, 100.0, 12, 0.0, 1.0, 0.0)
    Q = (2 ** (2 / 12) + 1) / (2 ** (2 / 12) - 1)
    ends = 100 * 2 ** (11 / 12) * (1 + 1.50018310546875 / 2 / Q)
    assert _early_halvings(rows, 2 * ratio * ends, 2**10, "hann") == halvings
    assert _early_halvings(rows, 2 * ratio * ends, 2, "hann") == min(halvings, 1)  # hop 2 to 1


# -- pieces, with numbers that follow from librosa's words -------------------------------------


@pytest.mark.parametrize(
    "length, hop, n_columns, n_samples",
    # librosa makes 1 + length // hop columns: at a hop of 1, no signal of 0 samples is meant.
    [(None, 1, 9, 9), (None, 2, 9, 17), (None, 64, 33, 2111), (16, 2, 9, 16), (15, 2, 9, 15)],
)
def test_the_length_is_the_most_that_the_columns_allow(length, hop, n_columns, n_samples):
    assert _librosa._length(length, hop, n_columns) == n_samples


@pytest.mark.parametrize("length", [13, 18])
def test_a_length_of_other_columns_is_refused(length):
    with pytest.raises(ValueError, match="9 columns of C, which are those of 16 to 17 samples"):
        _librosa._length(length, 2, 9)


def test_the_offset_is_nothing_for_cqt_and_what_was_given_for_vqt():
    assert _librosa._offset("cqt", None) == 0 and _librosa._offset("cqt", 0) == 0
    assert _librosa._offset("vqt", None) is None and _librosa._offset("vqt", 20) == 20
    assert _librosa._share(0) == 0 and _librosa._share(0.99) == 0.99
    for share in (1.0, -0.1):
        with pytest.raises(ValueError, match="sparsity"):
            _librosa._share(share)


def test_frequencies_and_lengths_follow_their_formulas():
    rows = _rows(3, 100.0, 2, 1.0, 0.5, 0.0)
    assert rows.frequencies == pytest.approx([100 * 2**0.5, 200, 200 * 2**0.5])
    alpha = (2 - 1) / (2 + 1)  # two rows per octave: 2 ** (2 / 2) to one
    assert rows.lengths == pytest.approx(0.5 / alpha / rows.frequencies)
    assert rows.bins_per_octave == 2
    wider = _rows(3, 100.0, 2, 1.0, 0.5, 10.0)
    assert wider.lengths == pytest.approx(0.5 / (alpha * rows.frequencies + 10))
    heard = _rows(3, 100.0, 2, 1.0, 0.5, None)
    assert heard.lengths == pytest.approx(0.5 / alpha / (rows.frequencies + 24.7 / 0.108))


def test_octaves_come_from_the_top_and_halve_while_the_hop_is_even():
    found = list(_librosa._octaves(27, 12, 4, 0))
    assert [(o.rows.start, o.rows.stop, o.halvings) for o in found] == [
        (15, 27, 0),
        (3, 15, 1),
        (0, 3, 2),
    ]
    assert [o.halvings for o in _librosa._octaves(48, 12, 4, 1)] == [1, 2, 2, 2]
    assert [_librosa._twos(n) for n in (1, 2, 3, 4, 12, 64)] == [0, 1, 0, 2, 2, 6]


def test_exact_are_wavelets_that_lie_inside_or_see_the_full_rate():
    octaves = [_librosa.Octave(slice(1, 2), 0), _librosa.Octave(slice(0, 1), 1)]
    inside = _librosa._inside(np.array([8.0, 50.0]), octaves, np.array([0, 3, 4, 16, 17]), 20)
    assert inside.tolist() == [[False, False, True, True, False], [True] * 5]


def test_a_window_says_what_it_is_not():
    assert len(_librosa._window("hann", 7)) == 7
    with pytest.raises(ValueError, match="window must be one that scipy.* got 'hand'"):
        _librosa._window("hand", 7)


def bank(lengths=(0.1, 0.05), norm=1.0, per_octave=12):
    rows = _librosa.Rows(np.array([100.0, 200.0]), np.array(lengths), per_octave)
    return _librosa.Bank(rows, 1000.0, "hann", norm, 0.01)


def test_signals_are_padded_by_half_of_the_longest_wavelet_or_their_own_length():
    # The longest has 100 samples, rounded up to 128: 64 of them and one more.
    assert bank().padded(1013, 1) == 1078 and bank().padded(1013, 8) == 8 * 135
    assert bank().padded(10, 1) == 20  # no wavelet reaches farther than the signal is long
    assert bank((0.128, 0.1)).padded(1013, 1) == 1078  # 128 is a power of two itself
    assert bank((0.129, 0.1)).padded(949, 1) == 1078  # half of 256, and one more


@pytest.mark.parametrize("norm, size", [(1.0, 1), (2.0, 2), (np.inf, np.inf), (3, 3)])
def test_a_wavelet_is_a_windowed_oscillation_of_norm_one(norm, size):
    wavelet = bank(norm=norm)._wavelet(0.3, 9.5)
    assert len(wavelet) == 9  # from floor(-9.5 / 2) = -5 up to floor(9.5 / 2) = 4, not included
    assert np.linalg.norm(wavelet, size) == pytest.approx(1)
    assert np.diff(np.angle(wavelet[1:])) == pytest.approx(0.3)
    assert wavelet[5].imag == 0 and wavelet[5].real > 0
    plain = bank(norm=None)._wavelet(0.3, 9.5)
    assert np.abs(plain) == pytest.approx(np.abs(wavelet) / np.abs(wavelet).max(), abs=0.05)
    for bad in (0, -1.0, -np.inf):
        with pytest.raises(ValueError, match="norm"):
            bank(norm=bad)


def test_the_smallest_bins_are_thinned_out_up_to_their_share():
    spectrum = np.array([[5.0, 1.0, -1.5, 2.5j], [4.0, 4.0, 1.0, 1.0]])
    _librosa._thin_out(spectrum_of := spectrum.copy(), 0.3)
    # Of 10, 1 + 1.5 is less than 3 and 1 + 1.5 + 2.5 is not.
    assert spectrum_of.tolist() == [[5, 0, 0, 2.5j], [4, 4, 0, 0]]
    _librosa._thin_out(spectrum_of := spectrum.copy(), 0.0)
    assert (spectrum_of == spectrum).all()


def test_room_is_asked_for_taps_and_responses(monkeypatch):
    asked = []
    monkeypatch.setattr(_librosa, "check_room", lambda *said: asked.append(said))
    bank().check_room(1000, 8)
    bank(per_octave=1).check_room(50, 8)
    # 2 rows of up to 100 samples, rounded up to at most twice as many; both extensions and the hop.
    assert [said[0] for said in asked] == [
        16 * (3 * 2 * 100 * 2 + 2 * (1000 + 100 + 8) * 2),
        16 * (3 * 2 * 100 * 1 + 2 * (50 + 50 + 8) * 2),
    ]
    assert asked[0][1] == "sample_rate, hop_length and bins_per_octave"


def test_flags_and_scale_are_checked_and_used():
    S = np.ones((36, 33))
    scaled, plain = (from_librosa(S, **OPTIONS, scale=flag) for flag in (True, False))
    rows = _rows(36, 100, 12, 0.0, 1.0, 0.0)
    ratio = plain.W.filters.abs().sum(1) / scaled.W.filters.abs().sum(1)
    assert ratio.numpy() == pytest.approx(np.sqrt(rows.lengths * 8000), rel=1e-6)
    for name in ("scale", "only_exact"):
        with pytest.raises((TypeError, ValueError), match=name):
            from_librosa(S, **OPTIONS, **{name: 2})


def test_taps_are_what_frames_are_multiplied_by():
    made = bank()
    made.sparsity = 0.0
    for halvings, rate in ((0, 1000.0), (1, 500.0)):
        taps = made._taps(slice(0, 2), halvings)
        n_fft = taps.shape[1]
        assert n_fft == {0: 128, 1: 64}[halvings]  # the next power of two from 100 and 50 on
        frame = noise(n_fft)
        # librosa multiplies the DFT of a frame by that of the wavelet, from 0 Hz to Nyquist.
        for row, (frequency, seconds) in enumerate(((100.0, 0.1), (200.0, 0.05))):
            wavelet = made._wavelet(2 * np.pi * frequency / rate, seconds * rate)
            placed = np.zeros(n_fft, complex)
            placed[(n_fft - len(wavelet)) // 2 :][: len(wavelet)] = wavelet
            weights = np.fft.fft(placed * seconds * rate / n_fft)[: n_fft // 2 + 1]
            wanted = weights @ np.fft.rfft(frame)
            assert abs(taps[row] @ frame - wanted) < 1e-5 * abs(wanted)


def test_responses_are_those_of_the_taps_around_each_column():
    made, n = bank(), 400
    octaves = [_librosa.Octave(slice(1, 2), 0), _librosa.Octave(slice(0, 1), 1)]
    H = made.responses(n, 300, octaves)
    assert H.shape == (2, 201)
    for rows, halvings in octaves:
        stride, taps = 2**halvings, made._taps(rows, halvings)[0]
        turns = 2j * np.pi / n * stride * (np.arange(len(taps)) - len(taps) // 2)
        wanted = [stride * taps @ np.exp(turns * k) for k in range(201)]
        wanted = np.where(np.arange(201) * stride * 2 < n, wanted, 0)
        assert H[rows][0] == pytest.approx(wanted, abs=1e-9 * np.abs(wanted).max())
    # Taps that are farther away than the signal is long see silence alone.
    taps, near = made._taps(slice(0, 2), 0), slice(64 - 9, 64 + 10)
    short = made.responses(n, 10, [_librosa.Octave(slice(0, 2), 0)])
    times = np.arange(-9, 10)
    assert short[:, 7] == pytest.approx(taps[:, near] @ np.exp(2j * np.pi / n * 7 * times))


def test_only_exact_columns_are_those_inside():
    rows = _rows(36, 100, 12, 0.0, 1.0, 0.0)
    M = from_librosa(np.ones((36, 33)), **OPTIONS, length=2048, only_exact=True)
    early = _early_halvings(rows, 8000, 64, "hann")
    octaves = list(_librosa._octaves(36, 12, 64, early))
    inside = _librosa._inside(rows.lengths * 8000, octaves, 64 * np.arange(32), 2048)
    assert (M.known[:, :32].numpy() == inside).all() and not M.known[:, 32:].any()
    assert early == 1 and 0 < inside[0].sum() < inside[-1].sum() < 32
