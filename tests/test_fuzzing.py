"""Files that something was found with, a short run of the fuzzer, and what counts as a finding."""

import warnings
from pathlib import Path

import fuzzing
import numpy as np
import pytest
import torch

from scalinv_utils.course import signals

CORPUS = Path(__file__).parent / "corpus"
FILES = sorted(CORPUS.iterdir())
SOUNDS = (".wav", ".flac", ".mp3")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_files_of_the_corpus_are_read_or_refused_by_a_sentence(path, capfd):
    ending = ".wav" if path.suffix in SOUNDS else path.suffix
    for reader in fuzzing.readers(ending):
        assert fuzzing.verdict(reader, path.read_bytes()) is None, reader
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("name", "rate", "n_samples"),
    [
        ("size_zero.wav", 8000, 1600),
        ("length_unknown.flac", 8000, 1600),
        ("rate_7.wav", 7, 1600),
        ("channels_that_cancel.wav", 8000, 1600),
        ("from_the_middle_of_a_frame.mp3", 8000, None),
    ],
)
def test_sounds_of_the_corpus_are_there(name, rate, n_samples):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        x, own_rate = signals.load(CORPUS / name)
    assert own_rate == rate and (n_samples is None or len(x) == n_samples)
    assert float(x.abs().max()) > 0.1


def test_a_short_run_finds_nothing(tmp_path):
    stored = tmp_path / "seeds"
    fuzzing.store(stored)
    count, found = fuzzing.run(0, 10, str(stored), step=150, most=150)
    assert count == 150 and found == []


def raise_key_error(content):
    return {}["no such key"]


def raise_by_numpy(content):
    return np.frombuffer(content, np.float64).reshape(3, 5)


@pytest.mark.parametrize(
    ("reader", "said"),
    [
        (raise_key_error, "KeyError: 'no such key'"),
        (raise_by_numpy, "ValueError: buffer size"),
        (lambda content: torch.tensor([1.0, torch.nan]), "values that are not finite"),
    ],
)
def test_what_is_a_finding(reader, said):
    assert fuzzing.verdict(reader, bytes(7)).startswith(said)
