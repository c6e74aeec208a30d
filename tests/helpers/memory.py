"""Memory of this process, as Linux counts it."""

import contextlib
import pathlib

import pytest

STATUS = pathlib.Path("/proc/self/status")


def _bytes_of(name):
    lines = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
    return int(lines[name].split()[0]) * 1024


@contextlib.contextmanager
def added_memory():
    """Yield a list that gets the highest memory added within, bytes."""
    peaks = pathlib.Path("/proc/self/clear_refs")
    if not peaks.exists():
        pytest.skip("needs Linux")
    added = []
    before = _bytes_of("VmRSS")
    peaks.write_text("5")  # The highest memory is counted anew.
    yield added
    added.append(_bytes_of("VmHWM") - before)
