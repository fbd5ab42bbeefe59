"""What things cost: the speed of the transform as ratios, and recover() against the signal's size.

    python -m scalinv_utils benchmark --speed
    python -m scalinv_utils benchmark --size 1 2 4 8
    python -m scalinv_utils benchmark --long 60

Speed is a ratio to something that was timed in the same rounds, so that it holds on any machine
and while others use it: to the batch of inverse FFTs that a wavelet transform cannot avoid,
to ``ssqueezepy.cwt`` with the same filters, and to the first order of kymatio's scattering with as
many. Size is measured in one new process per length, whose memory nothing else has touched. What is
too long for that goes slice by slice.
"""

import itertools
import json
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from tqdm.auto import tqdm

from .. import metrics
from ..course import signals
from ..recovery._pipeline import recover
from ..recovery.segments import Slices
from ..transforms.scalogram import Scalogram
from .machine import PeakMemory, machine, versions
from .records import append, read

__all__ = [
    "LONG_FIELDS",
    "SIZE_FIELDS",
    "SPEED_FIELDS",
    "measure_long",
    "measure_size",
    "slope",
    "speed",
]

LENGTHS = (2**11, 2**14, 2**16)
VOICES = 16
SPEED_FIELDS = (
    "n_samples",
    "n_freqs",
    "ifft_seconds",
    "forward_over_ifft",
    "both_over_ifft",
    "forward_over_ssqueezepy",
    "both_over_kymatio",
    "coefficients_mb",
    "peak_mb",
    "machine",
    "versions",
)

UNIT_SAMPLES, MULTIPLES = 2048, (1, 2, 4, 8, 16, 32)
SIZE_RATE, SIZE_F_MIN = 16000, 60.0  # Hz: as many rows at every length
SIZE_SIGNALS = ("speech", "guitar", "choir")
SIZE_FIELDS = (
    "signal",
    "n_samples",
    "n_freqs",
    "wavelet",
    "voices",
    "seconds",
    "steps",
    "peak_mb",
    "scalogram_mb",
    "consistency_db",
    "waveform_error_db",
    "island_error_db",
    "machine",
    "versions",
)

SLICE = 8192  # samples, half a second
LONG_FIELDS = (
    "n_samples",
    "sample_rate",
    "slice_samples",
    "overlap",
    "n_slices",
    "wavelet",
    "voices",
    "seconds",
    "peak_mb",
    "process_mb",
    "worst_consistency_db",
    "waveform_error_db",
    "weakest_link_db",
    "machine",
    "versions",
)


# --- The transform's speed -----------------------------------------------------------------------


def speed(n_samples, rounds=15):
    """Time the Scalogram in float32 against what it is made of and against its peers.

    Parameters
    ----------
    n_samples : int
        A power of two.
    rounds : int
        In each round everybody runs once; a ratio is the median over the rounds.

    Returns
    -------
    dict by SPEED_FIELDS
        "forward" is W(x), "both" the modulus and its gradient.
    """
    torch.set_num_threads(1)
    scattering = _kymatio(n_samples)
    W = _as_many_filters(n_samples, len(scattering.psi1_f))
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n_samples, generator=generator)
    c, g = W(x), torch.rand(W.shape, generator=generator)
    runs = {
        "ifft": lambda: torch.fft.ifft(c),
        "forward": lambda: W(x),
        "both": lambda: _both(W.magnitude, x, g),
        "ssqueezepy": _ssqueezepy(W, x),
        "kymatio": lambda: _both(scattering, x),
    }
    seconds = _interleaved(runs, rounds)
    with PeakMemory() as memory:
        _both(W.magnitude, x, g)
    ratios = {
        f"{one}_over_{other}": float(np.median(seconds[one] / seconds[other]))
        for one, other in (
            ("forward", "ifft"),
            ("both", "ifft"),
            ("forward", "ssqueezepy"),
            ("both", "kymatio"),
        )
    }
    return {
        "n_samples": n_samples,
        "n_freqs": W.n_freqs,
        **ratios,
        "ifft_seconds": float(np.median(seconds["ifft"])),
        "coefficients_mb": c.numel() * c.element_size() / 1e6,
        "peak_mb": memory.megabytes,
        "machine": machine(),
        "versions": versions(),
    }


def _kymatio(n_samples):
    """kymatio's first order, 16 filters per octave, the longest a sixteenth of the signal."""
    from kymatio.torch import Scattering1D

    return Scattering1D(J=int(np.log2(n_samples)) - 4, shape=n_samples, Q=VOICES, max_order=1)


def _as_many_filters(n_samples, n_freqs):
    """A Scalogram in float32 with this many rows, 16 to the octave."""
    lowest = 0.5 * 2 ** (-(n_freqs - 1) / VOICES)
    return Scalogram(
        n_samples, 1.0, wavelet="gmw", voices_per_octave=VOICES, f_min=lowest * (1 - 1e-9)
    ).float()


def _both(transform, x, g=None):
    x = x.clone().requires_grad_()
    S = transform(x)
    S.backward(torch.ones_like(S) if g is None else g)


def _ssqueezepy(W, x):
    from ssqueezepy import cwt

    wavelet, scales = W.ssqueezepy_wavelet("float32"), W.scales.numpy().astype("float32")
    samples = x.numpy()
    return lambda: cwt(samples, wavelet, scales, padtype=None)


def _interleaved(runs, rounds):
    """Seconds of the processor, by name, an array over rounds."""
    seconds = {name: [] for name in runs}
    for k in range(rounds + 1):
        for name, run in runs.items():
            begin = time.process_time()
            run()
            if k:  # the first round compiles, plans and fills caches
                seconds[name].append(time.process_time() - begin)
    return {name: np.array(values) for name, values in seconds.items()}


def speed_command(path, lengths=LENGTHS):
    """Measure `speed` at every length, print the ratios and write them to a CSV."""
    rows = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for n_samples in tqdm(lengths, unit="length"):
            rows.append(speed(n_samples))
    path.unlink(missing_ok=True)
    append(path, SPEED_FIELDS, rows)
    for row in rows:
        print(
            "{n_samples:6d} samples, {n_freqs} rows: forward {forward_over_ifft:.2f} and both "
            "{both_over_ifft:.2f} times the inverse FFTs; forward {forward_over_ssqueezepy:.2f} "
            "times ssqueezepy; both {both_over_kymatio:.2f} times kymatio; "
            "{peak_mb:.0f} MB for {coefficients_mb:.0f} MB of coefficients".format(**row)
        )
    print(path)


# --- Cost against size ---------------------------------------------------------------------------


def measure_size(n_samples, signal="speech", wavelet="cauchy", voices=32):
    """recover() on a recording (repeated as often as needed), timed in this process.

    Returns
    -------
    dict by SIZE_FIELDS
        "seconds" are those of the processor: others who use it do not count. "steps" is the length
        of the history: how many corrections a signal needs, its length does not tell.
    """
    torch.set_num_threads(1)
    W = Scalogram(n_samples, SIZE_RATE, wavelet=wavelet, voices_per_octave=voices, f_min=SIZE_F_MIN)
    x = W.project(_repeated(signal, n_samples))
    S = W.magnitude(x)
    with PeakMemory() as memory:
        begin = time.process_time()
        result = recover(S, W, progress=False)
        seconds = time.process_time() - begin
    y = result.signal
    return {
        "signal": signal,
        "n_samples": n_samples,
        "n_freqs": W.n_freqs,
        "wavelet": wavelet,
        "voices": voices,
        "seconds": seconds,
        "steps": len(result.history["seconds"]),
        "peak_mb": memory.megabytes,
        "scalogram_mb": S.numel() * S.element_size() / 1e6,
        "consistency_db": metrics.consistency_db(y, S, W),
        "waveform_error_db": metrics.waveform_error_db(y, x),
        "island_error_db": metrics.island_error_db(y, x, W),
        "machine": machine(),
        "versions": versions(),
    }


def _repeated(signal, n_samples):
    """A recording, repeated as often as needed."""
    x = signals.recording(signal, SIZE_RATE)[0]
    return x.repeat(-(-n_samples // len(x)))[:n_samples]


def slope(rows, column="seconds", above=0):
    """The exponent p of column ~ n_samples^p, fitted over the rows beyond `above` samples."""
    rows = [row for row in rows if row["n_samples"] > above]
    lengths = {row["n_samples"] for row in rows}
    if len(lengths) < 2:
        raise ValueError(f"rows must hold at least two lengths above {above}, got {len(lengths)}")
    size, cost = (np.log([row[name] for row in rows]) for name in ("n_samples", column))
    return float(np.polyfit(size, cost, 1)[0])


def size_command(path, multiples=(), fresh=False):
    """Measure every signal at each length in a process of its own, but for what the CSV has."""
    if fresh:
        path.unlink(missing_ok=True)
    done = {(row["n_samples"], row["signal"]) for row in read(path)} if path.exists() else set()
    lengths = [UNIT_SAMPLES * k for k in multiples or MULTIPLES]
    bar = tqdm([run for run in itertools.product(lengths, SIZE_SIGNALS) if run not in done])
    for n_samples, signal in bar:
        bar.set_postfix_str(f"{signal}, {n_samples} samples")
        append(path, SIZE_FIELDS, [_in_a_process(n_samples, signal)])
    rows = sorted(read(path), key=lambda row: row["n_samples"])
    for row in rows:
        print(
            "{n_samples:7d} samples of {signal}: {seconds:8.1f} s, {peak_mb:6.0f} MB, waveform "
            "error {waveform_error_db:.1f} dB".format(**row)
        )
    if len({row["n_samples"] for row in rows}) > 1:
        print(f"time grows as N^{slope(rows):.2f}, memory as N^{slope(rows, 'peak_mb'):.2f}")
    print(Path(path))


def _in_a_process(n_samples, signal):
    """`measure_size` where nothing else has touched the memory."""
    child = subprocess.run(
        [sys.executable, "-m", "scalinv_utils.benchmark.scaling", str(n_samples), signal],
        stdout=subprocess.PIPE,
        text=True,
    )
    if child.returncode:
        raise ValueError(
            f"--size must be a multiple of {UNIT_SAMPLES} samples that fits into "
            f"memory, got {n_samples // UNIT_SAMPLES}: its process ended with "
            f"status {child.returncode}"
        )
    return json.loads(child.stdout)


# --- Any length, slice by slice ------------------------------------------------------------------


def measure_long(seconds, wavelet="cauchy", voices=32, progress=True):
    """Speech of so many seconds, recovered from the scalograms of its slices in this process.

    Returns
    -------
    dict by LONG_FIELDS
        "peak_mb" is how far memory rises, "process_mb" up to what, torch and all included;
        "weakest_link_db" the least that two neighbouring slices share.
    """
    torch.set_num_threads(1)
    W = Scalogram(SLICE, SIZE_RATE, wavelet=wavelet, voices_per_octave=voices, f_min=SIZE_F_MIN)
    slices = Slices(W)
    x = slices.project(_repeated("speech", round(seconds * SIZE_RATE)))
    with PeakMemory() as memory:
        begin = time.process_time()
        result = slices.recover(slices.magnitude(x), len(x), progress=progress)
        spent = time.process_time() - begin
    return {
        "n_samples": len(x),
        "sample_rate": SIZE_RATE,
        "slice_samples": SLICE,
        "overlap": slices.overlap,
        "n_slices": slices.count(len(x)),
        "wavelet": wavelet,
        "voices": voices,
        "seconds": spent,
        "peak_mb": memory.megabytes,
        "process_mb": memory.total_megabytes,
        "worst_consistency_db": max(result.history["consistency_db"]),
        "waveform_error_db": metrics.waveform_error_db(result.signal, x),
        "weakest_link_db": min(result.details["links_db"]),
        "machine": machine(),
        "versions": versions(),
    }


def long_command(path, seconds):
    """Measure one length and write it to a CSV."""
    row = measure_long(seconds)
    path.unlink(missing_ok=True)
    append(path, LONG_FIELDS, [row])
    print(
        "{n_samples} samples in {n_slices} slices: {seconds:.0f} s of the processor, "
        "{process_mb:.0f} MB in all, waveform error {waveform_error_db:.1f} dB, worst slice "
        "{worst_consistency_db:.1f} dB, weakest link {weakest_link_db:.1f} dB".format(**row)
    )
    print(Path(path))


if __name__ == "__main__":
    print(json.dumps(measure_size(int(sys.argv[1]), sys.argv[2])))
