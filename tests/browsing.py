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

from scalinv_utils.course.widgets import TRIAL
from scalinv_utils.tools.environment import ROOT

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
]
# Milliseconds, on a busy machine: for one answer, and for all cells of a notebook.
PATIENCE, RUN_PATIENCE = 120_000, 300_000

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

# Resolves when the picture has been the same for a while.
SETTLED = """(picture) => new Promise(resolve => {
    let timer = setTimeout(resolve, 300);
    picture.addEventListener('load', () => {
        clearTimeout(timer);
        timer = setTimeout(resolve, 300);
    });
})"""

# Resolves when nothing has been added to the page for a while: widgets come later than their cell.
RENDERED = """() => new Promise(resolve => {
    let timer = setTimeout(resolve, 500);
    new MutationObserver(() => {
        clearTimeout(timer);
        timer = setTimeout(resolve, 500);
    }).observe(document.body, { childList: true, subtree: true });
})"""

LOADED = """() => ![...document.querySelectorAll('.jp-OutputArea-output')]
    .some(output => output.textContent.startsWith('Loading widget'))"""

# The indicator of the page says idle before there is a kernel, and what is run then is lost.
KERNEL = "window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel"
CONNECTED = f"{KERNEL}?.connectionStatus == 'connected' && {KERNEL}.status == 'idle'"

FINISHED = """() => {
    const prompts = [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')];
    const indicator = document.querySelector('.jp-Notebook-ExecutionIndicator');
    return indicator.dataset.status == 'idle'
        && !prompts.some(prompt => prompt.textContent.includes('*'));
}"""

STARTED = """() => [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].some(
    prompt => prompt.textContent.includes('*'))"""

ERRORS = """() => window.jupyterapp.shell.currentWidget.content.widgets
    .flatMap(cell => cell.model.sharedModel.getOutputs?.() ?? [])
    .filter(output => output.output_type == 'error')
    .map(output => `${output.ename}: ${output.evalue}`)
"""

TOO_WIDE = """() => [...document.querySelectorAll('.jp-OutputArea-output')]
    .filter(output => output.querySelector('audio, img') && output.clientWidth > 0
            && output.scrollWidth > output.clientWidth + 1)
    .map(output => `${output.scrollWidth} > ${output.clientWidth}: `
        + output.innerText.slice(0, 50))
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
    environment = _environment(folder)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = (folder / f"{module}.log").open("w")
    process = subprocess.Popen(
        [sys.executable, "-m", module, "--no-browser", *[o.format(port=port) for o in options]],
        cwd=folder,
        env=environment,
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    try:
        yield process, f"http://127.0.0.1:{port}"
    finally:
        for child in psutil.Process(process.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                child.terminate()
        process.terminate()
        process.wait(30)
        log.close()


OWN = {
    "JUPYTERLAB_SETTINGS_DIR": "settings",
    "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
    "JUPYTER_CONFIG_DIR": "config",
    "JUPYTER_DATA_DIR": "data",
    "IPYTHONDIR": "ipython",
}


def _environment(folder):
    """What a server on `folder`, and commands for it, find in their environment."""
    environment = os.environ | {name: str(folder / place) for name, place in OWN.items()}
    environment.pop(TRIAL, None)
    return environment


def trust(lab, path):
    """Sign a notebook, so that the server takes its outputs for those of a person at it."""
    subprocess.run(
        [sys.executable, "-m", "jupyter", "trust", str(path)],
        env=_environment(lab.folder),
        check=True,
        stdout=subprocess.DEVNULL,
    )


Lab = collections.namedtuple("Lab", "process address token folder")


@contextlib.contextmanager
def jupyterlab(folder):
    """A JupyterLab that answers."""
    token = secrets.token_hex(8)
    with server(
        "jupyterlab",
        folder,
        "--allow-root",
        "--ServerApp.ip=127.0.0.1",
        "--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
        f"--IdentityProvider.token={token}",
        f"--ServerApp.root_dir={folder}",
        "--LabApp.expose_app_in_browser=True",
    ) as running:
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
        urllib.request.urlopen(
            urllib.request.Request(
                f"{lab.address}/api/kernels/{kernel['id']}{options}", method="DELETE"
            )
        )


def _peak(process):
    status = Path(f"/proc/{process.pid}/status")
    if status.exists():
        return 1024 * int(re.search(r"VmHWM:\s+(\d+)", status.read_text()).group(1))
    return process.memory_info().rss


class Notebook:
    """One notebook open in JupyterLab, and the hands of a person."""

    def __init__(self, page, lab, path):
        self.page, self.name = page, Path(path).stem
        page.goto(f"{lab.address}/lab/tree/{path}?reset&token={lab.token}")
        wait_for(page, CONNECTED, None, f"the kernel of {path}")

    def run_cells(self, numbers):
        """Run the code cells with these numbers, each by a click beside it and a shortcut."""
        self.run(lambda: self.click_and_run(numbers))

    def click_and_run(self, numbers):
        prompts = self.page.locator(".jp-CodeCell .jp-InputPrompt")
        for number in numbers:
            prompts.nth(number).click()
            self.page.keyboard.press("Control+Enter")

    def run(self, ask):
        """Run cells in the way of `ask`; what one of them raises is raised here."""
        ask()
        wait_for(self.page, STARTED, None, "the first cell to run")
        wait_for(self.page, FINISHED, None, "all cells to have run", RUN_PATIENCE)
        errors = self.page.evaluate(ERRORS)
        assert not errors, f"{self.page.title()}: {errors[0]}"

    def memory(self):
        """The most memory, in bytes, that the kernel has held."""
        kernel = self.page.evaluate(f"{KERNEL}.id")
        (process,) = [
            child
            for child in psutil.process_iter(["cmdline"])
            if any(kernel in word for word in child.info["cmdline"] or [])
        ]
        return _peak(process)

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
        return [
            handle
            for handle in self.page.locator(".noUi-handle").all()
            if not handle.evaluate("h => !!h.closest('[disabled]')")
        ]

    def choices(self, place=None):
        """In each group of buttons under `place` that can be pressed, one that is not pressed."""
        groups = (place or self.page).locator(".widget-toggle-buttons").all()
        free = [group.locator("button:not(.mod-active):not([disabled])") for group in groups]
        return [buttons.first for buttons in free if buttons.count()]

    def picture(self, control):
        """The picture that belongs to a control."""
        return control.locator(
            "xpath=ancestor::*[contains(@class, 'widget-vbox')][1]"
            "//img[contains(@class, 'widget-image')]"
        )

    def tab_to(self, selector, presses=400):
        """Press Tab until something that matches `selector` has the focus."""
        for _ in range(presses):
            self.page.keyboard.press("Tab")
            if self.page.evaluate("s => document.activeElement.matches(s)", selector):
                return
        raise AssertionError(f"{presses} times Tab do not lead to {selector}")


def drag(page, handle):
    """Take a handle with the mouse and move it right along its slider, or left from the end."""
    before = position(handle)
    for _ in range(3):  # the page may shift under the mouse while a picture comes in
        handle.scroll_into_view_if_needed()
        box = handle.bounding_box()
        rail = handle.locator("xpath=ancestor::*[contains(@class, 'noUi-base')]").bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        aim = rail["x"] + rail["width"] * (0.95 if x < rail["x"] + rail["width"] / 2 else 0.05)
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(aim, y, steps=5)
        page.mouse.up()
        if position(handle) != before:
            return
        page.wait_for_timeout(500)
    raise AssertionError(f"the mouse does not move {name_of(handle)} away from {before}")


def position(handle):
    return handle.get_attribute("aria-valuenow")


def name_of(handle):
    """The visible label of a slider."""
    return handle.evaluate("h => h.closest('.jupyter-widgets').innerText.trim().split('\\n')[0]")


def wait_for(page, condition, arg, what, patience=PATIENCE):
    """Until `condition` holds in the page; if it never does, say what was waited for, and where."""
    from playwright.sync_api import TimeoutError

    try:
        page.wait_for_function(condition, arg=arg, timeout=patience)
    except TimeoutError:
        raise AssertionError(f"{page.title()}: waited {patience / 1000:.0f} s for {what}") from None


def wait_for_change(page, picture, before, what="another picture"):
    """Until the picture is another one than `before`, and loaded."""
    wait_for(
        page,
        "([img, before]) => img.src != before && img.naturalWidth > 0",
        [picture.element_handle(), before],
        what,
    )


def wait_until_settled(picture):
    """Until no more pictures come for what was done before."""
    picture.evaluate(SETTLED)


def waits(page, handle, picture, keys):
    """Milliseconds from each key to the picture that it brings."""
    handle.evaluate(STOPWATCH, picture.element_handle())
    handle.focus()
    for k, key in enumerate(keys):
        before = position(handle)
        page.keyboard.press(key)
        wait_for(
            page,
            f"window.waits.length > {k}",
            None,
            f"the picture after {key} on "
            f"{name_of(handle)}, from position {before} to {position(handle)}",
        )
    return page.evaluate("window.waits")
