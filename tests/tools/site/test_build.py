"""The pages take their folder when they are complete; an earlier site stays until then."""

import shutil

import pytest

from scalinv_utils.tools.site import build


@pytest.fixture
def pages(tmp_path):
    folder = tmp_path / "pages"
    folder.mkdir()
    (folder / "index.html").write_text("new")
    return folder


def test_new_pages_replace_the_earlier_ones(pages, tmp_path):
    site = tmp_path / "a" / "site"
    build._put(pages, site)
    (site / "old.html").write_text("old")
    build._put(pages, site)
    assert [path.name for path in site.iterdir()] == ["index.html"]
    assert [path.name for path in site.parent.iterdir()] == ["site"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_copy_that_breaks_off_leaves_the_earlier_pages(pages, tmp_path, monkeypatch, error):
    site = tmp_path / "site"
    build._put(pages, site)

    def broken(source, target):
        target.mkdir()
        (target / "index.html").write_text("ha")
        raise error

    monkeypatch.setattr(shutil, "copytree", broken)
    with pytest.raises(type(error)):
        build._put(pages, site)
    assert (site / "index.html").read_text() == "new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pages", "site"]
