"""Split a descent on a batch into descents on its members, wherever these do not touch each other.

A `Scalogram` and a `Scattering` treat each signal of a batch alone. Nothing is known of another
transform, so that it is tried on noise: what it gives for a member alone has to be that member's
part of what it gives for the batch. Losses from elsewhere may hold weights for the batch, and are
not split.
"""

import numpy as np
import torch

from .._tensors import repetitions
from ..transforms.scalogram import Scalogram
from ..transforms.scattering import Renormalized, Scattering
from . import losses
from ._members import Index
from ._objective import Objective

__all__ = ["members_of"]

# Outputs of a member alone and in the batch agree to this, relative to the largest.
AGREE = 1e-4


def members_of(
    objective: Objective, shape: tuple[int, ...], n_samples: int
) -> dict[Index, Objective] | None:
    """Make an objective for each member of a batch of signals, shape (*shape, n_samples).

    None if there is no batch, or if its members may depend on each other.
    """
    if not shape or any(t.shape[: len(shape)] != shape for t in objective.target):
        return None
    if not _is_splittable(objective.loss) or not _are_alone(objective, shape, n_samples):
        return None
    members = {index: objective.member(index) for index in np.ndindex(shape)}
    for index, number in np.ndenumerate(repetitions(objective.target, shape)):
        members[index].repetition = int(number)
    return members


def _is_splittable(loss: losses.Loss) -> bool:
    """Tell whether a loss is one of this package without numbers for each member of a batch."""
    return losses.is_own(loss) and not getattr(loss, "of_a_batch", False)


def _are_alone(objective: Objective, shape: tuple[int, ...], n_samples: int) -> bool:
    """Tell whether a transform gives for the last member alone its part of what the batch gives."""
    if isinstance(objective.transform, (Scalogram, Scattering, Renormalized)):
        return True
    generator, last = torch.Generator().manual_seed(0), tuple(n - 1 for n in shape)
    x = torch.randn(*shape, n_samples, dtype=torch.float64, generator=generator)
    x = x.to(objective.target[0])
    whole = objective.analyse(x)
    try:
        alone = objective.analyse(x[last])
    except (RuntimeError, ValueError, IndexError, TypeError):
        return False  # the transform takes nothing but a batch
    parts = [o[last] if o.shape[: len(shape)] == shape else o for o in whole]
    return [a.shape for a in alone] == [p.shape for p in parts] and all(
        torch.allclose(a, p, rtol=0, atol=AGREE * float(p.detach().abs().max()))
        for a, p in zip(alone, parts)
    )
