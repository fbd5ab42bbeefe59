"""Let LTFAT recover a signal, in Octave, where a person has both.

The environment variable LTFAT_PATH names the folder of the Large Time-Frequency Analysis Toolbox,
compiled by its own ``ltfatmex``. It gets the scalogram and the filters of W, so that it inverts the
same coefficients as all others. Its phases come from

    tfr = 2 P^2 / (pi N f^2)          f in units of Nyquist, N samples

where P^2 is the time-bandwidth product of the wavelet, as for the closest Cauchy wavelet.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
import torch

from ..transforms.scalogram import Scalogram

__all__ = ["is_installed", "recovered_by_ltfat"]

LTFAT_FOLDER, OCTAVE = "LTFAT_PATH", "octave-cli"
SCRIPT = Path(__file__).parent / "data" / "ltfat.m"

# Its default tolerance of 1e-10 takes paths through what is next to nothing, and loses 21 dB.
SETTINGS = {"tol": 1e-6, "momentum": 0.99, "n_iter": 500}


def is_installed() -> bool:
    """Tell whether Octave is there, and LTFAT_PATH names a folder with LTFAT.

    Examples
    --------
    >>> from scalinv_utils.benchmark.ltfat import is_installed
    >>> is_installed() in (True, False)
    True
    """
    folder = os.environ.get(LTFAT_FOLDER, "")
    return shutil.which(OCTAVE) is not None and (Path(folder) / "ltfatstart.m").is_file()


def recovered_by_ltfat(S: torch.Tensor, W: Scalogram, seed: int) -> tuple[torch.Tensor, float]:
    """Recover a signal from its scalogram.

    Parameters
    ----------
    S : real Tensor, shape (n_freqs, n_samples)
    W : Scalogram
        Wavelets without a lowpass.
    seed : int
        Seed for the phases that integration never reaches.

    Returns
    -------
    Tensor, shape (n_samples,), and float
        The signal, and the seconds that the processor worked on it.

    Raises
    ------
    RuntimeError
        If Octave fails; the message is its own.
    """
    with tempfile.TemporaryDirectory() as folder:
        files = [str(Path(folder) / name) for name in ("problem.mat", "answer.mat")]
        scipy.io.savemat(files[0], {**SETTINGS, "seed": seed, **_problem(S, W)})
        command = [OCTAVE, "--no-gui", "--quiet", str(SCRIPT), *files]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"Octave ended with {done.returncode}: {done.stderr[-500:]}")
        answer = scipy.io.loadmat(files[1])
    return torch.from_numpy(answer["x"].ravel()), answer["seconds"].item()


def _problem(S: torch.Tensor, W: Scalogram) -> dict[str, Any]:
    """Describe scalogram and filters by the arrays that the script reads, lowest row first."""
    rising = np.argsort(W.frequencies.numpy())
    responses = np.zeros((W.n_freqs, W.n_samples))
    responses[:, : W.filters.shape[1]] = W.filters.double().numpy()
    band = np.zeros(W.n_samples)
    band[: len(W.band)] = W.band.numpy()
    fc = 2 * W.frequencies.numpy()[rising] / W.sample_rate
    return {
        "S": S.numpy()[rising].T,
        "H": responses[rising].T,
        "band": band[:, None],
        "fc": fc,
        "tfr": 2 * W.time_bandwidth / (np.pi * W.n_samples * fc**2),
    }
