"""Exercises of notebook 11, your own scalogram."""

from typing import Any

import numpy as np
import torch

from ._machinery import compare, exercise


def deviation(S, step_db):
    """Compute the standard deviation of a modulus S whose decibels were rounded to a step."""
    in_db = step_db / 12**0.5
    return S * np.log(10) / 20 * in_db


def _whole_step(S, step_db):
    return S * np.log(10) / 20 * step_db


def _half_a_step(S, step_db):
    return S * np.log(10) / 20 * step_db / 2


def _still_in_db(S, step_db):
    return torch.full_like(S, step_db / 12**0.5)


def _of_power(S, step_db):
    return S * np.log(10) / 10 * step_db / 12**0.5


def _base_ten(S, step_db):
    return S / 20 * step_db / 12**0.5


@exercise(
    "11.1",
    "How large are the errors of a modulus whose decibels were rounded?",
    r"Errors that are evenly distributed over one step have the standard deviation "
    r"$\mathrm{step}/\sqrt{12}$; that is in dB. The modulus is $S = 10^{D/20}$, so that its "
    r"derivative by $D$ turns an error in dB into one of the modulus.",
    deviation,
    [_whole_step, _half_a_step, _still_in_db, _of_power, _base_ten],
    "The errors are proportional to the modulus: quiet values of a picture in dB are as accurate, "
    "relative to themselves, as loud ones. On a linear scale all errors are equal.",
)
def check_deviation(answer: Any) -> str | None:
    """Check the answer to exercise 11.1 on four magnitudes and two steps, to first order."""
    S = torch.tensor([[1e-3, 0.02], [0.3, 1.0]], dtype=torch.float64)
    for step_db in (0.02, 80 / 255):
        what = f"the standard deviation for a step of {step_db:g} dB"
        # Right answers may differ in the second order of the step, or be the mean of many draws.
        complaint = compare(answer(S, step_db), deviation(S, step_db), what, rtol=0.03)
        if complaint:
            return complaint
    return None


def per_sample(n_samples, hops):
    """Count the magnitudes per sample when row j keeps every hops[j]-th column, from column 0."""
    return sum(-(-n_samples // hop) for hop in hops) / n_samples


def _one_mean_hop(n_samples, hops):
    return len(hops) / (sum(hops) / len(hops))


def _in_all(n_samples, hops):
    return sum(-(-n_samples // hop) for hop in hops)


def _loses_the_last(n_samples, hops):
    return sum(n_samples // hop for hop in hops) / n_samples


def _per_row(n_samples, hops):
    return per_sample(n_samples, hops) / len(hops)


def _parts_of_columns(n_samples, hops):
    return sum(1 / hop for hop in hops)


@exercise(
    "11.2",
    "How many magnitudes per sample are kept?",
    "A row that keeps the columns 0, h, 2h ... of n has n/h of them, rounded up. Add them over the "
    "rows, and divide by the number of samples.",
    per_sample,
    [_one_mean_hop, _in_all, _loses_the_last, _per_row, _parts_of_columns],
    "When hops double from octave to octave, the rows of the highest octave make up about half of "
    "the sum. That is why many low rows cost little.",
)
def check_per_sample(answer: Any) -> str | None:
    """Check the answer to exercise 11.2 on three lists of hops."""
    for n_samples, hops in [(512, [8] * 43), (512, [2, 2, 4, 8, 16]), (100, [3, 7, 64])]:
        got = answer(n_samples, hops)
        what = f"R for {n_samples} samples and hops from {hops[0]} to {hops[-1]}"
        complaint = compare(got, per_sample(n_samples, hops), what)
        if complaint and compare(got, _parts_of_columns(n_samples, hops)) is None:
            return f"{what} counts parts of columns: a row keeps a whole number of them."
        if complaint:
            return complaint
    return None
