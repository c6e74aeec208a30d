"""Habits of this package's docstrings and classes that autodoc does not know.

Docstrings are plain text: an indented paragraph is code, as in Markdown, and
`*` and `|` stand for themselves, as in float [batch, *shape] and |x|. Fields of
named tuples are described in the class's docstring. Keras models are made by a
`__new__` that takes anything; the arguments are those of their `__init__`.
"""

import inspect
import re

import keras

SECTIONS = (
    "Args:",
    "Attributes:",
    "Example:",
    "Examples:",
    "Note:",
    "Raises:",
    "References:",
    "Returns:",
    "Yields:",
)


def to_restructured_text(app, what, name, obj, options, lines):
    """Mark code and escape what reStructuredText would read as markup.

    Napoleon reads the sections, such as "Args:", afterwards.
    """
    marked: list[str] = []
    section = ""
    in_code = False
    for line in lines:
        if line.strip() and not line.startswith(" "):
            section = line.rstrip() if line.rstrip() in SECTIONS else ""
            in_code = False
        elif line.strip() and not (section or in_code):
            in_code = bool(marked) and not marked[-1].strip()
            if in_code:
                marked += ["::", ""]
        is_code = in_code or section.startswith("Example")
        marked.append(line if is_code else escape(line))
    lines[:] = list_returns(marked)


def list_returns(lines: list[str]) -> list[str]:
    """Make a list of several returned values, each "name: description"."""
    if "Returns:" not in lines:
        return lines
    start = lines.index("Returns:") + 1
    end = start
    while end < len(lines) and (not lines[end] or lines[end][0] == " "):
        end += 1
    named = [
        number
        for number in range(start, end)
        if re.match(r" {4}\w+: ", lines[number])
    ]
    if len(named) < 2 or named[0] != start:
        return lines
    items = [
        f"    * {line.strip()}" if number in named else f"  {line}".rstrip()
        for number, line in enumerate(lines[start:end], start)
    ]
    return [*lines[:start], "    A tuple of", "", *items, *lines[end:]]


def escape(line: str) -> str:
    """Escape `*` and `|` of a line, but for code and names such as *args."""
    parts = re.split(r"(`[^`]*`|^\s*\*+\w+:)", line)
    parts[::2] = [re.sub(r"([*|])", r"\\\1", text) for text in parts[::2]]
    return "".join(parts)


def skip_fields(app, what, name, obj, skip, options):
    """Leave out the fields of named tuples, which have no text of their own."""
    text = getattr(obj, "__doc__", None) or ""
    return True if text.startswith("Alias for field number") else None


def constructor_signature(
    app, what, name, obj, options, signature, return_annotation
):
    """Show the arguments of a Keras model's `__init__`."""
    if what != "class" or not issubclass(obj, keras.layers.Layer):
        return None
    shown = [
        parameter.replace(annotation=parameter.empty)
        for parameter in inspect.signature(obj.__init__).parameters.values()
    ]
    return str(inspect.Signature(shown[1:])), None


def setup(app):
    """Listen to autodoc, to docstrings before napoleon does."""
    app.connect("autodoc-process-docstring", to_restructured_text, priority=400)
    app.connect("autodoc-process-signature", constructor_signature)
    app.connect("autodoc-skip-member", skip_fields)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
