"""Settings of Sphinx for the web pages; `build` runs it on the sources that `_sources` gathers."""

from importlib import metadata

from scalinv_utils.course import _web
from scalinv_utils.tools.site import _body, _sources

project = "Signals from scalograms"
author = "The scalinv_utils authors"
copyright = "The scalinv_utils authors, MIT licence"
version = release = metadata.version("scalinv_utils")
language = "en"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "scalinv_utils.tools.site._math",
    "scalinv_utils.tools.site._body",
    "scalinv_utils.tools.site._reference",
]
exclude_patterns = ["extra"]
default_role = "code"
# Types in docstrings are words, such as n_samples in a shape; some are names of several things.
suppress_warnings = ["ref.python"]

# Notebooks are shown as they were stored.
nb_execution_mode = "off"
nb_render_markdown_format = "myst"
nb_merge_streams = True
nb_ipywidgets_js = {}
nb_code_prompt_show = nb_code_prompt_hide = "Code"
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 4

myst_heading_slug_func = "scalinv_utils.tools.site._notebook.anchor"

math_renderer = html_math_renderer = "mathml"
scalinv_terms = _body.terms(_sources.NOTEBOOKS / "glossary.md")

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings give types and shapes
autodoc_preserve_defaults = True
autodoc_class_signature = "mixed"
napoleon_google_docstring = False
napoleon_use_rtype = napoleon_use_param = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = project
html_static_path = ["assets", str(_web.FOLDER)]
html_css_files = ["site.css"]
html_js_files = [("site.js", {"defer": "defer"})]
html_copy_source = html_show_sourcelink = False
# The summaries of search results are fetched, which a page that lies in a folder cannot do.
html_show_search_summary = False
html_theme_options = {"navigation_with_keys": False}
templates_path = ["templates"]
