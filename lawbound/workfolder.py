"""A folder that work goes on in: made ours, or found to be of the same work."""

import json
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lawbound.datasets.store import write_text

MARK = "table.json"


def claim(folder: Path, table: str, settings: Mapping[str, Any]) -> None:
    """Make the folder the place of a table's work; raises `ValueError` if it holds anything else.

    settings: all that decides the outcome, as JSON values; work of other settings, or of another version of lawbound, is
    not gone on with.
    """
    refuse(folder, table, settings)
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / MARK).exists():
        write_text(folder / MARK, json.dumps(_asked(table, settings), indent=1) + "\n")


def refuse(folder: Path, table: str, settings: Mapping[str, Any]) -> None:
    """Raise `ValueError` for a folder that `claim` would not take; nothing is written."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; give a folder that is new or empty (-o).")
    if folder.is_dir() and any(not path.name.startswith(".") for path in folder.iterdir()):
        _refuse_others(folder, _asked(table, settings))


def _asked(table: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    asked: dict[str, Any] = json.loads(
        json.dumps({"table": table, "lawbound": version("lawbound"), "settings": settings})
    )
    return asked


def _refuse_others(folder: Path, asked: Mapping[str, Any]) -> None:
    mark = folder / MARK
    if not mark.exists():
        raise ValueError(
            f"{folder} holds files and no {MARK}, so it is not a table's work; give a new folder (-o)."
        )
    try:
        found = json.loads(mark.read_text(encoding="utf-8"))
        there = {name: found[name] for name in asked}
    except (ValueError, LookupError, TypeError) as error:
        raise ValueError(
            f"{mark} is damaged ({type(error).__name__}); delete the folder, or give a new one (-o)."
        ) from None
    if there["table"] != asked["table"]:
        raise ValueError(
            f"{folder} holds work on `{there['table']}`, `{asked['table']}` was asked for; give a new folder (-o)."
        )
    if there["lawbound"] != asked["lawbound"]:
        raise ValueError(
            f"{folder} was begun by lawbound {there['lawbound']}, this is {asked['lawbound']}, and one table is not made by "
            "two; finish it with that version, or give a new folder (-o)."
        )
    differing = [
        f"{name}={one} there, {two} asked for"
        for name, one, two in _differences(there["settings"], asked["settings"])
    ]
    if differing:
        more = f" and {len(differing) - 3} more" if len(differing) > 3 else ""
        raise ValueError(
            f"{folder} holds this table with other settings ({'; '.join(differing[:3])}{more}); give a new folder (-o)."
        )


def _differences(one: Any, two: Any, name: str = "") -> Iterator[tuple[str, Any, Any]]:
    """(name, value here, value there) of all leaves that differ."""
    if isinstance(one, dict) and isinstance(two, dict):
        for key in {**one, **two}:
            yield from _differences(one.get(key), two.get(key), f"{name}.{key}" if name else key)
    elif one != two:
        yield name, one, two
