"""Bytes that were changed anywhere are read, or refused in one line.

A short and repeatable part of what `fuzz.py` looks for. What goes through a
decoder of another library at once (HDF5, images) is left to that, because a
process of its own may end there.
"""

import hypothesis
import pytest
from fuzz_targets import TARGETS
from hypothesis import strategies as st

SETTINGS = hypothesis.settings(
    derandomize=True,
    deadline=None,
    max_examples=60,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)
CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["set", "insert", "cut", "repeat"]),
        st.floats(0.0, 1.0, exclude_max=True),
        st.binary(min_size=1, max_size=6),
    ),
    min_size=1,
    max_size=4,
)


def changed(data, changes):
    """Set, insert, cut off or repeat bytes at some places."""
    for kind, place, octets in changes:
        at = int(place * len(data))
        if kind == "set":
            data = data[:at] + octets + data[at + len(octets) :]
        elif kind == "insert":
            data = data[:at] + octets + data[at:]
        elif kind == "cut":
            data = data[:at]
        else:
            data = data[:at] + data[at : at + 8] * octets[0] + data[at:]
    return data


@pytest.mark.parametrize("name", sorted(set(TARGETS) - {"hdf5", "image"}))
def test_changed_bytes_are_read_or_refused(name):
    target, seed = TARGETS[name]
    target(seed)

    @SETTINGS
    @hypothesis.given(CHANGES)
    def check(changes):
        target(changed(seed, changes))

    check()
