"""Settings of the documentation site: `python -m sphinx -W docs site`."""

import importlib.metadata
import pathlib
import sys

DOCS = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(DOCS / "extensions"), str(DOCS.parent)]

project = "nae_tf"
author = "The nae_tf authors"
copyright = "the nae_tf authors"
version = release = importlib.metadata.version("nae-tf")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "docstrings",
    "mathml",
    "refusals",
]
exclude_patterns = ["gallery"]

# --- Text ---------------------------------------------------------------------

myst_enable_extensions = ["amsmath", "colon_fence", "dollarmath"]
myst_heading_anchors = 3
# In docstrings `name` is code, as in Markdown.
default_role = "code"

# --- Reference ----------------------------------------------------------------

autosummary_generate = False  # Every name has its entry on the same page.
toc_object_entries_show_parents = "hide"
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # Docstrings give shapes and ranges as well.
autoclass_content = "both"  # The constructor's arguments are in __init__.
autodoc_default_options = {
    "members": True,
    # What Keras calls, not the reader.
    "exclude-members": "build, build_for_fit, compile_from_config, "
    "forget_graphs, from_config, get_compile_config, get_config, "
    "make_train_function, renamed_arguments, restore_tensors, "
    "saved_children, tensors_to_save, test_step, track_metrics",
}
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False

# --- Gallery ------------------------------------------------------------------

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "examples",
    "filename_pattern": r"/plot_",
    "within_subsection_order": "FileNameSortKey",
    "capture_repr": ("_repr_html_",),  # Not what `fit` returns.
    "abort_on_example_error": True,
    "doc_module": ("nae_tf",),
    "reference_url": {"nae_tf": None},
    "remove_config_comments": True,
    "show_signature": False,
    "write_computation_times": False,
}

# --- Pages --------------------------------------------------------------------

html_theme = "pydata_sphinx_theme"
html_title = "nae_tf"
html_math_renderer = "mathml"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_extra_path = ["llms.txt"]
html_sourcelink_suffix = ""
html_show_sourcelink = False
# A page opened from a disk may not read other files, not even for a summary.
html_show_search_summary = False
html_theme_options = {
    "github_url": "https://github.com/nae-tf/nae_tf",
    "navigation_with_keys": False,
    "show_prev_next": False,
    "show_toc_level": 2,
    "header_links_before_dropdown": 8,
    "navbar_persistent": ["search-button"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_context = {"default_mode": "auto"}
_ALONE = ("install", "architecture", "reliability", "refusals", "log")
html_sidebars: dict[str, list] = {page: [] for page in _ALONE}
