"""Files that the fuzzer found something with are read, or refused by a sentence of ours."""

from pathlib import Path

import pytest
import torch

from scalinv_utils.app import session

CORPUS = sorted((Path(__file__).parents[1] / "corpus").iterdir())


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_what_was_found_once_is_no_trouble_now(path):
    try:
        x, rate = session.open_sound(path.name, path.read_bytes())
        part = session.prepare(x, rate)
    except ValueError as error:
        assert str(error).endswith(".")
    else:
        assert torch.isfinite(part.x).all()
