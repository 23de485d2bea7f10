"""The command line. Exit status 0: done; 1: a finding or a failure; 2: wrong arguments."""

import sys
import warnings

from cyclopts import CycloptsError

import lawbound.data_commands
import lawbound.model_commands  # noqa: F401 — commands are declared where they are written
from lawbound.command import Interrupted, WrongArguments, app, complain
from lawbound.datasets.plugins import UnknownName
from lawbound.terminal import notes


def main() -> None:
    """Entry point of the `lawbound` program."""
    sys.exit(run(sys.argv[1:]))


def run(words: list[str]) -> int:
    """Run one command; messages of expected failures go to standard error, without a traceback."""
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _note
            status = app(words, exit_on_error=False, print_error=False, result_action="return_value")
        return int(status or 0)
    except (CycloptsError, UnknownName, WrongArguments) as error:
        complain(str(error))
        return 2
    except (ValueError, OSError, RuntimeError) as error:
        complain(str(error))
        return 1
    except Interrupted as told:
        complain(str(told))
        return 130
    except KeyboardInterrupt:
        complain(
            "Interrupted. Finished shards are kept: the same `generate` goes on. So is the last state of training: add --resume."
        )
        return 130


def _note(message: Warning | str, *about: object, **more: object) -> None:
    """A warning, without the line of code that gave it."""
    notes.print("[bold yellow]lawbound:[/] ", end="")
    notes.print(str(message), markup=False, highlight=False)
