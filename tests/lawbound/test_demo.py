"""The main job as a whole; most of a minute, so behind the marker `slow` (`make slow`)."""

import json

import pytest

from lawbound.cli import run


@pytest.mark.slow
def test_the_demo_goes_from_nothing_to_a_report_and_replaces_an_earlier_one(tmp_path, capsys):
    for _ in range(2):
        assert run(["demo", "-o", str(tmp_path / "demo")]) == 0
    report = json.loads((tmp_path / "demo" / "report.json").read_text())
    methods = {(row["table"], row["method"]) for row in report["rows"]}
    assert ("compare/stefan", "solver") in methods and ("frozen/stefan", "probconserv") in methods
    lawful = [
        row
        for row in report["rows"]
        if row["metric"] == "ce" and row["method"].endswith(("hardc", "probconserv"))
    ]
    assert lawful and all(abs(row["value"]) <= 1e-12 for row in lawful)
    assert "solver" in capsys.readouterr().out
