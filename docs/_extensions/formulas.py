"""Formulas as MathML, made while building: no script, no font and no network in the reader's browser."""

import re
from html import unescape
from typing import Any
from xml.etree import ElementTree

from docutils import nodes
from docutils.utils.math import latex2mathml
from sphinx.application import Sphinx

_NAMESPACE = "http://www.w3.org/1998/Math/MathML"
#: Accents, and the sign that browsers raise above the letter instead of laying it on top.
_ACCENTS = {"ˆ": "^", "ˉ": "¯", "˜": "~"}


def mathml(formula: str, *, as_block: bool) -> str:
    """The formula; its accents stand above the letter, and its index beside both."""
    ElementTree.register_namespace("", _NAMESPACE)
    text = latex2mathml.tex2mathml(formula, as_block=as_block)
    # XML knows four names of signs, HTML some thousand.
    text = re.sub(r"&(?!lt;|gt;|amp;|quot;)\w+;", lambda name: unescape(name[0]), text)
    tree = ElementTree.fromstring(text)
    for node in tree.iter():
        sign = node[-1] if len(node) else None
        if sign is not None and sign.tag == _tag("mo") and sign.text in _ACCENTS:
            sign.text = _ACCENTS[sign.text]
            if node.tag == _tag("munderover"):
                # docutils takes the index of an accented letter for a limit below it.
                _beside(node)
    return ElementTree.tostring(tree, encoding="unicode")


def _beside(node: ElementTree.Element) -> None:
    letter, index, sign = list(node)
    over = ElementTree.Element(_tag("mover"), {"accent": "true"})
    over.extend([letter, sign])
    node.tag = _tag("msub")
    node[:] = [over, index]


def _tag(name: str) -> str:
    return f"{{{_NAMESPACE}}}{name}"


def inline(self: Any, node: nodes.math) -> None:
    """A formula in a line."""
    self.body.append(mathml(node.astext(), as_block=False))
    raise nodes.SkipNode


def block(self: Any, node: nodes.math_block) -> None:
    """A formula on a line of its own, with room to scroll on a narrow screen."""
    self.body.append(f'<div class="formula">{mathml(node.astext(), as_block=True)}</div>\n')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Sphinx's way in."""
    app.add_html_math_renderer("mathml", inline_renderers=(inline, None), block_renderers=(block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
