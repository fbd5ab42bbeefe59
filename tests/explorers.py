"""Find the explorers of the notebooks, and for each the cells that it needs.

Running a whole notebook in order to move one slider would take minutes. The cells that an explorer
depends on take seconds; the names that they read and write tell which ones they are.
"""

import ast
from pathlib import Path

import nbformat

from scalinv_utils.tools import execute_notebooks

NOTEBOOKS = sorted(execute_notebooks.NOTEBOOKS_FOLDER.glob("*.ipynb"))
MAKERS = {"explore", "frame_player", "Studio"}


def read(path):
    """Read a notebook."""
    return nbformat.read(Path(path), as_version=4)


def cells(notebook):
    """Return the sources of the code cells that are not empty, in order."""
    return [
        cell.source for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()
    ]


def explorer_cells(sources):
    """Return the numbers of the cells that make an explorer."""
    return [k for k, source in enumerate(sources) if MAKERS & set(_called(ast.parse(source)))]


def needed_for(sources, last):
    """Return, in order, the numbers of cell `last` and of the cells that it depends on."""
    imported = set().union(*(_imported(ast.parse(source)) for source in sources))
    wanted, needed = set(), []
    for k in range(last, -1, -1):
        tree = ast.parse(sources[k])
        if k == last or wanted & (_written(tree) - imported) or _imported(tree):
            needed.insert(0, k)
            wanted = _needs(tree.body, wanted)
    return needed


def later_changes(sources, last):
    """Return the names that functions of cell `last` read and that a later cell binds again.

    Frames are drawn when they are first looked at: by then such a name would have another value.
    """
    functions = [
        node
        for source in sources[: last + 1]
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef)
    ]
    known = {function.name: _global_reads(function) for function in functions}
    wanted = set().union(
        *(
            _global_reads(node)
            for node in ast.walk(ast.parse(sources[last]))
            if isinstance(node, ast.FunctionDef | ast.Lambda)
        )
    )
    wanted |= {name for name in _read(ast.parse(sources[last])) if name in known}
    while more := set().union(*(known.get(name, set()) for name in wanted)) - wanted:
        wanted |= more
    return {name for source in sources[last + 1 :] for name in _bound(ast.parse(source)) & wanted}


def _called(tree):
    """Yield the names of the functions and methods that code calls."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield getattr(node.func, "attr", getattr(node.func, "id", ""))


def _needs(statements, wanted=frozenset()):
    """Return the names that must exist before the statements so that `wanted` exist after them."""
    for statement in reversed(statements):
        wanted = wanted - _bound(statement) | _read(statement)
    return wanted


SCOPES = (ast.FunctionDef, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
OUTSIDE = ("args", "decorator_list", "returns")


def _read(tree):
    """Return the names that code reads, without those that its inner scopes bind."""
    if isinstance(tree, ast.Name):
        return {tree.id} if isinstance(tree.ctx, ast.Load) else set()
    if isinstance(tree, ast.For):
        turned = {node.id for node in ast.walk(tree.target) if isinstance(node, ast.Name)}
        return _read(tree.iter) | _needs([*tree.body, *tree.orelse]) - turned
    if not isinstance(tree, SCOPES):
        return set().union(*map(_read, ast.iter_child_nodes(tree)))
    return _global_reads(tree).union(*map(_read, _outside(tree)))


def _global_reads(scope):
    """Return the names that a function or a comprehension reads when it runs but does not bind."""
    inside = [
        node
        for field, nodes in ast.iter_fields(scope)
        if field not in OUTSIDE
        for node in (nodes if isinstance(nodes, list) else [nodes])
        if isinstance(node, ast.AST)
    ]
    return set().union(*map(_read, inside)) - _own(scope)


def _outside(scope):
    """Return the expressions that are evaluated where a function is defined."""
    defaults = getattr(scope, "args", ast.arguments(defaults=[], kw_defaults=[]))
    return [
        *getattr(scope, "decorator_list", []),
        *defaults.defaults,
        *filter(None, defaults.kw_defaults),
    ]


def _own(scope):
    """Return the names that a function or a comprehension binds for itself."""
    arguments = getattr(scope, "args", None)
    return _stored(*ast.iter_child_nodes(scope)) | {
        node.arg for node in ast.walk(arguments or ast.Module([], [])) if isinstance(node, ast.arg)
    }


def _stored(*nodes):
    """Return the names that code binds, without those that its inner scopes bind."""
    names = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    names |= {
        node.id
        for node in nodes
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)
    }
    inner = [
        child
        for node in nodes
        if not isinstance(node, SCOPES)
        for child in ast.iter_child_nodes(node)
    ]
    return names | _stored(*inner) if inner else names


def _bound(tree):
    """Return the names that running a cell binds."""
    return _stored(tree) | _imported(tree)


def _imported(tree):
    """Return the names that the imports in code bind."""
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    return {(alias.asname or alias.name).split(".")[0] for node in imports for alias in node.names}


def _written(tree):
    """Return the names that a cell binds or changes: a[0] = 1, a.b = 1, a.append(1)."""
    changed = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript | ast.Attribute) and isinstance(node.ctx, ast.Store):
            changed |= _read(node.value)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            function = node.value.func
            changed |= _read(function.value) if isinstance(function, ast.Attribute) else set()
    return _bound(tree) | changed
