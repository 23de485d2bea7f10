"""docs/constraints.md: its examples run, and it has every constraint."""

import re
from pathlib import Path

import pytest

import lawbound.constraints as constraints

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "constraints.md").read_text(encoding="utf-8")


def test_the_examples_run():
    blocks = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
    assert len(blocks) > 8
    exec(compile("\n".join(blocks), "constraints.md", "exec"), {})


def test_every_constraint_is_there():
    kinds = {
        name
        for name in constraints.__all__
        if isinstance(getattr(constraints, name), type)
        and issubclass(getattr(constraints, name), constraints.Constraint)
    }
    missing = [name for name in kinds - {"Constraint", "Stack"} if f"`{name}`" not in TEXT]
    assert not missing


def test_every_public_name_is_there_and_can_be_had():
    for name in constraints.__all__:
        assert getattr(constraints, name).__name__ == name
        assert f"`{name}" in TEXT or f"{name}(" in TEXT, name
    with pytest.raises(AttributeError, match="has no `Nonsense`; it has Admissible"):
        constraints.Nonsense  # noqa: B018
