"""Sphinx's configuration: furo, MyST, the reference from docstrings."""

from importlib.metadata import version as installed_version

project = "duplexio"
author = "The duplexio authors"
copyright = "2026, The duplexio authors"
release = installed_version("duplexio")
version = release

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.intersphinx",
    "sphinx.ext.napoleon",
]
# The build must not depend on other people's servers being up.
intersphinx_mapping: dict[str, tuple[str, str | None]] = {}

source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3

# The drop-in modules have exceptions of the same names as those they derive from: a type written
# by its short name could mean either, and the page is right all the same.
# And Pygments knows the files of not every program that is written about.
suppress_warnings = ["misc.highlighting_failure", "ref.python"]

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
# Attributes are described once, in the docstring of their class.
napoleon_use_ivar = True

html_theme = "furo"
html_title = f"duplexio {release}"
