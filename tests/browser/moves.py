"""What several browser tests do with the controls of a notebook, and what they expect."""

import ast
import statistics

import browsing
import psutil
from explorers import NOTEBOOKS, cells, explorer_cells, needed_for, read
from nbformat import write
from nbformat.v4 import new_code_cell, new_notebook

# A person does not notice these times, in milliseconds, for pictures that are ready and for those
# that are drawn on request. Machines differ: the tests allow SLACK times as much, and more on a
# machine where more processes run than it has processors.
READY, ON_REQUEST, SLACK = 100, 250, 5

PLAY = ".jupyter-widgets.widget-play button"

# Changes that spare half a minute of computing; the controls stay the same.
SHORTER = {
    "08": [("n_iter=20", "n_iter=1")],
    "10": [
        ("n_samples=2048", "n_samples=1024"),
        ("pose(syllable.x)", "pose(syllable.x, voices_per_octave=4)"),
    ],
}


def path_of(number):
    """The path of the notebook with these two digits."""
    (path,) = [path for path in NOTEBOOKS if path.stem.startswith(number)]
    return path


def reduced(lab, path, before=""):
    """Copy a stored notebook whose code cells keep only what its explorers need.

    Returns the path of the copy and the numbers of the cells to run. nbval runs every cell of
    every notebook, which takes minutes; the outputs that are stored stay in view here. Code for
    the kernel to run `before` goes into the first of these cells.
    """
    notebook, sources = read(path), essentials(path)
    first = next(k for k, source in enumerate(sources) if source)
    sources[first] = before + sources[first]
    code = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    for cell, source in zip(code, sources, strict=True):
        cell.source = source
    return _copy(lab, notebook, f"reduced_{path.name}"), [k for k, s in enumerate(sources) if s]


def cut_down(lab, path):
    """Copy the cells of a notebook that its first explorer needs, and no others."""
    sources = filter(None, essentials(path, first_only=True))
    return of_cells(lab, f"first_{path.name}", sources)


def of_cells(lab, name, sources):
    """Store a notebook of code cells in the course that `lab` serves; return its path."""
    cells = [new_code_cell(source) for source in sources]
    metadata = read(NOTEBOOKS[0]).metadata
    return _copy(lab, new_notebook(cells=cells, metadata=metadata), name)


def _copy(lab, notebook, name):
    path = lab.folder / "notebooks" / name
    write(notebook, path)
    return path


def essentials(path, first_only=False):
    """Reduce the code cells of a notebook to what its explorers need; many become empty."""
    sources = [shortened(source, path) for source in cells(read(path))]
    pieces = [(k, piece) for k, source in enumerate(sources) for piece in statements(source)]
    texts = [text for _, text in pieces]
    wanted = set()
    for last in explorer_cells(texts)[: 1 if first_only else None]:
        cell = pieces[last][0]
        wanted |= {*needed_for(texts, last)}
        wanted |= {k for k, (number, _) in enumerate(pieces) if number == cell and k > last}
    return [
        "\n".join(texts[k] for k in sorted(wanted) if pieces[k][0] == number)
        for number in range(len(sources))
    ]


def shortened(source, path):
    for long, short in SHORTER.get(path.stem[:2], ()):
        source = source.replace(long, short)
    return source


def statements(source):
    """The statements of a cell one by one; a cell with imports stays whole, for what it sets up."""
    tree = ast.parse(source)
    if any(isinstance(node, ast.Import | ast.ImportFrom) for node in tree.body):
        return [source]
    return [ast.unparse(node) for node in tree.body]


def check_explorers(notebook):
    """Move every slider by mouse and by keys, and press a button of every choice.

    Return how long pictures took to follow a slider, at first and again.
    """
    first, again = [], []
    pass_over_predictions(notebook)
    handles, buttons = notebook.handles(), notebook.choices()
    assert handles or buttons
    for button in buttons:
        check_button(notebook, button)
    for handle in handles:
        picture = notebook.picture(handle)
        check_mouse(notebook.page, handle, picture)
        times, steps = check_keys(notebook.page, handle, picture)
        first, again = first + times[:steps], again + times[steps:]
    return first, again


def pass_over_predictions(notebook):
    """Show what the questions of explorers cover."""
    page = notebook.page
    page.locator("img.widget-image").first.wait_for(state="attached")
    browsing.wait_for(page, browsing.LOADED, None, "all widgets")
    page.evaluate(browsing.RENDERED)
    covers = page.get_by_role("button", name="Show without choosing")
    while covers.count():
        cover = covers.first.element_handle()
        cover.click()
        cover.wait_for_element_state("hidden")


def check_button(notebook, button):
    """Press a button and wait for its picture."""
    picture, name = notebook.picture(button), button.inner_text()
    before = picture.get_attribute("src")
    button.click()
    browsing.wait_for_change(notebook.page, picture, before, f"the picture of {name}")


def check_mouse(page, handle, picture):
    before, start = picture.get_attribute("src"), browsing.position(handle)
    browsing.drag(page, handle)
    browsing.wait_for_change(
        page,
        picture,
        before,
        f"the picture after the mouse took {browsing.name_of(handle)} from position {start} to "
        f"{browsing.position(handle)}",
    )


def check_keys(page, handle, picture):
    """Step right and back left from the slider's start; return the times and the steps one way."""
    handle.focus()
    page.keyboard.press("Home")
    browsing.wait_until_settled(picture)
    steps = min(4, int(float(handle.get_attribute("aria-valuemax"))))
    keys = ["ArrowRight"] * steps + ["ArrowLeft"] * steps
    return browsing.waits(page, handle, picture, keys), steps


def has_film(notebook):
    return notebook.page.locator(PLAY).count() > 0


def check_play(notebook):
    """Start the film with the mouse and stop it again."""
    page = notebook.page
    play = page.locator(PLAY).first
    picture = notebook.picture(play)
    before = picture.get_attribute("src")
    play.click()
    browsing.wait_for_change(page, picture, before, "the picture after Play")
    play.click()


def check_times(notebook, lab, first, again):
    """Print and assert how fast pictures followed and how much memory the kernel took."""
    check_memory(notebook, lab)
    if not first:  # there are buttons only
        return
    print(
        f"{notebook.name}: pictures follow a key after {statistics.median(again):.0f} ms "
        f"(median of {len(again)}, ready), {statistics.median(first):.0f} ms (of {len(first)}, "
        "first look)"
    )
    slack = SLACK * max(1, psutil.getloadavg()[0] / psutil.cpu_count())
    assert statistics.median(again) < slack * READY
    assert statistics.median(first) < slack * ON_REQUEST


def check_memory(notebook, lab):
    """Print the memory that kernel and server took, and assert that the kernel took little."""
    kernel, server = notebook.memory(), psutil.Process(lab.process.pid).memory_info().rss
    print(
        f"\n{notebook.name}: its kernel held {kernel / 2**20:.0f} MiB at most, beside Lab's "
        f"{server / 2**20:.0f}"
    )
    assert kernel < 2**30


def check_stored_view(notebook, path):
    """Find every stored picture on the page, and no widget that could not be displayed.

    Those in tables are the small ones of players.
    """
    pictures = [
        output
        for cell in read(path).cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    browsing.wait_for(
        notebook.page,
        "n => [...document.querySelectorAll('.jp-OutputArea-output img')]"
        ".filter(img => img.naturalWidth > 0 && !img.closest('table')).length == n",
        len(pictures),
        f"{len(pictures)} stored pictures",
    )
    assert not notebook.handles()
    assert notebook.page.get_by_text("Error displaying widget").count() == 0
    check_widths(notebook.page)


def check_widths(page):
    """No output with a picture or a player is wider than the page."""
    assert page.evaluate(browsing.TOO_WIDE) == []


def check_players(page, studio):
    """Four sounds come, and can be played."""
    browsing.wait_for(
        page,
        """box => {
        const players = [...box.querySelectorAll('audio')];
        return players.length == 4 && players.every(a => a.duration > 0.2 && a.error === null);
    }""",
        studio.element_handle(),
        "four players",
    )
