"""Arrays of HDF5 that lie in other files of the same folder."""

import h5py
import numpy as np
import pytest
from science_files import read

from nae_tf.data import read_files, user_data
from nae_tf.data.readers.columns import Columns
from nae_tf.data.readers.stream import open_stream

X = np.arange(24.0).reshape(12, 2)


@pytest.fixture
def path(tmp_path):
    """A file of links and virtual arrays to two parts beside it."""
    folder = tmp_path / "set"
    folder.mkdir()
    (tmp_path / "away").mkdir()
    for place, values in (
        ("set/1.h5", X[:5]),
        ("set/2.h5", X[5:]),
        ("away/1.h5", X[:5]),
    ):
        with h5py.File(tmp_path / place, "w") as file:
            file["x"] = values
            file["table/a"], file["table/b"] = values.T
            file["table/kind"] = ["e", "mu"] * 2 + ["e"] * (len(values) - 4)
            file["soft"] = h5py.SoftLink("/table/a")
    (folder / "link.h5").symlink_to(tmp_path / "away" / "1.h5")

    def virtual(file, name, *parts):
        sizes = [size for _, size in parts]
        layout = h5py.VirtualLayout((sum(sizes), 2), "f8")
        start = 0
        for source, size in parts:
            layout[start : start + size] = h5py.VirtualSource(
                source, "x", (size, 2)
            )
            start += size
        file.create_virtual_dataset(name, layout)

    with h5py.File(folder / "all.h5", "w") as file:
        file["x"] = h5py.ExternalLink("1.h5", "/x")
        file["table"] = h5py.ExternalLink("1.h5", "table")
        file["own/a"] = h5py.ExternalLink("1.h5", "soft")
        file["own/b"] = X[:5, 1]
        virtual(file, "virtual", ("1.h5", 5), ("2.h5", 7))
        virtual(file, "larger", ("1.h5", 6))
        virtual(file, "gone", ("3.h5", 6))
        layout = h5py.VirtualLayout((3, 2), "f8")
        layout[:] = h5py.VirtualSource("1.h5", "x", (9, 2))[3:6]
        file.create_virtual_dataset("beyond", layout)
        virtual(file, "nested", ("all.h5", 6))
        for name, target in {
            "up": "../away/1.h5",
            "absolute": str(tmp_path / "away" / "1.h5"),
            "symlink": "link.h5",
            "itself": "all.h5",
            "missing": "3.h5",
        }.items():
            place = "/itself" if name == "itself" else "/x"
            file[name] = h5py.ExternalLink(target, place)
    return folder / "all.h5"


def linked(path, key, label_key=None):
    return read(path, key, label_key, linked_files=True)


def test_links_and_virtual_arrays_are_followed_on_request(path):
    np.testing.assert_array_equal(linked(path, "x").values, X[:5])
    np.testing.assert_array_equal(linked(path, "virtual").values, X)
    found = linked(path, "table", "kind")
    np.testing.assert_array_equal(found.values, X[:5])
    assert found.labels.tolist() == ["e", "mu", "e", "mu", "e"]
    found = linked(path, "own")
    np.testing.assert_array_equal(found.values, X[:5])
    assert found.names == ("a", "b")
    for key in ("x", "virtual", "table", "own"):
        with pytest.raises(ValueError, match="linked_files=True"):
            read(path, key)


def test_a_stream_follows_them_too(path):
    columns = Columns(linked_files=True)
    stream = open_stream(str(path), (2,), 5, "virtual", columns)
    values = np.concatenate([batch.load() for batch in stream.batches])
    np.testing.assert_array_equal(values, X)


def test_tasks_follow_them(path):
    settings = {"key": "virtual", "linked_files": True}
    assert read_files(str(path), **settings).size == 12
    task = user_data(
        str(path), validation_fraction=0.25, test_fraction=0.25, **settings
    )
    assert task.train.size == 6


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("up", r"leads out of the folder, to '\.\./away/1\.h5'"),
        ("absolute", "leads out of the folder"),
        ("symlink", "leads out of the folder, to 'link.h5'"),
        ("itself", "is a link to itself"),
        ("missing", "leads to '3.h5', which is missing"),
        ("gone", "is virtual and leads to '3.h5', which is missing"),
        ("larger", r"takes more of 'x' than its shape \(5, 2\)"),
        ("beyond", r"takes more of 'x' than its shape \(5, 2\)"),
        ("nested", "'x' is a link into another file"),
    ],
)
def test_what_leads_elsewhere_is_refused(path, key, message):
    with pytest.raises(ValueError, match=f"all.h5.*{message}") as caught:
        linked(path, key)
    assert "\n" not in str(caught.value)


def test_another_folder_of_virtual_arrays_is_refused(path, monkeypatch):
    monkeypatch.setenv("HDF5_VDS_PREFIX", str(path.parent.parent / "away"))
    with pytest.raises(ValueError, match="HDF5_VDS_PREFIX names another"):
        linked(path, "virtual")
