"""Names on the command line resolve through Python's entry points, ours and other people's alike."""

import warnings
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from typing import Any


class UnknownName(ValueError):
    """A name that no installed plug-in declares."""


def _declared(group: str) -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=f"lawbound.{group}")}


def find(group: str, name: str) -> Any:
    """The object declared under a name in `problems`, `surrogates` or `constraints`.

    Raises `UnknownName`, with suggestions, if there is none, and `ValueError` if it does not load.
    """
    declared = _declared(group)
    if name not in declared:
        raise UnknownName(
            f"`{name}` is not among the {group}: {', '.join(sorted(declared)) or 'none are installed'}."
            f"{suggestion(name, declared)} `lawbound list {group}` describes them."
        )
    return _loaded(declared[name])


def suggestion(name: str, known: Any) -> str:
    """A sentence that offers the known names closest to one, empty if none is close."""
    close = get_close_matches(name, list(known), n=2)
    return f" Did you mean {' or '.join(close)}?" if close else ""


def load_all(group: str) -> dict[str, Any]:
    """All objects of a group by name; a plug-in that does not load warns and is left out."""
    loaded = {}
    for name, point in sorted(_declared(group).items()):
        try:
            loaded[name] = _loaded(point)
        except ValueError as error:
            warnings.warn(f"{error} It is skipped.", stacklevel=2)
    return loaded


def _loaded(point: EntryPoint) -> Any:
    try:
        return point.load()
    except Exception as error:  # a stranger's code may raise anything
        raise ValueError(
            f"The plug-in `{point.name}` ({point.value}) does not load: {error}. Repair or uninstall its package."
        ) from error
