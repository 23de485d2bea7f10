"""Small trained networks that come with the wheel: `pretrained:NAME` wherever a run folder may stand.

Each is a run folder like any other (weights in safetensors, options in JSON, no code) with `about.json` beside them: what
made it, to the seed.
"""

from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from pydantic.dataclasses import dataclass

from lawbound.datasets.plugins import UnknownName, suggestion
from lawbound.specs import constrained
from lawbound.surrogates import checkpoint
from lawbound.surrogates.surrogate import Surrogate

PREFIX = "pretrained:"
ABOUT = "about.json"
_FOLDERS = "pretrained-"


@dataclass(frozen=True)
class About:
    """How a network was made."""

    what: str
    commands: tuple[str, ...]
    seed: int
    data: str


def names() -> list[str]:
    """What there is, in order of the alphabet."""
    return sorted(entry.name.removeprefix(_FOLDERS) for entry in _data().iterdir() if _is_one(entry))


def folder(run: str | Path) -> Path:
    """The run folder that is meant: a network's that comes with lawbound for `pretrained:NAME`, else the path itself.

    Raises `UnknownName`, with suggestions, for a name that there is not.

    >>> folder("pretrained:stefan").name, folder("runs/mine").name
    ('pretrained-stefan', 'mine')
    """
    text = str(run)
    if not text.startswith(PREFIX):
        return Path(run)
    name = text.removeprefix(PREFIX)
    if name not in names():
        raise UnknownName(
            f"`{name}` is not among the networks that come with lawbound: {', '.join(names())}."
            f"{suggestion(name, names())} `lawbound list pretrained` describes them."
        )
    return _data() / f"{_FOLDERS}{name}"


def load(run: str | Path) -> Surrogate:
    """The surrogate in a run folder, or one that comes with lawbound (`pretrained:NAME`); never runs code.

    Raises `ValueError` if a file is missing, truncated or does not fit, and `UnknownName` for a name that there is not.
    """
    return checkpoint.load(folder(run), constrained)


def rows() -> list[dict[str, Any]]:
    """Name, surrogate and problem of each, and how it was made."""
    found = []
    for name in names():
        where = folder(f"{PREFIX}{name}")
        config = checkpoint.read_config(where)
        about = TypeAdapter(About).validate_json((where / ABOUT).read_text(encoding="utf-8"))
        found.append(
            {
                "name": f"{PREFIX}{name}",
                "surrogate": config.surrogate,
                "problem": config.origin.problem,
                **asdict(about),
                "options": config.options,
            }
        )
    return found


def _is_one(entry: Path) -> bool:
    return entry.name.startswith(_FOLDERS) and (entry / checkpoint.CONFIG).is_file()


def _data() -> Path:
    # A wheel is unpacked when it is installed: its files have paths.
    return Path(str(files("lawbound"))) / "data"
