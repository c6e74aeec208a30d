"""Where the figures that the tools draw are written."""

import pathlib

from nae_tf.runs.disk import write_figure
from reproduction import cells


def draw(figure, name: str, folder: pathlib.Path | None = None):
    """Write a figure and print its path.

    Args:
        figure: `matplotlib.figure.Figure`.
        name: of the file, without ".png".
        folder: made if missing; the documentation's by default.
    """
    folder = folder or cells.REPOSITORY / "docs" / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.png"
    write_figure(path, figure)
    print(path)
