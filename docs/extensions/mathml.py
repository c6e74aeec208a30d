"""Formulas as MathML, translated while the site is built.

Browsers draw MathML by themselves: a page needs no script and no other host.
The translator is that of docutils, which Sphinx is built on.
"""

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml


def inline_math(translator, node):
    """Write a formula within a line."""
    translator.body.append(tex2mathml(node.astext()))
    raise nodes.SkipNode


def display_math(translator, node):
    """Write a formula on a line of its own."""
    formula = tex2mathml(node.astext(), as_block=True)
    translator.body.append(f'<div class="math">{formula}</div>\n')
    raise nodes.SkipNode


def setup(app):
    """Register the renderer under the name `mathml`."""
    app.add_html_math_renderer(
        "mathml", (inline_math, None), (display_math, None)
    )
    return {"parallel_read_safe": True, "parallel_write_safe": True}
