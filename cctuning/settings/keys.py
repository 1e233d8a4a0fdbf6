"""The keys of a schema: the type, default and help text of each, and what it accepts beyond its type.

A schema is a dataclass whose fields may be dataclasses, which gives keys with dots (`lora.r`). The comment
that ends a field's line is its help text.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
import re
import textwrap
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cctuning.settings.near_matches import did_you_mean

_FIELD_COMMENT = r"^    (\w+): .*?  # (.+?)(?:  # noqa.*)?$"


@dataclasses.dataclass(frozen=True)
class Choice:
    """One of `values`; with `or_path`, also any file or folder that exists."""

    values: tuple[str, ...]
    or_path: bool = False

    def __str__(self) -> str:
        return " | ".join([*self.values, *(["PATH"] if self.or_path else [])])

    def problem(self, value: Any) -> str | None:
        """What is wrong with `value`, a string or a list of them; None where nothing is."""
        for item in value if isinstance(value, list) else [value]:
            if item not in self.values and not (self.or_path and Path(item).exists()):
                return f"{item!r} is not one of {self}{did_you_mean(item, self.values)}"
        return None


@dataclasses.dataclass(frozen=True)
class Range:
    """A finite number within these limits."""

    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None

    def __str__(self) -> str:
        limits = {"at least": self.at_least, "above": self.above, "at most": self.at_most}
        return ", ".join(
            f"{word} {limit if isinstance(limit, int) else f'{limit:g}'}"
            for word, limit in limits.items()
            if limit is not None
        )

    def problem(self, value: Any) -> str | None:
        """What is wrong with `value`, a number or a list of them; None where nothing is."""
        items = value if isinstance(value, list) else [value]
        return next((problem for item in items if (problem := self._problem(item))), None)

    def _problem(self, value: Any) -> str | None:
        low = -math.inf if self.at_least is None else self.at_least
        above = -math.inf if self.above is None else self.above
        high = math.inf if self.at_most is None else self.at_most
        # A whole number may be too large for `isfinite`, which makes a float of it.
        finite = isinstance(value, int) or math.isfinite(value)
        if finite and low <= value <= high and value > above:
            return None
        return f"{value!r} is out of range: it must be {str(self) or 'finite'}"


def one_of(default: str, *others: str, or_path: bool = False) -> Any:
    """A dataclass field whose value is one of these strings."""
    rule = Choice(tuple(dict.fromkeys([default, *others])), or_path)
    return dataclasses.field(default=default, metadata={"rule": rule})


def list_of(default: str, *others: str) -> Any:
    """A dataclass field that holds a list of these strings."""
    rule = Choice((default, *others))
    return dataclasses.field(default_factory=lambda: [default], metadata={"rule": rule})


def number(
    default: float | None,
    *,
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
) -> Any:
    """A dataclass field that holds a finite number within limits."""
    return dataclasses.field(default=default, metadata={"rule": Range(at_least, above, at_most)})


def numbers(*default: int, at_least: int | None = None) -> Any:
    """A dataclass field that holds a list of whole numbers within a limit."""
    return dataclasses.field(default_factory=lambda: list(default), metadata={"rule": Range(at_least)})


@dataclasses.dataclass(frozen=True)
class Key:
    """One key of a schema: what help shows and what values are checked against."""

    type: Any
    default: str
    rule: Choice | Range | None
    doc: str

    @property
    def type_name(self) -> str:
        """Its type as it is written in Python."""
        return self.type.__name__ if isinstance(self.type, type) else str(self.type)

    @property
    def plain_types(self) -> tuple[Any, ...]:
        """The members of a union; a type that is none is alone."""
        return typing.get_args(self.type) if isinstance(self.type, types.UnionType) else (self.type,)

    @property
    def is_text(self) -> bool:
        """Whether it is a string (or null)."""
        return str in self.plain_types

    @property
    def is_list(self) -> bool:
        """Whether it is a list, of strings unless `is_numbers`."""
        return typing.get_origin(self.type) is list

    @property
    def is_numbers(self) -> bool:
        """Whether it is a list of whole numbers."""
        return self.is_list and typing.get_args(self.type) == (int,)


def keys_of(schema: type[Any], prefix: str = "") -> dict[str, Key]:
    """Every key of `schema` with its full name, in the order of the fields."""
    hints, docs = typing.get_type_hints(schema), _field_comments(schema)
    keys: dict[str, Key] = {}
    for field in dataclasses.fields(schema):
        if dataclasses.is_dataclass(hints[field.name]):
            keys |= keys_of(hints[field.name], f"{prefix}{field.name}.")
        else:
            rule = field.metadata.get("rule")
            keys[prefix + field.name] = Key(
                hints[field.name], _default(field), rule, docs.get(field.name, "")
            )
    return keys


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default is not dataclasses.MISSING:
        return "null" if field.default is None else str(field.default)
    if field.default_factory is not dataclasses.MISSING:
        return f"[{','.join(map(str, field.default_factory()))}]"
    return "required"


def _field_comments(schema: type[Any]) -> dict[str, str]:
    """The line comment behind each field, also of the classes that `schema` inherits from."""
    comments: dict[str, str] = {}
    for base in reversed(schema.__mro__):
        if dataclasses.is_dataclass(base):
            comments |= dict(re.findall(_FIELD_COMMENT, inspect.getsource(base), re.MULTILINE))
    return comments


def help_lines(keys: Mapping[str, Key]) -> list[str]:
    """One line per key: name, type and default, meaning, and what is accepted."""
    width = max(map(len, keys))
    lines = []
    for name, key in keys.items():
        rule = f" [{textwrap.shorten(str(key.rule), 80, placeholder=' ...')}]" if key.rule else ""
        start = f"  {name:<{width}}  {key.type_name} = {key.default}"
        lines.append(f"{start:<{width + 30}}  {key.doc}{rule}".rstrip())
    return lines
