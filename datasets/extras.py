"""Packages that only some features need, brought by extras."""

from importlib import import_module
from typing import Any


class MissingExtra(RuntimeError):
    """A package that an extra brings is not installed."""


def optional(module: str, extra: str) -> Any:
    """A module of an extra; raises `MissingExtra` that says how to install it."""
    try:
        return import_module(module)
    except ImportError:
        raise MissingExtra(
            f"This needs `{module}`, which is not installed; run: pip install 'lawbound[{extra}]'."
        ) from None
