"""The table of a comparison: which columns it has, how its numbers are written, and how it looks in a terminal.

The solver comes first. A column has one power of ten, named in its header; a number that this power would make
vanish carries its own. Errors are rounded by the rule of the Particle Data Group (Review of Particle Physics,
section 5.3: one or two digits), values to the same place. Files have every digit, a table those that mean something.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import final

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from lawbound.evidence import Case, Comparison, Row
from lawbound.naming import broken
from lawbound.reference import SOLVER
from lawbound.score import Metric

ABSENT, BEST, PLUS_MINUS, PUBLISHED = "–", "✓", "±", "known value"
_ROUND_OFF = 1e-13  # a conservation error below this is nothing but round-off
_FEWEST, _MOST = 2, 4  # digits of a value, however large or small its error
_ALONE = 3  # digits of a value without one
_GAP, _NAME_WIDTH = 2, 29
#: For outputs that know ASCII only.
_ASCII = str.maketrans("✓–×−↓↑→·∫≤²σ‖", "*-x-v^>;S<2s|") | {ord(PLUS_MINUS): "+-", ord("…"): "..."}


_NOT_SHOWN = ("front_mean",)  # the bias says it, against the truth

#: Where a law's right-hand side comes from, in words.
RHS_SOURCES = {
    "analytic": "a formula of the problem's parameters",
    "boundary-data": "computed from the declared wall values",
    "ledger": "read off the solver's own account of wall fluxes, which is more than a user would know",
}


@final
@dataclass(frozen=True)
class Number:
    """A number as it is written, split at its decimal point, with its error or an empty string."""

    whole: str
    fraction: str
    error: str = ""

    @property
    def value(self) -> str:
        """Without the error."""
        return self.whole + self.fraction


@final
@dataclass(frozen=True)
class Cell:
    """One number of the table."""

    row: Row
    number: Number
    published: Number | None
    best: bool


@final
@dataclass(frozen=True)
class Column:
    """A metric in one case; `cells` by method, None where it does not apply."""

    metric: Metric
    power: int
    cells: tuple[Cell | None, ...]

    @property
    def unit(self) -> str:
        """The power of ten that goes with the column's numbers."""
        return f"×1e{self.power}" if self.power else ""


@final
@dataclass(frozen=True, eq=False)
class Section:
    """The part of the table that belongs to one case; `methods` name the rows, the solver first."""

    case: Case
    methods: tuple[str, ...]
    columns: tuple[Column, ...]


def sections(comparison: Comparison) -> Iterator[Section]:
    """One for each case, in order."""
    methods = (SOLVER, *(method for method in comparison.methods if method != SOLVER))
    metrics = [*known_metrics(comparison), *_strangers(comparison)]
    for case in comparison.cases:
        found = {(row.method, row.metric): row for row in comparison.rows if row.case == case.name}
        used = {metric for _, metric in found}
        yield Section(
            case,
            methods,
            tuple(
                _column(metric, [found.get((method, metric.key)) for method in methods])
                for metric in metrics
                if metric.key in used
            ),
        )


def headline(comparison: Comparison, case: Case) -> str:
    """The case, how many samples it has, and the time at which it is judged."""
    count = case.samples.size
    return f"{case.name} · {count} sample{'s' * (count != 1)} · t = {comparison.time_of_interest:g}"


def footnotes(comparison: Comparison) -> list[str]:
    """How to read the numbers, where b comes from, and the comparison's own notes."""
    source = comparison.rhs_source
    published = dict.fromkeys(row.source for row in comparison.rows if row.published is not None)
    return [
        f"value {PLUS_MINUS} standard error over samples; {BEST} best of its column, the solver aside",
        *([f"right-hand side b(t): {source}, {RHS_SOURCES[source]}"] if source in RHS_SOURCES else []),
        *(f"{PUBLISHED}: {source}" for source in published if source),
        *comparison.notes,
    ]


def print_comparison(console: Console, comparison: Comparison) -> None:
    """The table as wide as the console; plain text where that is not a terminal."""
    console.print(TerminalTable(comparison), highlight=False)


@final
@dataclass(frozen=True, eq=False)
class TerminalTable:
    """A comparison that rich can print."""

    comparison: Comparison

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Title, verdict, a section for each case, footnotes."""

        def said(text: str, style: str = "") -> Text:
            # Names come from data: always `Text`, never markup.
            plain = text.translate(_ASCII).encode("ascii", "replace").decode() if options.ascii_only else text
            return Text(plain, style)

        quick = f" · QUICK, not the full table: {self.comparison.reduced}" if self.comparison.reduced else ""
        yield said(self.comparison.table + quick, "bold")
        if self.comparison.verdict:
            yield said(self.comparison.verdict)
        for section in sections(self.comparison):
            # In ASCII, ± takes two places: leave room for a block's worth of them.
            for i, columns in enumerate(_blocks(section, options.max_width - 8 * options.ascii_only)):
                yield said("")
                if i == 0:
                    yield said(headline(self.comparison, section.case), "bold")
                yield _block(section, columns, said)
        yield said("")
        for line in footnotes(self.comparison):
            yield said(line, "dim")


def known_metrics(comparison: Comparison) -> list[Metric]:
    """The columns that the comparison describes; those of one group stand side by side."""
    metrics = [metric for metric in comparison.metrics if metric.key not in _NOT_SHOWN]
    groups = list(dict.fromkeys(metric.group for metric in metrics))
    return sorted(metrics, key=lambda metric: groups.index(metric.group))


def _strangers(comparison: Comparison) -> list[Metric]:
    """Scores that nobody describes."""
    known = {*_NOT_SHOWN, *(metric.key for metric in comparison.metrics)}
    names = dict.fromkeys(row.metric for row in comparison.rows if row.metric not in known)
    return [
        Metric(name, name, "other", None, "A score that its comparison does not describe.") for name in names
    ]


def _column(metric: Metric, rows: Sequence[Row | None]) -> Column:
    judged = [row for row in rows if row is not None and row.method != SOLVER]
    power = _power([row.value for row in judged or rows if row is not None])
    regrets = {row.method: metric.regret(row.value) for row in judged}
    least = min(regrets.values(), default=math.inf)
    # What is written alike is equally good, and so is all round-off in a law.
    winning = {_written(row.value, row.stderr, power).value for row in judged if regrets[row.method] == least}
    lawful = metric.key == "ce" and least < _ROUND_OFF

    def cell(row: Row) -> Cell:
        number = _written(row.value, row.stderr, power)
        regret = regrets.get(row.method, math.inf)
        best = number.value in winning or (lawful and regret < _ROUND_OFF)
        return Cell(
            row,
            number,
            None if row.published is None else _as_given(row.published, power),
            best and len(judged) > 1 and regret < math.inf,
        )

    return Column(metric, power, tuple(None if row is None else cell(row) for row in rows))


def _power(values: Sequence[float]) -> int:
    """Of the largest number; none where numbers read well as they are."""
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    power = math.floor(math.log10(largest)) if largest else 0
    return 0 if -1 <= power <= 2 else power


def _written(value: float, error: float | None, power: int, *, digits: int = _ALONE) -> Number:
    """A value in units of 10^power to the place that its error allows, or to so many digits without one."""
    if not math.isfinite(value):
        return Number(str(value), "")
    if value == 0.0:
        return Number("0", "")
    unit = 10.0**power
    if not 5e-3 <= abs(value) / unit < 1e4:
        return _by_itself(value, error)
    decimals = _decimals(value / unit, None if error is None else error / unit, digits)
    whole, point, fraction = f"{value / unit:.{decimals}f}".partition(".")
    # At least one of the last place: an error is never written as nothing.
    shown = "" if error is None else f"{max(error / unit, 10.0**-decimals):.{decimals}f}"
    return Number(whole, point + fraction, shown)


def _as_given(value: float, power: int) -> Number:
    """A published value: four digits, less the zeros at its end."""
    number = _written(value, None, power, digits=_MOST)
    return number if "e" in number.fraction else Number(number.whole, number.fraction.rstrip("0").rstrip("."))


def _by_itself(value: float, error: float | None) -> Number:
    """A number far below its column's power: -3e-17 where it is round-off, 1.3e-8 ± 2e-9 else."""
    tiny = abs(value) < _ROUND_OFF
    mantissa, _, power = (f"{value:.0e}" if tiny else f"{value:.1e}").partition("e")
    whole, point, fraction = mantissa.partition(".")
    spread = ""
    if error is not None and not tiny:
        error_mantissa, _, error_power = f"{error:.0e}".partition("e")
        spread = f"{error_mantissa}e{int(error_power)}"
    return Number(whole, f"{point}{fraction}e{int(power)}", spread)


def _decimals(value: float, error: float | None, digits: int) -> int:
    """Places after the point."""
    place = math.floor(math.log10(abs(value)))
    if error is None or error == 0.0 or not math.isfinite(error):
        return max(0, digits - 1 - place)
    first = math.floor(math.log10(error))
    leading = round(error / 10.0 ** (first - 2))  # the first three digits, 100 to 1000
    carried = leading >= 950
    allowed = (2 if leading <= 354 or carried else 1) - 1 - first - carried
    return max(0, _FEWEST - 1 - place, min(allowed, _MOST - 1 - place))


def _texts(column: Column) -> tuple[list[str], list[str]]:
    """The column's numbers and published numbers, decimal points one below the other."""
    cells = [cell for cell in column.cells if cell]
    written = [cell.number for cell in cells] + [cell.published for cell in cells if cell.published]
    whole = max((len(number.whole) for number in written), default=0)
    fraction = max((len(number.fraction) for number in written if number.error), default=0)

    def text(number: Number | None, mark: str = "") -> str:
        if number is None:
            return ""
        tail = f"{number.fraction:<{fraction}}{PLUS_MINUS}{number.error}" if number.error else number.fraction
        return f"{number.whole:>{whole}}{tail}{mark}"

    return (
        [text(cell.number, BEST * cell.best) if cell else f"{ABSENT:>{whole}}" for cell in column.cells],
        [text(cell.published) if cell else "" for cell in column.cells],
    )


def _blocks(section: Section, width: int) -> list[list[Column]]:
    """Columns side by side as far as they fit; groups are kept whole where they can be."""
    room = width - _name_width(section) - _GAP
    groups: dict[str, list[Column]] = {}
    for column in section.columns:
        groups.setdefault(column.metric.group, []).append(column)
    blocks: list[list[Column]] = []
    for group in groups.values():
        if blocks and _width([*blocks[-1], *group]) <= room:
            blocks[-1] += group
            continue
        blocks.append([])
        for column in group:
            if blocks[-1] and _width([*blocks[-1], column]) > room:
                blocks.append([])
            blocks[-1].append(column)
    return blocks


def _width(columns: Sequence[Column]) -> int:
    def width(column: Column) -> int:
        return max(map(len, (*_header(column), *(text for texts in _texts(column) for text in texts))))

    return sum(width(column) + _GAP for column in columns) - _GAP


def _header(column: Column) -> tuple[str, str]:
    return f"{column.metric.label} {column.metric.arrow}".strip(), column.unit


def _name_width(section: Section) -> int:
    return min(_NAME_WIDTH, max(len(name) for name in (*section.methods, f"  {PUBLISHED}")))


def _block(section: Section, columns: Sequence[Column], said: Callable[..., Text]) -> Table:
    # The box itself puts one blank between columns.
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, _GAP - 1, 0, 0))
    table.add_column(said("method"), width=_name_width(section), overflow="fold")
    texts = [_texts(column) for column in columns]
    for column in columns:
        table.add_column(said("\n".join(_header(column)).rstrip()), no_wrap=True)
    for i, method in enumerate(section.methods):
        cells = [column.cells[i] for column in columns]
        table.add_row(
            said(broken(method, _NAME_WIDTH), "italic" if method == SOLVER else ""),
            *(
                said(numbers[i], "bold" if cell and cell.best else "")
                for cell, (numbers, _) in zip(cells, texts, strict=True)
            ),
        )
        if any(cell and cell.published for cell in cells):
            table.add_row(
                said(f"  {PUBLISHED}", "dim"), *(said(published[i], "dim") for _, published in texts)
            )
    return table
