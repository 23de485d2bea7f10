"""Names of methods that fit where they are shown."""

import re


def pieces(name: str) -> list[str]:
    """The parts of a name between which a line may end: before +, & and brackets."""
    return re.split(r"(?=[+&(])", name)


def broken(name: str, width: int = 18) -> str:
    """A long name on several lines, cut before +, & and brackets, so that it does not run out of a panel or a column.

    >>> broken("fno-bc+operator(dirichlet)+hardc").splitlines()
    ['fno-bc+operator', '(dirichlet)+hardc']
    """
    lines = [""]
    for piece in pieces(name):
        if lines[-1] and len(lines[-1] + piece) > width:
            lines.append("")
        lines[-1] += piece
    return "\n".join(lines)
