"""Scalograms that were measured, rounded, thinned out or made by other libraries."""

from ._measured import Measured

__all__ = ["Measured"]
