"""tools/prepare_datasets.py as a module, and downloads from a folder."""

import functools
import hashlib
import importlib.machinery
import importlib.util
import pathlib

import pytest

TOOL = pathlib.Path(__file__).parents[1] / "tools" / "prepare_datasets.py"


@functools.cache
def preparation_tool():
    # tensorflow-datasets prepares nothing without them: the extra "datasets".
    pytest.importorskip("importlib_resources")
    pytest.importorskip("tqdm")
    # Executing the module a second time would define its flags again.
    loader = importlib.machinery.SourceFileLoader("prepare_datasets", str(TOOL))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def local_files(tmp_path, contents, url_infos=None):
    """Stand-in for downloads whose only source is tmp_path / "raw"."""
    (tmp_path / "raw").mkdir(exist_ok=True)
    (tmp_path / "work").mkdir(exist_ok=True)
    sums = {name: hashlib.md5(c).hexdigest() for name, c in contents.items()}
    return preparation_tool().LocalFiles(
        None, url_infos or {}, sums, tmp_path / "raw", tmp_path / "work"
    )
