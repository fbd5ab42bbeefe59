"""Check what the readers are given: one scalogram, and one value for each of its rows."""

import numpy as np
import torch
from numpy.typing import ArrayLike

from .._arrays import numbers_of
from .._validation import check_coefficients, check_magnitudes

__all__ = ["check_plane", "check_rows"]


def check_plane(c: ArrayLike, name: str) -> torch.Tensor:
    """Return the modulus of one scalogram, given as complex coefficients or as their modulus.

    Parameters
    ----------
    c : complex or real array, shape (n_rows, n_columns)
    name : str
        Name that the caller gives this argument; the messages use it.

    Returns
    -------
    Tensor, shape (n_rows, n_columns)
        Real, float64.

    Raises
    ------
    TypeError
        If c is not numeric.
    ValueError
        If c has NaN or infinite entries, is real and has negative ones, or has not two axes.

    Examples
    --------
    >>> check_plane([[3 + 4j, 1.0]], "Wx")
    tensor([[5., 1.]], dtype=torch.float64)
    """
    c = check_coefficients(c, name=name)
    if c.ndim != 2:
        raise ValueError(
            f"{name} must be one scalogram of shape (n_rows, n_columns), got shape "
            f"{tuple(c.shape)}; of several, read one after the other"
        )
    if c.is_complex():
        return c.to(torch.complex128).abs()
    return check_magnitudes(c, name=name).double()


def check_rows(values: ArrayLike, name: str, n_rows: int, plane: str) -> np.ndarray:
    """Return one positive number for each row, in rising or falling order.

    Parameters
    ----------
    values : array, shape (n_rows,)
        A column or a row of a matrix will do.
    name : str
        Name that the caller gives this argument.
    n_rows : int
        Number of rows of the scalogram, which the messages call `plane`.

    Returns
    -------
    array, shape (n_rows,)
        float64.

    Raises
    ------
    TypeError
        If the values are not real numbers.
    ValueError
        If there are more or fewer of them than rows, one is not positive and finite, or they
        neither rise nor fall throughout.

    Examples
    --------
    >>> check_rows([[2], [1]], "scales", 2, "Wx")
    array([2., 1.])
    """
    wanted = f"real numbers, one for each row of {plane}"
    rows = numbers_of(values, name, wanted).detach().cpu().numpy().ravel()
    if rows.dtype.kind != "f":
        raise TypeError(f"{name} must be {wanted}, got {rows.dtype}")
    rows = rows.astype(float)
    if len(rows) != n_rows:
        raise ValueError(
            f"{name} must have one value for each of the {n_rows} rows of {plane}, got "
            f"{len(rows)}; is {plane} transposed?"
        )
    if not (np.isfinite(rows) & (rows > 0)).all():
        raise ValueError(f"{name} must be positive and finite, got {rows.min():.4g} among them")
    steps = np.diff(rows)
    if not ((steps > 0).all() or (steps < 0).all()):
        raise ValueError(f"{name} must rise from row to row or fall from row to row, got both")
    return rows
