"""Libraries that only some formats need."""

import importlib


def library(path, kind: str, module: str, extra: str):
    """Import the library that reads a format.

    Args:
        path: the file, named in the error message.
        kind: name of the format.
        module: name of the module to import.
        extra: name of the extra that installs it.

    Raises:
        ModuleNotFoundError: if it is not installed; the line says how to.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{path}: {kind} files need {module.partition('.')[0]}; pip "
            f"install 'nae-tf[{extra}]'."
        ) from error
