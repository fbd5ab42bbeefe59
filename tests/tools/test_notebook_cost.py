"""Costs of notebooks are measured in their own kernel, and refused past the limits."""

import nbformat
import pytest

from scalinv_utils.tools import notebook_cost


def notebook(path, source):
    cells = [nbformat.v4.new_code_cell(source)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


def test_time_memory_and_size_are_those_of_the_notebook(tmp_path):
    light = notebook_cost.weigh(notebook(tmp_path / "light.ipynb", "x = 1"))
    heavy = notebook_cost.weigh(notebook(tmp_path / "heavy.ipynb", "x = b'1' * (300 * 2**20)"))
    assert 250 < heavy[1] - light[1] < 400
    assert light[0] > 0 and light[2] == (tmp_path / "light.ipynb").stat().st_size / 1e6


def test_weighing_stores_nothing(tmp_path):
    path = notebook(tmp_path / "one.ipynb", "print(1)")
    before = path.read_bytes()
    notebook_cost.weigh(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "weight, heavy",
    [((89, 1000, 1.4), []), ((91, 10, 0.1), ["a"]), ((1, 1025, 0.1), ["a"]), ((1, 10, 1.6), ["a"])],
)
def test_each_limit_counts(weight, heavy):
    table, found = notebook_cost.report({"a": weight})
    assert found == heavy and f"| a | {weight[0]} | {weight[1]} |" in table


def test_all_together_have_a_limit_too():
    assert notebook_cost.report({str(k): (1, 1, 1.4) for k in range(6)})[1] == ["all together"]


def test_a_heavy_notebook_fails_the_command(tmp_path, monkeypatch, capsys):
    notebook(tmp_path / "01_one.ipynb", "x = 1")
    monkeypatch.setattr(notebook_cost, "NOTEBOOKS_FOLDER", tmp_path)
    assert notebook_cost.main([]) is None
    monkeypatch.setattr(notebook_cost, "MAX_MEMORY_MIB", 1)
    assert "01_one" in notebook_cost.main([]) and "| 01_one |" in capsys.readouterr().out


def test_what_goes_wrong_ends_in_a_sentence(monkeypatch):
    assert notebook_cost.main(["7777"]).startswith("7777 names 0 notebooks")

    def stopped(path):
        raise KeyboardInterrupt

    monkeypatch.setattr(notebook_cost, "weigh", stopped)
    assert notebook_cost.main(["00"]) == "Interrupted: no notebook has been changed."
