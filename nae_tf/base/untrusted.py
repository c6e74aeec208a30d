"""Folders and SavedModels that may come from somebody else."""

import pathlib

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import saved_model_pb2

from nae_tf.base.graph_operations import refused_operations


def leads_out(folder: pathlib.Path, links: bool = True) -> str | None:
    """Find what should not be in a folder that comes from somebody else.

    Args:
        folder: the folder.
        links: whether links out of it are looked for, too.

    Returns:
        A clause that names a link that leads out of the folder, or a pipe or a
        device, which would be waited for; None if there is neither.
    """
    here = folder.resolve()
    for path in folder.rglob("*"):
        is_link = links and path.is_symlink()
        if is_link and not path.resolve().is_relative_to(here):
            return f"{str(path)!r} is a link that leads out of it"
        if path.exists() and not (path.is_file() or path.is_dir()):
            return f"{str(path)!r} is a pipe or a device"
    return None


# What to pass where a SavedModel is refused.
_TRUST = "--trust_model (trust_model=True)"


def load_saved_model(path, trust_model: bool = False, how: str = _TRUST):
    """Load a SavedModel after `check_saved_model`.

    Args:
        path: directory of the SavedModel.
        trust_model: whether it may reach out of its graphs and its folder.
        how: how the user would say that it may, for messages.

    Returns:
        The object that `tf.saved_model.load` returns.

    Raises:
        FileNotFoundError: if there is no SavedModel.
        ValueError: if it is damaged, or is not trusted and reaches out of its
            graphs or its folder.
    """
    check_saved_model(pathlib.Path(path), trust_model, how)
    try:
        return tf.saved_model.load(str(path))
    except (
        tf.errors.OpError,
        OSError,
        ValueError,
        LookupError,  # Raised for an empty file of weights.
        RuntimeError,
    ) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"the SavedModel {str(path)!r} is damaged: {reason}. Export it "
            "again, or restore it from a copy."
        ) from error


def check_saved_model(
    path: pathlib.Path, trust_model: bool = False, how: str = _TRUST
):
    """Refuse a SavedModel that reaches out of its graphs or its folder.

    Args:
        path: directory of the SavedModel.
        trust_model: whether it may.
        how: how the user would say that it may, for messages.

    Raises:
        FileNotFoundError: if there is no SavedModel.
        ValueError: if it is damaged; or if it is not trusted and has an
            operation that no export needs, or files outside of the folder.
    """
    file = path / "saved_model.pb"
    if not file.exists():
        raise FileNotFoundError(
            f"{str(path)!r} holds no saved_model.pb; name the folder of a "
            "SavedModel, of an export its version, as runs/digits/export/1."
        )
    if fault := leads_out(path, links=not trust_model):
        raise _refusal(path, fault, how)
    try:
        saved_model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    except DecodeError as error:
        raise ValueError(f"the SavedModel {str(path)!r} is damaged.") from error
    if trust_model:
        return
    for meta_graph in saved_model.meta_graphs:
        if refused := refused_operations(meta_graph):
            raise _refusal(
                path,
                f"no export needs its operation {refused[0]!r}, which could "
                "reach out of the graph",
                how,
            )
        for asset in meta_graph.asset_file_def:
            place = (path / "assets" / asset.filename).resolve()
            if not place.is_relative_to(path.resolve()):
                raise _refusal(
                    path,
                    f"its asset {asset.filename!r} is outside of it",
                    how,
                )


def _refusal(path, reason, how):
    return ValueError(
        f"the SavedModel {str(path)!r} is refused: {reason}; pass "
        f"{how} if you trust who made it."
    )
