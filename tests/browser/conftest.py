"""One Chromium and one JupyterLab for all browser tests that follow each other in one process.

Nothing in the repository changes: the server works on a copy. ``pytest -m browser -s`` also prints
how long pictures take to follow a slider, and the memory of the kernels; ``--screenshots figures``
takes the screenshot that the README shows.
"""

import browsing
import pytest

pytest.register_assert_rewrite("browser.moves")


@pytest.fixture(scope="package")
def chromium():
    """Start one browser; it ends with these tests, as Playwright's event loop disturbs others."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="the browser tests need playwright: .[test]"
    )
    path = browsing.browser_path()
    if path is None:
        pytest.skip("the browser tests need Chromium: sudo apt install chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=browsing.SWITCHES)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def lab(chromium, tmp_path_factory):
    folder = browsing.course_copy(tmp_path_factory.mktemp("course"))
    with browsing.jupyterlab(folder) as running:
        yield running


@pytest.fixture(scope="package")
def context(chromium):
    """Share one context: what the first page has loaded of JupyterLab, the others need not load."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    yield context
    context.close()


@pytest.fixture
def page(context):
    page = context.new_page()
    page.set_default_timeout(60_000)
    yield page
    page.close()


@pytest.fixture
def open_notebook(page, lab):
    """Return a function that opens a notebook of the course; its kernel ends with the test."""
    yield lambda path: browsing.Notebook(page, lab, f"notebooks/{path.name}")
    browsing.end_kernels(lab)
