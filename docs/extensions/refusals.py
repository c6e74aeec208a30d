"""The directive `refusals`: what is refused, by the tables that tests try.

A row is a case of tests/bad_input_test.py: what is wrong, and a part of the
line that says so. The page has no list of its own that could grow old.
"""

import importlib
import pathlib
import re
import sys

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = [ROOT / "tests", ROOT / "tests" / "helpers", ROOT / "tools"]


class Refusals(SphinxDirective):
    """A table per subject, and the number of all cases."""

    def run(self):
        """Return the tables as nodes."""
        sys.path[:0] = map(str, FOLDERS)
        try:
            subjects = importlib.import_module("bad_input_test").SUBJECTS
        finally:
            del sys.path[: len(FOLDERS)]
        count = sum(len(subject.CASES) for subject in subjects)
        shown = [nodes.paragraph(text=f"{count} cases.")]
        for subject in subjects:
            self.env.note_dependency(subject.__file__)
            title = " ".join((subject.__doc__ or "").split()).rstrip(".")
            shown += [nodes.rubric(text=title), table(subject.CASES)]
        return shown


def table(cases):
    """Return the cases of a subject as a table of two columns."""
    group = nodes.tgroup("", cols=2)
    group += [nodes.colspec(colwidth=width) for width in (2, 3)]
    head, body = nodes.thead(), nodes.tbody()
    head += row(nodes.Text("what is wrong"), nodes.Text("words of the line"))
    for name, (_, message, *_) in cases.items():
        text = readable(message)
        body += row(nodes.Text(name), nodes.literal(text, text))
    group += [head, body]
    return nodes.table("", group)


def row(*contents):
    """Return a row of a table."""
    entries = [nodes.entry("", nodes.paragraph("", "", x)) for x in contents]
    return nodes.row("", *entries)


def readable(pattern):
    """Return a regular expression as the text that it stands for."""
    text = re.sub(r"\.\*\??", " ... ", pattern.strip("^$"))
    return re.sub(r"\\([^\w])", r"\1", text)


def setup(app):
    """Add the directive."""
    app.add_directive("refusals", Refusals)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
