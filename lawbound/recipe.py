"""What a retrained table is made of: data, networks, what is imposed on them, and what is scored."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, final

from lawbound.evidence import Comparison, Imposed
from lawbound.score import Score
from lawbound.surrogates.surrogate import Learner


@final
@dataclass(frozen=True)
class Part:
    """Samples of one split of a family, as `lawbound generate --split` makes them.

    parameters: ranges instead of the split's own, by name.
    """

    split: str
    samples: int
    seed: int = 0
    parameters: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        """What its folder is called."""
        return f"{self.split}-{self.seed}"


@final
@dataclass(frozen=True)
class Study:
    """Networks of one problem, trained on one set of data and judged on others.

    train: fits weights; valid: chooses them; test: judged once, all parts together. learners: by the name that the table
    gives their networks. rules: imposed on each of them. nx, nt, times: of all data, the family's own if None.
    scores: the usual ones if None. judged_times: how many stored times, the time of interest among them. case: what the
    table calls its only case, the samples' split if empty.
    """

    name: str
    problem: str
    train: Part
    valid: Part
    test: tuple[Part, ...]
    learners: Mapping[str, Learner]
    rules: tuple[Imposed, ...]
    nx: int | None = None
    nt: int | None = None
    times: tuple[float, float] | None = None
    scores: tuple[Score, ...] | None = None
    judged_times: int = 11
    seed: int = 0
    case: str = ""

    def described(self) -> dict[str, Any]:
        """All that decides the outcome, as JSON values."""
        parts = {"train": self.train, "valid": self.valid, **{part.folder: part for part in self.test}}
        return {
            "problem": self.problem,
            "data": {name: asdict(part) for name, part in parts.items()},
            "nx": self.nx,
            "nt": self.nt,
            "times": self.times,
            "networks": {
                name: {
                    "surrogate": learner.name,
                    "constraints": list(getattr(learner, "specs", ())),
                    **learner.options(),
                }
                for name, learner in self.learners.items()
            },
            "imposed": [item.label for item in self.rules],
            "scores": None if self.scores is None else [score.name for score in self.scores],
            "judged_times": self.judged_times,
            "seed": self.seed,
        }


@final
@dataclass(frozen=True)
class Recipe:
    """A retrained table. studies(quick): what is to be done; reduced: what `quick` made smaller, in a few words.

    seconds: about how long the quick version takes where a core is free. conclude: notes on all studies together, each with its name.
    """

    table: str
    what: str
    studies: Callable[[bool], tuple[Study, ...]]
    reduced: str
    seconds: int
    conclude: Callable[[Sequence[tuple[str, Comparison]]], tuple[str, ...]] = lambda parts: ()
