"""Turn the pieces of a ring so that neighbours agree where they overlap.

The link of two neighbours is a sum of conj(z') z over what both know, z and z' their analytic
signals there: its angle is the rotation that brings z' to z. Around a ring the angles of all links
need not add up to a whole number of turns. What is left over is put where the link is weakest:
there it disturbs least.
"""

import numpy as np

__all__ = ["levels_db", "turns"]

# The smallest link counts as this.
LEAST = 1e-300


def turns(links: np.ndarray) -> np.ndarray:
    """Compute the rotation exp(i angle) of each piece; that of the first is 1.

    Parameters
    ----------
    links : complex array, shape (n_pieces,)
        The link of each piece and the next; the last piece is followed by the first.

    Returns
    -------
    complex array, shape (n_pieces,)

    Examples
    --------
    >>> links = np.array([3.0, 1.0, 2.0]) * np.exp(1j * np.array([0.2, 0.3, 0.4]))
    >>> np.round(np.angle(turns(links)), 1).tolist()
    [0.0, 0.2, -0.4]
    """
    angles = np.angle(links)
    angles[int(np.abs(links).argmin())] -= angles.sum()
    return np.exp(1j * np.concatenate([[0.0], angles[:-1].cumsum()]))


def levels_db(links: np.ndarray) -> list[float]:
    """Compute the level of each link relative to the strongest, in dB of energy.

    Examples
    --------
    >>> levels_db(np.array([10.0, 1j]))
    [0.0, -10.0]
    """
    sizes = np.maximum(np.abs(links), LEAST)
    return (10 * np.log10(sizes / sizes.max())).tolist()
