"""Full disks, protected files and Ctrl-C leave an earlier file as it was, and nothing beside it."""

import contextlib
import os
import resource
import stat
from pathlib import Path

import nbformat
import pytest
import torch

from scalinv_utils import Recovery, Scalogram
from scalinv_utils._whole_file import write_whole
from scalinv_utils.benchmark import records
from scalinv_utils.course import audio, signals
from scalinv_utils.measured import Measured, save
from scalinv_utils.tools import draw_figures, execute_notebooks

W = Scalogram(64)
SOUND = signals.white_noise(4000)


def stored_notebook(path, monkeypatch):
    monkeypatch.setattr(execute_notebooks, "execute", lambda *arguments: None)
    monkeypatch.setattr(nbformat, "read", lambda path, as_version: nbformat.v4.new_notebook())
    monkeypatch.setattr(nbformat, "writes", lambda notebook: "words " * 1000)
    execute_notebooks.store(path)


def drawn_figure(path, monkeypatch):
    monkeypatch.setattr(draw_figures, "FIGURES", {path.stem: lambda: None})
    monkeypatch.setattr(draw_figures.plotting, "render", lambda figure: bytes(5000))
    draw_figures.build([path.stem], path.parent)


WRITERS = {
    "a.wav": lambda path, _: audio.save_wav(path, SOUND, 8000),
    "a.pt": lambda path, _: Recovery(SOUND, "noise").save(path),
    "a.npz": lambda path, _: save(Measured(W.magnitude(SOUND[:64]), W), path),
    "a.ipynb": stored_notebook,
    "a.png": drawn_figure,
}


@contextlib.contextmanager
def full_disk():
    """Let files grow to 1,000 bytes only: writing more fails half way, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("name", WRITERS)
def test_writers_replace_an_earlier_file(name, tmp_path, monkeypatch):
    (tmp_path / name).write_text("earlier")
    WRITERS[name](tmp_path / name, monkeypatch)
    assert (tmp_path / name).stat().st_size > 1000 and os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_leaves_the_earlier_file(name, tmp_path, monkeypatch):
    (tmp_path / name).write_text("earlier")
    with pytest.raises(OSError, match=name), full_disk():
        WRITERS[name](tmp_path / name, monkeypatch)
    assert (tmp_path / name).read_text() == "earlier" and os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("name", WRITERS)
def test_an_interrupt_leaves_the_earlier_file(name, tmp_path, monkeypatch):
    (tmp_path / name).write_text("earlier")

    def interrupt(descriptor):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), monkeypatch.context() as patch:
        patch.setattr(os, "fsync", interrupt)
        WRITERS[name](tmp_path / name, patch)
    assert (tmp_path / name).read_text() == "earlier" and os.listdir(tmp_path) == [name]


def test_a_folder_that_is_protected_is_an_error_that_names_the_file(tmp_path, monkeypatch):
    path = tmp_path / "a.wav"
    path.write_text("earlier")

    def protected(self, *arguments, **options):  # permissions do not stop the administrator
        raise PermissionError(13, "Permission denied", str(self))

    with pytest.raises(PermissionError, match=r"a\.wav"), monkeypatch.context() as patch:
        patch.setattr(Path, "open", protected)
        audio.save_wav(path, SOUND, 8000)
    assert path.read_text() == "earlier" and os.listdir(tmp_path) == ["a.wav"]


def test_a_file_that_is_protected_stays(tmp_path, monkeypatch):
    path, real = tmp_path / "a.txt", Path.open
    path.write_text("earlier")

    def open_unless_protected(self, *arguments, **options):
        if self.name == "a.txt":
            raise PermissionError(13, "Permission denied", str(self))
        return real(self, *arguments, **options)

    with pytest.raises(PermissionError, match=r"a\.txt"), monkeypatch.context() as patch:
        patch.setattr(Path, "open", open_unless_protected)
        write_whole(path, "new")
    assert path.read_text() == "earlier" and os.listdir(tmp_path) == ["a.txt"]


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        write_whole(tmp_path / "nowhere" / "a.txt", "new")


def test_links_permissions_and_long_names_are_kept(tmp_path):
    target, link = tmp_path / ("n" * 250), tmp_path / "link"
    target.write_text("earlier")
    target.chmod(0o640)
    link.symlink_to(target)
    write_whole(link, "new")
    assert link.is_symlink() and target.read_text() == "new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_devices_are_written_to_and_not_replaced():
    write_whole(os.devnull, "nothing is kept")
    assert Path(os.devnull).is_char_device()
    if Path("/dev/full").exists():
        with pytest.raises(OSError, match="/dev/full"):
            write_whole("/dev/full", bytes(10000))


def test_rows_are_appended_whole_or_not_at_all(tmp_path):
    path, columns = tmp_path / "table.csv", ["signal", "seed"]
    records.append(path, columns, [{"signal": "ecg", "seed": k} for k in range(100)])
    before = path.read_bytes()
    with pytest.raises(OSError, match=r"table\.csv"), full_disk():
        records.append(path, columns, [{"signal": "speech", "seed": k} for k in range(100)])
    assert path.read_bytes() == before and len(records.read(path)) == 100
    with pytest.raises(KeyError):
        records.append(path, columns, [{"signal": "speech", "seed": 1}, {"signal": "guitar"}])
    assert path.read_bytes() == before


def test_an_unfinished_line_is_cut_off_where_the_disk_is_full(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("signal,seed\n" + "ecg,1\n" * 300 + "spe")
    with full_disk():
        records.drop_unfinished_line(path)
    assert path.read_text() == "signal,seed\n" + "ecg,1\n" * 300


def test_open_files_get_the_bytes(tmp_path):
    with (tmp_path / "a").open("wb") as file:
        write_whole(file, "words")
        Recovery(torch.ones(3), "ones").save(file)
    assert (tmp_path / "a").read_bytes().startswith(b"words")
