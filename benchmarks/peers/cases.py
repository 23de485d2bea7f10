"""What is run: each case is one package with its options at one workload."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

HYPERBOLIC = ("advection", "burgers", "burgers-shock")
CLAWPACKS = {
    "classic, van Leer": {"method": "classic"},
    "SharpClaw, WENO5, SSP33": {"method": "SSP33", "cfl": 0.6},
    "SharpClaw, WENO5, SSP104": {"method": "SSP104"},
}
OURS, LSODA, PYPDE, FIPY, CLAWPACK = "lawbound", "scipy LSODA", "py-pde", "FiPy", "Clawpack"


@dataclass(frozen=True)
class Case:
    """One contender with its options at one workload."""

    group: str
    workload: str
    family: str
    label: str
    options: dict[str, Any] = field(default_factory=dict)
    threads: int = 1
    cache: str = "shared"  # which of the folders for machine code


@dataclass(frozen=True)
class Result:
    case: Case
    measured: dict[str, Any]

    @property
    def ok(self) -> bool:
        return "problem" not in self.measured

    @property
    def error(self) -> float:
        return float(self.measured["error"])

    def seconds(self, part: str = "warm") -> list[float]:
        return list(self.measured[part])

    def exact_enough(self, bound: float, front: float | None = None) -> bool:
        meets_front = front is None or abs(self.measured["front"]) <= front
        return self.error <= bound and meets_front


def ours(group: str, workload: str, label: str, threads: int = 1, **options: Any) -> Case:
    return Case(group, workload, OURS, label, options, threads)


def diffusion_options(tolerances: Iterable[float]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "explicit", {"solver": "ExplicitDiffusion"}
    for tolerance in tolerances:
        yield f"implicit, {tolerance:.0e}", {"solver": "ImplicitDiffusion", "tolerance": tolerance}


def porous_medium_cases(quick: bool) -> Iterator[Case]:
    few, many = (3e-5, 1e-5), (1e-4, 3e-5, 1e-5, 3e-6, 1e-6, 3e-7)
    for n in (512,) if quick else (512, 2048):
        workload = f"w2-{n}"
        for label, options in diffusion_options(few if quick else many):
            yield ours("w2", workload, label, **options)
        for rtol in (1e-4,) if quick else (1e-4, 1e-3, 1e-2):
            yield Case("w2", workload, LSODA, f"rtol {rtol:.0e}", {"rtol": rtol})
        for adaptive in (False,) if quick or n == 2048 else (False, True):
            label = "adaptive Euler" if adaptive else "Euler"
            yield Case("w2", workload, PYPDE, label, {"adaptive": adaptive})


def fipy_cases(quick: bool) -> Iterator[Case]:
    for n in (512,) if quick else (512, 2048):
        for steps in (100,) if quick else (100, 400):
            label = f"backward Euler, {steps} steps × 3 sweeps"
            yield Case("fipy", f"w2-{n}", FIPY, label, {"steps": steps, "sweeps": 3})
    # FiPy is so far from the exact answer that coarser grids of ours reach its error, too.
    for n in (128, 512) if quick else (128, 512, 2048):
        for label, options in diffusion_options((1e-2, 3e-3, 1e-3, 1e-4)):
            yield ours("fipy", f"w2-{n}", label, **options)


def stefan_cases(quick: bool) -> Iterator[Case]:
    few, many = (1e-5,), (1e-4, 3e-5, 1e-5, 3e-6, 1e-6)
    for label, options in diffusion_options(few if quick else many):
        yield ours("w3", "w3-512", label, **options)
    yield ours("w3", "w3-512", "explicit, sub-cell front", solver="ExplicitDiffusion", mean="sub-cell")
    for rtol in (1e-4,) if quick else (1e-4, 1e-3, 1e-2):
        yield Case("w3", "w3-512", LSODA, f"rtol {rtol:.0e}", {"rtol": rtol})
    for adaptive in (False,) if quick else (False, True):
        label = "adaptive Euler" if adaptive else "Euler"
        yield Case("w3", "w3-512", PYPDE, label, {"adaptive": adaptive})


def batch_cases(quick: bool) -> Iterator[Case]:
    size = 64 if quick else 256
    for threads in (1, 2):
        for label, options in diffusion_options((3e-5,) if quick else (3e-5, 1e-5, 3e-6)):
            yield ours("batch", "batch w2-512", f"{label}, {size} samples", threads, size=size, **options)
    yield Case("batch", "w2-512", LSODA, "rtol 1e-04", {"rtol": 1e-4})


def kernel_cases(quick: bool) -> Iterator[Case]:
    for kind in ("integer m", "stefan", "real m", "integer m on workload", "stefan on workload", "implicit"):
        yield ours("kernels", f"kernel {kind}", kind)


def hyperbolic_cases(quick: bool) -> Iterator[Case]:
    for workload in HYPERBOLIC[:2] if quick else HYPERBOLIC:
        for name in ("van-leer", "weno5-z"):
            yield ours("hyperbolic", workload, name, solver="FiniteVolumeWaves", reconstruction=name)
        for cfl in () if quick else (1.0, 0.25, 0.125):
            options = {"reconstruction": "weno5-z", "cfl": cfl}
            yield ours("hyperbolic", workload, f"weno5-z, cfl {cfl:g}", solver="FiniteVolumeWaves", **options)
        for label, options in CLAWPACKS.items():
            yield Case("hyperbolic", workload, CLAWPACK, label, options)


COLD = (
    ("constant", {"solver": "ExplicitDiffusion"}),
    ("power", {"solver": "ExplicitDiffusion"}),
    ("step", {"solver": "ExplicitDiffusion"}),
    ("constant", {"solver": "ImplicitDiffusion"}),
    ("power", {"solver": "ImplicitDiffusion"}),
    ("step", {"solver": "ImplicitDiffusion"}),
    ("advection", {"solver": "FiniteVolumeWaves", "reconstruction": "van-leer"}),
    ("burgers", {"solver": "FiniteVolumeWaves", "reconstruction": "weno5-z"}),
)


def cold_cases(quick: bool) -> Iterator[Case]:
    for law, options in COLD[1:8:5] if quick else COLD:
        for when in ("first ever", "first in a process"):
            label = f"{options['solver']}, {when}"
            yield Case("cold", f"cold {law}", OURS, label, options, 1, f"{law} {options['solver']}")


def memory_cases(quick: bool) -> Iterator[Case]:
    for label, options in diffusion_options((1e-5,)):
        for size in (64, 256):
            yield ours("memory", "memory", f"{label}, {size} samples", size=size, **options)


GROUPS = {
    "cold": cold_cases,
    "kernels": kernel_cases,
    "w2": porous_medium_cases,
    "w3": stefan_cases,
    "batch": batch_cases,
    "hyperbolic": hyperbolic_cases,
    "fipy": fipy_cases,
    "memory": memory_cases,
}
