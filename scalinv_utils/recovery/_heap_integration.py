"""Paths through a scalogram that avoid its zeros, and phases added up along them.

From the largest modulus on, the largest of all neighbours of points reached so far is always next
(Prusa, Balazs, Sondergaard 2017, doi:10.1109/TASLP.2017.2678166). Which way leads to a point is a
matter of the modulus alone: it is found once, and any number of gradients are added up along it.
"""

import numpy as np
from numba import njit

__all__ = ["Paths"]

# Moduli closer than this count as equal when the next point is chosen: a queue as rough as that is
# several times as fast as a heap.
LEVEL_DB = 0.1

# In silence there is nothing to reach.
NOTHING = float(np.finfo(float).tiny)

# How a point was reached: along the time axis to the right or left, along that of scale down or up.
SEED, RIGHT, LEFT, DOWN, UP = range(5)


class Paths:
    """The way to every point of a scalogram, over points as large as can be.

    Parameters
    ----------
    moduli : real array, shape (n_rows, n_samples)
        Its rows neighbours in scale; the last sample is a neighbour of the first.
    threshold : float
        Points below it, and zeros, are never reached.

    Attributes
    ----------
    points : integer array
        Flat indices of the points in the order in which they are reached.
    n_islands : int
        How often a new start was needed: at the largest point not yet reached.
    """

    def __init__(self, moduli, threshold):
        levels, seeds = _levels(moduli, max(threshold, NOTHING))
        self.points, self._directions, self.n_islands = _grow(levels, seeds)

    @property
    def order(self):
        """0 for the point reached first, and so on; -1 for those never reached. As moduli."""
        order = np.full(self._directions.shape, -1, np.int32)
        order.flat[self.points] = np.arange(len(self.points))
        return order

    def add_up(self, in_time, in_scale, spacing, phase):
        """Replace `phase` by the integral of a gradient, but where an island starts.

        Differences between neighbours are integrals of cubics through four points.

        Parameters
        ----------
        in_time, in_scale : real arrays, shape (n_rows, n_samples)
            Derivatives of the phase, the second per unit of scale.
        spacing : float
            Units of scale from a row to the next.
        phase : real array, shape (n_rows, n_samples)
            Changed in place, where points are reached.
        """
        _add_up(self.points, self._directions, in_time, in_scale, spacing, phase)


def _levels(moduli, threshold):
    """The level of each point in steps of LEVEL_DB above the threshold, and the points by level.

    Points below the threshold get level -1.
    """
    known = moduli >= threshold
    above = 20 * np.log10(moduli / threshold, where=known, out=np.zeros_like(moduli))
    levels = np.where(known, (above / LEVEL_DB).clip(0, 2**15 - 1), -1).astype(np.int16)
    falling = np.argsort(-levels, axis=None, kind="stable")[: np.count_nonzero(known)]
    return levels, np.append(np.argmax(moduli), falling)


@njit(cache=True)
def _grow(levels, seeds):
    """(points in order, how each was reached, islands).

    The queue is a stack of points for each level: `newest` has the top of each stack, `below` what
    lies under a point. Unlike a binary heap it takes the same time however much it holds.
    """
    n_rows, n_samples = levels.shape
    reached = levels < 0  # what is too small counts as done
    points = np.empty(len(seeds), np.int32)
    directions = np.zeros(levels.shape, np.int8)
    newest = np.full(levels.max() + 1, -1, np.int32)
    below = np.empty(levels.size, np.int32)
    n_islands, count = 0, 0
    for seed in seeds:
        if reached.flat[seed]:
            continue
        n_islands += 1
        reached.flat[seed] = True
        level = levels.flat[seed]
        newest[level], below[seed] = seed, -1
        while level >= 0:
            point = newest[level]
            if point < 0:
                level -= 1
                continue
            newest[level] = below[point]
            points[count] = point
            count += 1
            row, t = point // n_samples, point % n_samples
            neighbours = (
                (row, (t + 1) % n_samples, RIGHT),
                (row, (t - 1) % n_samples, LEFT),
                (row + 1, t, DOWN),
                (row - 1, t, UP),
            )
            for next_row, next_t, direction in neighbours:
                if 0 <= next_row < n_rows and not reached[next_row, next_t]:
                    reached[next_row, next_t] = True
                    directions[next_row, next_t] = direction
                    place, own = next_row * n_samples + next_t, levels[next_row, next_t]
                    newest[own], below[place] = place, newest[own]
                    level = max(level, own)
    return points[:count], directions, n_islands


@njit(cache=True)
def _add_up(points, directions, in_time, in_scale, spacing, phase):
    n_samples = phase.shape[1]
    for point in points:
        row, t = point // n_samples, point % n_samples
        direction = directions[row, t]
        if direction == RIGHT:
            phase[row, t] = phase[row, t - 1] + _to_the_right(in_time, row, t - 1)
        elif direction == LEFT:
            phase[row, t] = phase[row, (t + 1) % n_samples] - _to_the_right(in_time, row, t)
        elif direction == DOWN:
            phase[row, t] = phase[row - 1, t] + spacing * _downwards(in_scale, row - 1, t)
        elif direction == UP:
            phase[row, t] = phase[row + 1, t] - spacing * _downwards(in_scale, row, t)


@njit(cache=True)
def _to_the_right(f, row, t):
    """The integral of f from (row, t) to (row, t + 1), periodic."""
    n = f.shape[1]
    return _cubic(f[row, t - 1], f[row, t], f[row, (t + 1) % n], f[row, (t + 2) % n])


@njit(cache=True)
def _downwards(f, row, t):
    """The integral of f from (row, t) to (row + 1, t); by the trapezoidal rule at both ends."""
    if 0 < row < len(f) - 2:
        return _cubic(f[row - 1, t], f[row, t], f[row + 1, t], f[row + 2, t])
    return (f[row, t] + f[row + 1, t]) / 2


@njit(cache=True)
def _cubic(before, here, there, after):
    """The integral from here to there of the cubic through four neighbours."""
    return (13 * (here + there) - before - after) / 24
