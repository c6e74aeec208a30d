"""Pages of one file: no script, nothing loaded, every name escaped."""

import pathlib

import jinja2

# The templates and report.css stand beside this file.
_TEMPLATES = pathlib.Path(__file__).parent


def render_page(template: str, **values) -> str:
    """Return a page as HTML.

    Args:
        template: name of the file of the template.
        **values: what the template shows, by name; all of it is escaped but
            `markupsafe.Markup`.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(values)
