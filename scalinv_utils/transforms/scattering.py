"""Scattering: average wavelet moduli over time, and repeat this on the moduli themselves.

    order 1     S1(t, l)     =  | x * psi_l | * phi_T                averaged scalogram
    order 2     S2(t, l, m)  =  | | x * psi_l | * psi_m | * phi_T    what that averaging removed

(Mallat 2012, doi:10.1002/cpa.21413; for sound Andén and Mallat 2014,
doi:10.1109/TSP.2014.2326991). The filters and the cascade are kymatio's (Andreux et al. 2020,
JMLR 21(60)). This module puts their output on one grid that `recovery.invert_gradient` can descend
on, describes each row, and renormalises coefficients. A loss for each order is in
`recovery.losses`, textures are in `recovery.texture`.

kymatio is an optional dependency: only making a `Scattering` imports it.
"""

import copy
import warnings
from collections.abc import Callable, Iterable
from typing import Any, Literal

import torch
from numpy.typing import ArrayLike

from .._levels import unit
from .._room import check_room
from .._tensors import like, require_single_or_double
from .._validation import (
    check_choice,
    check_count,
    check_instance,
    check_number,
    check_numbers,
    check_positive,
    check_signal,
)

__all__ = ["Renormalized", "Scattering"]

# kymatio keeps so many bytes for each wavelet and sample: padded, and at several rates.
BYTES_PER_FILTER_VALUE = 40

FORMS = ("parent", "log", "both")

# Moduli may be negative after an average by a filter: by this share of the floor, by this share of
# the largest, and by rounding errors of what is loudest.
NEGATIVE, LEAKED = 1e-3, 1e-6

# The name of kymatio's transform in a pickle.
KEPT_BANK = "attributes of bank"

# More wavelets per octave than this are finer than hearing, and take kymatio minutes to make.
LARGEST_Q = 1024


class Scattering(torch.nn.Module):
    """A differentiable scattering transform on one grid: rows are paths, columns are frames.

    Parameters
    ----------
    n_samples : int
    sample_rate : float
        Samples per second.
    J : int
        Number of octaves: the lowest wavelet is about 2**J samples long.
    Q : int or (int, int)
        Wavelets per octave for order 1 (and for order 2, default 1).
    T : 0, a number of samples from 1 to n_samples, or "global"
        Length of the average. 0 leaves it out (then order 1 is a scalogram), "global" takes the
        mean over the whole signal. Default: 2**J, as in kymatio.
    orders : sequence of 0, 1 and 2
        Orders to compute. Order 0, the average of the signal itself, has no modulus and keeps its
        sign. Without averaging (T=0) it would be the signal itself, and is refused.

    Attributes
    ----------
    order : Tensor of int, shape (n_paths,)
    frequencies : Tensor, shape (n_paths,)
        Centre frequency of the wavelet of order 1, Hz; 0 for order 0.
    modulations : Tensor, shape (n_paths,)
        Centre frequency of the wavelet of order 2, Hz; 0 for orders 0 and 1.
    parents : Tensor of int, shape (n_paths,)
        The row of order 1 that a row of order 2 was made from; -1 where there is none.
    bank : kymatio.torch.Scattering1D

    Raises
    ------
    ValueError, TypeError
        If T or 2**J is longer than the signal, an order is unknown, or order 0 is asked at T=0.
    ImportError
        If kymatio is not installed.

    Examples
    --------
    >>> import torch
    >>> from scalinv_utils import Scattering
    >>> scattering = Scattering(512, sample_rate=4000, J=5, Q=4, T=64)
    >>> t = torch.arange(512) / 4000
    >>> S = scattering(torch.cos(2 * torch.pi * 500 * t))
    >>> S.shape == (len(scattering.order), 8)
    True
    >>> loudest = scattering.split(S)[1].mean(-1).argmax()
    >>> bool(400 < scattering.frequencies[loudest] < 600)
    True
    """

    __call__: Callable[[ArrayLike], torch.Tensor]  # torch types every module's call as Any
    order: torch.Tensor
    frequencies: torch.Tensor
    modulations: torch.Tensor
    parents: torch.Tensor
    bank: Any  # kymatio's transform; kymatio comes without types

    def __init__(
        self,
        n_samples: int,
        sample_rate: float = 1.0,
        *,
        J: int = 6,
        Q: int | tuple[int, int] = 8,
        T: float | Literal["global"] | None = None,
        orders: Iterable[int] = (1, 2),
    ):
        super().__init__()
        self.n_samples = check_count(n_samples, "n_samples", 2)
        self.sample_rate = float(check_positive(sample_rate, "sample_rate"))
        self.J, self.T = self._check_scales(J, T)
        self.orders = _check_orders(orders, self.T)
        self.Q = _check_wavelets_per_octave(Q)
        _check_fits(self.n_samples, self.J, self.Q)
        self.bank = _kymatio(self.n_samples, self.J, self.Q, self.T, max(max(self.orders), 1))
        paths = [path["n"] for path in self.bank(torch.zeros(self.n_samples).double())]
        self._describe([n for n in paths if len(n) in self.orders])

    def __getstate__(self) -> dict[str, Any]:
        """Take kymatio's transform apart, whose class pickle does not find under its name."""
        modules = {name: part for name, part in self._modules.items() if name != "bank"}
        return {**self.__dict__, "_modules": modules, KEPT_BANK: vars(self.bank)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Put kymatio's transform together again."""
        from kymatio.scattering1d.frontend.torch_frontend import ScatteringTorch1D

        bank = ScatteringTorch1D.__new__(ScatteringTorch1D)
        bank.__setstate__(state[KEPT_BANK])
        super().__setstate__({name: part for name, part in state.items() if name != KEPT_BANK})
        self.bank = bank

    def forward(self, x: ArrayLike) -> torch.Tensor:
        """Compute the scattering coefficients of x; write ``scattering(x)``.

        Parameters
        ----------
        x : real array, shape (..., n_samples)

        Returns
        -------
        Tensor, shape (..., n_paths, n_frames)
            One frame per 2**floor(log2(T)) samples; n_samples of them at T=0, one at "global".
        """
        signal = like(check_signal(x, n_samples=self.n_samples), self.frequencies, "x")
        level = unit(signal, -1)  # kymatio squares its coefficients
        paths = self.bank((signal / level).contiguous())  # kymatio refuses strides
        rows = [path["coef"] for path in paths if len(path["n"]) in self.orders]
        if self.T == "global":
            rows = [row.mean(-1, keepdim=True) for row in rows]
        return torch.stack(rows, dim=-2) * level[..., None]

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], *args: Any) -> "Scattering":
        """Convert type or device; refuse half precision."""
        require_single_or_double(fn(self.frequencies[:1]).dtype, "scattering")
        return super()._apply(fn, *args)

    def split(self, S: ArrayLike, name: str = "S") -> dict[int, torch.Tensor]:
        """Split coefficients by order: each Tensor has shape (..., paths of the order, n_frames).

        Parameters
        ----------
        S : real array, shape (..., n_paths, n_frames)
        name : str
            Name that the caller gives this argument; the messages use it.

        Examples
        --------
        >>> scattering = Scattering(256, J=4, Q=4)
        >>> parts = scattering.split(scattering(torch.ones(256)))
        >>> list(parts), len(parts[1]) + len(parts[2]) == len(scattering.order)
        ([1, 2], True)
        """
        S = check_numbers(S, name)
        if S.ndim < 2 or S.shape[-2] != len(self.order):
            raise ValueError(
                f"{name} must have the shape (..., {len(self.order)} paths, n_frames), "
                f"got shape {tuple(S.shape)}"
            )
        return {order: S[..., self.order == order, :] for order in self.orders}

    def _check_scales(self, J: int, T: float | str | None) -> tuple[int, float | str]:
        """Check J, and T with its default."""
        J = check_count(J, "J")
        if J >= self.n_samples.bit_length():
            raise ValueError(
                f"J must leave room for wavelets of 2**J samples in {self.n_samples}, got {J}"
            )
        if isinstance(T, str):
            return J, check_choice(T, ["global"], "T")
        length = 2**J if T is None else check_number(T, "T")
        if length != 0 and not 1 <= length <= self.n_samples:
            raise ValueError(
                f"T must be 0, 'global' or from 1 to {self.n_samples} samples, got {length!r}"
            )
        return J, length

    def _describe(self, paths: list[tuple[int, ...]]) -> None:
        """Describe each row by kymatio's filter numbers of its path: () or (n1,) or (n1, n2)."""
        row_of = {n: row for row, n in enumerate(paths)}
        first, second = (
            [psi["xi"] for psi in bank] for bank in (self.bank.psi1_f, self.bank.psi2_f)
        )
        hertz = (
            torch.tensor(
                [[first[n[0]] if n else 0.0, second[n[1]] if len(n) == 2 else 0.0] for n in paths]
            ).double()
            * self.sample_rate
        )
        parents = [row_of.get(n[:1], -1) if len(n) == 2 else -1 for n in paths]
        self.register_buffer("order", torch.tensor([len(n) for n in paths]))
        self.register_buffer("parents", torch.tensor(parents))
        self.register_buffer("frequencies", hertz[:, 0])
        self.register_buffer("modulations", hertz[:, 1])


class Renormalized(torch.nn.Module):
    """Scattering coefficients on a scale on which quiet ones count.

    Two published ideas are used, alone or one after the other:

    - "parent": S2 / (S1 of its parent + eps). This removes from order 2 the energy that order 1
      contains already. The form is that of published code (V. Lostanlen's scattering.m, which also
      divides order 1 by |x| * phi_T + eps; that is no function of S and is left out here). It is
      usually credited to Andén and Mallat (2014, doi:10.1109/TSP.2014.2326991).
    - "log": log(1 + c |S| / mu) with the sign of S, which only order 0 may have, where mu is the
      median of |S| in each row and c = 5 / mean of |S| / mu. This
      "median-log Gaussianisation" makes skewed coefficients less skewed. It is a variant, found in
      published code (J. Muradeli's WaveSpin), of equation 10 of Lostanlen et al. (2020,
      arXiv:2007.10926). There the median is taken over a data set and c depends on significant
      entries only. One recording has no data set, so that here the median is taken over the frames
      of the target and the mean over all its entries.

    Not verified: the wording of section VI.B of Andén, Lostanlen and Mallat (2019,
    arXiv:1807.08869), which is quoted for this use, and of the two papers above. Neither form
    claims to be that of section VI.B.

    Parameters
    ----------
    scattering : Scattering
        The transform; it must have order 1 unless `form` is "log".
    target : real array, shape (..., n_paths, n_frames)
        Coefficients before renormalisation. eps, mu and c are computed from them, separately for
        each signal of a batch, and stay fixed.
    form : "parent", "log" or "both"
    floor : float
        eps relative to the largest S1, and the smallest mu relative to the largest of its order.
        Below this share coefficients are rounding errors and must not be amplified.

    Attributes
    ----------
    eps : Tensor, shape (..., 1, 1), or None without "parent"
    gain : Tensor c / mu, shape (..., n_paths, 1), or None without "log"

    Raises
    ------
    ValueError, TypeError
        If the form is unknown, there is no order 1 to divide by, or the target's shape is wrong.

    Examples
    --------
    >>> import torch
    >>> scattering = Scattering(256, J=4, Q=4)
    >>> x = torch.linspace(-4, 0, 256).exp() * (torch.arange(256) ** 1.5).cos()
    >>> S = scattering(x)
    >>> R = Renormalized(scattering, S)(x)
    >>> before, after = S.max() / S.median(), R.max() / R.median()
    >>> print(f"peak over median: {before:.0f} before, {after:.0f} after")
    peak over median: 23 before, 2 after
    """

    __call__: Callable[[ArrayLike], torch.Tensor]  # torch types every module's call as Any
    eps: torch.Tensor | None
    gain: torch.Tensor | None

    def __init__(
        self,
        scattering: Scattering,
        target: ArrayLike,
        *,
        form: Literal["parent", "log", "both"] = "both",
        floor: float = 1e-3,
    ):
        super().__init__()
        self.scattering, self.form = scattering, check_choice(form, FORMS, "form")
        self.floor = check_positive(floor, "floor")
        check_instance(scattering, Scattering, "scattering")
        if form != "log" and 1 not in scattering.orders:
            raise ValueError(
                f"scattering must have order 1 to divide order 2 by, got orders {scattering.orders}"
            )
        target = like(check_numbers(target, "target"), scattering.frequencies, "target")
        parts = scattering.split(target, "target")
        eps = self.floor * parts[1].amax((-2, -1), keepdim=True) if form != "log" else None
        self.register_buffer("eps", eps if eps is None else or_one(eps))
        self.register_buffer("gain", None)
        self.gain = None if form == "parent" else self._gain(self.renormalize(target))

    @property
    def n_samples(self) -> int:
        """Length of the signals, as for the scattering transform."""
        return self.scattering.n_samples

    def forward(self, x: ArrayLike) -> torch.Tensor:
        """Compute renormalised coefficients of x, in the shape of those of `Scattering`."""
        return self.renormalize(self.scattering(x))

    def renormalize(self, S: ArrayLike) -> torch.Tensor:
        """Renormalise given coefficients, real array of shape (..., n_paths, n_frames).

        Raises
        ------
        ValueError, TypeError
            If they are bad, or negative in a row of order 1 or 2 beyond what rounding explains.
        """
        S = like(check_numbers(S, "S"), self.scattering.frequencies, "S")
        self._require_moduli(S)
        if self.eps is not None:
            S = self._by_parents(S, self.eps)
        return S if self.gain is None else _signed_log(self.gain, S)

    def _require_moduli(self, S: torch.Tensor) -> None:
        rounding = 64 * torch.finfo(S.dtype).eps * S.abs().amax((-2, -1))
        for order, part in self.scattering.split(S).items():
            leaked = max(NEGATIVE * self.floor, LEAKED) * part.amax((-2, -1)).clamp_min(0)
            if order > 0 and (part.amin((-2, -1)) < -leaked - rounding).any():
                raise ValueError(
                    f"S must not be negative in rows of order {order}, averages of moduli, got "
                    f"{float(part.amin()):.3g}; are they logarithms or decibels?"
                )

    def member(self, index: tuple[int | slice, ...]) -> "Renormalized":
        """Make the renormalisation of one signal of the batch that the target was."""
        one = copy.copy(self)
        one._buffers = {
            name: value if value is None or value.ndim == 2 else value[index]
            for name, value in self._buffers.items()
        }
        return one

    def _by_parents(self, S: torch.Tensor, eps: torch.Tensor) -> torch.Tensor:
        """Divide each row of order 2 by the row of order 1 that it was made from."""
        parents = S[..., self.scattering.parents.clamp(min=0), :].clamp_min(0)
        return torch.where(self.scattering.order[:, None] == 2, S / (parents + eps), S)

    def _gain(self, S: torch.Tensor) -> torch.Tensor:
        """Compute c / mu of each row from the target's coefficients."""
        S, mu = S.abs(), torch.empty_like(S[..., :1])
        for order, part in self.scattering.split(S).items():
            median = part.median(-1, keepdim=True).values
            smallest = self.floor * median.amax(-2, keepdim=True)
            mu[..., self.scattering.order == order, :] = torch.maximum(median, smallest)
        mu = or_one(mu)
        return 5 / or_one((S / mu).mean((-2, -1), keepdim=True)) / mu


def _signed_log(gain: torch.Tensor, S: torch.Tensor) -> torch.Tensor:
    """Compute log(1 + gain |S|) with the sign of S; its slope at zero is gain from both sides."""
    # No clamp or abs: the slope that torch gives them at zero depends on its version, or is 0.
    level = torch.log1p(gain * torch.where(S < 0, -S, S))
    return torch.where(S < 0, -level, level)


def or_one(x: torch.Tensor) -> torch.Tensor:
    """Replace zeros of x by ones, which makes x a divisor that leaves silence silent."""
    return torch.where(x == 0, torch.ones_like(x), x)


def _check_orders(orders: Iterable[int], T: float | str) -> tuple[int, ...]:
    try:
        given = list(orders) or [None]
    except TypeError:
        raise TypeError(f"orders must be a sequence of 0, 1 and 2, got {orders!r}") from None
    chosen = tuple(sorted({check_choice(order, (0, 1, 2), "orders") for order in given}))
    if 0 in chosen and T == 0:
        raise ValueError(
            f"orders must not hold 0 at T=0, where order 0 is the signal itself, got {chosen}"
        )
    return chosen


def _check_fits(n_samples: int, J: int, Q: tuple[int, int]) -> None:
    """Refuse a transform whose filters would not fit into memory."""
    wavelets = J * sum(Q)
    check_room(
        BYTES_PER_FILTER_VALUE * wavelets * n_samples,
        "n_samples, J and Q",
        f"{wavelets} filters for {n_samples:,} samples, as kymatio keeps them,",
        "cut a long signal into pieces",
    )


def _check_wavelets_per_octave(Q: Any) -> tuple[int, int]:
    """Check Q, and spell it out for both orders."""
    pair = (Q, 1) if getattr(Q, "ndim", 0) == 0 and not isinstance(Q, (list, tuple)) else tuple(Q)
    if len(pair) not in (1, 2):
        raise ValueError(f"Q must be a whole number, or one for each of two orders, got {Q!r}")
    first, second = (*pair, 1)[:2]
    return check_count(first, "Q", 1, LARGEST_Q), check_count(second, "Q", 1, LARGEST_Q)


def _kymatio(n_samples: int, J: int, Q: tuple[int, int], T: float | str, max_order: int) -> Any:
    """Make kymatio's transform in double precision, its output a list of paths."""
    Scattering1D = _import_kymatio()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Signal support is too small")
        bank = Scattering1D(
            J=J,
            shape=n_samples,
            Q=Q,
            T=0 if T == "global" else T,
            max_order=max_order,
            # At T=0 each path has its own rate, and oversampling by 2**J brings all of them to the
            # full rate. A mean over time does not need that.
            oversampling=J if T == 0 else 0,
            out_type="list",
        )
    for filter in (bank.phi_f, *bank.psi2_f):
        _level_gains(filter["levels"])
    return bank.double()


def _import_kymatio() -> Any:
    """Import kymatio's transform, or say how to install it."""
    try:
        from kymatio.torch import Scattering1D
    except ImportError as error:
        raise ImportError(
            f"Scattering needs kymatio, which could not be imported ({error}); "
            'install it with: pip install "scalinv_utils[course]"'
        ) from error
    return Scattering1D


def _level_gains(levels: list[torch.Tensor]) -> None:
    """Give the subsampled copies of a filter the gain of the filter itself, in place.

    kymatio 0.3.0 divides the copy for input subsampled by 2**k by 2**k although the input has
    kept its level: the more a path is subsampled, the smaller it becomes (kymatio's pull request
    736 proposed a correction). A loss would then hardly depend on the low frequencies.
    """
    for level in levels[1:]:
        level.mul_(levels[0].max() / level.max())
