"""Habits of this package's classes and docstrings that autodoc does not know.

Equations are indented paragraphs, which are code in Markdown and would be a
quotation here. Fields of named tuples stand in the class's docstring. Keras
models are made by a `__new__` that takes anything; their `__init__` counts.
"""

import inspect

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


def mark_code(app, what, name, obj, options, lines):
    """Put `::` before the indented paragraphs of a docstring's text.

    Sections such as "Args:" are left alone; napoleon reads them afterwards.
    """
    marked: list[str] = []
    in_section = in_code = False
    for line in lines:
        is_indented = line.startswith(" ")
        if line.strip() and not is_indented:
            in_section = line.rstrip() in SECTIONS
            in_code = False
        elif line.strip() and not (in_section or in_code):
            starts_paragraph = bool(marked) and not marked[-1].strip()
            if starts_paragraph:
                marked += ["::", ""]
                in_code = True
        marked.append(line)
    lines[:] = marked


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
    arguments = inspect.signature(obj.__init__)
    shown = [
        parameter.replace(annotation=parameter.empty)
        for parameter in list(arguments.parameters.values())[1:]
    ]
    return str(inspect.Signature(shown)), None


def setup(app):
    """Listen to the docstrings before napoleon does."""
    app.connect("autodoc-process-signature", constructor_signature)
    app.connect("autodoc-process-docstring", mark_code, priority=400)
    app.connect("autodoc-skip-member", skip_fields)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
