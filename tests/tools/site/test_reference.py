"""The reference: every public name once, with the notebooks that use it."""

import pytest

from scalinv_utils import recovery
from scalinv_utils.tools.site import _math, _reference, _sources


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site") / "reference"
    _reference.write(folder, sorted(_sources.NOTEBOOKS.glob("*.ipynb")))
    return {path.stem: path.read_text("utf-8") for path in folder.iterdir()}


def test_every_public_name_has_one_entry(pages):
    text = "\n".join(pages.values())
    for name in [*recovery.__all__, "Scalogram", "Measured", "waveform_error_db", "noisy"]:
        if callable(getattr(recovery, name, len)):
            assert sum(line.endswith(f".{name}") for line in text.splitlines()) == 1, name


def test_an_entry_names_the_notebooks_that_use_it(pages):
    entry = pages["scalinv_utils"].split("autofunction:: scalinv_utils.griffin_lim")[1]
    line = next(line for line in entry.splitlines() if line.startswith("Notebook: "))
    assert "`00 </notebooks/00_start_here>`" in line and "`04 </notebooks/04_griffin_lim>`" in line
    assert "/09_benchmark" not in line


def test_code_keeps_its_bars():
    lines = [">>> a | b", "... c | d", "|x|", "block::", "", "    |y|", "|z|"]
    _reference.escape_bars(lines)
    assert lines == [">>> a | b", "... c | d", r"\|x\|", "block::", "", "    |y|", r"\|z\|"]


def test_an_unknown_command_of_latex_stops_the_build():
    assert _math.mathml(r"\frac{a}{b}", display=True).startswith('<math display="block"><mfrac>')
    with pytest.raises(Exception, match="no MathML for .*nosuchthing"):
        _math.mathml(r"\nosuchthing")
