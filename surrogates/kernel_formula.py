"""Kernels written as formulas: `rbf`, `rbf(t) * matern-1/2(x)`, `matern-3/2 + periodic(x)`."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple, final

from lawbound.surrogates.kernels import CORRELATIONS

# Each term has a matrix of its own, so that products of long sums would be slow before they were useful.
_MOST_TERMS = 16

_WORD = re.compile(r"\s*(?:(?P<name>[A-Za-z_][\w/-]*)|(?P<mark>[+*(),])|(?P<wrong>\S))")


class Leaf(NamedTuple):
    """A name of `CORRELATIONS`, and the axes it is over; all if none are named."""

    name: str
    axes: tuple[str, ...] = ()


@final
@dataclass(frozen=True)
class Formula:
    """A sum of products of leaves, multiplied out: each term holds numbers of leaves.

    A leaf that stands in several terms, as the first in `rbf(t) * (rbf(x) + periodic(x))`, has one set of parameters.
    """

    text: str
    leaves: tuple[Leaf, ...]
    terms: tuple[tuple[int, ...], ...]


def parse(text: str) -> Formula:
    """The formula that a text is; raises `ValueError` for anything else.

    `sum = product {"+" product}`, `product = factor {"*" factor}`, `factor = NAME ["(" AXIS {"," AXIS} ")"] | "(" sum ")"`.

    >>> parse("rbf(t) * (matern-1/2(x) + periodic(x))").terms
    ((0, 1), (0, 2))
    """
    reader = _Reader(text)
    terms = reader.sum()
    reader.end()
    return Formula(text, tuple(reader.leaves), terms)


class _Reader:
    """Words of a formula from left to right, and the leaves met so far."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.words = list(_words(text))
        self.leaves: list[Leaf] = []

    def wrong(self, what: str) -> ValueError:
        return ValueError(
            f"kernel={self.text!r}: {what}. Write names of {', '.join(CORRELATIONS)} with +, * and brackets, axes in "
            "brackets behind a name, such as `rbf(t) * matern-1/2(x) + periodic(x)`."
        )

    def next_is(self, *words: str) -> bool:
        return bool(self.words) and self.words[0] in words

    def take(self) -> str:
        if not self.words:
            raise self.wrong("it ends too early")
        return self.words.pop(0)

    def expect(self, word: str) -> None:
        got = self.take()
        if got != word:
            raise self.wrong(f"{got!r} stands where {word!r} should")

    def end(self) -> None:
        if self.words:
            raise self.wrong(f"{self.words[0]!r} stands where + or * or the end should")

    def sum(self) -> tuple[tuple[int, ...], ...]:
        terms = self.product()
        while self.next_is("+"):
            self.take()
            terms += self.product()
        if len(terms) > _MOST_TERMS:
            raise self.wrong(
                f"it has {len(terms)} terms when multiplied out, and at most {_MOST_TERMS} are taken"
            )
        return terms

    def product(self) -> tuple[tuple[int, ...], ...]:
        terms = self.factor()
        while self.next_is("*"):
            self.take()
            terms = tuple(left + right for left, right in product(terms, self.factor()))
        return terms

    def factor(self) -> tuple[tuple[int, ...], ...]:
        word = self.take()
        if word == "(":
            terms = self.sum()
            self.expect(")")
            return terms
        if word not in CORRELATIONS:
            raise self.wrong(f"{word!r} is no kernel")
        self.leaves.append(Leaf(word, self.axes()))
        return ((len(self.leaves) - 1,),)

    def axes(self) -> tuple[str, ...]:
        if not self.next_is("("):
            return ()
        found: list[str] = []
        while not found or self.next_is(","):
            self.take()
            name = self.take()
            if name in found or not name.isidentifier():
                raise self.wrong(f"{name!r} is no axis, or stands there twice")
            found.append(name)
        self.expect(")")
        return tuple(found)


def _words(text: str) -> Iterator[str]:
    for found in _WORD.finditer(text.strip()):
        yield found[0].strip()
