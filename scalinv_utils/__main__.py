"""The commands of the course: python -m scalinv_utils {lab,test,setup,notebooks,benchmark,...}."""

# Syntax that every Python knows, here and in __init__.py: an old Python must get as far as
# `unfit`. All else is in tools/cli.py.
from __future__ import print_function

import sys

OLDEST, NEWEST = (3, 11), (3, 14)


def unfit(version):
    """The sentence for a Python that the course cannot run on; None for one that it can."""
    version = tuple(version[:2])
    if OLDEST <= version <= NEWEST:
        return None
    return (
        "The course needs Python {}.{} to {}.{} and this is Python {}.{}: run the command with "
        "one of those, for example python3.12 in place of python3.".format(
            *(OLDEST + NEWEST + version)
        )
    )


if __name__ == "__main__":
    if unfit(sys.version_info):
        sys.exit(unfit(sys.version_info))
    from .tools.cli import main

    main(sys.argv[1:])
