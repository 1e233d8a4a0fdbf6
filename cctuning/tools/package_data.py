"""Folders of data that the package comes with, such as its recipes."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


def package_data(name: str) -> Path:
    """The folder `name`, such as `recipes`: inside of an installed package, at the top of a checkout."""
    inside = _PACKAGE / name
    return inside if inside.is_dir() else _PACKAGE.parent / name
