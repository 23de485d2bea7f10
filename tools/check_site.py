"""Every link within a built site leads to a file that is there, and to a place on it that is there.

python tools/check_site.py build/docs
"""

import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """What a page links to, loads and can be linked at."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.places: set[str] = {"", "top"}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """One opening tag."""
        for name, value in attrs:
            if value and name in ("id", "name"):
                self.places.add(value)
            if value is not None and (tag, name) in LINKING:
                self.links.append(value)


LINKING = {("a", "href"), ("link", "href"), ("img", "src"), ("script", "src")}


def broken(site: Path) -> Iterator[str]:
    """A sentence for each link that leads nowhere."""
    pages = {
        path.resolve(): Page(path.read_text(encoding="utf-8"))
        for path in sorted(site.rglob("*.html"))
        if "_static" not in path.parts
    }
    for path, page in pages.items():
        for link in dict.fromkeys(page.links):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            where = f"{path.relative_to(site.resolve())}: {link}"
            if not target.exists():
                yield f"{where} is not there"
            elif target in pages and unquote(parts.fragment) not in pages[target].places:
                yield f"{where} has no such place"


if __name__ == "__main__":
    found = list(broken(Path(sys.argv[1])))
    print("\n".join(found) or "All links within the site lead somewhere.")
    sys.exit(bool(found))
