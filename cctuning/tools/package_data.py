"""Folders of data that the package comes with, such as its recipes."""

import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


def package_data(name: str) -> Path:
    """The folder `name`, such as `recipes`: inside of an installed package, at the top of a checkout."""
    inside = _PACKAGE / name
    return inside if inside.is_dir() else _PACKAGE.parent / name


def accelerate_file(name: str) -> str:
    """A configuration for `accelerate launch --config_file`, as it is typed from the working folder."""
    path = package_data("recipes") / "accelerate" / f"{name}.yaml"
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
