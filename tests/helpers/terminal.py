"""A terminal, or a pipe, in place of standard error."""

import io
import sys

from nae_tf.runs import progress


class Terminal(io.StringIO):
    """A standard error that is a terminal."""

    def isatty(self):
        return True


def show(monkeypatch, quiet=False, color=False, terminal=True):
    """Set how things are shown; return the standard error that shows them."""
    settings = {"quiet": quiet, "color": color}
    monkeypatch.setattr(progress, "_display", settings)
    stream = Terminal() if terminal else io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    return stream
