"""Tell beforehand, as an order of magnitude, how much memory and time a scalogram takes.

The unit of time is one analysis of a piece, which is measured here and now: a round of a long
recovery takes so many of them for each piece, a short recovery so many of the whole.
"""

from __future__ import annotations

import os
import time

import torch

from ..transforms._circle import CircleBank
from ..transforms.long import Pieces
from ..transforms.scalogram import Scalogram

__all__ = ["of_analysis", "of_recovery", "of_rounds"]

# The memory that a piece takes, in bytes per value of its scalogram, and that of the libraries.
BYTES_PER_VALUE, BYTES_OF_LIBRARIES = 150, 5e8

# A round takes as long as so many analyses of each piece. Measured on a tabla with pieces of 16,384
# samples and 203 rows, in seconds of one core: 61 to 70 in the first round, 47 to 50 with steps of
# Griffin-Lim, 65 to 74 with those of Gauss and Newton.
ANALYSES_OF_A_ROUND = 60

# A recovery at once takes as long as so many analyses. Measured on a tabla and two voices of 1,024
# and 4,096 samples, Cauchy and gmw, all of which came back: 104 to 230, in seconds of one core.
ANALYSES_OF_A_RECOVERY = 150

# So many rounds are usual.
USUAL_ROUNDS = "5 to 8 rounds"

# One analysis is the fastest of so many: the first one also prepares the transform.
TRIES = 3


def of_analysis(W: Scalogram, n_samples: int) -> str:
    """Say how long the scalogram of a sound takes that has a piece of W or more."""
    pieces = Pieces(W, n_samples)
    return f"This takes {_words(pieces.count * _seconds(CircleBank(W)))}."


def of_recovery(W: Scalogram) -> str:
    """Say how long the recovery of a sound takes that is recovered at once."""
    usual = _words(ANALYSES_OF_A_RECOVERY * _seconds(W))
    return f"This takes {usual}, as an order of magnitude, and longer where the fit stays poor."


def of_rounds(W: Scalogram, n_samples: int, jobs: int) -> str:
    """Say what the recovery of a long sound takes.

    Parameters
    ----------
    W : Scalogram
        The transform of a piece.
    n_samples : int
    jobs : int
        The number of processes; -1 for all cores.
    """
    count = Pieces(W, n_samples).count
    memory = BYTES_OF_LIBRARIES + BYTES_PER_VALUE * W.n_freqs * W.n_samples
    n_cores = os.cpu_count() or 1
    at_a_time = min(n_cores if jobs == -1 else min(jobs, n_cores), count)
    seconds = ANALYSES_OF_A_ROUND * _seconds(CircleBank(W)) * count / at_a_time
    return (
        f"Each process takes about {memory / 1e9:.1f} GB. A round over {count} pieces takes "
        f"{_words(seconds)}, as an order of magnitude; {USUAL_ROUNDS} are usual."
    )


def _seconds(bank: Scalogram | CircleBank) -> float:
    """Measure one analysis of a piece: the modulus of all its coefficients."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(bank.n_samples, dtype=torch.float64, generator=generator)
    taken = []
    for _ in range(TRIES):
        start = time.perf_counter()
        bank.modulus(
            bank.coefficients(x if isinstance(bank, Scalogram) else x.to(torch.complex128))
        )
        taken.append(time.perf_counter() - start)
    return min(taken)


def _words(seconds: float) -> str:
    """Round a time to what an order of magnitude has.

    Examples
    --------
    >>> _words(0.3), _words(47.0), _words(250.0), _words(9000.0)
    ('about a second', 'about 50 seconds', 'about 4 minutes', 'about 2.5 hours')
    """
    if seconds < 1.5:
        return "about a second"
    if seconds < 90:
        return f"about {float(f'{seconds:.1g}'):g} seconds"
    if seconds < 5400:
        return f"about {seconds / 60:.0f} minutes"
    return f"about {seconds / 3600:.2g} hours"
