"""The pages under docs/api: one a layer, made from the modules that users import from."""

import inspect
import re
from importlib import import_module
from pathlib import Path
from types import ModuleType

from sphinx.application import Sphinx

#: The public modules of each layer, in the order of use. A layer whose package exports its names lists them itself.
LAYERS: dict[str, tuple[str, ...]] = {
    "solvers": (),
    "datasets": (
        "generate", "arrays", "check", "store", "catalogue", "family", "gather", "schema", "layout", "split", "scaling",
        "points", "windows", "torch_view", "torch_loader", "executors", "export",
    ),
    "surrogates": (
        "surrogate", "prediction", "gaussian_process", "kernel_formula", "neural_process", "fourier_surrogate", "deep_operator", "ensemble",
        "diverse", "module_surrogate", "covariance", "grid_process", "lattice_process", "low_rank", "banded", "kalman", "pooling", "residual_covariance",
        "losses", "training", "checkpoint",
    ),
    "constraints": (
        "constraint", "sets", "conservation", "flux_conservation", "boundary", "period", "bounds", "shape", "divergence",
        "energy", "enforcement", "automatic", "displacement", "operator", "inside", "corrected", "kernel_correction", "boon",
        "boon_quirks", "penalty", "constrained", "layer", "projection",
        "truncation", "calibration", "applicability", "testing",
    ),
    "lawbound": (
        "runs", "pretrained", "comparison", "post_hoc", "rollout", "score", "scores", "peer_scores", "probabilistic_scores", "spectra",
        "law_scores", "front", "figures", "report", "reproduce", "recipe", "retrained", "rules", "published",
    ),
}  # fmt: skip
TITLES = {
    "solvers": "Problems in, trajectories out: `lawbound.solvers`.",
    "datasets": "Trajectories as labelled files: `lawbound.datasets`.",
    "surrogates": "Datasets in, predictions with a covariance out: `lawbound.surrogates`.",
    "constraints": "Predictions in, lawful predictions out: `lawbound.constraints`.",
    "lawbound": "The face: what `import lawbound as lb` offers, and what judges.",
}


def write(folder: Path) -> None:
    """The pages; a page that is as it should be keeps its time stamp, so that Sphinx need not read it again."""
    folder.mkdir(exist_ok=True, parents=True)
    for layer in LAYERS:
        _keep(folder / f"{layer}.rst", page(layer))


def page(layer: str) -> str:
    """One layer's page."""
    lines = [f"{layer}\n{'=' * len(layer)}\n", TITLES[layer].replace("`", "``") + "\n"]
    if layer == "lawbound":
        lines += [f".. autofunction:: {where}.{name}\n   :no-index:\n" for name, where in _face().items()]
    for module, names in _modules(layer):
        short = module.__name__.rpartition(".")[2]
        lines += [f"{short}\n{'-' * len(short)}\n", f".. automodule:: {module.__name__}\n   :no-index:\n"]
        lines += [_entry(module, name) for name in names]
    return "\n".join(lines)


def _face() -> dict[str, str]:
    import lawbound

    return dict(sorted(lawbound._WHERE.items()))


def _modules(layer: str) -> list[tuple[ModuleType, list[str]]]:
    package = "lawbound" if layer == "lawbound" else f"lawbound.{layer}"
    if LAYERS[layer]:
        modules = [import_module(f"{package}.{name}") for name in LAYERS[layer]]
        shown = set(_face()) if layer == "lawbound" else set()
        return [(module, [name for name in _public(module) if name not in shown]) for module in modules]
    exported = import_module(package)
    found: dict[str, list[str]] = {}
    for name in exported.__all__:
        thing = getattr(exported, name)
        found.setdefault(getattr(thing, "__module__", package), []).append(name)
    return [
        (import_module(name), names)
        for name, names in sorted(found.items())
        if name.startswith(f"{package}.")
    ]


def _public(module: ModuleType) -> list[str]:
    """Classes and functions that the module itself defines, with a docstring, in the order in which they stand."""
    own = {
        name: thing
        for name, thing in vars(module).items()
        if not name.startswith("_")
        and (inspect.isclass(thing) or inspect.isfunction(thing))
        and thing.__module__ == module.__name__
        and inspect.getdoc(thing)
    }
    return sorted(own, key=lambda name: inspect.getsourcelines(own[name])[1])


def _entry(module: ModuleType, name: str) -> str:
    thing = getattr(module, name)
    if inspect.isclass(thing):
        return f".. autoclass:: {module.__name__}.{name}\n   :members:\n"
    if callable(thing):
        return f".. autofunction:: {module.__name__}.{name}\n"
    return f".. autodata:: {module.__name__}.{name}\n"


def _read(app: Sphinx, page: str, source: list[str]) -> None:
    """What Markdown says in its own way, for GitHub: links to scripts, here to their pages, and pages that it only links to."""
    source[0] = re.sub(r"\]\(((?:\.\./)*)(guides|gallery)/(\w+)\.py\)", r"](\1auto/\2/\3)", source[0])
    below = {"families/README": "*", "constraints": "constraints/*\nplugin/README"}.get(page)
    if below:
        source[0] += f"\n```{{toctree}}\n:hidden:\n:glob:\n\n{below}\n```\n"


def _keep(path: Path, text: str) -> None:
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Sphinx's way in."""
    app.connect("builder-inited", lambda app: write(Path(app.srcdir) / "auto" / "api"))
    app.connect("source-read", _read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
