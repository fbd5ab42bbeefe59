"""Time and memory are told beforehand, as an order of magnitude."""

import re

import pytest

from scalinv_utils import Scalogram
from scalinv_utils.tools import _costs

W = Scalogram(2048, 8000, wavelet="cauchy", voices_per_octave=32, f_min=800)


@pytest.fixture
def a_tenth(monkeypatch):
    monkeypatch.setattr(_costs, "_seconds", lambda bank: 0.1)
    monkeypatch.setattr(_costs.os, "cpu_count", lambda: 4)


def test_an_analysis_takes_one_for_each_piece(a_tenth):
    assert _costs.of_analysis(W, 100_000) == "This takes about 7 seconds."


def test_a_round_takes_less_with_more_processes(a_tenth):
    told = [_costs.of_rounds(W, 100_000, jobs) for jobs in (1, 2, 4, -1, 8)]
    minutes = [int(re.search(r"about (\d+) minutes", words).group(1)) for words in told]
    assert minutes == [7, 3, 2, 2, 2]
    assert "about 0.5 GB" in told[0] and "rounds are usual" in told[0]


def test_pieces_are_not_shared_among_processes(a_tenth):
    assert _costs.of_rounds(W, 2048, 4) == _costs.of_rounds(W, 2048, 2)


@pytest.mark.parametrize("bank", [W, _costs.CircleBank(W)])
def test_an_analysis_is_timed(bank):
    assert 0 < _costs._seconds(bank) < 10
