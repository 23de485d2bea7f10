import io
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from lawbound.comparison import imposed, judge
from lawbound.evidence import Row
from lawbound.reproduce import frozen_data
from lawbound.surrogates.prediction import from_moments
from lawbound.table import SOLVER, TerminalTable, footnotes, print_comparison, sections


@pytest.fixture(scope="module")
def comparison():
    """The real network on a few samples of both Stefan cases, as it is and under the law."""
    data = frozen_data("stefan").isel(sample=[0, 1, 2, 50, 51, 52])
    constraints = [imposed("conservation:project"), imposed("conservation:condition")]
    return judge({"anp": lambda part, at: from_moments(part)}, data, constraints, table="frozen/stefan")


def with_rows(comparison, values, *, metric="mse", case="u_star=0.5"):
    """The same comparison with only these numbers: method → (value, standard error)."""
    rows = tuple(Row(method, case, metric, value, error) for method, (value, error) in values.items())
    return replace(comparison, rows=rows, cases=comparison.cases[:1])


def column(comparison, metric):
    section = next(sections(comparison))
    found = next(column for column in section.columns if column.metric.key == metric)
    return found, dict(zip(section.methods, found.cells, strict=True))


def printed(comparison, width=100, **options):
    stream = io.StringIO()
    print_comparison(Console(file=stream, width=width, **options), comparison)
    return stream.getvalue()


def test_the_solver_is_the_first_row_and_every_method_follows(comparison):
    shuffled = replace(comparison, methods=("hardc", "probconserv", SOLVER, "anp"))
    for section in sections(shuffled):
        assert section.methods == (SOLVER, "hardc", "probconserv", "anp")
    lines = printed(comparison).splitlines()
    starts = [line.split()[0] for line in lines[3:] if line.split()]
    assert starts.index("solver") < starts.index("anp") < starts.index("hardc") < starts.index("probconserv")


def test_a_number_times_its_columns_power_is_the_number(comparison):
    for section in sections(comparison):
        for column in section.columns:
            for cell in filter(None, column.cells):
                own = "e" in cell.number.fraction
                value = float(cell.number.value) * (1.0 if own else 10.0**column.power)
                assert value == pytest.approx(cell.row.value, rel=0.5 if own else 5e-3, abs=1e-300)


def test_an_error_has_one_or_two_digits_and_the_value_ends_at_its_place(comparison):
    cases = {
        (0.0145499, 2.64e-5): ("1.455", "0.003"),
        (0.0536, 0.0468): ("5.4", "4.7"),
        (0.00812, 0.0042): ("0.81", "0.42"),
        (-0.0779, 0.0137): ("-7.8", "1.4"),
        (0.0123, 0.000996): ("1.23", "0.10"),
    }
    for (value, error), written in cases.items():
        shown = with_rows(comparison, {"anp": (value, error), "hardc": (0.05, 0.01)}, metric="front_sd")
        _, cells = column(shown, "front_sd")
        assert (cells["anp"].number.value, cells["anp"].number.error) == written, value


def test_an_error_is_never_written_as_nothing(comparison):
    _, cells = column(with_rows(comparison, {"anp": (1.0, 1e-9), "hardc": (2.0, None)}), "mse")
    assert float(cells["anp"].number.error) > 0
    assert cells["hardc"].number.error == ""


def test_a_column_has_one_power_of_ten_and_what_it_would_hide_has_its_own(comparison):
    shown, cells = column(comparison, "mse")
    assert shown.unit == "×1e-2"
    assert cells[SOLVER].number.value.endswith("e-16")
    assert "e" not in cells["anp"].number.value


def test_numbers_that_read_well_have_no_power(comparison):
    shown, _ = column(comparison, "ll")
    assert shown.power == 0 and shown.unit == ""


def test_the_best_is_marked_and_never_the_solver(comparison):
    values = {"solver": (0.0, None), "anp": (3.0, 0.1), "hardc": (2.0, 0.1), "probconserv": (4.0, 0.1)}
    for metric, winner in (("mse", "hardc"), ("ll", "probconserv"), ("ce", "hardc"), ("coverage95", "hardc")):
        _, cells = column(with_rows(comparison, values, metric=metric), metric)
        assert [method for method, cell in cells.items() if cell.best] == [winner], metric
    _, cells = column(with_rows(comparison, values, metric="front_sd"), "front_sd")
    assert not any(cell.best for cell in cells.values())


def test_all_round_off_keeps_a_law_equally_well(comparison):
    _, cells = column(comparison, "ce")
    assert cells["hardc"].best and cells["probconserv"].best and not cells["anp"].best


def test_a_single_method_is_not_the_best_of_itself(comparison):
    _, cells = column(with_rows(comparison, {"anp": (3.0, 0.1)}), "mse")
    assert not cells["anp"].best


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_number_that_is_none_is_shown_and_wins_nothing(comparison, value):
    _, cells = column(with_rows(comparison, {"anp": (value, None), "hardc": (2.0, 0.1)}), "mse")
    assert cells["anp"].number.value == str(value) and not cells["anp"].best
    assert cells["hardc"].best


def test_where_a_metric_does_not_apply_stands_a_dash(comparison):
    row = next(line for line in printed(comparison, width=200).splitlines() if line.startswith("solver"))
    assert "–" in row


def test_a_plug_ins_score_has_a_column(comparison):
    shown = with_rows(comparison, {"anp": (3.0, 0.1)}, metric="spread_skill")
    assert "spread_skill" in printed(shown)


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_no_line_is_wider_than_the_terminal_and_no_number_is_cut(comparison, width):
    text = printed(comparison, width)
    assert max(len(line) for line in text.splitlines()) <= width
    assert "…" not in text
    for section in sections(comparison):
        for column in section.columns:
            assert column.metric.label in text
            for cell in filter(None, column.cells):
                assert cell.number.value in text


def test_it_is_plain_text_where_there_is_no_terminal(comparison):
    assert "\x1b" not in printed(comparison)
    assert "\x1b" in printed(comparison, force_terminal=True, color_system="truecolor")


def test_an_output_that_knows_ascii_only_gets_ascii(comparison):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict")
    print_comparison(Console(file=stream, width=80), replace(comparison, table="größer ≤ ∫ ⟂"))
    stream.flush()
    assert b"probconserv" in stream.buffer.getvalue()


def test_names_are_text_and_not_markup(comparison):
    renamed = with_rows(comparison, {"[red]anp[/red]": (1.0, 0.1), "hardc": (2.0, 0.1)})
    renamed = replace(renamed, methods=("solver", "[red]anp[/red]", "hardc"))
    assert "[red]anp[/red]" in printed(renamed)


def test_it_says_the_verdict_the_source_of_the_law_and_the_notes(comparison):
    text = " ".join(printed(comparison).split())
    assert " ".join(comparison.verdict.split()) in text
    assert "analytic" in text and "t = 0.05" in text
    for note in (*comparison.notes, *footnotes(comparison)):
        assert " ".join(note.split()) in text


def test_known_values_stand_below_ours(comparison):
    rows = tuple(
        replace(row, published=0.01459, source="the paper")
        if (row.method, row.metric, row.case) == ("anp", "mse", "u_star=0.5")
        else row
        for row in comparison.rows
    )
    lines = printed(replace(comparison, rows=rows)).splitlines()
    below = lines[next(i for i, line in enumerate(lines) if line.startswith("anp")) + 1]
    assert below.split() == ["known", "value", "1.459"]
    assert "known value: the paper" in lines


def test_a_comparison_can_be_part_of_another_rich_layout(comparison):
    console = Console(file=io.StringIO(), width=90)
    assert console.render_lines(TerminalTable(comparison))
