"""How Sphinx builds these pages: offline, and every warning is an error (``make docs``)."""

import sys
from pathlib import Path

import sdovis

sys.path.insert(0, str(Path(__file__).parent))
import generated

project = "SDOVIS"
author = "The SDOVIS authors"
html_show_copyright = False  # LICENSE has it, with the year
release = version = sdovis.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "SDOVIS"
html_static_path = ["_static"]
html_css_files = ["phone.css"]
html_show_sourcelink = False
html_copy_source = False
myst_heading_anchors = 3
myst_enable_extensions = ["attrs_inline"]
copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = True
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True}
default_role = "code"
highlight_language = "none"  # a block that names no language is a drawing or an output
smartquotes = False  # --set is not an en dash


def setup(app):  # type: ignore[no-untyped-def]
    """Settings, commands and channels are written into the pages when they are read."""
    app.connect("source-read", generated.on_source_read)
