"""Who may know whom (docs/decisions.md): read from the imports themselves."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
STANDARD = set(sys.stdlib_module_names)

# layer → (our modules it may import, third parties it may import)
ALLOWED = {
    "solvers": (("lawbound.solvers",), {"numpy", "scipy", "numba"}),
    "datasets": (("lawbound.datasets", "lawbound.solvers"), {"numpy", "xarray", "netCDF4", "pydantic"}),
    "surrogates": (
        ("lawbound.surrogates", "lawbound.datasets"),
        {"numpy", "xarray", "torch", "safetensors", "pydantic"},
    ),
    "constraints": (
        (
            "lawbound.constraints",
            "lawbound.datasets",
            "lawbound.surrogates.surrogate",
            "lawbound.surrogates.prediction",
            "lawbound.surrogates.covariance",
            "lawbound.surrogates.low_rank",
            "lawbound.surrogates.banded",
            "lawbound.surrogates.tensors",
        ),
        {"numpy", "scipy", "numba", "xarray", "torch"},
    ),
    "lawbound": (
        ("lawbound",),
        {"numpy", "scipy", "xarray", "torch", "cyclopts", "rich", "jinja2", "matplotlib", "markupsafe"},
    ),
}

# What one file of a layer may import beyond that.
ALONE = {
    "datasets/executors.py": {"distributed"},
    "datasets/torch_view.py": {"torch"},
    "datasets/torch_loader.py": {"torch"},
    "lawbound/plane_figures.py": {"PIL"},  # matplotlib brings it
}


def imports(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} has a relative import"
            module = node.module or ""
            # `from lawbound.datasets import schema` imports lawbound.datasets.schema.
            is_layer = module in {f"lawbound.{layer}" for layer in ALLOWED} | {"lawbound"}
            found |= {f"{module}.{alias.name}" for alias in node.names} if is_layer else {module}
    return found


@pytest.mark.parametrize("layer", ALLOWED)
def test_each_layer_imports_only_what_the_table_allows(layer):
    ours, theirs = ALLOWED[layer]
    files = sorted((ROOT / layer).glob("*.py"))
    assert files
    for file in files:
        for module in imports(file):
            top = module.split(".")[0]
            if top == "lawbound":
                assert any(module == allowed or module.startswith(f"{allowed}.") for allowed in ours), (
                    f"{file.name} imports {module}"
                )
            else:
                alone = ALONE.get(f"{layer}/{file.name}", set())
                assert top in STANDARD | theirs | alone, f"{file.name} imports {module}"


def test_only_one_module_calls_numba():
    callers = [
        file.name
        for file in (ROOT / "solvers").glob("*.py")
        if any(m.startswith("numba") for m in imports(file))
    ]
    assert callers == ["compiled.py"]


def loaded_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    # The working directory must not be on the path: it holds folders called like our layers.
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True, cwd="/"
    )
    return set(done.stdout.split())


def test_importing_the_solvers_loads_neither_labels_nor_learning():
    assert loaded_after("import lawbound.solvers").isdisjoint({"xarray", "torch", "pydantic", "matplotlib"})


def test_importing_the_face_loads_no_heavy_library_at_all():
    assert loaded_after("import lawbound").isdisjoint(
        {"numpy", "numba", "xarray", "torch", "matplotlib", "pydantic"}
    )


def test_the_program_prints_its_help_without_the_heavy_libraries():
    assert loaded_after("import lawbound.cli").isdisjoint({"numba", "xarray", "torch", "matplotlib"})


def test_an_unknown_name_of_the_face_says_what_there_is():
    import lawbound

    with pytest.raises(AttributeError, match="generate"):
        lawbound.generat  # noqa: B018


def test_every_name_of_the_face_can_be_loaded():
    import lawbound

    for name in lawbound.__all__:
        assert getattr(lawbound, name) is not None
