"""What all commands share: the program, its common arguments, and what wrong ones raise."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from lawbound.terminal import notes

app = App(
    name="lawbound",
    help="Surrogates of PDE solvers that keep conservation laws and boundary conditions.",
    version=version("lawbound"),
    suppress_keyboard_interrupt=False,  # `cli.run` says how to go on
)

Json = Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON object.")]
Out = Annotated[Path, Parameter(name=["-o", "--out"])]


class WrongArguments(ValueError):
    """Arguments that make no sense; exit status 2."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, with a sentence that says how to go on."""


@contextmanager
def reading_arguments() -> Iterator[None]:
    """What is raised in here is about the arguments."""
    try:
        yield
    except ValueError as error:
        raise WrongArguments(str(error)) from None


def print_json(value: object) -> None:
    """One JSON object on standard output."""
    print(json.dumps(value, allow_nan=False))


def complain(message: str) -> None:
    """One message to standard error, marked as ours."""
    notes.print("[bold red]lawbound:[/] ", end="")
    notes.print(message, markup=False, highlight=False)
