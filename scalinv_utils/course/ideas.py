"""The ideas of the course as pictures that move: custom elements which compute in the browser.

Each function returns an `Idea`. Where scripts run it is alive; elsewhere it is a still picture and
words. Data are computed here from recordings of the course, and rounded where they are only drawn.
The files web/idea-*.js carry out the algorithms themselves; tests compare them with the package.
"""

import html
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from IPython.display import HTML, display
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .. import metrics
from ..recovery import integrate_phase, phase_derivatives
from ..recovery._phase_relations import power_derivative
from ..transforms.scalogram import Scalogram
from . import _web, plotting, signals
from .plotting import ATTEMPT, ERROR, TRUTH

__all__ = ["Idea", "circle", "heap", "projections", "rotation"]


class Idea:
    """An animation with its still picture, which the functions of this module return.

    A notebook stores two outputs: the picture with its alternative text, for viewers that run no
    scripts, and the element, which hides the picture when it comes alive.

    Attributes
    ----------
    name : str
        The element is ``scalinv-idea-<name>``.
    data : dict
        The numbers that the element computes with.
    picture : plotting.Picture
        One figure, closed, with its alternative text.
    words : str
        The words for those who cannot see the animation: `alt`, and more.
    html : str
        The element, with the words below it.

    Examples
    --------
    >>> from scalinv_utils.course import ideas
    >>> idea = ideas.projections()
    >>> idea.html.startswith("<scalinv-idea-projections>")
    True
    """

    def __init__(self, name: str, data: dict[str, Any], still: Figure, alt: str, more: str = ""):
        self.name, self.data = name, data
        self.picture = plotting.picture(still, alt)
        self.words = " ".join([self.picture.alt, *more.split()])
        summary = "<summary><small>In words</small></summary>"
        below = f"<details>{summary}{html.escape(self.words)}</details>"
        self.html = _web.element(f"idea-{name}", data, below)

    def _repr_html_(self) -> str:
        return self.html

    def _ipython_display_(self) -> None:
        display(self.picture, HTML(self.html))

    def __repr__(self) -> str:
        return self.words


# --- A coefficient turns -------------------------------------------------------------------------


def rotation() -> Idea:
    """Show one coefficient as an arrow that turns while time runs along its row.

    Returns
    -------
    Idea
        Its controls are the time and an angle by which all phases are turned.

    Examples
    --------
    >>> from scalinv_utils.course import ideas
    >>> len(ideas.rotation().data["re"])
    480
    """
    rate, n_samples = 8000, 480
    W = Scalogram(4096, rate, wavelet="cauchy", voices_per_octave=16, f_min=60)
    recorded, _ = signals.recording("speech", rate, 4096, start=0.54)
    row = int((W.frequencies - 250).abs().argmin())
    c = W(signals.fade(recorded, rate))[row, 800 : 800 + n_samples].numpy()
    c, hertz = c / np.abs(c).max(), round(float(W.frequencies[row]))
    data: dict[str, Any] = {"re": c.real.round(4).tolist(), "im": c.imag.round(4).tolist()}
    data |= {"rate": rate, "hertz": hertz}
    more = "If all phases are turned by one angle, the real part changes, and no length does."
    return Idea("rotation", data, _draw_row(c, rate, hertz), _row_in_words(c, rate, hertz), more)


def _row_in_words(c: np.ndarray, rate: float, hertz: float) -> str:
    angle, length = np.unwrap(np.angle(c)), np.abs(c)
    turns, seconds = (angle[-1] - angle[0]) / (2 * np.pi), (len(c) - 1) / rate
    return f"""In a row at {hertz} Hz of a spoken word, the coefficient is an arrow that turns
        {turns:.1f} times in {1000 * seconds:.0f} ms, {turns / seconds:.0f} times a second. Its
        length, the modulus, changes slowly between {length.min():.2f} and 1 of its largest value;
        its real part swings between plus and minus this length. The scalogram keeps the length."""


def _draw_row(c: np.ndarray, rate: float, hertz: float) -> Figure:
    fig, (plane, row) = plt.subplots(ncols=2, figsize=(9, 3), width_ratios=(1, 2))
    re, im = np.real(c), np.imag(c)
    times, shown = 1000 * np.arange(len(c)) / rate, slice(100, 132)
    plane.plot(re[shown], im[shown], "-", color=ATTEMPT)
    for k in range(100, 132, 8):
        plane.annotate("", (re[k], im[k]), (0, 0), arrowprops={"arrowstyle": "->"})
    plane.set(xlim=(-1.1, 1.1), ylim=(-1.1, 1.1), aspect="equal", xlabel="real part")
    plane.set(ylabel="imaginary part", title="4 ms of its way, four arrows")
    row.plot(times, re, "-", color=ATTEMPT, label="real part")
    row.plot(times, np.abs(c), "-", color=ERROR, label="modulus")
    row.plot(times, -np.abs(c), ":", color=ERROR)
    row.set(xlabel="time (ms)", ylim=(-1.1, 1.5), title=f"one row, {hertz} Hz")
    row.legend(ncols=2, loc="upper right")
    return fig


# --- The circle ----------------------------------------------------------------------------------


def circle() -> Idea:
    """Show a sound that is dragged along its circle: the waveform moves, the scalogram does not.

    Returns
    -------
    Idea
        Its control is the angle, as a slider and under the pointer.

    Examples
    --------
    >>> from scalinv_utils.course import ideas
    >>> ideas.circle().data["theta"]
    60
    """
    W, x = _short_voice(voices_per_octave=8)
    data = {"x": x.tolist(), **_transform(W), "theta": 60}
    x = W.project(x)
    alt = f"""Turned by 60 and by 180 degrees, 64 ms of a voice become other waveforms, which differ
        from the first by {_moved_db(x, 60):.0f} and {_moved_db(x, 180):.0f} dB; at 180 degrees the
        sound is upside down. The three scalograms below are the same."""
    more = f"""At 23 angles around the circle no modulus changes by more than
        {_modulus_moved_db(W, x):.0f} dB of the largest, which is rounding."""
    return Idea("circle", data, _draw_circle(W, x), alt, more)


def _moved_db(x: torch.Tensor, degrees: float) -> float:
    """How far the waveform moves; plus 0, so that nothing is printed as -0."""
    return round(metrics.decibels((_turned(x, degrees) - x).norm() / x.norm()), 1) + 0.0


def _modulus_moved_db(W: Scalogram, x: torch.Tensor) -> float:
    """How far any modulus moves at most, every 15 degrees, relative to the largest."""
    S = W.magnitude(x)
    moved = [(W.magnitude(_turned(x, angle)) - S).abs().max() for angle in range(15, 360, 15)]
    return metrics.decibels(max(moved) / S.max())


def _short_voice(voices_per_octave: int) -> tuple[Scalogram, torch.Tensor]:
    """Return 64 ms of speech, rounded as they are stored, and a transform for them."""
    rate, n_samples = 4000, 256
    W = Scalogram(n_samples, rate, wavelet="cauchy", voices_per_octave=voices_per_octave)
    recorded, _ = signals.recording("speech", rate, n_samples, start=0.54)
    return W, signals.fade(recorded, rate).mul(1e5).round().div(1e5)


def _transform(W: Scalogram) -> dict[str, Any]:
    """Say what web/_cauchy.js needs to know of a transform."""
    hertz = W.frequencies.numpy().round(1).tolist()
    rows = {"scales": W.scales.tolist(), "hertz": hertz, "beta": W.wavelet[1]["beta"]}
    return {"rate": W.sample_rate, **rows}


def _turned(x: torch.Tensor, degrees: float) -> torch.Tensor:
    return metrics.hilbert_rotation(x, np.deg2rad(degrees))


def _draw_circle(W: Scalogram, x: torch.Tensor) -> Figure:
    fig, axes = plt.subplots(2, 3, figsize=(10, 4.4), sharex=True, sharey="row")
    for (wave, plane), degrees in zip(axes.T, (0, 60, 180)):
        y = _turned(x, degrees)
        plotting.signal(wave, x, W.sample_rate, color=TRUTH, linestyle="--")
        plotting.signal(wave, y, W.sample_rate, color=ATTEMPT, linestyle="-")
        wave.set(title=f"turned by {degrees}°", xlabel="", ylabel="")
        plotting.scalogram(plane, W.magnitude(y), W.frequencies, W.sample_rate, colorbar=False)
        plane.set(ylabel="")
    axes[0, 0].set_ylabel("waveform")
    axes[1, 0].set_ylabel("frequency (Hz)")
    return fig


# --- Two sets ------------------------------------------------------------------------------------


class Curve(NamedTuple):
    """A circle with lobes: r = 1 + depth cos(lobes (angle - tilt)) around a centre."""

    centre: tuple[float, float] = (0.0, 0.75)
    lobes: int = 3
    depth: float = 0.35
    tilt: float = -0.9

    def __call__(self, angle: np.ndarray) -> np.ndarray:
        """Compute points, shape (2,) + that of `angle`."""
        r = 1 + self.depth * np.cos(self.lobes * (angle - self.tilt))
        return np.array([self.centre[0] + r * np.cos(angle), self.centre[1] + r * np.sin(angle)])

    def nearest(self, x: float) -> np.ndarray:
        """Find the point that is nearest to (x, 0): on ever finer grids around the best."""
        middle, width, p = 0.0, np.pi, np.zeros(2)
        for _ in range(8):
            angles = middle + width * np.linspace(-1, 1, 721)
            points = self(angles)
            best = np.hypot(points[0] - x, points[1]).argmin()
            middle, width, p = angles[best], width / 180, points[:, best]
        return p


# The steps of one run, and the momentum that fast Griffin-Lim takes by default.
N_STEPS, FAST_MOMENTUM = 60, 0.99


def projections() -> Idea:
    """Show alternating projections between a line and a bent curve, for starts of one's choice.

    Returns
    -------
    Idea
        Its controls are the start, also by a click, the step, and the momentum of Griffin-Lim.

    Examples
    --------
    >>> from scalinv_utils.course import ideas
    >>> ideas.projections().data["momentum"]
    0.99
    """
    curve, seen = Curve(), {"x": [-1.7, 1.7], "y": [-0.5, 2.13]}
    data: dict[str, Any] = {"curve": curve._asdict(), "seen": seen, "start": -1.2}
    stuck, freed, caught = (
        _distance(curve, list(alternate(curve, start, momentum))[-1])
        for start, momentum in ((-1.2, 0), (-1.2, FAST_MOMENTUM), (0.4, FAST_MOMENTUM))
    )
    alt = f"""A line stands for the consistent arrays, a bent closed curve for those with the given
        moduli; the two meet at two points. From the start 0.40 the nearest points, taken in turn,
        lead to one of them. From -1.20 they lead to a place where the distance between the sets is
        {stuck:.3f} and falls no further, although the sets meet elsewhere."""
    more = f"""Momentum {FAST_MOMENTUM} leads from -1.20 to a meeting point (distance
        {_small(freed)}), and from 0.40 into the trap ({caught:.3f}): it changes which starts
        arrive."""
    data |= {"steps": N_STEPS, "momentum": FAST_MOMENTUM}
    return Idea("projections", data, _draw_projections(curve), alt, more)


def alternate(curve: Curve, start: float, momentum: float = 0.0) -> Iterator[float]:
    """Generate the iterates on the line y = 0: the start, then one a step.

    They are t = P c and c = t + momentum (t - t_old), as in fast Griffin-Lim.
    """
    c = t = start
    yield t
    for _ in range(N_STEPS):
        t, t_old = float(curve.nearest(c)[0]), t
        c = t + momentum * (t - t_old)
        yield t


def _distance(curve: Curve, x: float) -> float:
    return float(np.hypot(*(curve.nearest(x) - (x, 0))))


def _small(distance: float) -> str:
    return "below 1e-6" if distance < 1e-6 else f"{distance:.3f}"


def _draw_projections(curve: Curve) -> Figure:
    fig, (plane, fall) = plt.subplots(ncols=2, figsize=(9, 3.4))
    plane.plot(*curve(np.linspace(0, 2 * np.pi, 721)), color=TRUTH, linestyle="-")
    plane.axhline(0, color=TRUTH, linestyle="-")
    for start, colour, style in ((-1.2, ATTEMPT, "-"), (0.4, ERROR, "--")):
        iterates = list(alternate(curve, start))
        way = np.array([point for x in iterates for point in ((x, 0.0), curve.nearest(x))])
        plane.plot(way[:, 0], way[:, 1], color=colour, linestyle=style)
        plane.plot(start, 0, "o", color=colour)
        distances = [max(_distance(curve, x), 1e-9) for x in iterates]
        fall.semilogy(distances, color=colour, linestyle=style, label=f"start {start}")
    plane.set(xlim=(-1.7, 1.7), ylim=(-0.6, 2.2), aspect="equal", title="two sets, two starts")
    fall.set(xlabel="step", ylim=(1e-6, 1), title="distance between the sets")
    fall.legend()
    return fig


# --- The heap ------------------------------------------------------------------------------------


def heap() -> Idea:
    """Show how heap integration gives phases to the coefficients of a voice, one by one.

    Returns
    -------
    Idea
        Its control is the number of coefficients reached.

    Examples
    --------
    >>> from scalinv_utils.course import ideas
    >>> len(ideas.heap().data["x"])
    256
    """
    W, x = _short_voice(voices_per_octave=12)
    data = {"x": x.tolist(), **_transform(W), **_relation(W), "stage": 24}
    x = W.project(x)
    S = W.magnitude(x)
    phase, order, _ = integrate_phase(S, W, *phase_derivatives(S, W), torch.zeros_like(S))
    reached = [_reached(W, x, phase, order, share) for share in (0.16, 0.5, 1.0)]
    error = [f"{metrics.waveform_error_db(y, x):.0f}" for y, _ in reached]
    alt = f"""The scalogram of 64 ms of a voice has {S.numel():,} moduli. Heap integration gives
        them phases, from the loudest outwards along the bright ridges, and the quiet ones last.
        After 16 % of the coefficients their waveform is {error[0]} dB from the truth, after half of
        them {error[1]} dB, and with all of them {error[2]} dB."""
    more = f"""With the true phases half of them would give {_with_true_phases(W, x, order):.0f} dB,
        too: what is missing at this point is coefficients, not the right phases."""
    return Idea("heap", data, _draw_heap(W, x, reached), alt, more)


def _relation(W: Scalogram) -> dict[str, Any]:
    """Say what the relation between modulus and phase needs: constants, and weights of rows."""
    stencils, rows = [], []
    for weights in power_derivative(W):
        used = np.flatnonzero(weights)
        stencil = weights[used[0] : used[-1] + 1].tolist()
        if stencil not in stencils:
            stencils.append(stencil)
        rows.append([int(used[0]), stencils.index(stencil)])
    spacing = float(np.log(2) / W.voices_per_octave)
    constants = {"peak": W.peak, "timeBandwidth": W.time_bandwidth, "spacing": spacing}
    return {**constants, "stencils": stencils, "rowStencils": rows}


def _reached(
    W: Scalogram, x: torch.Tensor, phase: torch.Tensor, order: torch.Tensor, share: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the signal of the coefficients reached so far, turned to fit x, and their mask."""
    mask = order < share * order.numel()
    y = W.inverse(torch.polar(W.magnitude(x) * mask, phase))
    return metrics.align(y, x), mask


def _with_true_phases(W: Scalogram, x: torch.Tensor, order: torch.Tensor) -> float:
    return metrics.waveform_error_db(W.inverse(W(x) * (order < order.numel() / 2)), x)


def _draw_heap(
    W: Scalogram, x: torch.Tensor, reached: list[tuple[torch.Tensor, torch.Tensor]]
) -> Figure:
    fig, axes = plt.subplots(2, len(reached), figsize=(10, 4.4), sharex=True, sharey="row")
    for (plane, wave), (y, mask) in zip(axes.T, reached):
        _draw_reached(plane, W, W.magnitude(x), mask)
        plotting.signal(wave, x, W.sample_rate, color=TRUTH, linestyle="-")
        plotting.signal(wave, y, W.sample_rate, color=ATTEMPT, linestyle="--")
        wave.set(title=f"error {metrics.waveform_error_db(y, x):.0f} dB", ylabel="")
    axes[0, 0].set_ylabel("frequency (Hz)")
    axes[1, 0].set_ylabel("waveform")
    return fig


def _draw_reached(ax: Axes, W: Scalogram, S: torch.Tensor, mask: torch.Tensor) -> None:
    """Draw the points reached in colour, the others in grey."""
    plotting.scalogram(ax, S, W.frequencies, W.sample_rate, cmap="gray", colorbar=False)
    mesh = plotting.scalogram(ax, S, W.frequencies, W.sample_rate, colorbar=False)
    mesh.set_array(np.ma.masked_where(~mask.numpy(), plotting.level_db(S)))
    share = 100 * float(mask.double().mean())
    ax.set(title=f"{share:.0f} % of the points reached", xlabel="", ylabel="")
