"""Names on the command line resolve through Python's entry points, ours and other people's alike."""

import warnings
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from typing import Any


class UnknownName(ValueError):
    """A name that no installed plug-in declares."""


def _declared(group: str) -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=f"lawbound.{group}")}


def names(group: str) -> list[str]:
    """Names declared in a group: `problems`, `surrogates`, `constraints` or `scores`."""
    return sorted(_declared(group))


def find(group: str, name: str) -> Any:
    """The object declared under a name; raises `UnknownName`, with suggestions, if there is none."""
    declared = _declared(group)
    if name not in declared:
        close = get_close_matches(name, declared, n=2)
        hint = f" Did you mean {' or '.join(close)}?" if close else ""
        raise UnknownName(
            f"`{name}` is not among the {group}: {', '.join(sorted(declared)) or 'none are installed'}.{hint} "
            f"`lawbound list {group}` describes them."
        )
    return declared[name].load()


def load_all(group: str) -> dict[str, Any]:
    """All objects of a group by name; a plug-in that does not load warns and is left out."""
    loaded = {}
    for name, point in sorted(_declared(group).items()):
        try:
            loaded[name] = point.load()
        except Exception as error:  # a stranger's code may raise anything
            warnings.warn(
                f"plug-in `{name}` ({point.value}) does not load and is skipped: {error}", stacklevel=2
            )
    return loaded
