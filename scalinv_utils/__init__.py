"""Helpers for the course on inverting scalograms: one module, one idea.

Importing this package loads nothing heavy: a module, and torch with it, is imported when it is
first used. `griffin_lim` and `phase_gradient` are modules here; the functions of the same names
live in them (``from scalinv_utils.griffin_lim import griffin_lim``).
"""

# An old Python reads this file and __main__.py before it can be told that it is too old: both keep
# to syntax that every Python knows.
import importlib

_HOMES = {
    "Recovery": "recovery",
    "Scalogram": "transforms",
    "invert_gradient": "gradient",
    "recover": "recovery",
}

__all__ = sorted(_HOMES)


def __getattr__(name):
    if name in _HOMES:
        return getattr(importlib.import_module("." + _HOMES[name], __name__), name)
    if name == "__version__":
        return importlib.import_module("importlib.metadata").version(__name__)
    if name in _modules():
        return importlib.import_module("." + name, __name__)
    raise AttributeError("module {!r} has no attribute {!r}".format(__name__, name))


def __dir__():
    return sorted(set(globals()) | set(_HOMES) | set(_modules()) | {"__version__"})


def _modules():
    found = importlib.import_module("pkgutil").iter_modules(__path__)
    return [module.name for module in found if not module.name.startswith("_")]
