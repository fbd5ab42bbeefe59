"""Scattering: wavelet moduli, averaged over time, and the same once more on the moduli.

    order 1     S1(t, l)     =  | x * psi_l | * phi_T                averaged scalogram
    order 2     S2(t, l, m)  =  | | x * psi_l | * psi_m | * phi_T    what that averaging removed

(Mallat 2012, doi:10.1002/cpa.21413; for sound Andén and Mallat 2014,
doi:10.1109/TSP.2014.2326991). The filters and the cascade are kymatio's (Andreux et al. 2020,
JMLR 21(60)); this module lays its output out on one grid that `recovery.invert_gradient` can
descend on, says what each row is, and adds what descent needs: a loss for each order,
renormalised coefficients, textures.
"""

import warnings

import torch

from .._validation import check_choice, check_count, check_number, check_positive, check_signal

__all__ = ["Renormalized", "Scattering"]

FORMS = ("parent", "log", "both")


class Scattering(torch.nn.Module):
    """A differentiable scattering transform on one grid: rows are paths, columns are frames.

    Parameters
    ----------
    n_samples : int
    sample_rate : float
        Samples per second.
    J : int
        Number of octaves: the lowest wavelet is as long as about 2**J samples.
    Q : int or (int, int)
        Wavelets per octave, of order 1 (and of order 2, default 1).
    T : 0, a number of samples from 1 to n_samples, or "global"
        Length of the average. 0 leaves it out (then order 1 is a scalogram), "global" takes the
        mean over the whole signal. Default: 2**J, as in kymatio.
    orders : sequence of 0, 1 and 2
        Which to compute. Order 0, the average of the signal itself, keeps its sign and has no
        modulus: without averaging it *is* the signal, and is refused there.

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
        A T longer than the signal, 2**J longer than the signal, an unknown order, order 0 at T=0.

    Examples
    --------
    >>> scattering = Scattering(2048, sample_rate=4000, T=256)              # doctest: +SKIP
    >>> S = scattering(x); scattering.split(S)[2]                           # doctest: +SKIP
    """

    def __init__(self, n_samples, sample_rate=1.0, *, J=6, Q=8, T=None, orders=(1, 2)):
        super().__init__()
        self.n_samples = check_count(n_samples, "n_samples", 2)
        self.sample_rate = float(check_positive(sample_rate, "sample_rate"))
        self.J, self.T = self._check_scales(J, T)
        self.orders = _check_orders(orders, self.T)
        self.bank = _kymatio(self.n_samples, self.J, Q, self.T, max(max(self.orders), 1))
        paths = [path["n"] for path in self.bank(torch.zeros(self.n_samples).double())]
        self._describe([n for n in paths if len(n) in self.orders])

    def forward(self, x):
        """Coefficients of x.

        Parameters
        ----------
        x : real array, shape (..., n_samples)

        Returns
        -------
        Tensor, shape (..., n_paths, n_frames)
            One frame per 2**floor(log2(T)) samples; n_samples of them at T=0, one at "global".
        """
        x = check_signal(x).to(self.bank.tensor0).contiguous()  # kymatio refuses strided ones
        if x.shape[-1] != self.n_samples:
            raise ValueError(f"x must have {self.n_samples} samples, got shape {tuple(x.shape)}")
        rows = [path["coef"] for path in self.bank(x) if len(path["n"]) in self.orders]
        if self.T == "global":
            rows = [row.mean(-1, keepdim=True) for row in rows]
        return torch.stack(rows, dim=-2)

    def split(self, S):
        """The rows of each order: dict of int to Tensor, shape (..., n_paths of it, n_frames)."""
        S = check_signal(S, name="S")
        if S.ndim < 2 or S.shape[-2] != len(self.order):
            raise ValueError(
                f"S must have the shape (..., {len(self.order)} paths, n_frames), "
                f"got shape {tuple(S.shape)}"
            )
        return {order: S[..., self.order == order, :] for order in self.orders}

    def _check_scales(self, J, T):
        J = check_count(J, "J")
        if 2**J > self.n_samples:
            raise ValueError(
                f"J must leave room for wavelets of 2**J samples in {self.n_samples}, got {J}"
            )
        if isinstance(T, str):
            return J, check_choice(T, ["global"], "T")
        T = 2**J if T is None else check_number(T, "T")
        if T != 0 and not 1 <= T <= self.n_samples:
            raise ValueError(
                f"T must be 0, 'global' or from 1 to {self.n_samples} samples, got {T!r}"
            )
        return J, T

    def _describe(self, paths):
        """What each row is, from kymatio's filter numbers: () or (n1,) or (n1, n2)."""
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
    """Scattering coefficients on scales where quiet ones count.

    Two published ideas, alone or one after the other:

    - "parent": S2 / (S1 of its parent + eps). It removes from order 2 the energy that order 1
      knows already. The form of published code (V. Lostanlen's scattering.m, which also divides
      order 1 by |x| * phi_T + eps; that is no function of S, and left out), usually credited to
      Andén and Mallat (2014, doi:10.1109/TSP.2014.2326991).
    - "log": log(1 + c S / mu), mu the median of each row, c = 5 / mean of S / mu. A "median-log
      Gaussianisation": it makes skewed coefficients less skewed. A variant, found in published
      code (J. Muradeli's WaveSpin), of equation 10 of Lostanlen et al. (2020, arXiv:2007.10926).
      There the median runs over a data set and c looks at significant entries only; one recording
      has no data set, so that here the median runs over the frames of the target and the mean
      over all its entries.

    Not verified: the wording of section VI.B of Andén, Lostanlen and Mallat (2019,
    arXiv:1807.08869), which is quoted for this use, and of the two papers above; neither form
    claims to be the one of section VI.B.

    Parameters
    ----------
    scattering : Scattering
        With order 1, if `form` is not "log".
    target : real array, shape (..., n_paths, n_frames)
        Plain coefficients; eps, mu and c are taken from them, for each signal of a batch by
        itself, and then stay.
    form : "parent", "log" or "both"
    floor : float
        eps relative to the largest S1, and the smallest mu relative to the largest of its order:
        below that, coefficients are rounding and must not be blown up.

    Raises
    ------
    ValueError, TypeError
        An unknown form, no order 1 to divide by, a target of another shape.
    """

    def __init__(self, scattering, target, *, form="both", floor=1e-3):
        super().__init__()
        self.scattering, self.form = scattering, check_choice(form, FORMS, "form")
        self.floor = check_positive(floor, "floor")
        if form != "log" and 1 not in scattering.orders:
            raise ValueError(
                f"scattering must have order 1 to divide order 2 by, got orders {scattering.orders}"
            )
        parts = scattering.split(target)
        eps = self.floor * parts[1].amax((-2, -1), keepdim=True) if form != "log" else None
        self.register_buffer("eps", eps if eps is None else or_one(eps))
        self.register_buffer("gain", None)
        self.gain = None if form == "parent" else self._gain(self.renormalize(target))

    @property
    def n_samples(self):
        return self.scattering.n_samples

    def forward(self, x):
        """Renormalised coefficients of x, shape as of `Scattering`."""
        return self.renormalize(self.scattering(x))

    def renormalize(self, S):
        """The same for given plain coefficients: real array, shape (..., n_paths, n_frames)."""
        S = check_signal(S, name="S")
        if self.form != "log":
            S = self._by_parents(S)
        return S if self.gain is None else torch.log1p(self.gain * S)

    def _by_parents(self, S):
        parents = S[..., self.scattering.parents.clamp(min=0), :]
        return torch.where(self.scattering.order[:, None] == 2, S / (parents + self.eps), S)

    def _gain(self, S):
        """c / mu for each row, from the target."""
        mu = torch.empty_like(S[..., :1])
        for order, part in self.scattering.split(S).items():
            median = part.median(-1, keepdim=True).values
            smallest = self.floor * median.amax(-2, keepdim=True)
            mu[..., self.scattering.order == order, :] = torch.maximum(median, smallest)
        mu = or_one(mu)
        return 5 / or_one((S / mu).mean((-2, -1), keepdim=True)) / mu


def or_one(x):
    """x with ones for its zeros: a divisor that leaves silence silent."""
    return torch.where(x == 0, torch.ones_like(x), x)


def _check_orders(orders, T):
    try:
        orders = tuple(sorted(set(orders)))
    except TypeError:
        raise TypeError(f"orders must be a sequence of 0, 1 and 2, got {orders!r}") from None
    for order in orders or (None,):
        check_choice(order, (0, 1, 2), "orders")
    if 0 in orders and T == 0:
        raise ValueError(
            f"orders must not hold 0 at T=0, where order 0 is the signal itself, got {orders}"
        )
    return orders


def _kymatio(n_samples, J, Q, T, max_order):
    """kymatio's transform in double precision, its output a list of paths."""
    from kymatio.torch import Scattering1D

    # At T=0 each path has a rate of its own; oversampling by 2**J brings all of them to the full
    # one. A mean over time needs no such detail.
    options = {"T": 0 if T == "global" else T, "oversampling": J if T == 0 else 0}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Signal support is too small")
        bank = Scattering1D(
            J=J, shape=n_samples, Q=Q, max_order=max_order, out_type="list", **options
        )
    for filter in (bank.phi_f, *bank.psi2_f):
        _level_gains(filter["levels"])
    return bank.double()


def _level_gains(levels):
    """Give the subsampled copies of a filter the gain of the filter itself, in place.

    kymatio 0.3.0 divides the copy for input subsampled by 2**k by 2**k although the input has
    kept its level, so that a path comes out smaller the more it was subsampled on its way (its
    pull request 736 proposed to mend that). A loss would then hardly see the low frequencies.
    """
    for level in levels[1:]:
        level.mul_(levels[0].max() / level.max())
