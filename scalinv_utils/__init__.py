"""Recover signals from their scalograms, with helpers for the course that explains how.

Importing this package loads nothing outside the standard library. Each public name, and torch with
it, is imported when it is first used. ``__init__.pyi`` lists the same names for type checkers.
"""

# An old Python reads this file and __main__.py before it can be told that it is too old, so both
# keep to syntax that every Python knows.
import importlib

_HOMES = {
    "Recovery": "recovery",
    "Scalogram": "transforms",
    "Scattering": "transforms",
    "diagnose": "diagnosis",
    "griffin_lim": "recovery",
    "invert_gradient": "recovery",
    "phase_gradient": "recovery",
    "recover": "recovery",
}
_MODULES = (
    "app",
    "benchmark",
    "bounds",
    "course",
    "diagnosis",
    "measured",
    "metrics",
    "recovery",
    "tools",
    "transforms",
)

# pyright: reportUnsupportedDunderAll=false
__all__ = [
    "Recovery",
    "Scalogram",
    "Scattering",
    "diagnose",
    "griffin_lim",
    "invert_gradient",
    "metrics",
    "phase_gradient",
    "recover",
]


def __getattr__(name):
    if name in _HOMES:
        return getattr(importlib.import_module("." + _HOMES[name], __name__), name)
    if name in _MODULES:
        return importlib.import_module("." + name, __name__)
    if name == "__version__":
        return importlib.import_module("importlib.metadata").version(__name__)
    raise AttributeError("module {!r} has no attribute {!r}".format(__name__, name))


def __dir__():
    return sorted(set(globals()) | set(_HOMES) | set(_MODULES) | {"__version__"})
