"""Draw the pictures in figures/, each by one function: python -m scalinv_utils figures."""

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .. import metrics
from .._validation import check_choice
from .._whole_file import write_whole
from ..bounds import cramer_rao, noisy
from ..course import plotting, signals
from ..recovery._griffin_lim import griffin_lim
from ..recovery._pipeline import recover
from ..transforms.scalogram import Scalogram

__all__ = ["FIGURES", "build"]

FIGURES_FOLDER = Path(__file__).resolve().parents[2] / "figures"


def build(names: Iterable[str] | None = None, folder: str | Path = FIGURES_FOLDER) -> list[Path]:
    """Draw the named pictures, or all, as PNG files and return their paths.

    Raises
    ------
    ValueError
        If a name is unknown.
    """
    names = [check_choice(name, FIGURES, "names") for name in names or FIGURES]
    folder = Path(folder)
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{name}.png" for name in names]
    for name, path in zip(names, paths):
        print(f"drawing {path.name}")
        write_whole(path, plotting.render(FIGURES[name]()))
    return paths


def voice_and_recovery(n_samples: int = 2048, sample_rate: float = 8000) -> Figure:
    """Draw a voice, its scalogram, and the waveforms by Griffin-Lim and by recover()."""
    W = Scalogram(n_samples, sample_rate, wavelet="cauchy", voices_per_octave=32)
    x = W.project(signals.recording("speech", sample_rate, n_samples)[0])
    S = W.magnitude(x)
    answers = {
        "Griffin-Lim, 200 iterations": griffin_lim(S, W, momentum=0).signal,
        "recover()": recover(S, W, progress=False).signal,
    }
    plotting.use_style()
    figure = Figure(figsize=(9, 8), layout="constrained")
    axes = figure.subplots(4, 1)
    plotting.signal(axes[0], x, sample_rate)
    axes[0].set_title("A spoken syllable")
    plotting.scalogram(axes[1], S, W.frequencies, sample_rate)
    axes[1].set_title("Its scalogram: the phase is gone")
    for ax, (name, y) in zip(axes[2:], answers.items()):
        plotting.signal(ax, metrics.align(y, x), sample_rate)
        ax.set_title(
            f"{name}: scalogram fits to {metrics.consistency_db(y, S, W):.0f} dB, "
            f"waveform to {metrics.waveform_error_db(y, x):.0f} dB"
        )
    for ax in axes[:3]:
        ax.set_xlabel("")
    return figure


def ambiguity_circle(n_samples: int = 2048, sample_rate: float = 8000) -> Figure:
    """Draw a voice turned by 0 to 180 degrees, its one scalogram, and what other transforms see."""
    W = Scalogram(n_samples, sample_rate, wavelet="cauchy", f_min=60)
    x = W.project(signals.recording("speech", sample_rate, n_samples)[0])
    plotting.use_style()
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    left, middle, right = figure.subplots(ncols=3)
    spacing = 1.2 * float(x.abs().max())
    for k, degrees in enumerate(range(0, 181, 45)):
        turned = metrics.hilbert_rotation(x, math.radians(degrees))
        plotting.signal(left, turned - k * spacing, sample_rate, color=f"C{k}", linestyle="-")
    left.set(
        title="One voice, turned by ...",
        xlim=(0.1, 0.12),
        ylabel="angle (degrees)",
        xticks=[0.1, 0.11, 0.12],
        yticks=[-k * spacing for k in range(5)],
        yticklabels=range(0, 181, 45),
    )
    plotting.scalogram(middle, W.magnitude(x), W.frequencies, sample_rate)
    middle.set_title("... has one scalogram")
    _draw_differences(right, x, sample_rate)
    return figure


def _draw_differences(
    ax: Axes, x: torch.Tensor, sample_rate: float, floor_db: float = -120
) -> None:
    """Draw how much several kinds of scalograms change when x is turned; rounding is the floor."""
    n, angles = len(x), range(0, 181, 5)
    W = Scalogram(n, sample_rate, wavelet="cauchy", f_min=60)
    leaky = Scalogram(n, sample_rate, wavelet=("morlet", {"mu": 4}), f_min=60)
    lowpass = Scalogram(n, sample_rate, wavelet="cauchy", f_min=200, lowpass="modulus")
    signed = Scalogram(n, sample_rate, wavelet="cauchy", f_min=200, lowpass="signed")
    kinds = {
        "analytic": W.magnitude,
        "leaky Morlet": leaky.magnitude,
        "lowpass, modulus": lowpass.magnitude,
        "lowpass, signed": signed.magnitude,
        "real wavelet": lambda y: W(y).real.abs(),
    }
    curves = {}
    for name, measure in kinds.items():
        turned = [metrics.hilbert_rotation(x, math.radians(angle)) for angle in angles]
        seen = [metrics.misfit_db(measure(y), measure(x)) for y in turned]
        curves[name] = (list(angles), [max(level, floor_db) for level in seen])
    plotting.convergence(ax, curves, "angle (degrees)", "difference of scalograms (dB)")
    ax.legend(fontsize="small", loc="center", bbox_to_anchor=(0.5, 0.66))
    ax.set(title="What breaks the circle", xticks=range(0, 181, 45), ylim=(floor_db - 5, 5))


def error_against_bound(
    snrs: Sequence[float] = (10, 20, 30, 40, 50, 60), n_seeds: int = 5
) -> Figure:
    """Draw the errors of Griffin-Lim and recover() from noisy scalograms, and the bound."""
    W = Scalogram(256, 4000, wavelet="cauchy", voices_per_octave=12)
    x = W.project(signals.recording("speech", 4000, 256)[0])
    S, bound = W.magnitude(x), cramer_rao(x, W)
    methods = {
        "fast Griffin-Lim": (griffin_lim, "^"),
        "recover()": (lambda *given, **more: recover(*given, progress=False, **more), "s"),
    }
    plotting.use_style()
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    ax = figure.subplots()
    for name, (method, marker) in methods.items():
        errors = [
            [
                metrics.waveform_error_db(method(noisy(S, snr, seed), W, seed=seed).signal, x)
                for seed in range(n_seeds)
            ]
            for snr in snrs
        ]
        means, bars = np.transpose([metrics.mean_error_db(levels) for levels in errors])
        ax.errorbar(snrs, means, bars, fmt=marker, capsize=4, mfc="none", label=name)
    ax.plot(snrs, [-snr for snr in snrs], ":", color="0.5", label="as bad as the data")
    ax.plot(snrs, [float(bound.error_db(snr)) for snr in snrs], "k-", label="Cramér–Rao bound")
    ax.set(
        xlabel="SNR of the scalogram (dB)",
        ylabel="waveform error (dB)",
        title="A voice from its noisy scalogram: what is possible, and what is reached",
    )
    ax.legend()
    return figure


FIGURES: dict[str, Callable[[], Figure]] = {
    "voice_and_recovery": voice_and_recovery,
    "ambiguity_circle": ambiguity_circle,
    "error_against_bound": error_against_bound,
}
