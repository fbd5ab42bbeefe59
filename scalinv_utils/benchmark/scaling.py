"""Measure the speed of the transform as ratios, and the cost of recover() against the size.

    python -m scalinv_utils benchmark --speed
    python -m scalinv_utils benchmark --size 1 2 4 8
    python -m scalinv_utils benchmark --long 60

Speed is a ratio to something timed in the same rounds, so that it holds on any machine and while
others use it: to the batch of inverse FFTs that a wavelet transform cannot avoid, to
``ssqueezepy.cwt`` with the same filters, and to the first order of kymatio's scattering with as
many filters. Cost against size is measured in one new process per run, whose memory nothing else
has touched. A sound too long for that is recovered slice by slice.
"""

import itertools
import json
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from tqdm.auto import tqdm

from .. import metrics
from .._compiled import ssqueezepy
from ..course import signals
from ..recovery._pipeline import recover
from ..recovery.segments import Slices
from ..transforms.scalogram import Scalogram
from .machine import PeakMemory, machine, versions
from .records import Row, append, read

__all__ = [
    "LONG_FIELDS",
    "SIZE_FIELDS",
    "SPEED_FIELDS",
    "measure_long",
    "measure_size",
    "slope",
    "speed",
]

SPEED_LENGTHS = (2**11, 2**14, 2**16)
SPEED_VOICES = 16
SPEED_RATIOS = (
    ("forward", "ifft"),
    ("both", "ifft"),
    ("forward", "ssqueezepy"),
    ("both", "kymatio"),
)
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
SIZE_RATE, SIZE_F_MIN = 16000, 60.0  # Hz; a fixed f_min gives as many rows at every length.
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

SLICE = 8192  # samples, which last half a second
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


def speed(n_samples: int, rounds: int = 15) -> Row:
    """Time the Scalogram in float32 against the FFTs it is made of and against its peers.

    Parameters
    ----------
    n_samples : int
        The length of the signal, a power of two.
    rounds : int
        Everything runs once in each round; a ratio is the median over the rounds.

    Returns
    -------
    dict by SPEED_FIELDS
        "forward" is W(x), and "both" is the modulus and its gradient.
    """
    torch.set_num_threads(1)
    scattering = _kymatio(n_samples)
    W = _as_many_filters(n_samples, len(scattering.psi1_f))
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n_samples, generator=generator)
    c = W(x)
    g = torch.rand(c.shape, generator=generator)
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
        for one, other in SPEED_RATIOS
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


def _kymatio(n_samples: int) -> Any:
    """Make kymatio's first order: 16 filters per octave, the longest a sixteenth of the signal."""
    from kymatio.torch import Scattering1D

    return Scattering1D(J=int(np.log2(n_samples)) - 4, shape=n_samples, Q=SPEED_VOICES, max_order=1)


def _as_many_filters(n_samples: int, n_freqs: int) -> Scalogram:
    """Make a Scalogram in float32 with this many rows, 16 per octave."""
    lowest = 0.5 * 2 ** (-(n_freqs - 1) / SPEED_VOICES)
    return Scalogram(
        n_samples, 1.0, wavelet="gmw", voices_per_octave=SPEED_VOICES, f_min=lowest * (1 - 1e-9)
    ).float()


def _both(
    transform: Callable[[torch.Tensor], torch.Tensor],
    x: torch.Tensor,
    g: torch.Tensor | None = None,
) -> None:
    """Run a transform and its backward pass, by default with the gradient 1 of each value."""
    x = x.clone().requires_grad_()
    S = transform(x)
    S.backward(torch.ones_like(S) if g is None else g)


def _ssqueezepy(W: Scalogram, x: torch.Tensor) -> Callable[[], Any]:
    """Make a call of ``ssqueezepy.cwt`` on x with the filters of W."""
    wavelet, scales = W.ssqueezepy_wavelet("float32"), W.scales.numpy().astype("float32")
    # ssqueezepy has no type stubs, and the types inferred from its default values are wrong.
    samples, cwt = x.numpy(), cast(Callable[..., Any], ssqueezepy.cwt)
    return lambda: cwt(samples, wavelet, scales, padtype=None)


def _interleaved(runs: dict[str, Callable[[], object]], rounds: int) -> dict[str, np.ndarray]:
    """Take turns running the calls; return the processor seconds of each, an array over rounds."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for k in range(rounds + 1):
        for name, run in runs.items():
            begin = time.process_time()
            run()
            if k:  # The first round compiles, plans and fills caches.
                seconds[name].append(time.process_time() - begin)
    return {name: np.array(values) for name, values in seconds.items()}


def speed_command(path: Path, lengths: Iterable[int] = SPEED_LENGTHS) -> None:
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


def measure_size(
    n_samples: int, signal: str = "speech", wavelet: str = "cauchy", voices: int = 32
) -> Row:
    """Time recover() in this process on a recording, repeated as often as needed.

    Returns
    -------
    dict by SIZE_FIELDS
        "seconds" are processor time, in which other users of the machine do not count. "steps" is
        the length of the history: the number of corrections does not follow from the size.
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


def _repeated(signal: str, n_samples: int) -> torch.Tensor:
    """Repeat a recording to this many samples."""
    x = signals.recording(signal, SIZE_RATE)[0]
    return x.repeat(-(-n_samples // len(x)))[:n_samples]


def slope(rows: Iterable[Row], column: str = "seconds", above: int = 0) -> float:
    """Fit the exponent p of column ~ n_samples^p over the rows with more than `above` samples.

    Raises
    ------
    ValueError
        If fewer than two lengths are left.

    Examples
    --------
    >>> from scalinv_utils.benchmark.scaling import slope
    >>> round(slope([{"n_samples": n, "seconds": 1e-6 * n**2} for n in (100, 200, 400)]), 6)
    2.0
    """
    rows = [row for row in rows if row["n_samples"] > above]
    lengths = {row["n_samples"] for row in rows}
    if len(lengths) < 2:
        raise ValueError(f"rows must hold at least two lengths above {above}, got {len(lengths)}")
    size, cost = (np.log([row[name] for row in rows]) for name in ("n_samples", column))
    return float(np.polyfit(size, cost, 1)[0])


def size_command(path: Path, multiples: Sequence[int] = (), fresh: bool = False) -> None:
    """Measure every signal at each length in a process of its own, unless the CSV has the row."""
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


def _in_a_process(n_samples: int, signal: str) -> Row:
    """Call `measure_size` in a new process, where nothing else has touched the memory."""
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


# --- Any length, slice by slice -------------------------------------------------------------------


def measure_long(
    seconds: float, wavelet: str = "cauchy", voices: int = 32, progress: bool = True
) -> Row:
    """Recover this many seconds of speech from the scalograms of its slices, in this process.

    Returns
    -------
    dict by LONG_FIELDS
        "peak_mb" is the rise of the memory and "process_mb" its highest level, which includes
        torch and everything else. "weakest_link_db" is the lowest level that two neighbouring
        slices share.
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


def long_command(path: Path, seconds: float) -> None:
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
