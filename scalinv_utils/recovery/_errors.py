"""Define the errors of recovery methods that a caller may want to tell from others."""

__all__ = ["DivergenceError"]


class DivergenceError(ValueError):
    """A descent reached a signal, a loss or a gradient that is NaN or infinite."""

    # Arguments are for copies only: an exception travels between processes with those it has.
    def __init__(self, *args: object) -> None:
        super().__init__(
            "lr is too large (try a tenth of it), or transform and loss have no finite value or "
            "gradient: the descent reached NaN or infinite numbers"
        )
