"""Downloads from a folder, for the preparation of data sets."""

import hashlib

import pytest

from nae_tf.data import preparation


def preparation_module():
    """Return nae_tf.data.preparation, or skip without the extra "datasets"."""
    # tensorflow-datasets prepares nothing without them.
    pytest.importorskip("importlib_resources")
    pytest.importorskip("tqdm")
    return preparation


def local_files(tmp_path, contents, url_infos=None):
    """Stand-in for downloads whose only source is tmp_path / "raw"."""
    (tmp_path / "raw").mkdir(exist_ok=True)
    (tmp_path / "work").mkdir(exist_ok=True)
    sums = {name: hashlib.md5(c).hexdigest() for name, c in contents.items()}
    return preparation_module().LocalFiles(
        None, url_infos or {}, sums, tmp_path / "raw", tmp_path / "work"
    )
