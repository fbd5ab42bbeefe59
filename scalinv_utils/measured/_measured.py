"""Say what is known of a scalogram that was measured: its scale, columns, errors and ends.

A scalogram made elsewhere is rarely the modulus of a periodic transform at every sample. It may be
power, or decibels; columns or single values may be missing; values may be rounded, noisy, or no
more than a floor; and the signal x was extended by zeros or by its mirror image before the
transform W, and the result cropped. In one formula,

    S_k  =  | (W E x)_k |  +  errors of standard deviation sigma_k         for each known place k

where E extends x from n_samples to W.n_samples. Rounding by steps of q is an error of standard
deviation q / sqrt(12); a step of q decibels is one of S q log(10) / 20 / sqrt(12). At the floor
all that is known is that the modulus is at most that.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike

from .._levels import norm
from .._room import check_known_fits
from .._tensors import detached, require_single_or_double
from .._validation import (
    check_choice,
    check_count,
    check_instance,
    check_labels,
    check_mask,
    check_number,
    check_numbers,
    check_plane,
    check_positive,
    columns_hint,
    squeezed_hint,
)
from ..metrics import level_db
from ..transforms._columns import Columns
from ..transforms.scalogram import Scalogram
from ._extension import ENDS, Extension

__all__ = ["Measured"]

# W*W is taken to pass at least this share of its maximum everywhere.
SOFT_FLOOR = 1e-6

# Louder levels are beyond double precision.
LARGEST_DB = 5800

SCALES_OF_S = ("modulus", "power", "db")

# One hop for all rows, or (hop, offset) for each row.
Hop = int | Sequence[tuple[int, int]]


class Measured:
    """A scalogram, the transform that it came from, and all that is known of it.

    Parameters
    ----------
    S : real array, shape (n_freqs, n_columns)
        One scalogram. With a hop it has the columns that were kept, or all n_samples columns, of
        which those are taken.
    W : Scalogram
        The transform, for signals of n_samples or, where `pad` is given, of as many samples as
        the extended signal has.
    scale : "modulus", "power" or "db"
        The scale of S: modulus, its square, or 20 log10 of the modulus.
    known : boolean array, shape of S, optional
        False where S says nothing. Default: where S is not NaN.
    hop : int, or (hop, offset) for each row
        Every hop-th column is there, from the offset on (0 for one hop for all rows).
    sigma : float or real array that broadcasts to S, optional
        Standard deviation of the noise on the modulus. Default: no noise beyond the rounding.
    step, step_db : float, optional
        The step to which the modulus (or the decibels) were rounded.
    floor : float, optional
        Values at or below it mean "at most the floor". It is on the scale of S.
    ends : "periodic", "zero", "reflect" or "symmetric"
        How the signal was extended: not at all, by zeros, or by its mirror image without or with
        the sample at the edge (numpy's names).
    pad : (int, int), optional
        The numbers of samples before and after the signal. Default: as ssqueezepy pads, to twice
        the nearest power of two; for "symmetric" as MATLAB does, half the signal on both sides.
    n_samples : int, optional
        Length of the signal. Default: W.n_samples less the pads.

    Attributes
    ----------
    W : Scalogram
        The transform of the extended signal, in float64 on the CPU, where all methods treat what
        was measured, whatever the dtype and the device of S.
    given : Scalogram
        The transform that was given.
    S : Tensor, shape (n_freqs, n_grid)
        The modulus on the grid of `columns`, 0 where it is not known.
    known, at_most : Tensors of bool, shape of S
        Where something is known, and where it is that the modulus is at most S.
    sigma : Tensor, shape of S, or None
        Standard deviation of the errors, infinite where nothing is known; None if there are none.
    columns : Columns
        The coefficients of W on that grid.
    extension : Extension
        The map E and its pseudo-inverse.
    n_samples : int
        Length of the signal.

    Raises
    ------
    ValueError, TypeError
        If S, W and what is said of them do not fit together; the message says what does not.

    Notes
    -----
    The description was made for this project.

    Examples
    --------
    >>> import torch
    >>> from scalinv_utils import Scalogram
    >>> from scalinv_utils.measured import Measured
    >>> W = Scalogram(256, 8000, wavelet="cauchy", voices_per_octave=8)
    >>> x = W.project(torch.arange(256).double().square().sin())
    >>> M = Measured(20 * W.magnitude(x)[:, ::4].log10(), W, scale="db", hop=4)
    >>> bool(torch.allclose(M.S, M.magnitude(x)))
    True
    """

    sigma: torch.Tensor | None

    def __init__(
        self,
        S: ArrayLike,
        W: Scalogram,
        *,
        scale: Literal["modulus", "power", "db"] = "modulus",
        known: ArrayLike | None = None,
        hop: Hop = 1,
        sigma: float | ArrayLike | None = None,
        step: float | None = None,
        step_db: float | None = None,
        floor: float | None = None,
        ends: Literal["periodic", "zero", "reflect", "symmetric"] = "periodic",
        pad: tuple[int, int] | None = None,
        n_samples: int | None = None,
    ) -> None:
        check_choice(scale, SCALES_OF_S, "scale")
        self.ends = check_choice(ends, ENDS, "ends")
        if not isinstance(W, Scalogram):
            raise TypeError(f"W must be a Scalogram, got {type(W).__name__}")
        if W.lowpass is not None:
            raise ValueError(f"W must have no lowpass, got lowpass={W.lowpass!r}")
        self.extension = Extension.of(W, ends, pad, n_samples)
        self.given, W = W, W.in_double()
        self.W = W if W.n_samples == self.extension.n_padded else W.like(self.extension.n_padded)
        self.n_samples = self.extension.n_samples
        check_known_fits(*self.W.shape, "S", "cut it into pieces")
        given = _numbers(S, W.n_freqs)
        check_labels(S, W.frequencies, "S", is_modulus=scale != "db")
        known = ~torch.isnan(given) if known is None else _mask(known, given)
        at_most = torch.zeros_like(known)
        if floor is not None:
            floor = _checked_floor(floor, scale)
            at_most = known & (given <= floor)
            given = given.masked_fill(at_most, floor)
        modulus = _modulus(given.masked_fill(~known, 1.0), scale)
        self.columns, places = self._grid(hop, given.shape[1])
        self.known = self._placed(known, places, False)
        self._whole = bool(self.known.all())
        self.S = self._placed(modulus.masked_fill(~known, 0.0), places, 0.0)
        self.at_most = self._placed(at_most, places, False)
        if not self.known.any():
            raise ValueError("S must be known somewhere, got none of it; see known, hop and NaN")
        self.sigma = self._errors(_deviation(sigma, given), places, step, step_db)

    def _grid(self, hop: Hop, n_columns: int) -> tuple[Columns, torch.Tensor]:
        """Find a grid on which all columns lie, and the place of each column of S on it."""
        hops, offsets = _hops(hop, self.W.n_freqs)
        common = math.gcd(*hops)
        common = common if self.W.n_samples % common == 0 else 1
        starts = self.extension.left + np.array(offsets)
        columns = Columns(self.W, common, starts % common)
        places = np.full((self.W.n_freqs, n_columns), -1)
        for row, (own, start) in enumerate(zip(hops, starts)):
            times = start + own * np.arange(-(-(self.n_samples - offsets[row]) // own))
            if n_columns == self.n_samples:
                places[row, times - self.extension.left] = (times - start % common) // common
            elif n_columns == len(times):
                places[row] = (times - start % common) // common
            else:
                raise ValueError(
                    f"S must have {len(times)} columns (every {own} of {self.n_samples} samples) "
                    f"or all {self.n_samples}, got {n_columns}"
                    f"{columns_hint(n_columns, self.n_samples, 'S')}"
                )
        return columns, torch.from_numpy(places)

    def _placed(self, values: torch.Tensor, places: torch.Tensor, empty: float) -> torch.Tensor:
        """Put values given column by column onto the grid."""
        grid = values.new_full(self.columns.shape, empty)
        for row, own, place in zip(grid, values, places):  # all at once takes six times the memory
            row[place[place >= 0]] = own[place >= 0]
        return grid

    def _errors(
        self,
        sigma: torch.Tensor | None,
        places: torch.Tensor,
        step: float | None,
        step_db: float | None,
    ) -> torch.Tensor | None:
        """Add the variances of noise and rounding."""
        if sigma is None and step is None and step_db is None:
            return None
        deviations = []
        if sigma is not None:
            deviations.append(self._placed(sigma, places, 0.0))
        if step is not None:
            deviations.append(torch.full_like(self.S, check_positive(step, "step") / 12**0.5))
        if step_db is not None:
            relative = check_positive(step_db, "step_db") * math.log(10) / 20
            deviations.append(relative * self.S / 12**0.5)
        total = norm(torch.stack(deviations), 0)
        least = total[self.known & (total > 0)].min() if (total > 0).any() else 1.0
        return total.clamp_min(least).masked_fill(~self.known, math.inf)

    # -- the measurement -------------------------------------------------------------------------

    def coefficients(self, x: torch.Tensor) -> torch.Tensor:
        """Compute W E x where S is known, 0 elsewhere, shape (..., n_freqs, n_grid)."""
        c = self.columns.coefficients(self.extension(x))
        return c if self._whole else c * self.known

    def magnitude(self, x: torch.Tensor) -> torch.Tensor:
        """Compute the modulus where S is known, 0 elsewhere, shape (..., n_freqs, n_grid).

        Parameters
        ----------
        x : real Tensor, shape (..., n_samples)
        """
        if check_instance(x, torch.Tensor, "x").shape[-1:] != (self.n_samples,):
            raise ValueError(
                f"x must have n_samples = {self.n_samples} on its last axis, got shape "
                f"{tuple(x.shape)}"
            )
        require_single_or_double(x.dtype, "x")
        return self.W.modulus(self.coefficients(x))

    def adjoint(self, c: torch.Tensor) -> torch.Tensor:
        """Compute the adjoint of `coefficients`, shape (..., n_samples), of what is known of c."""
        return self.extension.adjoint(self.columns.adjoint(c * self.known))

    def precondition(self, x: torch.Tensor) -> torch.Tensor:
        """Compute E^+ (W*W)^{-1} E^+^T x, about the inverse of adjoint after coefficients."""
        filtered = self.W.filtered(self.extension.inverse_adjoint(x), self._soft_gain.reciprocal())
        return self.extension.inverse(filtered)

    def whiten(self, x: torch.Tensor) -> torch.Tensor:
        """Compute E^+ (W*W)^{-1/2} E x; after it the coefficients grow by about one factor."""
        filtered = self.W.filtered(self.extension(x), self._soft_gain.rsqrt())
        return self.extension.inverse(filtered)

    @property
    def _soft_gain(self) -> torch.Tensor:
        # Signals that a library extended are not limited to the band of W: beyond it the gain has
        # a floor. For others nothing beyond the band is wanted.
        gain = self.W.gain
        if self.extension.is_identity:
            return torch.where(self.W.band, gain, torch.inf)
        return gain.clamp_min(SOFT_FLOOR * float(gain.max()))

    def project(self, x: torch.Tensor) -> torch.Tensor:
        """Restrict x to what W sees of its extension, shape (..., n_samples)."""
        return self.extension.inverse(self.W.project(self.extension(x)))

    def fitted(self, x: torch.Tensor) -> torch.Tensor:
        """Compute the modulus as `magnitude` does, but S where a modulus below a floor fits it."""
        return self.S + self.misfit(self.magnitude(x))

    def misfit(self, modulus: torch.Tensor) -> torch.Tensor:
        """Compute the difference from S where it is known; at a floor only what exceeds it."""
        difference = modulus - self.S
        return torch.where(self.at_most, difference.clamp_min(0), difference)

    def consistency_db(self, x: torch.Tensor) -> float:
        """Compute the norm of the misfit of x relative to that of S, in dB."""
        misfit = self.misfit(self.magnitude(x.to(self.W.filters)))
        return level_db(misfit, self.S, dim=(-2, -1))

    def at_level(self, level: float) -> Measured:
        """Divide S and its errors by a level, a power of two so that no digit changes."""
        scaled = copy.copy(self)
        scaled.S = self.S / level
        scaled.sigma = None if self.sigma is None else self.sigma / level
        return scaled

    @property
    def is_plain(self) -> bool:
        """Whether it is the scalogram of a periodic signal, complete and without errors."""
        whole = self.columns.shape == self.W.shape and bool(self.known.all())
        return whole and self.sigma is None and not self.at_most.any() and self.ends == "periodic"

    def __repr__(self) -> str:
        share = float(self.known.double().mean())
        return (
            f"Measured({tuple(self.S.shape)}, hop {self.columns.hop}, {share:.0%} of them known, "
            f"{'exact' if self.sigma is None else 'with errors'}, ends {self.ends!r}, of "
            f"{self.n_samples} samples at {self.W.sample_rate:g} Hz)"
        )


def _numbers(S: ArrayLike, n_freqs: int) -> torch.Tensor:
    """Return S as a real matrix in double precision that may hold NaN."""
    if isinstance(S, np.ma.MaskedArray) and S.dtype.kind in "iuf":  # what is masked is not known
        S = np.ma.filled(S.astype(float), np.nan)
    given = detached(check_plane(S, "S"), "S", "Measured").cpu()
    if given.is_complex():
        raise TypeError("S must be real, got complex numbers; take their modulus, abs(S)")
    if given.ndim != 2 or len(given) != n_freqs:
        hint = "; a picture is read by from_image" if given.ndim == 3 else ""
        hint = squeezed_hint(tuple(given.shape), "S") or hint
        if given.ndim == 2 and given.shape[1] == n_freqs:
            hint = "; it looks transposed: give S.T"
        raise ValueError(
            f"S must have the shape (n_freqs, n_columns) with the {n_freqs} rows of W, "
            f"got shape {tuple(given.shape)}{hint}"
        )
    if (given == math.inf).any():
        raise ValueError("S must be finite, or NaN where it is not known, got infinite values")
    return given.double()


def _mask(known: ArrayLike, S: torch.Tensor) -> torch.Tensor:
    return check_mask(known, tuple(S.shape), "known") & ~torch.isnan(S)


def _modulus(S: torch.Tensor, scale: str) -> torch.Tensor:
    if scale == "db":
        if (S > LARGEST_DB).any():
            raise ValueError(f"S must be at most {LARGEST_DB} dB, got {float(S.max()):.4g} dB")
        return 10 ** (S / 20)
    if (S < 0).any():
        hint = " (negative values: is it in decibels? then say scale='db')"
        raise ValueError(f"S must not be negative where scale is {scale!r}{hint}")
    return S.sqrt() if scale == "power" else S


def _checked_floor(floor: float, scale: str) -> float:
    level = check_number(floor, "floor")
    if level < 0 and scale != "db":
        raise ValueError(f"floor must not be negative where scale is {scale!r}, got {floor!r}")
    return level


def _hops(hop: Hop, n_freqs: int) -> tuple[list[int], list[int]]:
    """Spell out a hop and an offset for each row."""
    if not isinstance(hop, (Sequence, np.ndarray)) or isinstance(hop, str):
        return [check_count(hop, "hop")] * n_freqs, [0] * n_freqs
    try:
        pairs = [(h, o) for h, o in hop]
    except (TypeError, ValueError):
        raise TypeError(
            f"hop must be a number or a pair (hop, offset) for each row, got {hop!r}"
        ) from None
    pairs = [(check_count(h, "hop"), check_count(o, "hop's offset", 0)) for h, o in pairs]
    if len(pairs) != n_freqs:
        raise ValueError(
            f"hop must be a number or one (hop, offset) for each of {n_freqs} rows, "
            f"got {len(pairs)} of them"
        )
    return [h for h, _ in pairs], [o for _, o in pairs]


def _deviation(sigma: float | ArrayLike | None, S: torch.Tensor) -> torch.Tensor | None:
    if sigma is None:
        return None
    scalar = getattr(sigma, "ndim", 0) == 0 and not isinstance(sigma, Sequence)
    given: Any = [sigma] if scalar else sigma
    deviation = detached(check_numbers(given, "sigma"), "sigma", "Measured").cpu().double()
    try:
        deviation = deviation.expand_as(S)
    except RuntimeError:
        raise ValueError(
            f"sigma must be a number or broadcast to the shape of S, {tuple(S.shape)}, got shape "
            f"{tuple(deviation.shape)}"
        ) from None
    if not (deviation > 0).all():
        raise ValueError(f"sigma must be positive everywhere, got {float(deviation.min())!r}")
    return deviation
