"""Our docstrings for Sphinx: plain sentences, formulas in Unicode, `names` in backticks; no markup of reStructuredText.

What reStructuredText would read as markup (u*, |∇u|, a trailing underscore) is escaped, paragraphs that are indented
become blocks of formulas, and examples stay examples.
"""

import re
from typing import Any

from sphinx.application import Sphinx

_SPAN = re.compile(r"(`+[^`]+`+)")


def plain(lines: list[str]) -> list[str]:
    """The docstring's lines as reStructuredText that says the same."""
    paragraphs = re.split(r"\n\s*\n", "\n".join(lines).strip("\n"))
    return "\n\n".join(_paragraph(text) for text in paragraphs).split("\n")


def _paragraph(text: str) -> str:
    if text.lstrip().startswith(">>>"):
        return text
    if text.startswith("  "):
        return "::\n\n" + "\n".join("  " + line for line in text.split("\n"))
    items = re.split(r"(?m)^(?=- )", text)
    if len(items) > 1:
        head, *rest = items
        listed = "\n".join("- " + _line(" ".join(item[2:].split())) for item in rest)
        return f"{_line(head.strip())}\n\n{listed}" if head.strip() else listed
    return _line(" ".join(text.split()))


def _line(text: str) -> str:
    parts = _SPAN.split(text)
    return "".join(f"``{part.strip('`')}``\\ " if i % 2 else _escaped(part) for i, part in enumerate(parts))


def _escaped(text: str) -> str:
    return re.sub(r"([\\*|_])", r"\\\1", text)


def _process(app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    lines[:] = plain(lines)


def setup(app: Sphinx) -> dict[str, bool]:
    """Sphinx's way in."""
    app.connect("autodoc-process-docstring", _process)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
