"""Textures: sounds with given averages of their scattering coefficients, and random in all else."""

from ._gradient_descent import invert_gradient

__all__ = ["synthesize_texture"]


def synthesize_texture(statistics, scattering, *, n_iter=100, init=None, seed=0, callback=None):
    """A sound with given averages of its scattering coefficients, and random in all else.

    Descent from noise until the averages over time agree: "microcanonical" synthesis (Bruna and
    Mallat 2018, arXiv:1801.02013). For sounds that are the same all along, rain or a crowd: what
    happens in them is put elsewhere, and order in time is lost.

    Parameters
    ----------
    statistics : real array, shape (..., n_paths, 1)
        ``Scattering(..., T="global")(recording)``. The recording may have another length than the
        result: the averages do not tell it.
    scattering : Scattering
        With T="global", for the length wanted; sample_rate, J, Q and orders as for `statistics`.
    n_iter, init, seed, callback
        As for `invert_gradient`; the default start is white noise.

    Returns
    -------
    Recovery

    Raises
    ------
    ValueError, TypeError
        A scattering that keeps time, or statistics that do not fit it.
    """
    if scattering.T != "global":
        raise ValueError(f"scattering must be made with T='global', got T={scattering.T!r}")
    scattering.split(statistics)
    return invert_gradient(
        statistics,
        scattering,
        init=init,
        n_iter=n_iter,
        seed=seed,
        precondition=False,
        callback=callback,
    )
