"""What is asked for, and how it stands."""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from peers.cases import CLAWPACK, CLAWPACKS, FIPY, HYPERBOLIC, LSODA, OURS, PYPDE, Result

#: How much less exact than a peer we may be where a workload sets no bound.
AS_EXACT = 1.1


@dataclass(frozen=True)
class Line:
    """One goal and how it stands."""

    goal: str
    ours: str
    peer: str
    value: str
    need: str
    reach: str
    verdict: str


def judged(value: float, need: float, reach: float) -> str:
    if value >= reach:
        return "reached"
    return "met" if value >= need else f"missed, {value / need:.2f} of it"


def number(value: float) -> str:
    return f"{value:.0f}" if value >= 100.0 else f"{value:.3g}"


def span(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{number(seconds / size)} {unit}"
    return f"{seconds * 1e9:.0f} ns"


@dataclass(frozen=True)
class Faster:
    """Our fastest exact enough option beside a peer's; `error` None asks of us `slack` times what the peer reaches."""

    goal: str
    ours: list[Result]
    peers: list[Result]
    need: float
    reach: float
    error: float | None = None
    front: float | None = None
    part: str = "warm"
    slack: float = AS_EXACT

    def lines(self) -> Iterator[Line]:
        peers = [result for result in self.peers if result.ok]
        mine = [result for result in self.ours if result.ok]
        if not peers or not mine:
            yield self._silent(self.peers if mine else self.ours)
            return
        if self.error is None:
            yield min(
                (self._against(peer, mine, self.slack * peer.error) for peer in peers), key=lambda x: x[0]
            )[1]
            return
        good = [peer for peer in peers if peer.exact_enough(self.error, self.front)]
        if good:
            peer = min(good, key=lambda result: min(result.seconds(self.part)))
            yield self._against(peer, mine, self.error)[1]
        else:
            closest = min(peers, key=lambda result: result.error)
            yield self._line("", self._text(closest, self.part), "—", "the peer is not exact enough")

    def _against(self, peer: Result, mine: list[Result], bound: float) -> tuple[float, Line]:
        text = self._text(peer, self.part)
        good = [result for result in mine if result.exact_enough(bound, self.front)]
        if not good:
            closest = min(mine, key=lambda result: result.error)
            return 0.0, self._line(self._text(closest), text, "—", "we are not exact enough")
        best = min(good, key=lambda result: min(result.seconds()))
        ratio = median(peer.seconds(self.part)) / median(best.seconds())
        fastest = min(peer.seconds(self.part)) / min(best.seconds())
        value = f"{number(ratio)}× ({number(fastest)}×)"
        verdict = judged(ratio, self.need, self.reach)
        if best.error > AS_EXACT * max(peer.error, self.error or 0.0):
            verdict += f", at {best.error / peer.error:.1f} times its error"
        return ratio, self._line(self._text(best), text, value, verdict)

    def _line(self, mine: str, peer: str, value: str, verdict: str) -> Line:
        return Line(self.goal, mine, peer, value, f"{self.need:g}×", f"{self.reach:g}×", verdict)

    def _silent(self, missing: list[Result]) -> Line:
        why = missing[0].measured["problem"] if missing else "not run"
        return self._line("", "", "—", why)

    @staticmethod
    def _text(result: Result, part: str = "warm") -> str:
        inside = "" if part == "warm" else " inside"
        n = result.case.workload.removeprefix("w2-")
        grid = f"{n} cells, " if result.case.group == "fipy" and result.case.family == OURS else ""
        return (
            f"{grid}{result.case.label}: {span(median(result.seconds(part)))}{inside}, L1 {result.error:.1e}"
        )


def chosen(results: list[Result], group: str, workload: str, family: str, *words: str) -> list[Result]:
    return [
        result
        for result in results
        if (result.case.group, result.case.workload, result.case.family) == (group, workload, family)
        and all(word in result.case.label for word in words)
    ]


def speed_goals(results: list[Result]) -> Iterator[Faster]:
    def of(group: str, workload: str, family: str, *words: str) -> list[Result]:
        return chosen(results, group, workload, family, *words)

    for n, error, need, reach in ((512, 6.5e-5, 8.0, 15.0), (2048, 1e-5, 6.0, 12.0)):
        name, mine = f"porous medium, {n} cells", of("w2", f"w2-{n}", OURS)
        for words, which in ((("1e-04",), "rtol 1e-4"), ((), "its fastest tolerance")):
            lsoda = of("w2", f"w2-{n}", LSODA, *words)
            yield Faster(f"{name}: LSODA, {which}", mine, lsoda, need, reach, error)
    name, mine, pypde = "porous medium, 512 cells", of("w2", "w2-512", OURS), of("w2", "w2-512", PYPDE)
    yield Faster(f"{name}: py-pde solve()", mine, pypde, 200.0, 400.0, 6.5e-5)
    yield Faster(f"{name}: py-pde stepping alone", mine, pypde, 4.0, 8.0, 6.5e-5, part="stepping")
    for n in (512, 2048):
        same, fipy = of("fipy", f"w2-{n}", OURS), of("fipy", f"w2-{n}", FIPY)
        name = f"porous medium, {n} cells: FiPy at its error"
        yield Faster(f"{name}, same grid", same, fipy, 1000.0, 3000.0)
        if fipy:
            between = [] if n == 512 else of("fipy", "w2-512", OURS)
            mine = [*of("fipy", "w2-128", OURS), *between, *same]
            yield Faster(f"{name}, any grid", mine, fipy, 1000.0, 3000.0)
    lsoda = of("batch", "w2-512", LSODA)
    for threads, need, reach in ((1, 15.0, 15.0), (2, 15.0, 40.0)):
        mine = [r for r in of("batch", "batch w2-512", OURS) if r.case.threads == threads]
        yield Faster(f"a sample of a batch on {threads}: LSODA, rtol 1e-4", mine, lsoda, need, reach, 6.5e-5)
    name, mine = "Stefan, 512 cells", of("w3", "w3-512", OURS)
    pypde, good = of("w3", "w3-512", PYPDE), {"error": 6e-5, "front": 0.1}
    yield Faster(f"{name}: py-pde solve()", mine, pypde, 50.0, 100.0, **good)
    yield Faster(f"{name}: py-pde stepping alone", mine, pypde, 4.0, 8.0, **good, part="stepping")
    for words, which in ((("1e-04",), "rtol 1e-4"), ((), "its fastest tolerance")):
        lsoda = of("w3", "w3-512", LSODA, *words)
        yield Faster(f"{name}: LSODA, {which}", mine, lsoda, 100.0, 300.0, **good)
    for workload in HYPERBOLIC:
        mine = of("hyperbolic", workload, OURS)
        for label in CLAWPACKS:
            claw = of("hyperbolic", workload, CLAWPACK, label)
            like = "van-leer" if "van Leer" in label else "weno5-z"
            alike = [result for result in mine if result.case.label == like]
            name = f"{workload}: Clawpack {label}"
            if "SSP104" not in label:  # a method in time of fourth order, which we do not have
                yield Faster(f"{name}, same kind", alike, claw, 2.0, 5.0, slack=float("inf"))
            yield Faster(f"{name}, any of ours at its error", mine, claw, 2.0, 5.0)
            yield Faster(f"{name}, its Fortran alone", mine, claw, 2.0, 5.0, part="stepping")


KERNEL_GOALS = {
    "integer m": (1e9, 2e9),
    "stefan": (2e9, 3.5e9),
    "real m": (1.5e8, 5e8),
    "implicit": (2e8, 4e8),
}


def kernel_lines(results: list[Result]) -> Iterator[Line]:
    for result in results:
        if result.case.group != "kernels":
            continue
        label = result.case.label
        need, reach = KERNEL_GOALS.get(label, (float("nan"), float("nan")))
        what = "rows/s" if label == "implicit" else "cell updates/s"
        known = label in KERNEL_GOALS
        texts = (f"{need:.1e}", f"{reach:.1e}") if known else ("", "")
        if not result.ok:
            yield Line(f"kernel, {label}: {what}", "", "", "—", *texts, result.measured["problem"])
            continue
        rate = float(result.measured["rate"])
        verdict = judged(rate, need, reach) if known else "idle cells are skipped and counted"
        yield Line(f"kernel, {label}: {what}", f"{rate:.2e}", "", f"{rate:.2e}", *texts, verdict)


def thread_lines(results: list[Result]) -> Iterator[Line]:
    mine = [result for result in chosen(results, "batch", "batch w2-512", OURS) if result.ok]
    for one in mine:
        for two in mine:
            if (one.case.threads, two.case.threads) == (1, 2) and one.case.label == two.case.label:
                ratio = median(one.seconds()) / median(two.seconds())
                fastest = min(one.seconds()) / min(two.seconds())
                yield Line(
                    f"two cores: {one.case.label}", span(median(two.seconds())), span(median(one.seconds())),
                    f"{ratio:.2f}× ({fastest:.2f}×)", "1.7×", "1.9×", judged(ratio, 1.7, 1.9),
                )  # fmt: skip


def cold_lines(results: list[Result]) -> Iterator[Line]:
    cold = [result for result in results if result.case.group == "cold"]
    for when, limit in (("first ever", 15.0), ("first in a process", 0.5)):
        done = [result for result in cold if when in result.case.label and result.ok]
        if not done:
            continue
        slowest = max(done, key=lambda result: float(result.measured["cold"]))
        seconds = float(slowest.measured["cold"])
        which = f"{slowest.case.workload.removeprefix('cold ')}, {slowest.case.options['solver']}"
        verdict = "met" if seconds <= limit else f"missed, {seconds / limit:.2f} of it"
        yield Line(f"cold start, {when}: slowest", which, "", span(seconds), f"{limit:g} s", "", verdict)


def memory_lines(results: list[Result]) -> Iterator[Line]:
    memory = [result for result in results if result.case.group == "memory" and result.ok]
    for solver in dict.fromkeys(result.case.options["solver"] for result in memory):
        found = {r.case.options["size"]: r.measured for r in memory if r.case.options["solver"] == solver}
        if len(found) < 2:
            continue
        small, large = found[min(found)], found[max(found)]
        grown, size = large["grown"] / small["grown"], max(found) / min(found)
        text = f"{large['grown'] / 1e6:.0f} MB for {large['held'] / 1e6:.0f} MB of answers"
        verdict = "met" if grown <= 1.1 * size else "missed"
        yield Line(
            f"memory, {solver}: {max(found)} samples beside {min(found)}", text, "", f"{grown:.2f}×",
            f"{1.1 * size:.2g}×", "", verdict,
        )  # fmt: skip


def standing(results: list[Result]) -> list[Line]:
    """Every goal of the cases that were run."""
    lines = [line for goal in speed_goals(results) if goal.ours or goal.peers for line in goal.lines()]
    return [
        *lines,
        *kernel_lines(results),
        *thread_lines(results),
        *cold_lines(results),
        *memory_lines(results),
    ]
