"""The benchmark runs every method, and its peers from other packages, on every signal."""
