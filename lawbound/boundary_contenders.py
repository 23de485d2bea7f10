"""Fourier operators that know, penalise or obey boundary values, by the names that tables give them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

from lawbound.runs import learner_of
from lawbound.specs import constrained
from lawbound.surrogates.surrogate import Learner


@final
@dataclass(frozen=True)
class Contender:
    """A surrogate, its options, and what is imposed on it in training; `{law}` stands for the walls' kind."""

    surrogate: str
    options: tuple[tuple[str, Any], ...] = ()
    constraint: str | None = None

    def learner(self, law: str, base: str = "fno", **options: Any) -> Learner:
        """The learner for walls of a kind; base: what one that need not read walls is made of.

        law: a constraint's name, such as `dirichlet`. Options of the contender come after those given.
        Raises `ValueError` for options that the surrogate does not have.
        """
        kind = base if self.surrogate == "fno" else self.surrogate
        specs = [self.constraint.format(law=law)] if self.constraint else []
        return constrained(learner_of(kind, {**options, **dict(self.options)}), specs)


#: `boon` is the correction as its released code has it. `lift` is the first network with walls in every block, a mirror
#: beyond them and a lift at its output; `mirror` is the same without the lift. `mass-kept` is for circles.
CONTENDERS: Mapping[str, Contender] = {
    "fno": Contender("fno"),
    "fno-bc": Contender("fno-bc"),
    "boon": Contender("fno", (), "{law}:operator(method=boon-as-released)"),
    "boon-corrected": Contender("fno", (), "{law}:operator(method=boon)"),
    "penalty": Contender("fno", (), "{law}:penalty(weight=1.0)"),
    "lift": Contender(
        "fno-bc", (("walls", "every-block"), ("extension", "mirror")), "{law}:operator(length=0.02)"
    ),
    "lift-zero-padding": Contender("fno-bc", (), "{law}:operator(length=0.02)"),
    "mirror": Contender("fno-bc", (("walls", "every-block"), ("extension", "mirror"))),
    "mass-kept": Contender("fno", (), "conservation:operator"),
}
