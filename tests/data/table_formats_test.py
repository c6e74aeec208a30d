"""One table gives the same examples in every format and order of columns."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from table_writers import UNNAMED_WRITERS, WRITERS

from nae_tf.data.readers.arrays import read_array
from nae_tf.data.readers.columns import Columns
from nae_tf.data.readers.stream import open_stream

# Floats that float32 holds in its normal range, and zero.
NUMBERS = st.one_of(
    st.just(0.0),
    st.floats(1e-30, 1e30),
    st.floats(-1e30, -1e-30),
    st.floats(-2.0, 2.0).filter(lambda x: abs(x) > 1e-30),
)
NAMES = st.lists(
    st.text("abcxyzÄµ_.[0 1]()%/", min_size=1, max_size=8)
    .map(str.strip)
    .filter(lambda name: any(letter in name for letter in "bcxyzÄµ")),
    min_size=2,
    max_size=5,
    unique=True,
)


@st.composite
def tables(draw):
    """Values, names, and an order in which to write the columns."""
    names = draw(NAMES)
    shape = (draw(st.integers(1, 12)), len(names))
    values = draw(arrays(np.float64, shape, elements=NUMBERS))
    if draw(st.booleans()):
        values = values.astype(">f8")
    return values, names, draw(st.permutations(range(len(names))))


def streamed(path, names, num_features):
    columns = Columns(names=names, header="no" if names is None else "yes")
    stream = open_stream(str(path), (num_features,), 5, columns=columns)
    return np.concatenate([batch.load() for batch in stream.batches])


def check(name, write, table, order, expected_names):
    values, names, _ = table
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        keeps_bytes = name.endswith((".npy", ".npz", ".h5", ".nc", ".mat"))
        native = values if keeps_bytes else values + 0.0
        write(path, native[:, order], [names[index] for index in order])
        columns = Columns(
            names=expected_names,
            header="no" if expected_names is None else "auto",
        )
        read = read_array(path, columns=columns)
        scored = streamed(path, expected_names, len(names))
    expected = values.astype(np.float32)
    np.testing.assert_allclose(read.values, expected, rtol=1e-6)
    np.testing.assert_allclose(scored, expected, rtol=1e-6)
    assert read.names == expected_names


@pytest.mark.parametrize("name", WRITERS)
@settings(deadline=None, max_examples=15)
@given(table=tables())
def test_columns_in_any_order_are_the_same_examples(name, table):
    names = tuple(table[1])
    check(name, WRITERS[name], table, table[2], names)


@pytest.mark.parametrize("name", UNNAMED_WRITERS)
@settings(deadline=None, max_examples=15)
@given(table=tables())
def test_columns_without_names_are_the_same_examples(name, table):
    check(name, UNNAMED_WRITERS[name], table, range(len(table[1])), None)
