"""Files of the figures that the tools draw."""

import pathlib

from nae_tf.runs.disk import write_figure
from reproduction import cells


def draw(figure, name: str, folder: pathlib.Path | None = None):
    """Write a figure and print its path.

    Args:
        figure: a `matplotlib.figure.Figure`.
        name: name of the file, without ".png".
        folder: folder of the file, created if it is missing; None means that of
            the documentation.
    """
    folder = folder or cells.REPOSITORY / "docs" / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.png"
    write_figure(path, figure)
    print(path)
