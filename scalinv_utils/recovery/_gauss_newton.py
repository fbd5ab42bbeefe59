"""Refine a signal by a step of Gauss and Newton: least squares with the modulus linearised.

Near a signal x with coefficients c = W x, the change of the modulus is linear in that of x,

    |W (x + e)| = |c| + Re(conj(c)/|c| W e) + O(|W e|^2 / |c|)

so that the misfit || |W (x + e)| - S || is nearly that of a linear least-squares problem. Conjugate
gradients solve it in variables in which W is a tight frame. Each of their steps costs as much as
one of Griffin-Lim, which goes along the same gradient and forgets the directions it has been to:
where a part of the signal is hardly determined by S, it takes many times as many.
"""

from typing import Any

import torch

__all__ = ["gauss_newton"]

# Where S is below this share of its maximum, the misfit of the power is no longer taken relative
# to S.
NEAR_ZERO = 1e-4


def gauss_newton(
    S: torch.Tensor, W: Any, x: torch.Tensor, n_steps: int, c: torch.Tensor | None = None
) -> torch.Tensor:
    """Add to x the change that fits S best where the modulus is taken to be linear.

    Parameters
    ----------
    S : real Tensor, shape (..., n_freqs, n_samples)
    W : Scalogram or Measured
    x : real or complex Tensor, shape (..., n_samples)
        A signal whose modulus is close to S: the misfit decreases only there.
    n_steps : int
        Number of conjugate-gradient steps.
    c : complex Tensor, shape of S, optional
        The coefficients of x, if they are more than W x. Default: W x.

    Returns
    -------
    Tensor, shape of x

    Examples
    --------
    >>> from scalinv_utils import Scalogram, metrics
    >>> from scalinv_utils.course import signals
    >>> W = Scalogram(128, 8000)
    >>> x = W.project(signals.linear_chirp(128))
    >>> S, near = W.magnitude(x), x + 1e-4 * W.project(signals.white_noise(128))
    >>> y = gauss_newton(S, W, near, 20)
    >>> metrics.consistency_db(y, S, W) < metrics.consistency_db(near, S, W) - 20
    True
    """
    there: torch.Tensor = W.coefficients(x) if c is None else c
    weight = (S.square() + (NEAR_ZERO * S.max()) ** 2).rsqrt()
    turn, misfit = there * weight, (S.square() - there.abs().square()) * weight / 2
    direction, before = torch.zeros_like(x), 1.0
    for _ in range(n_steps):
        gradient = W.adjoint(turn * misfit)
        downhill = W.precondition(gradient)
        slope = float((gradient.conj() * downhill).real.sum())
        direction = downhill + slope / before * direction
        change = (turn.conj() * W.coefficients(direction)).real
        step, before = slope / float(change.square().sum() or 1.0), slope or 1.0
        x, misfit = x + step * direction, misfit - step * change
    return x
