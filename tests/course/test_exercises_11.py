"""The exercises of notebook 11 accept every right way, and say what is wrong with the others."""

import math

import numpy as np
import pytest
import torch

from scalinv_utils.course import exercises

# --- 11.1: the errors of a modulus whose decibels were rounded ------------------------------------


def with_numpy(S, step_db):
    return np.asarray(S) * math.log(10) * step_db / (20 * math.sqrt(12))


def by_the_difference_of_two_moduli(S, step_db):
    half = step_db / 2
    decibels = 20 * torch.log10(S)
    upper, lower = 10 ** ((decibels + half) / 20), 10 ** ((decibels - half) / 20)
    return (upper - lower) / 12**0.5


def without_the_first_order(S, step_db):
    return S * (10 ** (step_db / 12**0.5 / 20) - 1)


def from_many_draws(S, step_db):
    draws = np.random.default_rng(0).uniform(-step_db / 2, step_db / 2, 20_000)
    return np.asarray(S) * np.std(10 ** (draws / 20))


@pytest.mark.parametrize(
    "answer",
    [with_numpy, by_the_difference_of_two_moduli, without_the_first_order, from_many_draws],
)
def test_any_form_of_the_deviation_is_right(answer):
    assert exercises.check("11.1", answer).passed is True


def of_the_decibels(S, step_db):
    return 20 * torch.log10(S) * step_db / 12**0.5


def variance(S, step_db):
    return (S * math.log(10) / 20 * step_db) ** 2 / 12


def equal_for_all(S, step_db):
    return torch.full_like(S, float(S.mean()) * math.log(10) / 20 * step_db / 12**0.5)


def largest_error(S, step_db):
    return S * (10 ** (step_db / 2 / 20) - 1)


@pytest.mark.parametrize("answer", [of_the_decibels, variance, equal_for_all, largest_error])
def test_wrong_deviations_are_told(answer):
    assert exercises.check("11.1", answer).passed is False


# --- 11.2: magnitudes per sample ------------------------------------------------------------------


def by_counting_columns(n_samples, hops):
    return sum(len(range(0, n_samples, hop)) for hop in hops) / n_samples


def by_a_mask(n_samples, hops):
    known = np.zeros((len(hops), n_samples), bool)
    for row, hop in enumerate(hops):
        known[row, ::hop] = True
    return known.sum() / n_samples


def with_ceil(n_samples, hops):
    return float(np.ceil(n_samples / np.array(hops)).sum() / n_samples)


@pytest.mark.parametrize("answer", [by_counting_columns, by_a_mask, with_ceil])
def test_any_way_of_counting_is_right(answer):
    assert exercises.check("11.2", answer).passed is True


def test_parts_of_columns_are_told():
    feedback = exercises.check("11.2", lambda n_samples, hops: sum(1 / hop for hop in hops))
    assert feedback.passed is False and "parts of columns" in feedback.text


@pytest.mark.parametrize(
    "answer",
    [
        lambda n_samples, hops: n_samples / sum(hops),
        lambda n_samples, hops: len(hops) / min(hops),
        lambda n_samples, hops: sum(n_samples // hop + 1 for hop in hops) / n_samples,
    ],
)
def test_other_counts_are_wrong(answer):
    assert exercises.check("11.2", answer).passed is False


@pytest.mark.parametrize("id", ["11.1", "11.2"])
def test_an_empty_answer_is_not_answered(id):
    assert exercises.check(id, lambda *given: None).passed is None
