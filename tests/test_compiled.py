"""Numba's functions: where they are kept, and which of ssqueezepy's start no threads."""

import io
import os
import subprocess
import sys
import threading
from pathlib import Path

import numba
import pytest
import torch
from matplotlib.figure import Figure
from numba.core import config
from numba.core.dispatcher import Dispatcher

from scalinv_utils import Scalogram, _compiled
from scalinv_utils.course import plotting, signals
from scalinv_utils.transforms import _wavelets

MODULES = ("ssqueezepy._gmw", "ssqueezepy.wavelets", "ssqueezepy.algos")


@pytest.fixture
def no_threads(monkeypatch):
    """Let every function of ssqueezepy's that starts threads fail."""
    count = 0
    for module in map(sys.modules.__getitem__, MODULES):
        for name in filter(lambda name: "_par" in name, vars(module).copy()):
            if isinstance(getattr(module, name), Dispatcher):
                monkeypatch.setattr(module, name, lambda *_: pytest.fail("threads were started"))
                count += 1
    assert count > 10


@pytest.mark.parametrize("wavelet", ["gmw", "cauchy", "morlet"])
def test_wavelets_start_no_threads(wavelet, no_threads):
    made = _wavelets.ssqueezepy_wavelet(_wavelets.named(wavelet))
    _wavelets.response(_wavelets.named(wavelet))(torch.ones(3).numpy())
    made(torch.ones(3).numpy())  # outside `serial` too: it keeps the function it was made with


def test_a_wavelet_with_threads_is_taken_without_them(monkeypatch, request):
    monkeypatch.setenv("SSQ_PARALLEL", "1")
    given = _compiled.ssqueezepy.Wavelet("gmw")
    request.getfixturevalue("no_threads")
    assert Scalogram(64, wavelet=given).shape == Scalogram(64).shape


def test_pictures_start_no_threads(monkeypatch):
    def ssq_cwt(*arguments, **options):
        assert not _compiled.ssqueezepy.IS_PARALLEL()
        raise NotImplementedError

    monkeypatch.setattr(_compiled.ssqueezepy, "ssq_cwt", ssq_cwt)
    with pytest.raises(NotImplementedError):
        plotting.synchrosqueezed(Figure().add_subplot(), signals.tones(256), 8000)


@pytest.mark.parametrize("before", [None, "0", "1"])
def test_serial_is_counted_and_leaves_the_environment_as_it_was(before, monkeypatch):
    monkeypatch.delenv("SSQ_PARALLEL", raising=False)
    if before is not None:
        monkeypatch.setenv("SSQ_PARALLEL", before)
    inside, leave = threading.Event(), threading.Event()

    def other():
        with _compiled.serial():
            inside.set()
            leave.wait(60)

    thread = threading.Thread(target=other)
    with _compiled.serial():
        thread.start()
        assert inside.wait(60) and not _compiled.ssqueezepy.IS_PARALLEL()
    assert not _compiled.ssqueezepy.IS_PARALLEL()  # the other thread is inside still
    leave.set()
    thread.join()
    assert os.environ.get("SSQ_PARALLEL") == before


def test_serial_ends_with_an_error():
    before = _compiled.ssqueezepy.IS_PARALLEL()
    with pytest.raises(ZeroDivisionError), _compiled.serial():
        print(1 / 0)
    assert _compiled.ssqueezepy.IS_PARALLEL() == before


def test_a_cache_that_can_be_written_to_is_left_alone(monkeypatch):
    monkeypatch.setattr(_compiled, "_can_be_kept", lambda source: True)
    before = config.CACHE_DIR
    _compiled._settle_cache()
    assert config.CACHE_DIR == before


def test_a_cache_that_cannot_be_written_to_moves_to_the_temporary_files(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(config, "CACHE_DIR", "")
    monkeypatch.setattr(_compiled, "_can_be_kept", lambda source: bool(config.CACHE_DIR))
    _compiled._settle_cache()
    assert Path(config.CACHE_DIR).parent == tmp_path
    assert Path(config.CACHE_DIR).stat().st_mode & 0o777 == 0o700


def test_without_any_folder_functions_are_compiled_and_not_kept(monkeypatch):
    monkeypatch.setattr(config, "CACHE_DIR", "")
    monkeypatch.setattr(Dispatcher, "enable_caching", Dispatcher.enable_caching)
    monkeypatch.setattr(_compiled, "_can_be_kept", lambda source: False)
    monkeypatch.setattr(_compiled, "_temporary_folder", lambda: None)
    _compiled._settle_cache()
    function = numba.njit(cache=True)(lambda x: x + 1)
    assert function(1) == 2 and function.stats.cache_path is None


def test_a_full_disk_is_no_place_to_keep_functions(monkeypatch, tmp_path):
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))
    assert _compiled._can_be_kept(_compiled.__file__)

    class Full(io.BytesIO):
        def write(self, content):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", lambda dir: Full())
    assert not _compiled._can_be_kept(_compiled.__file__)


def test_a_folder_of_somebody_else_is_not_used(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr("tempfile.mkdtemp", lambda prefix: str(tmp_path / "new"))
    ours = _compiled._temporary_folder()
    assert ours is not None and ours != tmp_path / "new"
    ours.chmod(0o777)
    assert _compiled._temporary_folder() == tmp_path / "new"
    ours.rename(tmp_path / "target")
    ours.symlink_to(tmp_path / "target")
    assert _compiled._temporary_folder() == tmp_path / "new"


def test_a_system_without_users_tells_nobody_who_owns_a_folder(monkeypatch, tmp_path):
    folder = tmp_path / "own"
    folder.mkdir(mode=0o700)
    assert _compiled._is_ours(folder)
    monkeypatch.delattr(os, "getuid")
    assert not _compiled._is_ours(folder)


def test_numba_and_ssqueezepy_have_one_door():
    package = Path(_compiled.__file__).parent
    for path in package.rglob("*.py"):
        if path.name != "_compiled.py":
            lines = [line.strip() for line in path.read_text().splitlines()]
            direct = ("import numba", "from numba", "import ssqueezepy", "from ssqueezepy")
            assert not [line for line in lines if line.startswith(direct)], path


def run(code, **environment):
    """Run a program in an environment without a home."""
    left_out = ("HOME", "XDG_CACHE_HOME", "NUMBA_CACHE_DIR")
    kept = {k: v for k, v in os.environ.items() if k not in left_out}
    return subprocess.run(
        [sys.executable, "-c", code], env={**kept, **environment}, capture_output=True, text=True
    )


READ_ONLY = """
import tempfile
def refuse(*arguments, dir=None, **options):
    raise PermissionError(13, "Read-only file system", str(dir))
tempfile.TemporaryFile = refuse  # so numba learns whether a folder can be written to
from scalinv_utils import recover
from scalinv_utils.transforms import _filter_bank
print(_filter_bank._turn.stats.cache_path)
"""


def test_the_package_can_be_imported_where_nothing_can_be_written(tmp_path):
    done = run(READ_ONLY, TMPDIR=str(tmp_path))
    assert (done.returncode, done.stdout, done.stderr) == (0, "None\n", "")


THREADS = """
import threading
from scalinv_utils import Scalogram, phase_gradient
def build():
    for k in range(12):
        Scalogram(512 + k, wavelet=("gmw", "morlet", "cauchy")[k % 3])
def invert():
    W = Scalogram(256, wavelet="cauchy")
    phase_gradient(W.magnitude(range(256)), W, n_iter=2)
threads = [threading.Thread(target=task) for task in (build, invert, build, build)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("done")
"""


@pytest.mark.long
def test_threads_build_and_recover_at_a_time():
    done = run(THREADS, NUMBA_THREADING_LAYER="workqueue", NUMBA_NUM_THREADS="2")
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
