"""App of notebook 10, which takes a recording of one's own from a file to a recovered sound."""

from .panel import Studio

__all__ = ["Studio"]
