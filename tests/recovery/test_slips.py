"""A slip is found where it was made, and turned back by the zero that it had lost."""

import math

import numpy as np
import pytest
import torch
from small import noise

from scalinv_utils import metrics
from scalinv_utils.recovery import _slips
from scalinv_utils.recovery._stages import Run
from scalinv_utils.transforms.scalogram import Scalogram

N = 1024
W = Scalogram(N, 8000.0, wavelet="cauchy", voices_per_octave=16)
X = W.project(noise(1, N))
S = W.magnitude(X)


def test_rows_and_widths_are_counted_in_octaves_and_scales():
    assert [_slips._rows(W, d) for d in (0.001, 0.125, 0.2, 1.0, 99.0)] == [1, 2, 3, 16, W.n_freqs]
    for depth, row in ((0.125, 1), (0.75, 11)):
        assert _slips._width(W, depth) == int(3 * float(W.scales[row])) + 1
    assert _slips._width(W, 99.0) == 511  # no window is longer than the signal


def test_turns_put_a_zero_of_the_upper_rows_at_the_place():
    """A zero at height y turns the phase at u by 2 atan(u / y), once round in all."""
    place = 40
    c = W.coefficients(X)
    outwards, inwards = _slips.turned_back(X, place, W)
    y = math.tan(math.pi / N * 0.85 * float(W.scales[0]))
    t = math.pi / N * (torch.arange(N).double() - place)
    turn = torch.exp(2j * torch.atan2(t.sin() / y, t.cos()))
    for found, factor in ((outwards, turn), (inwards, turn.conj())):
        turned = c.clone()
        turned[:2] *= factor
        assert metrics.misfit_db(found, W.inverse(turned)) < -200
    assert float(turn[place].real) == pytest.approx(1)
    assert float(turn[place + N // 2].real) == pytest.approx(-1)  # and half a turn far away from it


def test_the_worst_column_is_that_of_the_upper_rows():
    x = X.clone()
    c = W.coefficients(X)
    c[:3, 55] *= 3  # three rows are looked at
    c[3:, 90] *= 10
    # The signal itself is exact: what is wrong is S.
    assert _slips._worst_column(c.abs(), W, x) == 55
    assert _slips._misfit(c.abs(), W, x) == pytest.approx(float((c.abs() - S).norm()))


class Excess:
    """Stand for a likelihood with known residuals beyond the noise."""

    def __init__(self, excess):
        self.values = excess

    def excess(self, modulus):
        return self.values


def standing(size, places, rows=3):
    """Spread so many standard deviations of noise over the area around each place."""
    excess, width = np.zeros(W.shape), _slips._width(W, 0.2)
    for factor, place in zip(size, places):
        excess[:rows, place] = factor * math.sqrt(2 * rows * (2 * width + 1)) / rows
    return excess


def found(excess):
    return _slips.places_of_slips(X, W, Excess(excess))


def test_places_that_stand_out_are_found_the_worst_first():
    width = _slips._width(W, 0.2)

    def near(place, other):
        return abs((place - other + N // 2) % N - N // 2) <= width

    assert found(standing([3.9], [50])) == []
    (place,) = found(standing([4.1], [50]))
    assert near(place, 50)
    two = found(standing([6.0, 9.0], [500, 2]))
    # The areas of deeper rows are wider, so that one of theirs may stand beside the other.
    assert near(two[0], 2) and abs(two[1] - 500) <= _slips._width(W, 0.75)
    # Areas are periodic in time, and no area is suspected twice.
    (seam,) = found(standing([5.0], [0]))
    assert near(seam, 0)
    many = found(standing([50.0] * 13, range(0, N, 80)))
    assert len(many) == 8
    gaps = [abs((a - b + N // 2) % N - N // 2) for k, a in enumerate(many) for b in many[:k]]
    assert min(gaps) > 2 * width


def test_deeper_rows_are_looked_at_too():
    deep = np.zeros(W.shape)
    deep[11, 60] = 1e3
    shallow = np.roll(deep, 1, axis=0)  # below three quarters of an octave
    assert found(deep) != [] and found(shallow) == []


@pytest.fixture
def made_up(monkeypatch):
    """Let each signal be its own misfit, and each turn the next pair of a list."""
    told = {"pairs": [], "asked": [], "rounds": []}
    monkeypatch.setattr(_slips, "_misfit", lambda S, W, x: float(x))
    monkeypatch.setattr(_slips, "_fitted", lambda S, W, x: x)
    monkeypatch.setattr(_slips, "_worst_column", lambda S, W, x: float(x))

    def turned(x, place, W):
        told["asked"].append((float(x), place))
        return [torch.tensor(y) for y in told["pairs"].pop(0)]

    monkeypatch.setattr(_slips, "turned_back", turned)
    monkeypatch.setattr(_slips, "paths_of", lambda S, W, tolerance: tolerance)
    monkeypatch.setattr(_slips, "correction", lambda S, W, paths: paths)
    monkeypatch.setattr(
        _slips, "rounds", lambda S, W, x, correct: iter([(x, k) for k in range(99)])
    )
    monkeypatch.setattr(
        _slips, "best_of", lambda iterates, S, run: told["rounds"].append(len([*iterates])) or -S
    )
    return told


def undone(told, pairs, stop=None):
    told["pairs"] = pairs
    run = Run("slips", stop)
    run.x = torch.tensor(1.0)
    _slips.undo_slips(torch.ones(4), W, run)
    return run


def test_turns_are_taken_as_long_as_one_gains_three_decibels(made_up):
    gains = [10 ** (-3.1 / 20), 10 ** (-2.9 / 20)]
    run = undone(made_up, [(9.0, gains[0]), (gains[0] * gains[1], 9.0)])
    assert made_up["asked"] == [(1.0, 1.0), (pytest.approx(gains[0]),) * 2]
    # Rounds follow from the last one that gained: the start and 30 of them.
    assert made_up["rounds"] == [31] and run.x.tolist() == [-1] * 4
    fits = run.history["consistency_db"]
    assert fits == [pytest.approx(20 * math.log10(gains[0] / 2))]


def test_no_more_than_six_turns_are_taken_and_none_that_gains_nothing(made_up):
    undone(made_up, [(0.5**k, 9.0) for k in range(1, 10)])
    assert len(made_up["asked"]) == 6 and made_up["rounds"] == [31]
    made_up["rounds"].clear()
    run = undone(made_up, [(0.9, 0.8)])
    assert made_up["rounds"] == [] and float(run.x) == 1 and not run.history["seconds"]


def test_a_callback_stops_the_turns(made_up):
    run = undone(made_up, [(0.5, 9.0)] * 3, lambda *_: True)
    assert len(run.history["seconds"]) == 1 and made_up["rounds"] == []
    assert float(run.x) == 0.5


def test_a_fit_after_a_turn_comes_closer():
    start = X + 0.1 * W.project(noise(2, N))
    fitted = _slips._fitted(S, W, start)
    assert _slips._misfit(S, W, fitted) < 0.03 * _slips._misfit(S, W, start)
