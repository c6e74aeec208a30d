"""HDF5 files that others link to: those of the same folder alone."""

import os
import pathlib

# Where HDF5 looks for the sources of virtual arrays before their own folder.
_OTHER_FOLDER = "HDF5_VDS_PREFIX"


def open_beside(title, file, name: str):
    """Open an HDF5 file that lies in the folder of another.

    HDF5 itself is not asked to follow a name: it would look into other folders
    as well. The file stays open as long as an array of it is in use.

    Args:
        title: what names the file, used in error messages.
        file: the open file in which the name stands.
        name: name of the other file.

    Raises:
        ValueError: if there is no such HDF5 file in that folder.
    """
    import h5py

    folder = pathlib.Path(file.file.filename).resolve().parent
    path = folder / name
    if os.path.basename(name) != name or path.resolve().parent != folder:
        raise ValueError(
            f"{title} leads out of the folder, to {name!r}; only files beside "
            "it are followed."
        )
    if os.environ.get(_OTHER_FOLDER):
        raise ValueError(
            f"{title} leads to {name!r}, but {_OTHER_FOLDER} names another "
            "folder; unset it."
        )
    try:
        return h5py.File(path)
    except OSError as error:
        reason = "is missing" if not path.exists() else "cannot be opened"
        raise ValueError(
            f"{title} leads to {name!r}, which {reason}."
        ) from error
