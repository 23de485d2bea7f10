import base64
import csv
import json
import math
import re
from dataclasses import asdict, replace
from html.parser import HTMLParser

import pytest

from lawbound.comparison import imposed, judge
from lawbound.evidence import Row
from lawbound.report import as_json, write_report
from lawbound.reproduce import frozen_data
from lawbound.surrogates.prediction import from_moments

CONSTRAINTS = [imposed("conservation:project"), imposed("conservation:condition")]
ODD = '<b>x & "y"</b>'


def frozen(problem, samples):
    data = frozen_data(problem).isel(sample=samples)
    return judge({"anp": lambda part, at: from_moments(part)}, data, CONSTRAINTS, table=f"frozen/{problem}")


@pytest.fixture(scope="module")
def stefan():
    return frozen("stefan", [50, 51, 52])


@pytest.fixture(scope="module")
def pme():
    """A method with an odd name, a number that is none, and a published one."""
    made = frozen("pme", [0, 1, 2])
    rows = tuple(replace(row, method=ODD if row.method == "anp" else row.method) for row in made.rows)
    rows = (replace(rows[3], published=0.5, source=ODD), *rows[:3], *rows[4:])
    evidence = {(ODD if m == "anp" else m, c): found for (m, c), found in made.evidence.items()}
    return replace(
        made,
        rows=(*rows, Row("hardc", made.cases[0].name, "bc_max", math.nan, None)),
        methods=tuple(ODD if method == "anp" else method for method in made.methods),
        evidence=evidence,
        inputs={ODD if method == "anp" else method: used for method, used in made.inputs.items()},
    )


def written(parts, folder, **options):
    given = {"title": "A report", "config": {"seed": 0, "data": {"nx": 100}}, "command": "lawbound x -o <y>"}
    return write_report(parts, folder / "report.html", **(given | options))


@pytest.fixture(scope="module")
def files(stefan, pme, tmp_path_factory):
    return written([("The first", stefan), ("The second", pme)], tmp_path_factory.mktemp("report"))


class Page(HTMLParser):
    """What a browser would see: tags, attributes, and the text of table rows."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.rows, self.text, self._open = [], [], [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *attribute) for attribute in attrs]
        if tag == "tr":
            self.rows.append([])
        self._open = tag in ("th", "td") or self._open
        if tag in ("th", "td"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        self._open = self._open and tag not in ("th", "td")

    def handle_data(self, data):
        self.text.append(data)
        if self._open and self.rows:
            self.rows[-1][-1] += data


@pytest.fixture(scope="module")
def page(files):
    return Page(files[0].read_text())


def test_it_writes_html_csv_and_json_and_nothing_else(files):
    assert [file.name for file in files] == ["report.html", "report.csv", "report.json"]
    assert sorted(files[0].parent.iterdir()) == sorted(files)


def test_the_page_is_one_file_that_fetches_nothing_and_runs_nothing(files, page):
    for tag, name, value in page.attributes:
        if name in ("src", "href", "srcset", "action", "data", "poster"):
            assert value.startswith(("data:image/svg+xml;base64,", "#")), (tag, name, value[:60])
        assert not name.startswith("on")
    assert not {"script", "link", "iframe", "object", "embed", "base"} & set(page.tags)
    text = files[0].read_text()
    assert "://" not in text and "@import" not in text and "url(" not in text
    assert (
        "meta",
        "content",
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:",
    ) in page.attributes


def test_every_tag_that_opens_closes(files):
    text = files[0].read_text()
    for tag in ("table", "tr", "td", "section", "figure", "div", "dl", "ul", "p", "span", "style", "html"):
        assert len(re.findall(rf"<{tag}[\s>]", text)) == text.count(f"</{tag}>"), tag


def test_names_in_data_are_escaped(files, page):
    assert "<b>" not in files[0].read_text() and "b" not in page.tags
    assert any(row[:1] == [ODD] for row in page.rows)
    assert "lawbound x -o <y>" in page.text


def test_the_solver_is_the_first_row_of_every_table(page):
    methods = [row[0] for row in page.rows if len(row) > 3]
    tables = [i for i, name in enumerate(methods) if name == "method"]
    assert len(tables) == 2
    assert all(methods[i + 1] == "solver" for i in tables)


def test_best_numbers_are_marked_without_colour(page):
    assert any("✓" in cell for row in page.rows for cell in row if row[0] == "probconserv")
    assert not any("✓" in cell for row in page.rows for cell in row if row[0] == "solver")


def test_each_figure_has_words_for_those_who_cannot_see_it(page):
    sources = [value for tag, name, value in page.attributes if (tag, name) == ("img", "src")]
    described = [value for tag, name, value in page.attributes if (tag, name) == ("img", "alt")]
    assert len(sources) == len(described) == 7 + 6  # the second case has no front
    assert all(described)


def test_the_page_says_verdicts_inputs_and_where_it_comes_from(page, stefan, pme):
    text = " ".join(" ".join(page.text).split())
    assert "Once imposed, ∫u dx = b(t) holds to round-off" in text
    assert "law_conservation_rhs" in text and "a formula of the problem's parameters" in text
    for note in (*stefan.notes, *pme.notes):
        assert note in text
    assert '{"nx": 100}' in text and "numpy" in text and "torch" in text and "lawbound" in text


def test_every_metric_of_a_table_is_explained(page):
    text = " ".join(page.text)
    for meaning in (
        "Conservation error",
        "Mean squared error",
        "Log-likelihood",
        "Standard deviation of the front",
    ):
        assert meaning in text


def test_csv_rows_are_the_comparisons(files, stefan, pme):
    with files[1].open(newline="") as stream:
        found = list(csv.DictReader(stream))
    assert list(found[0]) == [
        *("table", "method", "case", "metric", "value", "stderr", "published", "source", "low", "high")
    ]
    expected = [(comparison.table, row) for comparison in (stefan, pme) for row in comparison.rows]
    assert len(found) == len(expected)
    for got, (name, row) in zip(found, expected, strict=True):
        assert (got["table"], got["method"], got["case"], got["metric"]) == (
            name,
            row.method,
            row.case,
            row.metric,
        )
        assert float(got["value"]) == row.value or math.isnan(row.value)
        assert got["stderr"] == ("" if row.stderr is None else repr(row.stderr))
        assert got["source"] == (row.source or "")


def test_json_has_all_rows_and_no_nan(files, stefan, pme):
    def refuse(name):
        raise AssertionError(name)

    found = json.loads(files[2].read_text(), parse_constant=refuse)
    assert found["table"] == "A report"
    assert [part["table"] for part in found["parts"]] == ["frozen/stefan", "frozen/pme"]
    expected = [{"table": part.table, **asdict(row)} for part in (stefan, pme) for row in part.rows]
    assert found["rows"][:-1] == expected[:-1]
    assert found["rows"][-1]["value"] is None


def test_the_json_of_one_comparison_is_its_own(stefan, tmp_path, monkeypatch):
    monkeypatch.setattr("lawbound.report._figures", lambda comparison, case: [])
    _, _, path = written([("Only", stefan)], tmp_path)
    assert json.loads(path.read_text()) == stefan.to_json() == as_json([("Only", stefan)], "A report")


def test_a_second_report_replaces_the_first(stefan, tmp_path, monkeypatch):
    monkeypatch.setattr("lawbound.report._figures", lambda comparison, case: [])
    first = [path.read_text() for path in written([("Only", stefan)], tmp_path)]
    assert [path.read_text() for path in written([("Only", stefan)], tmp_path)] == first
    assert len(list(tmp_path.iterdir())) == 3


def test_nothing_half_written_is_left_when_drawing_fails(stefan, tmp_path, monkeypatch):
    earlier = '<meta name="generator" content="lawbound">an earlier report'
    (tmp_path / "report.html").write_text(earlier)

    def fail(figure):
        raise RuntimeError("no ink")

    monkeypatch.setattr("lawbound.report.to_svg", fail)
    with pytest.raises(RuntimeError, match="no ink"):
        written([("Only", stefan)], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert (tmp_path / "report.html").read_text() == earlier


def test_nothing_half_written_is_left_when_the_disk_fails(stefan, tmp_path, monkeypatch):
    monkeypatch.setattr("lawbound.report._figures", lambda comparison, case: [])

    def full(source, target):
        raise OSError("disk full")

    monkeypatch.setattr("lawbound.report.os.replace", full)
    with pytest.raises(OSError, match="disk full"):
        written([("Only", stefan)], tmp_path)
    assert not list(tmp_path.iterdir())


def test_it_refuses_names_and_contents_it_cannot_use(stefan, tmp_path):
    given = {"title": "", "config": {}, "command": ""}
    with pytest.raises(ValueError, match=r"ends in \.html"):
        write_report([("Only", stefan)], tmp_path / "report.csv", **given)
    with pytest.raises(ValueError, match="no comparison"):
        write_report([], tmp_path / "report.html", **given)
    assert not list(tmp_path.iterdir())


def test_many_drawings_become_bitmaps_largest_first(stefan, tmp_path, monkeypatch):
    one = written([("It", stefan)], tmp_path)[0].read_text(encoding="utf-8")
    sizes = sorted(len(source) for source in re.findall(r"data:image/svg\+xml;base64,[\w+/=]+", one))
    monkeypatch.setattr("lawbound.report._DRAWN", sum(sizes) - 1)
    lighter = written([("It", stefan)], tmp_path)[0].read_text(encoding="utf-8")
    kept = re.findall(r"data:image/svg\+xml;base64,[\w+/=]+", lighter)
    bitmaps = re.findall(r"data:image/webp;base64,([\w+/=]+)", lighter)
    assert sorted(len(source) for source in kept) == sizes[:-1]
    assert len(bitmaps) == 1 and base64.b64decode(bitmaps[0])[:4] == b"RIFF"
