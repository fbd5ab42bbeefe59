"""A JupyterLab server on a copy of the course, and the hands of a person in a browser."""

import collections
import contextlib
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil

from scalinv_utils._environment import ROOT
from scalinv_utils.widgets import TRIAL

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SWITCHES = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
            "--disable-background-networking", "--disable-component-update"]
PATIENCE = 300_000  # milliseconds for what may take long on a busy machine

SETTINGS = {
    "apputils-extension/notification": '{"fetchNews": "false"}',
    # All cells in the page, so that a test finds what a person would scroll to.
    "notebook-extension/tracker": '{"windowingMode": "none"}',
}

# Notes when a picture changes after a key was pressed: from the key to the next painted frame.
STOPWATCH = """(handle, picture) => {
    window.waits = [];
    let pressed = null;
    handle.addEventListener('keydown', () => { pressed = performance.now(); }, true);
    picture.addEventListener('load', () => requestAnimationFrame(() => {
        if (pressed !== null) { window.waits.push(performance.now() - pressed); pressed = null; }
    }));
}"""

FINISHED = """() => {
    const prompts = [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')];
    const indicator = document.querySelector('.jp-Notebook-ExecutionIndicator');
    return indicator.dataset.status == 'idle'
        && !prompts.some(prompt => prompt.textContent.includes('*'));
}"""

STARTED = """() => [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].some(
    prompt => prompt.textContent.includes('*'))"""

TOO_WIDE = """() => [...document.querySelectorAll('.jp-OutputArea-output')]
    .filter(output => output.querySelector('audio, img') && output.clientWidth > 0
            && output.scrollWidth > output.clientWidth + 1)
    .map(output => `${output.scrollWidth} > ${output.clientWidth}: ${output.innerText.slice(0, 50)}`)
"""


def browser_path():
    """The first Chromium that is installed, or None."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def course_copy(folder):
    """Copy what notebooks need, so that nothing a test does reaches the repository."""
    for name in ("notebooks", "figures"):
        shutil.copytree(ROOT / name, folder / name)
    return folder


@contextlib.contextmanager
def server(module, folder, *options):
    """Run JupyterLab or Voila on `folder` with settings, trust and history of its own."""
    for name, text in SETTINGS.items():
        file = folder / f"settings/@jupyterlab/{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    own = {"JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
           "JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "IPYTHONDIR": "ipython"}
    environment = os.environ | {name: str(folder / place) for name, place in own.items()}
    environment.pop(TRIAL, None)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = (folder / f"{module}.log").open("w")
    process = subprocess.Popen(
        [sys.executable, "-m", module, "--no-browser", *[o.format(port=port) for o in options]],
        cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        yield process, f"http://127.0.0.1:{port}"
    finally:
        for child in psutil.Process(process.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                child.terminate()
        process.terminate()
        process.wait(30)
        log.close()


Lab = collections.namedtuple("Lab", "process address token folder")


@contextlib.contextmanager
def jupyterlab(folder):
    """A JupyterLab that answers."""
    token = secrets.token_hex(8)
    with server("jupyterlab", folder, "--allow-root", "--ServerApp.ip=127.0.0.1",
                "--ServerApp.port={port}", "--ServerApp.port_retries=0",
                f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={folder}") as running:
        process, address = running
        answer(process, f"{address}/api")
        yield Lab(process, address, token, folder)


def answer(process, address, seconds=120):
    """Return when something answers at `address`, be it with an error."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            pass
        time.sleep(0.3)
    raise RuntimeError(f"nothing answers at {address}; the server's exit code: {process.poll()}")


def end_kernels(lab):
    """What one test ran takes no memory from the next."""
    options = f"?token={lab.token}"
    for kernel in json.loads(urllib.request.urlopen(f"{lab.address}/api/kernels{options}").read()):
        urllib.request.urlopen(urllib.request.Request(
            f"{lab.address}/api/kernels/{kernel['id']}{options}", method="DELETE"))


def kernel_memory(process):
    """The most memory, in bytes, that a running kernel has held, and what the server holds."""
    kernels = [child for child in psutil.Process(process.pid).children(recursive=True)
               if any("ipykernel" in word for word in child.cmdline())]
    return max(map(_peak, kernels)), psutil.Process(process.pid).memory_info().rss


def _peak(process):
    status = Path(f"/proc/{process.pid}/status")
    if status.exists():
        return 1024 * int(re.search(r"VmHWM:\s+(\d+)", status.read_text()).group(1))
    return process.memory_info().rss


class Notebook:
    """One notebook open in JupyterLab, and the hands of a person."""

    def __init__(self, page, lab, path):
        self.page = page
        # The indicator says idle before there is a kernel, and what is run then is lost.
        with page.expect_websocket(lambda socket: "/api/kernels/" in socket.url, timeout=PATIENCE):
            page.goto(f"{lab.address}/lab/tree/{path}?reset&token={lab.token}")
        page.wait_for_timeout(2000)
        page.wait_for_selector('.jp-Notebook-ExecutionIndicator[data-status="idle"]',
                               timeout=PATIENCE)

    def run(self, ask):
        """Run all cells, in the way of `ask`; what one of them raises is raised here."""
        ask()
        self.page.wait_for_function(STARTED)
        self.page.wait_for_function(FINISHED, timeout=PATIENCE)
        errors = self.page.locator('[data-mime-type="application/vnd.jupyter.error"]')
        assert errors.count() == 0, errors.first.inner_text()

    def by_mouse(self):
        self.page.locator(".lm-MenuBar-itemLabel", has_text=re.compile("^Run$")).click()
        self.page.locator(".lm-Menu-itemLabel", has_text=re.compile("^Run All Cells$")).click()

    def by_keyboard(self):
        self.page.keyboard.press("Control+Shift+C")
        self.page.wait_for_selector(".lm-CommandPalette-input")
        self.page.keyboard.type("run all cells")
        self.page.wait_for_selector(".lm-CommandPalette-item.lm-mod-active")
        self.page.keyboard.press("Enter")

    def handles(self):
        """The handles of all sliders that are on the page and can be moved."""
        return [handle for handle in self.page.locator(".noUi-handle").all()
                if not handle.evaluate("h => !!h.closest('[disabled]')")]

    def picture(self, control):
        """The picture that belongs to a control."""
        return control.locator("xpath=ancestor::*[contains(@class, 'widget-vbox')][1]"
                               "//img[contains(@class, 'widget-image')]")

    def tab_to(self, selector, presses=400):
        """Press Tab until something that matches `selector` has the focus."""
        for _ in range(presses):
            self.page.keyboard.press("Tab")
            if self.page.evaluate("s => document.activeElement.matches(s)", selector):
                return
        raise AssertionError(f"{presses} times Tab do not lead to {selector}")


def drag(page, handle):
    """Take a handle with the mouse and move it right along its slider, or left from the end."""
    handle.scroll_into_view_if_needed()
    box = handle.bounding_box()
    rail = handle.locator("xpath=ancestor::*[contains(@class, 'noUi-base')]").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    aim = rail["x"] + rail["width"] * (0.95 if x < rail["x"] + rail["width"] / 2 else 0.05)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(aim, y, steps=5)
    page.mouse.up()


def wait_for_change(page, picture, before):
    """Until the picture is another one than `before`, and loaded."""
    page.wait_for_function("([img, before]) => img.src != before && img.naturalWidth > 0",
                           arg=[picture.element_handle(), before], timeout=PATIENCE)


def waits(page, handle, picture, keys):
    """Milliseconds from each key to the picture that it brings."""
    handle.evaluate(STOPWATCH, picture.element_handle())
    handle.focus()
    for k, key in enumerate(keys):
        page.keyboard.press(key)
        page.wait_for_function(f"window.waits.length > {k}", timeout=PATIENCE)
    return page.evaluate("window.waits")
