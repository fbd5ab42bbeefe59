"""Synthesise textures: sounds that share the averages of their scattering coefficients only."""

from numpy.typing import ArrayLike

from .._validation import check_instance
from ..transforms.scattering import Scattering
from ._gradient_descent import invert_gradient
from ._result import Recovery
from ._stages import Callback

__all__ = ["synthesize_texture"]


def synthesize_texture(
    statistics: ArrayLike,
    scattering: Scattering,
    *,
    n_iter: int = 100,
    init: ArrayLike | None = None,
    seed: int = 0,
    callback: Callback | None = None,
) -> Recovery:
    """Make a sound with given averages of its scattering coefficients, random in all else.

    The descent starts from noise and makes the averages over time agree: this is "microcanonical"
    synthesis (Bruna and Mallat 2018, arXiv:1801.02013). It is meant for sounds whose statistics
    do not change in time, such as rain or a crowd: events move to other times, and their order is
    lost.

    Parameters
    ----------
    statistics : real array, shape (..., n_paths, 1)
        ``Scattering(..., T="global")(recording)``. The recording may have another length than the
        result, because the averages do not depend on it.
    scattering : Scattering
        The transform of the result, with T="global" and the length wanted; sample_rate, J, Q and
        orders are those of `statistics`.
    n_iter, init, seed, callback
        As for `invert_gradient`; the default start is white noise.

    Returns
    -------
    Recovery

    Raises
    ------
    ValueError, TypeError
        If the scattering does not average over the whole signal, or the statistics do not fit it.

    Examples
    --------
    >>> from scalinv_utils import Scattering
    >>> from scalinv_utils.course import signals
    >>> scattering = Scattering(256, 1000, J=4, Q=2, T="global")
    >>> statistics = scattering(signals.white_noise(256))
    >>> recovery = synthesize_texture(statistics, scattering, n_iter=20, seed=1)
    >>> recovery.signal.shape, recovery.consistency_db < -20
    (torch.Size([256]), True)
    """
    if check_instance(scattering, Scattering, "scattering").T != "global":
        raise ValueError(f"scattering must be made with T='global', got T={scattering.T!r}")
    scattering.split(statistics, "statistics")
    return invert_gradient(
        statistics,
        scattering,
        init=init,
        n_iter=n_iter,
        seed=seed,
        precondition=False,
        callback=callback,
    )
