"""The pictures in figures/, each drawn by one function: python -m scalinv_utils figures."""

from pathlib import Path

import numpy as np

from . import metrics, plotting, signals
from .bounds import cramer_rao, noisy
from .griffin_lim import griffin_lim
from .recovery import recover
from .transforms import Scalogram
from .validation import check_choice

__all__ = ["FIGURES", "build"]

FOLDER = Path(__file__).resolve().parent.parent / "figures"


def build(names=None, folder=FOLDER):
    """Draw the named pictures (default: all) as PNG files; returns their paths.

    Raises
    ------
    ValueError
        An unknown name.
    """
    names = [check_choice(name, FIGURES, "names") for name in names or FIGURES]
    folder = Path(folder)
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{name}.png" for name in names]
    for name, path in zip(names, paths):
        print(f"drawing {path.name}")
        path.write_bytes(plotting.render(FIGURES[name]()))
    return paths


def voice_and_recovery(n_samples=2048, sample_rate=8000):
    """Signal, scalogram, what Griffin-Lim makes of it, what recover() makes of it."""
    from matplotlib.figure import Figure

    W = Scalogram(n_samples, sample_rate, "cauchy", voices_per_octave=32)
    x = W.project(signals.recording("speech", sample_rate, n_samples)[0])
    S = W.magnitude(x)
    answers = {"Griffin-Lim, 200 iterations": griffin_lim(S, W, momentum=0).signal,
               "recover()": recover(S, W, progress=False).signal}
    plotting.use_style()
    figure = Figure(figsize=(9, 8), layout="constrained")
    axes = figure.subplots(4, 1)
    plotting.signal(axes[0], x, sample_rate)
    axes[0].set_title("A spoken syllable")
    plotting.scalogram(axes[1], S, W.frequencies, sample_rate)
    axes[1].set_title("Its scalogram: the phase is gone")
    for ax, (name, y) in zip(axes[2:], answers.items()):
        turn = metrics.best_phase(metrics.analytic(y), metrics.analytic(x))
        plotting.signal(ax, (turn * metrics.analytic(y)).real, sample_rate)
        ax.set_title(f"{name}: scalogram fits to {metrics.consistency_db(y, S, W):.0f} dB, "
                     f"waveform to {metrics.waveform_error_db(y, x):.0f} dB")
    for ax in axes[:3]:
        ax.set_xlabel("")
    return figure


def error_against_bound(snrs=(10, 20, 30, 40, 50, 60), n_seeds=5):
    """Waveform error of Griffin-Lim and of recover() from noisy scalograms, and the bound."""
    from matplotlib.figure import Figure

    W = Scalogram(256, 4000, "cauchy", voices_per_octave=12)
    x = W.project(signals.recording("speech", 4000, 256)[0])
    S, bound = W.magnitude(x), cramer_rao(x, W)
    methods = {"fast Griffin-Lim": (griffin_lim, "^"),
               "recover()": (lambda *given, **more: recover(*given, progress=False, **more), "s")}
    plotting.use_style()
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    ax = figure.subplots()
    for name, (method, marker) in methods.items():
        errors = [[metrics.waveform_error_db(method(noisy(S, snr, seed), W, seed=seed).signal, x)
                   for seed in range(n_seeds)] for snr in snrs]
        means, bars = np.transpose([metrics.mean_error_db(levels) for levels in errors])
        ax.errorbar(snrs, means, bars, fmt=marker, capsize=4, mfc="none", label=name)
    ax.plot(snrs, [-snr for snr in snrs], ":", color="0.5", label="as bad as the data")
    ax.plot(snrs, [bound.error_db(snr) for snr in snrs], "k-", label="Cramér–Rao bound")
    ax.set(xlabel="SNR of the scalogram (dB)", ylabel="waveform error (dB)",
           title="A voice from its noisy scalogram: what is possible, and what is reached")
    ax.legend()
    return figure


FIGURES = {"voice_and_recovery": voice_and_recovery, "error_against_bound": error_against_bound}
