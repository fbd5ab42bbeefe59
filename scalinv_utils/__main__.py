"""The commands of the course: python -m scalinv_utils {lab,app,test,setup,notebooks,...}."""

# This file and __init__.py keep to syntax that every Python knows, so that an old Python gets as
# far as `unfit`. Everything else is in tools/cli.py.
from __future__ import print_function

import sys

OLDEST, NEWEST = (3, 11), (3, 14)


def unfit(version):
    """Return the sentence for a Python that cannot run the course, None for one that can."""
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
