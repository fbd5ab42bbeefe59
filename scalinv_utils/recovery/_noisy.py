"""Stages for a noisy scalogram: a start from the denoised one, and then the likelihood.

joint denoising      `_lifted_power`: noise is what lies outside the range of a linear map
phase gradient       integrated on the denoised scalogram: the heap and a few rounds
fit to the denoised  L-BFGS; its answer tells the spectrum for a second denoising
synchronization      regions turned against each other until they agree (`_synchronization`), and
                     slips of the phase at the highest rows undone (`_slips`)
likelihood           descents on the scalogram as it was given (`_fisher`)
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from .._tensors import doubles_on
from ..metrics import consistency_db
from ..transforms.scalogram import Scalogram
from . import _fisher
from ._gradient_descent import descend_lbfgs
from ._lifted_power import denoise_jointly, spectrum_of
from ._likelihood import Likelihood
from ._objective import Objective
from ._phase_gradient import integrate_and_correct
from ._slips import places_of_slips, turned_back
from ._stages import Run, Stage
from ._synchronization import synchronise, turn_further
from .losses import Loss

__all__ = ["Noisy"]

# After the heap, on the denoised scalogram.
START_ROUNDS = 3

# Iterations of a fit to the denoised; it ends when the last PATIENCE gain less than this.
FITTING, PATIENCE, FITTING_ENDS_DB = 25, 10, 0.01

# Regions are synchronised at most SEARCHES times, each time with SHORT iterations after it; the
# search ends if chi^2 falls by less than FOUND.
SEARCHES, SHORT, FOUND = 3, 12, 3.0

# At last descents of LONG iterations, at most so many, until one gains less than SETTLED.
DESCENTS, LONG, SETTLED = 8, 20, 1.0

# Residuals this much larger than the noise, in squares, are no noise.
EXPLAINED = 1.3


class Noisy:
    """Hold a noisy scalogram and its noise, and carry out the stages that recover its signal.

    Parameters
    ----------
    S : real Tensor, shape (n_freqs, n_samples)
    W : Scalogram
    sigma : float
        Standard deviation of the noise.
    seed : int
    model : str
        A key of `_lifted_power.MODELS`.
    """

    def __init__(
        self, S: torch.Tensor, W: Scalogram, sigma: float, *, seed: int = 0, model: str = "clipped"
    ) -> None:
        self.W = W.in_double(doubles_on(W.filters.device))
        self.S, self.sigma, self.seed, self.model = S, sigma, seed, model
        self.likelihood = Likelihood(S, sigma, model)
        self.cleaned = denoise_jointly(S, self.W, sigma, model=model)

    @property
    def stages(self) -> list[Stage]:
        """The list of them."""
        return [
            Stage("phase gradient, denoised", self.start, START_ROUNDS),
            Stage("fit to the denoised", self.fit, 2 * FITTING),
            Stage("synchronization", self.search, (1 + SEARCHES) * SHORT),
            Stage("likelihood", self.ascend, DESCENTS * LONG),
        ]

    @property
    def refinement(self) -> Stage:
        """One more, where the noise explains too little."""
        return Stage("synchronization", self.refine, (1 + SEARCHES) * SHORT + DESCENTS * LONG)

    def surprise(self, x: torch.Tensor) -> float:
        """Compare what x leaves unexplained with the noise, corrected for what x has fitted."""
        return self.likelihood.surprise(
            self.W.modulus(self.W.coefficients(x)), 2 * int(self.W.band.sum())
        )

    def chi2(self, x: torch.Tensor) -> float:
        """Compute minus twice the logarithm of the likelihood."""
        return self.likelihood.chi2(self.W.modulus(self.W.coefficients(x)))

    def explains(self, x: torch.Tensor) -> bool:
        """Whether noise of this level could have left what x leaves unexplained."""
        return self.surprise(x) < EXPLAINED

    def start(self, S: torch.Tensor, W: Scalogram, run: Run) -> None:
        """Carry out the stage: integrate the phase of the denoised scalogram."""
        integrate_and_correct(self.cleaned, W, run, seed=self.seed, n_iter=START_ROUNDS, given=S)

    def fit(self, S: torch.Tensor, W: Scalogram, run: Run) -> None:
        """Carry out the stage: descend to the denoised scalogram, then denoise once more."""
        self._fit_denoised(S, W, run)
        if run.stopped:
            return
        spectrum = spectrum_of(run.x, W)
        self.cleaned = denoise_jointly(
            S, W, self.sigma, spectrum=spectrum, about=self.cleaned, model=self.model
        )
        self._fit_denoised(S, W, run)

    def search(self, S: torch.Tensor, W: Scalogram, run: Run) -> None:
        """Carry out the stage: synchronise regions as long as that makes S more likely."""
        if W.n_samples > _fisher.LONGEST_DENSE or not self.explains(run.x):
            return
        self._descend(run, SHORT)
        if run.stopped:
            return
        for _ in range(SEARCHES):
            start = synchronise(run.x, self.S, W, self.sigma, self.model)
            if self._descend_from(start, run) < FOUND or run.stopped:
                break
        for place in places_of_slips(run.x, W, self.likelihood):
            for start in turned_back(run.x, place, W):
                if run.stopped or self._descend_from(start, run) > FOUND:
                    break

    def _descend_from(self, start: torch.Tensor, run: Run) -> float:
        """Try a start that is not a descent's; go on from the better signal, return the gain."""
        x, best = run.x, self.chi2(run.x)
        run.x = start
        self._descend(run, SHORT)
        gain = best - self.chi2(run.x)
        if gain < 0:
            run.x = x
        return gain

    def ascend(self, S: torch.Tensor, W: Scalogram, run: Run) -> None:
        """Carry out the stage: make the scalogram as given most likely."""
        if not self.explains(run.x):
            return
        before, best = run.x, self.chi2(run.x)
        for _ in range(DESCENTS):
            x = run.x
            run.x = turn_further(before, x, W, self.sigma)
            self._descend(run, LONG)
            gain = best - self.chi2(run.x)
            if gain < 0 and not run.stopped:
                run.x = x
                self._descend(run, LONG)
                gain = best - self.chi2(run.x)
            before, best = x, best - gain
            if run.stopped or gain < SETTLED:
                break

    def refine(self, S: torch.Tensor, W: Scalogram, run: Run) -> None:
        """Carry out the stage, for what is no noise: search and ascend as if the rest were."""
        rest = self.S - self.W.modulus(self.W.coefficients(run.x))
        self.sigma = float(rest.square().mean().sqrt())
        self.model, self.likelihood = "gaussian", Likelihood(self.S, self.sigma, "gaussian")
        self.search(S, W, run)
        if not run.stopped:
            self.ascend(S, W, run)

    def _descend(self, run: Run, n_iter: int) -> None:
        """Descend on the likelihood, in the best metric that the length allows."""
        if self.W.n_samples <= _fisher.LONGEST_DENSE:
            _fisher.descend(self.likelihood, run.x, self.W, n_iter, run.step)
        else:
            self._lbfgs(run, self.S, self.likelihood.loss, n_iter, run.step)

    def _fit_denoised(self, S: torch.Tensor, W: Scalogram, run: Run) -> None:
        """Descend to the denoised until it gains little; the run is told how well S is fitted."""
        fits: list[float] = []

        def step(x: torch.Tensor, fit: float) -> bool:
            fits.append(fit)
            stalled = len(fits) > PATIENCE and fits[-1 - PATIENCE] - fit < FITTING_ENDS_DB
            return run.step(x, consistency_db(x, S, W)) or stalled

        if self.cleaned.any():
            self._lbfgs(run, self.cleaned, "l2", FITTING, step)

    def _lbfgs(
        self,
        run: Run,
        target: torch.Tensor,
        loss: Loss | str,
        n_iter: int,
        step: Callable[[torch.Tensor, float], bool],
    ) -> None:
        """Run L-BFGS in variables in which W is a tight frame."""
        W = self.W
        objective = Objective(target, lambda u: W.modulus(W.coefficients(W.whiten(u))), loss)
        descend_lbfgs(
            objective,
            W.unwhiten(run.x),
            n_iter,
            lambda u, fit: step(W.whiten(u), fit),
            precondition=False,
        )
