"""Recovery, the result that every method returns, and the Recorder that fills it."""

import time
from dataclasses import dataclass, field

import torch

from .._validation import check_callable, check_count
from ..metrics import analytic

__all__ = ["Recorder", "Recovery"]

# Copies of the signal share blocks of so many. Each with memory of its own, between the large arrays
# that come and go, they would keep that memory from being used again: 10 MB a run in notebook 04.
BLOCK = 32


@dataclass(eq=False)
class Recovery:
    """What an inversion method gives back.

    Attributes
    ----------
    signal : real Tensor, shape (..., n_samples)
        The recovered signal.
    method : str
        Which method made it, with its main settings.
    history : dict of lists
        Per iteration, the start (iteration 0) included: "consistency_db" (how well the modulus
        is fitted, in dB) and "seconds" (since the start).
    iterates : list of (int, Tensor)
        (iteration, copy of the signal then), every `keep_every` iterations.
    details : dict
        What only some methods know, such as the spectral gap of the eigenvector method.
    """

    signal: torch.Tensor
    method: str
    history: dict = field(default_factory=lambda: {"consistency_db": [], "seconds": []})
    iterates: list = field(default_factory=list)
    details: dict = field(default_factory=dict)

    @property
    def analytic(self):
        """The analytic signal of the recovered signal, complex, shape (..., n_samples)."""
        return analytic(self.signal)

    @property
    def seconds(self):
        """How long the method ran."""
        return self.history["seconds"][-1] if self.history["seconds"] else 0.0

    @property
    def consistency_db(self):
        """The fit of the modulus at the end, in dB; NaN is never among them, -inf is silence."""
        return self.history["consistency_db"][-1] if self.history["consistency_db"] else None

    def __repr__(self):
        fit = "no fit recorded" if self.consistency_db is None else f"{self.consistency_db:.1f} dB"
        return (
            f"Recovery({self.method!r}, {tuple(self.signal.shape)}, consistency {fit}, "
            f"{max(len(self.history['seconds']) - 1, 0)} iterations, {self.seconds:.1f} s)"
        )

    def save(self, path):
        """Write everything to one .pt file that `Recovery.load` reads back."""
        iterates = [(k, x.clone()) for k, x in self.iterates]  # without the rest of their blocks
        torch.save({**vars(self), "iterates": iterates}, path)

    @classmethod
    def load(cls, path):
        """Read what `save` wrote, onto the CPU.

        Only tensors and plain Python values are ever unpickled: a file from elsewhere runs no code.
        """
        return cls(**torch.load(path, weights_only=True, map_location="cpu"))


class Recorder:
    """Keeps the history and the iterates of one run, for every method alike.

    Parameters
    ----------
    method : str
        What the Recovery will be called.
    callback : callable, optional
        Called as ``callback(iteration, x, consistency_db)`` with a copy of the signal. A true
        return value stops the method after this iteration.
    keep_every : int, optional
        Keep a copy of the signal every so many iterations (and the last one).
    """

    def __init__(self, method, callback=None, keep_every=None):
        self.recovery = Recovery(signal=None, method=method)
        if callback is not None:
            check_callable(callback, "callback", "a function of (iteration, x, consistency_db)")
        if keep_every is not None:
            check_count(keep_every, "keep_every")
        self.callback, self.keep_every = callback, keep_every
        self._start = time.perf_counter()

    def record(self, x, consistency_db):
        """Note one iterate; returns whether the callback asks to stop."""
        history = self.recovery.history
        iteration = len(history["seconds"])
        history["consistency_db"].append(float(consistency_db))
        history["seconds"].append(time.perf_counter() - self._start)
        if self.keep_every and iteration % self.keep_every == 0:
            self.recovery.iterates.append((iteration, self._copy(x)))
        # A copy: torch's .detach() shares memory, and every stored frame would be the last one.
        return bool(
            self.callback and self.callback(iteration, x.detach().clone(), float(consistency_db))
        )

    def _copy(self, x):
        place = len(self.recovery.iterates) % BLOCK
        if place == 0:
            self._block = x.detach().new_empty((BLOCK, *x.shape))
        return self._block[place].copy_(x.detach())

    def finish(self, x, **details):
        """The Recovery, its signal set to x."""
        self.recovery.signal = x.detach().clone()
        self.recovery.details.update(details)
        last = len(self.recovery.history["seconds"]) - 1
        if self.keep_every and self.recovery.iterates[-1][0] != last:
            self.recovery.iterates.append((last, self.recovery.signal.clone()))
        return self.recovery
