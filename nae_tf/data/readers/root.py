"""Reader of ROOT files, by uproot: flat branches of a TTree or an RNTuple."""

import re

import numpy as np

from nae_tf.base.feature_names import listed
from nae_tf.data.readers.columns import Columns
from nae_tf.data.readers.contents import Contents
from nae_tf.data.readers.optional import library
from nae_tf.data.readers.tabular import Fields, joined


def read(path, key, label_key, columns: Columns) -> Contents:
    """Read the branches of numbers of a TTree or RNTuple as columns.

    Args:
        path: the file.
        key: name of the tree, with or without its cycle; not needed if there
            is one alone.
        label_key: branch of the classes.
        columns: which branches are features.

    Raises:
        ModuleNotFoundError: if uproot is not installed.
        ValueError: if there is no such tree, or if a branch is not flat.
    """
    uproot = library(path, "ROOT", "uproot", "root")

    with path.open("rb") as file:
        if file.read(4) != b"root":
            raise ValueError(f"{path} is not a ROOT file.")
    try:
        # Local: the name is no address, and no server is asked.
        with uproot.open({str(path.absolute()): None}) as file:
            name, tree = _tree(path, file, key)
            title = f"{path}, {name!r}"
            table = _table(title, tree)
            source = joined(title, table, label_key, columns)
            labels = None if label_key is None else table.column(label_key)
            return source.contents(path, labels)
    except (KeyError, OSError, TypeError, ValueError) as error:
        if str(error).startswith(str(path)):
            raise
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(f"{path} is damaged: {reason}.") from error


def _tree(path, file, key):
    # Of several cycles of one name uproot takes the newest.
    kinds = file.classnames(cycle=False)
    trees = sorted(
        name
        for name, kind in kinds.items()
        if kind in ("TTree", "TNtuple", "TNtupleD") or "RNTuple" in kind
    )
    if not trees:
        raise ValueError(
            f"{path} holds neither a TTree nor an RNTuple, but "
            f"{listed(sorted(set(kinds.values())))}."
        )
    if key is None and len(trees) == 1:
        key = trees[0]
    name, *_ = (key or "").strip("/").partition(";")
    if name not in trees:
        raise ValueError(
            f"{path} has the trees {listed(trees)}; set key to one of them."
        )
    return name, file[key.strip("/")]


def _table(title, tree):
    """Columns of a tree; those that are not flat have a type of objects."""
    types = {}
    for name in tree.keys():  # noqa: SIM118  A tree is no dictionary.
        branch = tree[name]
        types[name] = _type(branch)
    jagged = [name for name, dtype in types.items() if dtype.kind == "O"]

    def read_branches(names, start, stop):
        found = tree.arrays(
            list(names), entry_start=start, entry_stop=stop, library="np"
        )
        return {name: found[name] for name in names}

    if len(jagged) == len(types):
        raise ValueError(
            f"{title} has no flat branch of numbers, but {listed(jagged)}; "
            "flatten or pad them, for example by awkward.pad_none."
        )
    return Fields(int(tree.num_entries), types, read_branches)


def _type(branch):
    dtype = getattr(
        getattr(branch, "interpretation", None), "to_dtype", None
    ) or _type_of_field(getattr(branch, "typename", ""))
    return np.dtype(object) if dtype is None else np.dtype(dtype)


def _type_of_field(name):
    """Type of a field of an RNTuple, or None if it holds no numbers."""
    array = _ARRAY.fullmatch(name)
    if array is None:
        return np.dtype(_NUMBERS[name]) if name in _NUMBERS else None
    inner = _type_of_field(array[1])
    if inner is None:
        return None
    return np.dtype((inner.base, (int(array[2]), *inner.shape)))


_ARRAY = re.compile(r"std::array<(.*), ?(\d+)>")
# Types of the fields of an RNTuple, as ROOT names them.
_NUMBERS = {
    "bool": "?",
    "float": "f4",
    "double": "f8",
    **{
        f"std::{sign}int{bits}_t": f"{letter}{bits // 8}"
        for sign, letter in (("", "i"), ("u", "u"))
        for bits in (8, 16, 32, 64)
    },
}
