"""Tests of the HDF5 readers: arrays, fields, groups, links, conventions."""

import h5py
import numpy as np
import pytest
import scipy.io
from science_files import (
    read,
    refused,
    write_hdf5,
    write_matlab,
    write_pandas_fixed,
)

from nae_tf.data.readers import hdf5
from nae_tf.data.readers.arrays import read_array
from nae_tf.data.readers.stream import open_stream

ROWS = np.array(
    [(1, 2.5, b"u", True), (3, 4.5, b"v", False)],
    [("a", "<i4"), ("b", ">f8"), ("kind", "S1"), ("flag", "?")],
)
X = np.arange(6.0).reshape(3, 2)


def write(path, build):
    with h5py.File(path, "w") as file:
        build(file)
    return path


def streamed(path, shape, key=None):
    batches = open_stream(str(path), shape, 2, key).batches
    return np.concatenate([batch.load() for batch in batches])


# Columns.


@pytest.mark.parametrize("label_key", ["kind", "jets/kind", "/jets/kind"])
def test_fields_are_columns(tmp_path, label_key):
    path = write_hdf5(tmp_path / "a.h5", jets=ROWS)
    found = read(path, "jets", label_key)
    np.testing.assert_array_equal(found.values, [[1, 2.5, 1], [3, 4.5, 0]])
    assert found.names == ("a", "b", "flag")
    assert found.labels.tolist() == ["u", "v"]
    found = read(path, drop=["kind", "flag"], names=("b", "a"))
    np.testing.assert_array_equal(found.values, [[2.5, 1], [4.5, 3]])
    assert found.names == ("b", "a")


def test_labels_of_fields_may_be_another_array(tmp_path):
    sort = h5py.enum_dtype({"background": 0, "signal": 1})
    truth = np.array([[1], [0]], sort)
    path = write_hdf5(tmp_path / "a.h5", jets=ROWS, truth=truth)
    found = read(path, "jets", "truth", drop=["kind"])
    assert found.labels.tolist() == ["signal", "background"]


def test_columns_of_arrays_are_numbered_and_images_stay(tmp_path):
    rows = np.zeros(2, [("id", "i4"), ("flux", "f4", 2), ("im", "f4", (3, 4))])
    rows["flux"] = [[1, 2], [3, 4]]
    rows["im"][1] = 0.5
    path = write_hdf5(tmp_path / "a.h5", sky=rows)
    found = read(path, drop=["id", "im"])
    assert found.names == ("flux[0]", "flux[1]")
    np.testing.assert_array_equal(found.values, [[1, 2], [3, 4]])
    found = read(path, label_key="id", drop=["flux"])
    assert found.values.shape == (2, 3, 4, 1) and found.names is None
    np.testing.assert_array_equal(found.values[:, 0, 0, 0], [0, 0.5])


def test_single_values_are_no_examples(tmp_path):
    """As the grid of a map, or what xarray keeps of an axis of one place."""
    path = write_hdf5(tmp_path / "a.nc", x=X, crs=np.int32(0), time=2.5)
    np.testing.assert_array_equal(read(path).values, X)
    with scipy.io.netcdf_file(tmp_path / "b.nc", "w") as file:
        for name, size in (("sample", 3), ("feature", 2)):
            file.createDimension(name, size)
        file.createVariable("x", "d", ("sample", "feature"))[:] = X
        file.createVariable("crs", "i", ())[...] = 0
    np.testing.assert_array_equal(read(tmp_path / "b.nc").values, X)


def test_arrays_of_a_group_are_columns(tmp_path):
    def build(file):
        file["events/pt"] = [1.0, 2.0]
        file["events/eta"] = [3.0, 4.0]
        file["events/kind"] = ["u", "v"]
        file["events/edges"] = np.arange(5.0)
        file["short"] = h5py.SoftLink("/events")

    path = write(tmp_path / "a.h5", build)
    for key in ("events", "/events/", "short"):
        found = read(path, key, "kind", drop=["edges"])
        assert found.names == ("eta", "pt")
        np.testing.assert_array_equal(found.values, [[3, 1], [4, 2]])
        assert found.labels.tolist() == ["u", "v"]
    path = write_hdf5(tmp_path / "b.h5", b=[1.0, 2.0], a=[3.0, 4.0])
    assert read(path, "/").names == ("a", "b")


def test_a_stream_gives_what_reading_gives(tmp_path):
    path = write_hdf5(tmp_path / "a.h5", jets=ROWS[["a", "b"]])
    np.testing.assert_array_equal(streamed(path, (2,)), read(path).values)
    path = write_matlab(tmp_path / "b.h5", x=X, y=X[:, :1])
    np.testing.assert_array_equal(streamed(path, (2,), "x"), X)


@pytest.mark.parametrize("dtype", [">f8", "<f2", ">i2", "u1", "?"])
def test_types_of_numbers(tmp_path, dtype):
    values = (X % 2).astype(dtype)
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=values, chunks=(2, 1), compression="gzip")
    np.testing.assert_array_equal(read(path).values, X % 2)


# Conventions.


def test_pandas_tables_have_names_and_labels(tmp_path):
    blocks = [(X, ["mass", "label"]), (np.array([[7], [8], [9]]), ["charge"])]
    path = write_pandas_fixed(tmp_path / "a.h5", blocks)
    for key in (None, "df", "/df"):
        found = read(path, key, "label")
        assert found.names == ("charge", "mass")
        np.testing.assert_array_equal(found.values, [[7, 0], [8, 2], [9, 4]])
        assert found.labels.tolist() == ["1.0", "3.0", "5.0"]
    assert read(path, drop=["label", "mass"]).names == ("charge",)


@pytest.mark.parametrize("options", [{}, {"format": "table"}])
def test_tables_that_pandas_writes(tmp_path, options):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("tables")
    frame = pandas.DataFrame(
        {"é": [1, 2, 3], "b": [0.5, 1.5, 2.5], "flag": [True, False, True]}
    )
    frame["kind"] = [0, 1, 0]
    if options:
        options = {**options, "data_columns": ["b"]}
        frame["word"] = ["x", "y", "z"]
    frame.to_hdf(tmp_path / "a.h5", key="some/df", **options)
    drop = ["word"] if options else []
    found = read(tmp_path / "a.h5", label_key="kind", drop=drop)
    assert found.names == ("é", "b", "flag")
    np.testing.assert_array_equal(
        found.values, [[1, 0.5, 1], [2, 1.5, 0], [3, 2.5, 1]]
    )
    assert found.labels.tolist() == ["0", "1", "0"]
    if options:
        found = read(tmp_path / "a.h5", label_key="word", drop=["kind"])
        assert found.labels.tolist() == ["x", "y", "z"]


def test_axes_of_matlab_stand_in_its_order(tmp_path):
    images = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    labels = np.array([[97, 98], [99, 32], [100, 32]], np.uint16)
    arrays = {"x": X, "y": X[:, :1], "images": images, "words": labels}
    for name in ("a.mat", "a.h5"):
        path = write_matlab(tmp_path / name, **arrays)
        np.testing.assert_array_equal(
            read(path, "images").values, images[..., None]
        )
        found = read(path, "x", "y")
        np.testing.assert_array_equal(found.values, X)
        assert found.labels.tolist() == ["0.0", "2.0", "4.0"]
        assert read(path, "x", "words").labels.tolist() == ["ab", "c", "d"]


def test_netcdf_is_unpacked(tmp_path):
    path = tmp_path / "a.nc"
    with h5py.File(path, "w") as file:
        packed = file.create_dataset("x", data=X.astype(np.int16))
        packed.attrs.update(scale_factor=0.1, add_offset=5.0, _FillValue=-9)
        packed.dims[0].label = "sample"
        scale = file.create_dataset("sample", data=np.arange(3.0))
        scale.make_scale("sample")
        file["y"] = [0, 1, 0]
        signed = file.create_dataset("bytes", data=-np.ones((2, 2), np.int8))
        signed.attrs["_Unsigned"] = "true"
        full = file.create_dataset("full", (2, 2), "u1", fillvalue=255)
        full[...] = 255
    # The coordinate of a dimension is no array of examples.
    np.testing.assert_allclose(
        read(path, "x", "y").values, 5 + X * 0.1, rtol=1e-6
    )
    np.testing.assert_allclose(streamed(path, (2,), "x"), 5 + X * 0.1, 1e-6)
    np.testing.assert_array_equal(read(path, "bytes").values, 255)
    # Without _FillValue, netCDF takes all values of bytes as data.
    np.testing.assert_array_equal(read(path, "full").values, 255)


def test_fields_of_a_matlab_struct_are_columns(tmp_path):
    path = write_matlab(
        tmp_path / "a.mat",
        **{"jets/pt": X[:, :1], "jets/n": X[:, 1:].T, "jets/kind": X[:, :1]},
    )
    found = read(path, "jets", "kind")
    np.testing.assert_array_equal(found.values, X[:, ::-1])
    assert found.names == ("n", "pt")
    assert found.labels.tolist() == ["0.0", "2.0", "4.0"]


def test_an_example_whose_label_is_a_fill_value_has_none(tmp_path):
    path = write_hdf5(tmp_path / "a.nc", x=X, y=[1, -1, 0])
    with h5py.File(path, "a") as file:
        file["y"].attrs["_FillValue"] = -1
    with pytest.raises(ValueError, match="1 of 3 examples have no label"):
        read(path, "x", "y")


def test_images_of_integers_are_read_in_any_order_of_bytes(tmp_path):
    images = np.arange(24).reshape(2, 3, 4)
    for dtype in (">u2", "<i4"):
        path = write_hdf5(tmp_path / "a.h5", x=images.astype(dtype))
        found = read_array(path, max_level=4_095).values
        assert found.dtype == np.uint16
        np.testing.assert_array_equal(found[..., 0], images)


def test_a_compression_that_is_not_installed_is_named(tmp_path, monkeypatch):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=X, compression="gzip")
    monkeypatch.setattr(h5py.h5z, "filter_avail", lambda code: False)
    with pytest.raises(ValueError, match=r"'deflate'.*pip install hdf5plugin"):
        read(path)


def test_an_error_where_h5py_expects_none_is_one_line(tmp_path, monkeypatch):
    """Some damage makes a list of names end in a SystemError."""
    path = write_hdf5(tmp_path / "a.h5", x=X)

    def fail(self, visit):
        raise SystemError("returned NULL without setting an exception")

    monkeypatch.setattr(h5py.Group, "visititems", fail)
    with pytest.raises(ValueError, match=r"a\.h5.*returned NULL") as caught:
        read(path)
    assert "\n" not in str(caught.value)


def test_coordinates_of_netcdf_name_columns(tmp_path):
    path = tmp_path / "a.nc"
    with h5py.File(path, "w") as file:
        file["x"] = X
        file["feature"] = ["pt", "eta"]
        file["feature"].make_scale("feature")
        file["x"].dims[1].attach_scale(file["feature"])
    assert read(path).names == ("pt", "eta")
    found = read(path, names=("eta", "pt"))
    np.testing.assert_array_equal(found.values, X[:, ::-1])
    found = read(path, label_key="eta")
    np.testing.assert_array_equal(found.values, X[:, :1])
    assert found.labels.tolist() == ["1.0", "3.0", "5.0"]


@pytest.mark.parametrize("size", [60, 99])
def test_an_array_whose_end_was_never_written(tmp_path, size):
    values = np.random.default_rng(0).normal(size=(100, 3))
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", (100, 3))[:size] = values[:size]
        file["counts"] = (np.arange(100) < 98)[:, None] * values
        file["counts"][3] = 0.0  # So that zeros stand elsewhere, too.
    assert len(read(path, "counts").values) == 100
    if size == 99:  # One example of zeros may be meant.
        assert not read(path, "x").values[-1].any()
        return
    for reader in (read, lambda *arguments: streamed(path, (3,), "x")):
        with pytest.raises(ValueError, match="'x' ends in 40 examples of zer"):
            reader(path, "x")


def test_labels_by_name_in_an_anndata_file(tmp_path):
    def build(file):
        file.attrs["encoding-type"] = "anndata"
        file["X"] = X
        file["var/_index"] = ["g1", "g2"]
        file["var"].attrs["_index"] = "_index"
        file["obs/cell/codes"] = np.array([0, 1, 0], np.int8)
        file["obs/cell/categories"] = ["T", "B"]
        file["obs/cell"].attrs["encoding-type"] = "categorical"
        file["obs/_index"] = ["x", "y", "z"]

    path = write(tmp_path / "a.h5ad", build)
    for label_key in ("cell", "obs/cell"):
        found = read(path, label_key=label_key)
        np.testing.assert_array_equal(found.values, X)
        assert found.names == ("g1", "g2")
        assert found.labels.tolist() == ["T", "B", "T"]


def nullable(file, name, texts, mask):
    """Texts as anndata writes those of which some may be missing."""
    file[f"{name}/values"] = texts
    file[f"{name}/mask"] = np.array(mask)
    file[name].attrs["encoding-type"] = "nullable-string-array"


def test_names_of_an_anndata_file_are_those_of_its_array(tmp_path):
    def build(file):
        file.attrs["encoding-type"] = "anndata"
        for name in ("X", "layers/counts", "raw/X", "obsm/X_pca"):
            file[name] = X
        nullable(file, "var/gene", ["g1", "g2"], [False, False])
        file["raw/var/gene"] = ["g2", "g1"]
        file["var"].attrs["_index"] = file["raw/var"].attrs["_index"] = "gene"
        nullable(file, "obs/cell", ["T", "", "B"], [False, True, False])
        file["obs/kind/codes"] = np.array([0, 1, 0], np.int8)
        nullable(file, "obs/kind/categories", ["u", "v"], [False, False])
        file["obs/kind"].attrs["encoding-type"] = "categorical"

    path = write(tmp_path / "a.h5ad", build)
    for key, names in [
        (None, ("g1", "g2")),
        ("layers/counts", ("g1", "g2")),
        ("raw/X", ("g2", "g1")),
        # Two components are not the two genes.
        ("obsm/X_pca", None),
    ]:
        assert read(path, key).names == names
    found = read(path, names=("g2", "g1"))
    np.testing.assert_array_equal(found.values, X[:, ::-1])
    assert read(path, label_key="kind").labels.tolist() == ["u", "v", "u"]
    refused("1 of 3 examples have no label, .* number 1 ", path, None, "cell")


# What is refused.


def links(file):
    file["x"] = X
    file["elsewhere"] = h5py.ExternalLink("other.h5", "/x")
    file["inner/loop"] = h5py.SoftLink("loop")
    file["gone"] = h5py.SoftLink("/nothing")
    file["far"] = h5py.SoftLink("/elsewhere")


def unwritten(file):
    file.create_dataset("never", (4, 2))
    part = file.create_dataset("part", (10, 2), chunks=(2, 2))
    part[:3] = 1.0
    filled = file.create_dataset("filled", (4, 2), fillvalue=-999.0)
    filled[:3] = 1.0
    file.create_dataset("outside", (2, 2), external=[("other.bin", 0, 32)])
    layout = h5py.VirtualLayout((4, 2), "f8")
    layout[:] = h5py.VirtualSource("other.h5", "x", (4, 2))
    file.create_virtual_dataset("virtual", layout)
    file["x"] = X
    layout = h5py.VirtualLayout((4, 2), "f8")
    layout[:3] = h5py.VirtualSource(file["x"])
    file.create_virtual_dataset("holes", layout)


def odd(file):
    file["complex"] = X + 1j
    file["words"] = [["a", "b"]]
    file.create_dataset("lists", (2,), h5py.vlen_dtype("f4"))
    file["number"] = 1.0
    file["tracks"] = np.zeros((2, 3), [("a", "f4")])
    file["jets"] = ROWS
    file["counted"] = np.array(
        [(0, 1.0), (1, 2.0)], [("index", "i8"), ("a", "f4")]
    )
    file["masked"] = np.array(
        [(1.0, True), (2.0, False)], [("a", "f4"), ("a.mask", "?")]
    )
    sparse = file.create_group("sparse")
    sparse.attrs["encoding-type"] = "csr_matrix"
    file["missing"] = X
    file["missing"].attrs["missing_value"] = [1.0, 2.0]
    file["range"] = X
    file["range"].attrs["valid_range"] = [0.0, 4.0]
    file["float"] = np.dtype("f4")


@pytest.mark.parametrize(
    ("build", "key", "message"),
    [
        (links, "elsewhere", "'elsewhere' is a link into another file, 'other"),
        (links, "far", "'far' is a link into another file, 'other.h5'"),
        (links, "inner/loop", "is a link to itself"),
        (links, "gone", r"has no 'gone'; it has \["),
        (unwritten, "never", "'never' was allocated, but never written"),
        (unwritten, "part", "but 3 of 5 parts of it were never written"),
        (unwritten, "filled", "2 values of 1 examples are missing .* number 3"),
        (unwritten, "outside", "stored outside of the file, in 'other.bin'"),
        (unwritten, "virtual", "its values are in other files such as 'other"),
        (unwritten, "holes", "parts of it have no source"),
        (odd, "complex", "expected numbers, received complex128"),
        (odd, "words", "expected numbers, received object"),
        (odd, "lists", "lists of varying lengths; pad or cut them"),
        (odd, "number", r"expected vectors .* shape \(\)"),
        (odd, "tracks", r"one row of fields for each .* shape \(2, 3\)"),
        (odd, "jets", r"\['kind'\] holds text; name them in drop"),
        (odd, "counted", "the column 'index' counts the rows"),
        (odd, "masked", "1 of 2 values of the column 'a' are masked"),
        (odd, "sparse", "is a sparse matrix"),
        (odd, "missing", "2 values of 2 examples are missing .* number 0 "),
        (odd, "range", "1 values of 1 examples are missing .* number 2 "),
        (odd, "float", r"'float' is a type of values, not an array; it has \["),
        (odd, "/", "expected arrays of one length|link|lists|sparse"),
    ],
)
def test_what_cannot_be_read_is_named_in_one_line(
    tmp_path, build, key, message
):
    path = write(tmp_path / "a.h5", build)
    write_hdf5(tmp_path / "other.h5", x=np.ones((4, 2)))
    with pytest.raises(ValueError, match=f"a.h5.*{message}") as caught:
        read(path, key)
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=f"a.h5.*{message}"):
        streamed(path, (2,), key)


def test_types_of_values_are_no_columns_and_no_labels(tmp_path):
    def build(file):
        file["a"], file["b"] = X.T
        file["kind"] = np.dtype("i4")  # As netCDF-4 keeps types of its users.

    path = write(tmp_path / "a.h5", build)
    np.testing.assert_array_equal(read(path, "/").values, X)
    with pytest.raises(ValueError, match="'kind' is a type of values, not"):
        read(path, "a", "kind")


def test_a_virtual_array_of_its_own_file_is_read(tmp_path):
    def build(file):
        file["x"] = X
        layout = h5py.VirtualLayout((3, 2), "f8")
        layout[:] = h5py.VirtualSource(file["x"])
        file.create_virtual_dataset("same", layout)

    path = write(tmp_path / "a.h5", build)
    np.testing.assert_array_equal(read(path, "same").values, X)


def test_reasons_why_a_file_cannot_be_opened(tmp_path):
    path = write_hdf5(tmp_path / "a.h5", x=np.zeros((1000, 2)))
    whole = path.read_bytes()
    path.write_bytes(whole[:5000])
    with pytest.raises(ValueError, match=r"a.h5 is cut off: a part of the"):
        read(path)
    path.write_bytes(b"hello")
    with pytest.raises(ValueError, match=r"a.h5 is not an HDF5 file"):
        read(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(unable to lock file, errno = 11)", "is locked by another program"),
        ("(file is already open for write)", "is being written by another"),
        ("[Errno 13] Permission denied", "may not be read; change its perm"),
        ("something new", "cannot be opened: something new"),
    ],
)
def test_what_the_system_says_is_passed_on(
    tmp_path, monkeypatch, text, message
):
    def refuse(path):
        raise OSError(text)

    monkeypatch.setattr(h5py, "File", refuse)
    with pytest.raises(ValueError, match=message):
        hdf5.open_hdf5(tmp_path / "a.h5")


def test_parts_of_a_pandas_table_are_not_read_without_their_names(tmp_path):
    path = write_pandas_fixed(tmp_path / "a.h5", [(X, ["mass", "label"])])
    with pytest.raises(ValueError, match="part of the pandas table 'df'; set"):
        read(path, "df/block0_values")
    with pytest.raises(ValueError, match=r"has no 'mas'; it has \['label'"):
        read(path, drop=["mas"])
    path = write_hdf5(tmp_path / "b.h5", a=[1.0, 2.0], b=[1.0, 2.0])
    with pytest.raises(ValueError, match=r"has no 'c'; it has \['a', 'b'\]"):
        read(path, "/", drop=["c"])


def test_weights_of_keras_are_no_examples(tmp_path):
    keras = pytest.importorskip("keras")
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.save_weights(tmp_path / "a.weights.h5")
    with pytest.raises(ValueError, match="holds the weights of a Keras model"):
        read(tmp_path / "a.weights.h5")


def test_images_along_matlab_s_last_axis_are_refused(tmp_path):
    images = np.zeros((8, 8, 3, 10), np.uint8)
    path = write_matlab(tmp_path / "a.mat", x=images)
    with pytest.raises(ValueError, match=r"8x8x3x10.*permute\(x, \[4 1 2 3"):
        read(path)
