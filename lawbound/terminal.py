"""What a command shows while it works: quiet unless somebody is watching."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from shutil import disk_usage

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

#: Results go to standard output, everything else to standard error.
console = Console()
notes = Console(stderr=True)


class _Rate(ProgressColumn):
    """How many a second, as soon as that is known."""

    def render(self, task: Task) -> Text:
        """The rate as text."""
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.3g}/s", style="progress.data.speed")


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar fed by `advance(done, total)`; nothing at all when standard error is not a terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    # The rate is over minutes: a step may be a shard of many samples.
    with Progress(
        *columns, speed_estimate_period=600, console=notes, transient=True, disable=not notes.is_terminal
    ) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)


@contextmanager
def steps() -> Iterator[Callable[[str], Callable[[int, int], None]]]:
    """Work in steps: each is announced by its title, and has a progress bar until the next begins."""
    with ExitStack() as bars:

        def step(title: str) -> Callable[[int, int], None]:
            bars.pop_all().close()
            notes.print("[bold]·[/] ", end="")
            notes.print(title, markup=False, highlight=False)
            return bars.enter_context(progress(title))

        yield step


def cell(value: object) -> str:
    """A value as a cell of a table: lists on one line, mappings on a line for each key."""
    if isinstance(value, dict):
        return "\n".join(f"{key}: {cell(inner)}" for key, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(str(item) for item in value)
    return str(value)


def duration(seconds: float) -> str:
    """A time as a person says it, in at most two units.

    >>> duration(0.0042), duration(0.4), duration(75), duration(7384), duration(200000)
    ('4.2 ms', '0.4 s', '1 min 15 s', '2 h 3 min', '2 d 7 h')
    """
    if seconds < 0.1:
        return f"{1e3 * seconds:.2g} ms"
    if seconds < 60:
        return f"{seconds:.2g} s"
    units = ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))
    size, name, small, part = next(unit for unit in units if seconds >= unit[0])
    return f"{int(seconds // size)} {name} {int(seconds % size // small)} {part}"


def free_space(path: Path) -> int:
    """Bytes free where a path is, or would be made."""
    there = path.absolute()
    while not there.exists():
        there = there.parent
    return disk_usage(there).free
