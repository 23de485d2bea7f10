"""The texts of command-line arguments, read; each refuses with a sentence that shows the right form."""

import json
import re
from typing import Any


def span(name: str, text: str | None) -> tuple[float, float] | None:
    """`LOW:HIGH` as two numbers; raises `ValueError` for anything else.

    >>> span("--times", "0:0.1")
    (0.0, 0.1)
    """
    if text is None:
        return None
    low, colon, high = text.partition(":")
    try:
        if not colon:
            raise ValueError
        return float(low), float(high)
    except ValueError:
        raise ValueError(
            f"{name} {text} is not a span; give two numbers as LOW:HIGH, such as 0:0.1."
        ) from None


def named_span(text: str) -> tuple[str, tuple[float, float]]:
    """`NAME=LOW:HIGH`; raises `ValueError` for anything else.

    >>> named_span("u_star=0.5:0.7")
    ('u_star', (0.5, 0.7))
    """
    name, equals, bounds = text.partition("=")
    found = span(f"--param {name}=", bounds) if equals else None
    if found is None:
        raise ValueError(f"--param {text} is not NAME=LOW:HIGH, such as u_star=0.5:0.7.")
    return name, found


def named_value(text: str) -> tuple[str, Any]:
    """`NAME=VALUE`, the value read as JSON, or as words or a formula of words; raises `ValueError` for anything else.

    >>> named_value("normalise=true"), named_value("schedule=one-cycle"), named_value("kernel=rbf + periodic(x)")
    (('normalise', True), ('schedule', 'one-cycle'), ('kernel', 'rbf + periodic(x)'))
    """
    name, equals, value = text.partition("=")
    try:
        if not equals:
            raise ValueError
        return name, json.loads(value)
    except ValueError:
        if re.fullmatch(r"[a-z(][a-z0-9_ +*/(),-]*", value):
            return name, value
        raise ValueError(
            f"--option {text} is not NAME=VALUE with a JSON value, a word or a formula, such as width=64 or schedule=step."
        ) from None


def part(text: str | None) -> tuple[int, int]:
    """`I/N` with 0 ≤ I < N, (0, 1) if not given; raises `ValueError` for anything else.

    >>> part("1/4")
    (1, 4)
    """
    if text is None:
        return 0, 1
    first, slash, count = text.partition("/")
    if not (slash and first.isdecimal() and count.isdecimal() and int(first) < int(count)):
        raise ValueError(f"--shard {text} is not I/N with 0 ≤ I < N, such as 0/4.")
    return int(first), int(count)


def called(text: str) -> tuple[str, dict[str, Any]]:
    """`NAME` or `NAME(OPTION=VALUE, …)`, values in JSON or bare words; raises `ValueError` for anything else.

    >>> called("conservation(mass=walls, flux_noise=0.1)")
    ('conservation', {'mass': 'walls', 'flux_noise': 0.1})
    """
    name, bracket, inside = text.strip().partition("(")
    if bracket and not inside.endswith(")"):
        raise ValueError(f"{text} has no closing bracket; write NAME(OPTION=VALUE, …).")
    options: dict[str, Any] = {}
    for word in apart(inside.removesuffix(")"), ",") if bracket else []:
        option, equals, value = (part.strip() for part in word.partition("="))
        if not (equals and option.isidentifier() and value):
            raise ValueError(f"{text}: {word.strip()!r} is not OPTION=VALUE, such as accuracy=4.")
        try:
            options[option] = json.loads(value)
        except ValueError:
            options[option] = value
    return name.strip(), options


def apart(text: str, mark: str) -> list[str]:
    """The parts of a text between marks that stand outside all brackets and quotes.

    >>> apart("a(b=[1, 2], c=3)&d", "&")
    ['a(b=[1, 2], c=3)', 'd']
    """
    parts, depth, quoted = [""], 0, False
    for letter in text:
        quoted ^= letter == '"'
        depth += (letter in "([{") - (letter in ")]}") if not quoted else 0
        if letter == mark and depth == 0 and not quoted:
            parts.append("")
        else:
            parts[-1] += letter
    return parts
