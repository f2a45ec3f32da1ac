"""The documentation site: ``make docs`` writes it to build/docs, where index.html opens without a server."""

import sys
from pathlib import Path

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]

import generate  # noqa: E402  beside this file

project = "The scVI reproduction"
author = "The scVI reproduction authors"
project_copyright = f"2026, {author}"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
exclude_patterns = ["_build"]
default_role = "py:obj"
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
suppress_warnings = ["myst.header"]  # the reports of a run begin at any level
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
napoleon_custom_sections = ["Cost", "Errors"]
autodoc_member_order = "bysource"
autodoc_typehints = "none"
copybutton_prompt_text = "$ "

html_theme = "furo"
html_title = project
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_search_summary = False  # it would be fetched, which a page that is opened as a file may not do
html_math_renderer = "mathml"  # browsers draw it themselves: no script and nothing to load


def setup(app):
    app.add_html_math_renderer("mathml", inline_renderers=(_inline, None), block_renderers=(_block, None))
    app.connect("autodoc-skip-member", _of_scikit_learn)
    app.connect("builder-inited", lambda app: generate.write(Path(app.srcdir) / "generated"))


def _of_scikit_learn(app, what, name, member, skip, options):
    """Leave out set_fit_request and the like, which every estimator inherits."""
    return True if name.endswith("_request") else None


def _inline(writer, node):
    writer.body.append(tex2mathml(node.astext()))
    raise nodes.SkipNode


def _block(writer, node):
    writer.body.append(f'<div class="math">{tex2mathml(node.astext(), as_block=True)}</div>')
    raise nodes.SkipNode
