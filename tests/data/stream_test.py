"""Files that are read batch by batch: the same examples, little memory."""

import zipfile

import numpy as np
import pyarrow
import pytest
from data_files import (
    random_images,
    write_folder,
    write_png,
    write_tfrecord,
)
from memory import added_memory
from pyarrow import parquet

from nae_tf.data.readers.columns import Columns
from nae_tf.data.readers.stream import open_stream

RANDOM = np.random.default_rng(3)
VECTORS = RANDOM.normal(size=(11, 6)).astype(np.float32)
ARRAYS = {
    "by row": VECTORS,
    "by column": np.asfortranarray(VECTORS),
    "one column": np.asfortranarray(VECTORS[:, :1]),
    "doubles of the other order of bytes": VECTORS.astype(">f8"),
    "images": RANDOM.random((11, 3, 4, 1)).astype(np.float32),
    "images by column": np.asfortranarray(
        RANDOM.random((11, 3, 4, 3)).astype(np.float32)
    ),
    "structured": np.rec.fromarrays(list(VECTORS.T), names="a,b,c,d,e,f"),
}
WRITERS = {
    "npy": np.save,
    "npz": np.savez,
    "compressed npz": np.savez_compressed,
}


def batches_of(path, shape, batch_size=4, **settings):
    return list(open_stream(str(path), shape, batch_size, **settings).batches)


def expected(array):
    if array.dtype.names is not None:
        array = np.stack([array[name] for name in array.dtype.names], axis=1)
    return array.astype(np.float32)


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("kind", ARRAYS)
def test_parts_of_an_array_are_its_examples(kind, writer, tmp_path):
    path = tmp_path / f"x.{writer[-3:]}"
    WRITERS[writer](path, ARRAYS[kind])
    x = expected(ARRAYS[kind])
    stream = open_stream(str(path), x.shape[1:], 4)
    assert stream.size == 11
    batches = list(stream.batches)
    assert [batch.ids for batch in batches] == [
        ["0", "1", "2", "3"],
        ["4", "5", "6", "7"],
        ["8", "9", "10"],
    ]
    loaded = [batch.load() for batch in batches]
    np.testing.assert_array_equal(np.concatenate(loaded), x)
    # A command that goes on skips parts, and looks at examples one by one.
    np.testing.assert_array_equal(batches[1].load(), x[4:8])
    np.testing.assert_array_equal(batches[1].load_one(2), x[6:7])


@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_columns_of_a_structured_array_come_in_the_model_s_order(
    suffix, tmp_path
):
    path = tmp_path / f"x.{suffix}"
    rows = np.rec.fromarrays([[1.0, 2.0], [3.0, 4.0], [5, 6]], names="a,b,no")
    WRITERS[suffix](path, rows)
    columns = Columns(drop=("no",), names=("b", "a"))
    [batch] = batches_of(path, (2,), columns=columns)
    np.testing.assert_array_equal(batch.load(), [[3.0, 1.0], [4.0, 2.0]])


@pytest.mark.parametrize("suffix", ["parquet", "feather", "csv"])
def test_a_bad_row_of_a_table_is_told_from_the_others(suffix, tmp_path):
    pandas = pytest.importorskip("pandas")
    path = tmp_path / f"x.{suffix}"
    x = VECTORS.copy()
    x[6, 2] = np.nan
    x[9, 0] = np.inf
    frame = pandas.DataFrame(x, columns=list("abcdef"))
    if suffix == "csv":
        frame.to_csv(path, index=False, na_rep="nan")
    else:
        getattr(frame, f"to_{suffix}")(path)
    batches = batches_of(path, (6,))
    np.testing.assert_array_equal(batches[0].load(), x[:4])
    for number in (6, 9):
        batch = batches[number // 4]
        place = f"line {number + 2}" if suffix == "csv" else f"row {number}"
        with pytest.raises(ValueError, match=rf"{place}\b"):
            batch.load()
        with pytest.raises(ValueError, match=rf"{place}\b"):
            batch.load_one(number % 4)
    for number in (4, 5, 7, 8, 10):
        np.testing.assert_array_equal(
            batches[number // 4].load_one(number % 4), x[number : number + 1]
        )
    # Batches that are left out change nothing of those that follow.
    later = batches_of(path, (6,), skip=1)
    assert [batch.ids for batch in later] == [b.ids for b in batches[1:]]
    np.testing.assert_array_equal(later[0].load_one(1), x[5:6])
    with pytest.raises(ValueError, match=rf"{place}\b"):
        later[1].load()


def test_a_column_of_texts_ends_the_whole_table(tmp_path):
    table = pyarrow.table({"a": [1.0, 2.0], "b": ["x", "y"]})
    parquet.write_table(table, tmp_path / "x.parquet")
    with pytest.raises(ValueError, match="column 'b'"):
        batches_of(tmp_path / "x.parquet", (2,), 1)


@pytest.mark.parametrize("writer", WRITERS)
def test_a_bad_example_is_told_from_the_others_of_its_batch(writer, tmp_path):
    x = VECTORS.copy()
    x[6, 2] = np.nan
    path = tmp_path / f"x.{writer[-3:]}"
    WRITERS[writer](path, x)
    batches = batches_of(path, (6,))
    np.testing.assert_array_equal(batches[0].load(), x[:4])
    with pytest.raises(ValueError, match="the first is number 6 "):
        batches[1].load()
    np.testing.assert_array_equal(batches[1].load_one(1), x[5:6])
    with pytest.raises(ValueError, match="the first is number 6 "):
        batches[1].load_one(2)


def test_a_bad_record_is_told_from_the_others_of_its_batch(tmp_path):
    images = random_images(5, 4, 4, 1)
    records = []
    for image in images:
        write_png(tmp_path / "one.png", image)
        records.append({"image": (tmp_path / "one.png").read_bytes()})
    records[0]["image"] = records[0]["image"][:20]
    records[3]["image"] = b"no image"
    path = tmp_path / "x.tfrecord"
    write_tfrecord(path, records)
    batches = batches_of(path, (4, 4, 1), batch_size=3)
    assert [batch.ids for batch in batches] == [["0", "1", "2"], ["3", "4"]]
    for batch, bad in zip(batches, (0, 0), strict=True):
        with pytest.raises(ValueError, match="record"):
            batch.load()
        with pytest.raises(ValueError, match=f"record {batch.ids[bad]}"):
            batch.load_one(bad)
    loaded = [batches[0].load_one(1), batches[0].load_one(2)]
    loaded.append(batches[1].load_one(1))
    np.testing.assert_allclose(
        np.concatenate(loaded), images[[1, 2, 4]] / np.float32(255), rtol=1e-6
    )


@pytest.mark.parametrize("writer", ["npz", "compressed npz"])
def test_a_damaged_archive_is_refused_behind_its_last_whole_batch(
    writer, tmp_path
):
    path = tmp_path / "x.npz"
    x = RANDOM.normal(size=(50_000, 6)).astype(np.float32)
    WRITERS[writer](path, x)
    octets = bytearray(path.read_bytes())
    octets[-5_000] ^= 1
    path.write_bytes(octets)
    batches = batches_of(path, (6,), batch_size=1_000)
    np.testing.assert_array_equal(batches[0].load(), x[:1_000])
    with pytest.raises(ValueError, match=r"x\.npz cannot be read: "):
        for batch in batches:
            batch.load()


def test_a_member_that_goes_on_behind_its_array_is_refused(tmp_path):
    np.save(tmp_path / "x.npy", VECTORS)
    octets = (tmp_path / "x.npy").read_bytes()
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", octets + octets)
    with pytest.raises(ValueError, match="it goes on behind its values"):
        batches_of(path, (6,), batch_size=11)[0].load()


def test_a_file_that_is_cut_while_it_is_read_ends_in_one_line(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, VECTORS)
    first, *_, last = batches_of(path, (6,))
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 4)
    np.testing.assert_array_equal(first.load(), VECTORS[:4])
    with pytest.raises(ValueError, match="cannot be read: it ends within"):
        last.load()


@pytest.mark.parametrize("suffix", ["npy", "npz", "tfrecord", "folder"])
def test_dark_images_are_warned_of_behind_the_last(suffix, tmp_path):
    images = np.full((5, 4, 4, 1), 9, np.uint8)
    images[4, 0] = 15  # 15 of 255, as of a camera of four bits.
    path = tmp_path / f"x.{suffix}"
    if suffix == "folder":
        write_folder(path, images)
    elif suffix == "tfrecord":
        for number, image in enumerate(images):
            write_png(tmp_path / f"{number}.png", image)
        files = sorted(tmp_path.glob("*.png"))
        write_tfrecord(path, [{"x": file.read_bytes()} for file in files])
    else:
        WRITERS[suffix](path, images)
    with pytest.warns(UserWarning, match="brightest level is 15 of 255"):
        for batch in open_stream(str(path), (4, 4, 1), 2).batches:
            batch.load()


def test_each_depth_of_a_folder_has_its_own_white(tmp_path, recwarn):
    write_png(tmp_path / "8.png", np.full((4, 4, 1), 200, np.uint8))
    write_png(tmp_path / "16.png", np.full((4, 4, 1), 4_000, np.uint16))
    for batch in open_stream(str(tmp_path), (4, 4, 1), 2).batches:
        np.testing.assert_allclose(
            batch.load()[:, 0, 0, 0], [4_000 / 65_535, 200 / 255], rtol=1e-6
        )
    [warning] = recwarn
    assert "is 4000 of 65535" in str(warning.message)
    assert "if 4095 is white" in str(warning.message)


# Bytes of an array below; a quarter of them may be added.
SIZE = 2**28
ROWS, WIDTH = 2**17, 2**9


def sparse_npy(path, by_column):
    with path.open("wb") as file:
        header = {"descr": "<f4", "shape": (ROWS, WIDTH)}
        np.lib.format.write_array_header_1_0(
            file, header | {"fortran_order": by_column}
        )
        file.truncate(file.tell() + SIZE)


def npz_of_zeros(path, compression):
    sparse_npy(path.with_suffix(".npy"), False)
    with zipfile.ZipFile(path, "w", compression, compresslevel=1) as archive:
        archive.write(path.with_suffix(".npy"), "x.npy")


def parquet_of_one_group(path):
    columns = {str(n): RANDOM.random(2**20, np.float32) for n in range(16)}
    table = pyarrow.table(columns)
    parquet.write_table(table, path, row_group_size=2**20, compression=None)


def repeated_record(path, width, count):
    write_tfrecord(path, [{"x": np.zeros(width, np.float32)}])
    path.write_bytes(path.read_bytes() * count)


LARGE = {
    "x.npy": lambda path: sparse_npy(path, False),
    "columns.npy": lambda path: sparse_npy(path, True),
    "x.npz": lambda path: npz_of_zeros(path, zipfile.ZIP_STORED),
    "compressed.npz": lambda path: npz_of_zeros(path, zipfile.ZIP_DEFLATED),
    "x.tfrecord": lambda path: repeated_record(path, 2**14, 2_048),
    "x.parquet": parquet_of_one_group,
}
SHAPES = {"x.tfrecord": (2**14,), "x.parquet": (16,)}


@pytest.mark.parametrize("name", LARGE)
def test_the_memory_of_a_stream_does_not_grow_with_the_file(name, tmp_path):
    LARGE[name](tmp_path / name)
    shape = SHAPES.get(name, (WIDTH,))
    path = str(tmp_path / name)
    # Libraries are loaded, and their pools filled, by a first batch.
    next(open_stream(path, shape, 64).batches).load()
    with added_memory() as added:
        for batch in open_stream(path, shape, 64).batches:
            batch.load()
    assert added[0] < SIZE / 4
