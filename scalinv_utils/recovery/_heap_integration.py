"""Integrate phases along paths through a scalogram that avoid its zeros.

The integration starts at the largest modulus, and the next point is always the largest of all
neighbours of points reached so far (Prusa, Balazs, Sondergaard 2017,
doi:10.1109/TASLP.2017.2678166). The path to a point depends on the modulus alone: it is found once,
and any number of gradients are added up along it.
"""

import numpy as np

from .._compiled import njit

__all__ = ["Paths", "integration_weights"]

# Moduli closer than this count as equal when the next point is chosen: such a rough queue is
# several times as fast as a heap.
LEVEL_DB = 0.1

# Moduli below this one, the smallest normal number, count as zeros, which are never reached.
SMALLEST_MODULUS = float(np.finfo(float).tiny)

# The step by which a point was reached: along the time axis to the right or left, along the scale
# axis down or up. A seed starts an island.
SEED, RIGHT, LEFT, DOWN, UP = range(5)


class Paths:
    """Find the path to every point of a scalogram that leads over the largest moduli possible.

    Parameters
    ----------
    moduli : real numpy array, shape (n_rows, n_samples)
        Moduli whose rows are neighbours in scale; the last sample is a neighbour of the first.
    threshold : float
        Points below it, and zeros, are never reached.

    Attributes
    ----------
    points : integer numpy array, shape (n_reached,)
        Flat indices of the points in the order in which they are reached.
    n_islands : int
        The number of starts. A new one, at the largest point not yet reached, is needed where no
        neighbour above the threshold is left.

    Examples
    --------
    >>> import numpy as np
    >>> paths = Paths(np.array([[4.0, 3.0, 0.0, 1.0, 0.0]]), threshold=0.5)
    >>> paths.order, paths.n_islands
    (array([[ 0,  1, -1,  2, -1]], dtype=int32), 2)
    """

    points: np.ndarray
    n_islands: int

    def __init__(self, moduli: np.ndarray, threshold: float) -> None:
        levels, seeds = _levels(moduli, max(threshold, SMALLEST_MODULUS))
        self.points, self._directions, self._starts = _grow(levels, seeds)
        self.n_islands = len(self._starts)

    @property
    def order(self) -> np.ndarray:
        """The rank of each point: 0 if reached first, -1 if never; the shape of the moduli."""
        order = np.full(self._directions.shape, -1, np.int32)
        order.flat[self.points] = np.arange(len(self.points))
        return order

    def add_up(
        self, in_time: np.ndarray, in_scale: np.ndarray, weights: np.ndarray, phase: np.ndarray
    ) -> None:
        """Replace `phase` by the integral of a gradient, except where an island starts.

        Differences between neighbours are integrals of cubics through four points.

        Parameters
        ----------
        in_time, in_scale : real numpy arrays, shape (n_rows, n_samples)
            Derivatives of the phase, the first per sample, the second per unit of scale.
        weights : real numpy array, shape (n_rows - 1, 4)
            The weights of rows k - 1 to k + 2 in the integral from row k to k + 1, as
            `integration_weights` gives them.
        phase : real numpy array, shape (n_rows, n_samples)
            It is changed in place at the points that are reached.
        """
        _add_up(self._starts, self._directions, in_time, in_scale, weights, phase)


def integration_weights(places: np.ndarray) -> np.ndarray:
    """Compute the weights of four rows in the integral from the second to the third of them.

    The integral is that of the cubic through the four; at both ends it is the trapezoidal rule.

    Parameters
    ----------
    places : real array, shape (n_rows,)
        Where the rows lie, in units of scale.

    Returns
    -------
    array, shape (n_rows - 1, 4)

    Examples
    --------
    >>> integration_weights(np.arange(4.0))[1] * 24
    array([-1., 13., 13., -1.])
    """
    steps = np.diff(places)
    weights = np.outer(steps, [0, 0.5, 0.5, 0])
    for k in range(1, len(places) - 2):
        four = (places[k - 1 : k + 3] - places[k]) / steps[k]
        moments = np.vander(four, increasing=True).T
        weights[k] = steps[k] * np.linalg.solve(moments, 1 / np.arange(1.0, 5.0))
    return weights


def _levels(moduli: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Compute each point's level in steps of LEVEL_DB above the threshold, and sort the points.

    Points below the threshold get level -1. The sorted points, flat indices from the highest level
    to the lowest, begin with the largest modulus.
    """
    known = moduli >= threshold
    above = 20 * np.log10(moduli / threshold, where=known, out=np.zeros_like(moduli))
    levels = np.where(known, (above / LEVEL_DB).clip(0, 2**15 - 1), -1).astype(np.int16)
    falling = np.argsort(-levels, axis=None, kind="stable")[: np.count_nonzero(known)]
    return levels, np.append(np.argmax(moduli), falling)


@njit()
def _grow(levels: np.ndarray, seeds: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find (points in order, the step that reached each point, the points where islands start).

    The queue is a stack of points for each level: `newest` has the top of each stack, `below` the
    next point under each point. Unlike a binary heap it takes the same time at every size.
    """
    n_rows, n_samples = levels.shape
    reached = levels < 0  # points below the threshold count as reached
    points = np.empty(len(seeds), np.int32)
    directions = np.zeros(levels.shape, np.int8)
    newest = np.full(levels.max() + 1, -1, np.int32)
    below = np.empty(levels.size, np.int32)
    starts, count = [seeds[0]] * 0, 0  # numba has to know what the list will hold
    for seed in seeds:
        if reached.flat[seed]:
            continue
        starts.append(seed)
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
    return points[:count], directions, np.array(starts, np.int64)


@njit()
def _add_up(
    starts: np.ndarray,
    directions: np.ndarray,
    in_time: np.ndarray,
    in_scale: np.ndarray,
    weights: np.ndarray,
    phase: np.ndarray,
) -> None:
    """Integrate from each start to all that was reached from it.

    The points that wait are a stack, so that a path is followed along its row as far as it goes:
    neighbours in memory come one after the other, which takes half of the time of the order in
    which they were reached.
    """
    n_rows, n_samples = phase.shape
    waiting = np.empty(directions.size, np.int32)
    for start in starts:
        waiting[0], count = start, 1
        while count > 0:
            count -= 1
            row, t = waiting[count] // n_samples, waiting[count] % n_samples
            here, after, before = phase[row, t], (t + 1) % n_samples, (t - 1) % n_samples
            if row + 1 < n_rows and directions[row + 1, t] == DOWN:
                phase[row + 1, t] = here + _downwards(in_scale, weights, row, t)
                waiting[count], count = (row + 1) * n_samples + t, count + 1
            if row > 0 and directions[row - 1, t] == UP:
                phase[row - 1, t] = here - _downwards(in_scale, weights, row - 1, t)
                waiting[count], count = (row - 1) * n_samples + t, count + 1
            if directions[row, before] == LEFT:
                phase[row, before] = here - _to_the_right(in_time, row, before)
                waiting[count], count = row * n_samples + before, count + 1
            if directions[row, after] == RIGHT:
                phase[row, after] = here + _to_the_right(in_time, row, t)
                waiting[count], count = row * n_samples + after, count + 1


@njit()
def _to_the_right(f: np.ndarray, row: int, t: int) -> float:
    """Integrate f from (row, t) to (row, t + 1), periodic in t."""
    n = f.shape[1]
    return _cubic(f[row, t - 1], f[row, t], f[row, (t + 1) % n], f[row, (t + 2) % n])


@njit()
def _downwards(f: np.ndarray, weights: np.ndarray, row: int, t: int) -> float:
    """Integrate f from (row, t) to (row + 1, t)."""
    integral = weights[row, 1] * f[row, t] + weights[row, 2] * f[row + 1, t]
    if 0 < row < len(f) - 2:
        integral += weights[row, 0] * f[row - 1, t] + weights[row, 3] * f[row + 2, t]
    return integral


@njit()
def _cubic(before: float, here: float, there: float, after: float) -> float:
    """Integrate the cubic through four neighbours from `here` to `there`."""
    return (13 * (here + there) - before - after) / 24
