"""How the site is built: `make docs`, or `sphinx-build -W docs build/docs`. Nothing is fetched, neither here nor by its pages."""

import hashlib
import os
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent

# The kernels that the tests have compiled serve the gallery as well (see tests/conftest.py); set before numba comes in.
_SOURCES = b"".join(path.read_bytes() for path in sorted((ROOT / "solvers").glob("*.py")))
os.environ.setdefault(
    "NUMBA_CACHE_DIR", str(ROOT / "build" / "numba" / hashlib.sha256(_SOURCES).hexdigest()[:16])
)
os.environ.setdefault("MPLBACKEND", "Agg")
# The gallery's networks are too small to share out: a second thread costs more than it gives.
os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(DOCS / "_extensions"))

import look  # noqa: E402
from sphinx_gallery.sorting import ExplicitOrder  # noqa: E402

project = "lawbound"
author = "the authors of lawbound"
project_copyright = "the authors of lawbound, Apache-2.0"
language = "en_GB"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx_gallery.gen_gallery",
    "docstrings",
    "interface",
    "formulas",
]
exclude_patterns = ["_extensions", "gallery", "guides", "**.ipynb"]
# The order of the gallery is an object, which Sphinx cannot keep from one build to the next.
suppress_warnings = ["config.cache"]

myst_enable_extensions = ["dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 3

html_theme = "pydata_sphinx_theme"
html_title = "lawbound"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_use_index = False
html_domain_indices = False
html_show_sourcelink = False
html_copy_source = False
html_math_renderer = "mathml"
html_sidebars = {"index": [], "walk": [], "faq": []}
html_theme_options = {
    "navbar_end": ["theme-switcher"],
    "navbar_persistent": ["search-button"],
    "header_links_before_dropdown": 8,
    "show_prev_next": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "default",
    "pygments_dark_style": "github-dark",
}

sphinx_gallery_conf = {
    "examples_dirs": ["guides", "gallery"],
    "gallery_dirs": ["auto/guides", "auto/gallery"],
    "filename_pattern": r"\.py$",
    "within_subsection_order": ExplicitOrder(look.ORDER),
    "reset_modules": ("matplotlib", look.style),
    "image_scrapers": ("matplotlib",),
    "abort_on_example_error": True,
    "thumbnail_size": (420, 230),
    "download_all_examples": False,
    "notebook_extensions": set(),
    "show_memory": False,
    "show_signature": False,
    "min_reported_time": 1e9,
    "remove_config_comments": True,
}

autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 88
