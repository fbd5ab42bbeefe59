"""The memory that a block takes is measured."""

import time

import numpy as np

from scalinv_utils.benchmark.machine import PeakMemory


def test_peak_memory_sees_what_is_there_for_a_moment():
    with PeakMemory() as memory:
        block = np.ones(8_000_000)
        time.sleep(0.05)
        del block
    assert 60 < memory.megabytes < 200
