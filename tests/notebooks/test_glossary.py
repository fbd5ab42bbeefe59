"""The glossary's links lead to headings, no symbol stands in it twice, and what it says holds."""

import re
from urllib.parse import unquote

import pytest
import torch
from explorers import NOTEBOOKS, read

from scalinv_utils import Scalogram, metrics
from scalinv_utils.tools.environment import ROOT

FOLDER = ROOT / "notebooks"
GLOSSARY = (FOLDER / "glossary.md").read_text("utf-8")
LINK = re.compile(r"\[([^\]]*)\]\(([^)\s#]+)(?:#([^)\s]+))?\)")
ROWS = [line for line in GLOSSARY.splitlines() if line.startswith("| $")]
TERMS = [line for line in GLOSSARY.splitlines() if line.startswith("- **")]


def anchors(path):
    """List the anchors of a notebook's headings, as JupyterLab and nbconvert make them."""
    text = "\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")
    headings = re.findall(r"^#{1,6} (.*)$", text, re.MULTILINE)
    return [re.sub(r"[*`]", "", heading).strip().replace(" ", "-") for heading in headings]


def symbols():
    return [symbol for row in ROWS for symbol in re.findall(r"\$([^$]+)\$", row.split(" | ")[0])]


@pytest.mark.parametrize("path", [*NOTEBOOKS, FOLDER / "references.md"], ids=lambda path: path.stem)
def test_links_lead_to_headings(path):
    wanted = {
        unquote(part) for _, file, part in LINK.findall(GLOSSARY) if file == path.name and part
    }
    assert wanted <= (set(anchors(path)) if path.suffix == ".ipynb" else set())


def test_links_lead_to_files_and_say_which():
    for label, file, _ in LINK.findall(GLOSSARY):
        assert (FOLDER / file).exists(), file
        assert not file[:2].isdigit() or label.startswith(file[:2]), (label, file)


def test_no_symbol_and_no_term_stands_twice():
    terms = [re.match(r"- \*\*(.+?)\.\*\*", line).group(1).lower() for line in TERMS]
    assert len(symbols()) > 30 and len(set(symbols())) == len(symbols())
    assert len(terms) > 60 and len(set(terms)) == len(terms) and terms == sorted(terms)


@pytest.mark.parametrize("line", [*ROWS, *TERMS], ids=lambda line: line[:24])
def test_every_entry_is_short_and_has_a_link_to_its_definition(line):
    (target,) = [part for _, file, part in LINK.findall(line) if file.endswith(".ipynb")]
    assert target
    assert len(re.findall(r"[.?!](?= |$)", LINK.sub("", re.sub(r"\$.*?\$|`.*?`", "", line)))) <= 5


def test_the_first_notebook_leads_to_the_glossary():
    assert any("(glossary.md)" in cell.source for cell in read(NOTEBOOKS[0]).cells)


def test_what_the_table_says_of_the_transform():
    W = Scalogram(128, wavelet="cauchy", voices_per_octave=6)
    noise = torch.randn(2, 128, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x, y = W.project(noise)
    c, other = W(x), W(y)
    torch.testing.assert_close(W.inverse(c), x)  # W+ inverts W on the analysed band
    torch.testing.assert_close((c * other.conj()).sum().real, x @ W.adjoint(other))
    torch.testing.assert_close(W.magnitude(x), c.abs())
    torch.testing.assert_close(W.impose(W.magnitude(x), other).abs(), W.magnitude(x))
    assert 0 < W.frame_bounds[0] < W.frame_bounds[1] and W.gain.shape[-1] == W.filters.shape[-1]
    assert len(W.frequencies) == len(W.scales) == len(c) and W.n_samples == 128
    assert W.frequencies[0] > W.frequencies[-1]
    assert W.time_bandwidth == pytest.approx(30, rel=1e-4)
    turned = metrics.hilbert_rotation(x, torch.pi / 3)
    torch.testing.assert_close(turned, 0.5 * x - 0.75**0.5 * metrics.analytic(x).imag)
