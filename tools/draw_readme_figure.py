"""Draw docs/demo.png, the README's picture: the released network on Stefan's problem, free and constrained.

python tools/draw_readme_figure.py
"""

from pathlib import Path

from lawbound.figures import panel
from lawbound.ink import to_png
from lawbound.reproduce import frozen

#: As it is, both published repairs, and ours; the table has all of them.
METHODS = ("anp", "hardc", "probconserv", "auto-two-phases")


def main() -> None:
    to_png(
        panel(frozen("stefan"), "u_star=0.6", METHODS),
        Path(__file__).resolve().parents[1] / "docs" / "demo.png",
        dpi=110,
    )


if __name__ == "__main__":
    main()
