"""docs/walk.md: its commands and its script, run one after the other in an empty folder, as a reader would."""

import re
import shlex
from pathlib import Path

import pytest

WALK = (Path(__file__).resolve().parents[1] / "docs" / "walk.md").read_text(encoding="utf-8")


def lawbound(line):
    """A command line, run in this process: exit status 0 or none."""
    from lawbound.cli import app

    try:
        status = app(shlex.split(line)[1:], exit_on_error=False)
    except SystemExit as end:
        status = end.code
    assert not status, line


def test_the_walk_ends_with_a_report_on_one_s_own_network(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (script,) = re.findall(r"^```python\n(.*?)^```", WALK, flags=re.S | re.M)
    commands = re.findall(r"^    ((?:lawbound|python) [^#\n]*)", WALK, flags=re.M)
    assert [command.split()[1] for command in commands] == ["generate", "check", "info", "train", "mine.py"]
    for command in commands:
        if command.startswith("lawbound"):
            lawbound(command)
        else:
            exec(compile(script, "mine.py", "exec"), {"__name__": "__main__"})
    told = capsys.readouterr().out
    assert "mine+conservation&neumann&initial" in told and "fno-bc+probconserv" in told
    assert {path.suffix for path in tmp_path.glob("mine.*")} == {".html", ".csv", ".json"}


@pytest.mark.parametrize("word", ["make demo", ".venv/bin/activate"])
def test_what_the_walk_takes_from_the_makefile_is_there(word):
    makefile = (Path(__file__).resolve().parents[1] / "Makefile").read_text(encoding="utf-8")
    assert word in WALK
    assert "demo:" in makefile and "VENV := .venv" in makefile
