"""from_librosa against librosa itself, where it is installed, and bad input."""

import numpy as np
import pytest

from scalinv_utils.measured import from_librosa
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
