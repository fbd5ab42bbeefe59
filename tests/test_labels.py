"""Arrays with labels: what pandas and xarray tell beside the numbers is not lost without a word.

The stand-ins have what the real ones have, so that nothing is skipped where these are missing.
"""

import numpy as np
import pytest
from small import noise, scalogram

from scalinv_utils import griffin_lim, metrics, recover
from scalinv_utils._arrays import labels_of
from scalinv_utils._validation import check_magnitudes, check_signal
from scalinv_utils.course import signals
from scalinv_utils.measured import Measured

W = scalogram()
X = noise(1).numpy()
S = W.magnitude(noise(1)).numpy()
F = W.frequencies.numpy()
TIMES = np.arange(len(X)) / 8000
DATES = np.datetime64("2020-01-01") + (1e9 * TIMES).astype("timedelta64[ns]")
SHUFFLED = np.random.default_rng(0).permutation(len(X))


class Table:
    """Stand for pandas' Series and DataFrame."""

    def __init__(self, values, index=None, columns=None):
        self.held, self.shape = np.asarray(values), np.shape(values)
        self.index = np.arange(self.shape[0]) if index is None else index
        if len(self.shape) > 1:
            self.columns = np.arange(self.shape[1]) if columns is None else columns

    def __array__(self, dtype=None, copy=None):
        return np.array(self.held, dtype)

    def __len__(self):
        return len(self.held)

    def to_numpy(self, dtype=None, na_value=None):
        return np.asarray(self.held, dtype)


class Field:
    """Stand for xarray's DataArray."""

    def __init__(self, values, dims, coords=None, attrs=None):
        self.values, self.shape, self.dims = np.asarray(values), np.shape(values), dims
        self.coords, self.attrs = coords or {}, attrs or {}

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype)


class Quantity:
    """Stand for numbers with a unit."""

    def __init__(self, magnitude, units):
        self.magnitude, self.units, self.shape = magnitude, units, magnitude.shape

    def __array__(self, dtype=None, copy=None):
        return np.array(self.magnitude, dtype)


PLANE = ("frequency", "time")


@pytest.mark.parametrize(
    "given",
    [
        Table(X),
        Table(X, DATES),
        Table(X, DATES[::-1]),
        Table(X, np.round(TIMES, 3)),
        Table(X, SHUFFLED),
        Table(X, ["a"] * len(X)),
        Field(X, ("time",), {"time": TIMES}),
        Field(X, ("time",)),
        Quantity(X, "volt"),
    ],
)
def test_a_signal_with_its_labels_is_its_values(given):
    assert check_signal(given, ndim=1).numpy().tolist() == X.tolist()


@pytest.mark.parametrize(
    "given, words",
    [
        (Table(X, DATES[SHUFFLED]), "labels that are out of order next to 2020-01-01T00:00"),
        (Field(X, ("time",), {"time": TIMES[SHUFFLED]}), "labels that are out of order"),
        (
            Table(X, np.append(DATES[:9], DATES[9:] + 10**6)),
            "leave samples out next to 2020-01-01T",
        ),
        (Table(X, np.append(TIMES[:9], TIMES[9:] + 1)), "leave samples out next to 0.001"),
    ],
)
def test_samples_that_are_shuffled_or_missing_are_told_by_their_times(given, words):
    for take in (W.magnitude, lambda x: metrics.waveform_error_db(x, X)):
        with pytest.raises(ValueError, match="^x must have its samples in order") as caught:
            take(given)
        assert words in str(caught.value) and "numpy.asarray(x) takes them" in str(caught.value)


@pytest.mark.parametrize(
    "given",
    [
        Table(S),
        Table(S, F, TIMES),
        Table(S, [f"{f:.0f} Hz" for f in F]),
        Field(S, PLANE, {"frequency": F, "time": DATES}, {"units": "V"}),
        Field(S, PLANE, {"frequency": np.arange(len(F))}),
        Field(S, PLANE, {"frequency": F[::-1] / 2}),
        Quantity(S, "volt"),
    ],
)
def test_a_scalogram_with_its_labels_is_its_values(given):
    assert W.check_scalogram(given).numpy().tolist() == S.tolist()
    assert np.allclose(Measured(given, W).S, S)


TAKE_PLANES = [
    lambda S: griffin_lim(S, W, n_iter=1),
    lambda S: recover(S, W, progress=False),
    lambda S: Measured(S, W),
    lambda S: metrics.consistency_db(X, S, W),
]


@pytest.mark.parametrize(
    "given, words",
    [
        (Table(S[::-1], F[::-1]), "got rows labelled .*; give S.::-1."),
        (Field(S[::-1], PLANE, {"frequency": F[::-1]}), "got rows labelled .*; give S.::-1."),
        (Field(S, PLANE, {"frequency": np.roll(F, 1)}), "put them in that order"),
        (Table(S, F, TIMES[SHUFFLED]), "got labels that are out of order"),
        (Field(S.T, PLANE[::-1], {"frequency": F}), "transposed: give S.T"),
        (Field(S, PLANE, attrs={"units": "dB"}), "whose unit is dB; Measured.S, W, scale='db'."),
        (Quantity(S, "decibel"), "whose unit is decibel"),
    ],
)
@pytest.mark.parametrize("take", TAKE_PLANES)
def test_rows_in_another_order_and_decibels_are_told_by_their_labels(take, given, words):
    with pytest.raises(ValueError, match=f"^S must .*{words}"):
        take(given)


def test_decibels_are_welcome_where_they_are_asked_for():
    levels = Field(20 * np.log10(S), PLANE, attrs={"units": "dB"})
    assert np.allclose(Measured(levels, W, scale="db").S, S)


def test_two_channels_beside_each_other_are_no_batch():
    stereo = np.stack([X, X], 1)
    for given in (stereo, Table(stereo)):
        with pytest.raises(ValueError, match="two columns of shape .*; give x.T, or a channel"):
            signals.resample(given, 8000, 4000)
    assert signals.resample(stereo.T, 8000, 4000).shape == (2, len(X) // 2)
    assert check_signal(np.ones((15, 2))).shape == (15, 2)


def test_the_way_out_is_that_of_the_container():
    with pytest.raises(TypeError, match=r"x.to_numpy\(dtype=float, na_value=numpy.nan\)"):
        check_signal(Table(X.astype(object)))
    rows = np.empty(2, object)
    rows[:] = [X, X]
    with pytest.raises(TypeError, match=r"of objects \(ndarray\); numpy.stack\(x\) makes one arr"):
        check_signal(rows)
    for given in (bytearray(X.tobytes()), memoryview(X.tobytes())):
        with pytest.raises(TypeError, match="got bytes; numpy.frombuffer"):
            check_signal(given)


def test_lists_and_objects_that_raise_have_no_labels():
    class Broken:
        shape = (3,)

        @property
        def index(self):
            raise RuntimeError("lost")

    for value in ([1.0, 2.0], Broken(), np.ones(3), Table([1.0], np.array([2.0]))):
        assert labels_of(value, 0) is None


def test_real_series_and_frames():
    pd = pytest.importorskip("pandas")
    dates = pd.date_range("2020", periods=len(X), freq="125us")
    series = pd.Series(X, index=dates)
    for given in (series, series.astype("Float64"), series.tz_localize("UTC"), pd.Series(X[::-1])):
        assert check_signal(given).tolist() == given.to_numpy(float).tolist()
    missing = series.astype("Float64")
    missing.iloc[3] = pd.NA
    with pytest.raises(ValueError, match="got 1 NaN"):
        check_signal(missing)
    with pytest.raises(ValueError, match="out of order"):
        check_signal(series.sample(frac=1, random_state=0))
    with pytest.raises(ValueError, match="give S"):
        recover(pd.DataFrame(S, index=F)[::-1], W)
    assert check_magnitudes([pd.Series(row) for row in S]).tolist() == S.tolist()


def test_real_data_arrays():
    xr = pytest.importorskip("xarray")
    plane = xr.DataArray(S, dims=PLANE, coords={"frequency": F, "time": TIMES})
    assert W.check_scalogram(plane).tolist() == S.tolist()
    with pytest.raises(ValueError, match="give S.::-1."):
        W.check_scalogram(plane[::-1])
    with pytest.raises(ValueError, match="transposed: give S.T"):
        W.check_scalogram(plane.transpose("time", "frequency"))
    assert W.check_scalogram(plane.transpose("time", "frequency").T).tolist() == S.tolist()
