"""Formulas as MathML, made while building: no script, no font and no network in the reader's browser."""

from typing import Any

from docutils import nodes
from docutils.utils.math import latex2mathml
from sphinx.application import Sphinx


def _mathml(node: Any, *, as_block: bool) -> str:
    # Browsers stretch and raise the ASCII sign as a hat; the modifier letter sits on the letter below it.
    return latex2mathml.tex2mathml(node.astext(), as_block=as_block).replace("ˆ", "^")


def inline(self: Any, node: nodes.math) -> None:
    """A formula in a line."""
    self.body.append(_mathml(node, as_block=False))
    raise nodes.SkipNode


def block(self: Any, node: nodes.math_block) -> None:
    """A formula on a line of its own, with room to scroll on a narrow screen."""
    self.body.append('<div class="formula">')
    self.body.append(_mathml(node, as_block=True))
    self.body.append("</div>\n")
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Sphinx's way in."""
    app.add_html_math_renderer("mathml", inline_renderers=(inline, None), block_renderers=(block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
