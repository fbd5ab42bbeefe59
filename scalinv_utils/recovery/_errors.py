"""Errors of recovery methods that a caller may want to tell from others."""

__all__ = ["DivergenceError"]


class DivergenceError(ValueError):
    """A descent left the finite numbers."""

    def __init__(self) -> None:
        super().__init__(
            "lr is too large (try a tenth of it), or transform and loss have no finite value or "
            "gradient: the descent left the finite numbers"
        )
