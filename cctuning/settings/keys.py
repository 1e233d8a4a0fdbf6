"""The keys of a schema: the type, default and help text of each, and what it accepts beyond its type.

A schema is a dataclass whose fields may be dataclasses, which gives keys with dots (`lora.r`). What a key
means and accepts is metadata of its field: fields are made by `required`, `setting`, `one_of`, `list_of`,
`number` and `numbers`.
"""

import dataclasses
import importlib
import math
import textwrap
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from cctuning.settings.near_matches import did_you_mean


@dataclasses.dataclass(frozen=True)
class Choice:
    """One of `values`; with `or_path`, also any file or folder that exists."""

    values: tuple[str, ...]
    or_path: bool = False

    def __str__(self) -> str:
        return " | ".join([*self.values, *(["PATH"] if self.or_path else [])])

    def problem(self, value: Any) -> str | None:
        """The fault of `value`, a string or a list of them; None for none."""
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
        """The fault of `value`, a number or a list of them; None for none."""
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


@dataclasses.dataclass(frozen=True)
class LibraryChoice:
    """A value of an enumeration in a library that takes seconds to import.

    The `common` values are accepted as they are; for another one `enumeration`, as `module:Class`, is asked.
    """

    common: tuple[str, ...]
    enumeration: str

    def __str__(self) -> str:
        return " | ".join([*self.common, "..."])

    def problem(self, value: str) -> str | None:
        """The fault of `value`; None for none."""
        return None if value in self.common else Choice(self.all_values()).problem(value)

    def all_values(self) -> tuple[str, ...]:
        """Every value of the enumeration in the installed version of the library."""
        module, _, name = self.enumeration.partition(":")
        return tuple(member.value for member in getattr(importlib.import_module(module), name))


Rule = Choice | Range | LibraryChoice
# A folder or hub name of a model; sources of rows; any other file or folder. `~/` is the user's own folder.
Names = Literal["model", "rows", "path"]


def required(help: str, *, names: Names | None = None) -> Any:
    """A dataclass field that has to be given; `names`: what its value names."""
    return dataclasses.field(metadata={"help": help, "names": names})


def setting(
    default: Any,
    help: str,
    *,
    rule: Rule | None = None,
    names: Names | None = None,
    before: Any = dataclasses.MISSING,
) -> Any:
    """A dataclass field: its default, what it means, what it accepts beyond its type, and what it names.

    `before`: what a result was made with that was written before there was this key, where that is not the
    default (`changes.changed_settings`).
    """
    metadata = {"help": help, "rule": rule, "names": names, "before": before}
    if isinstance(default, list | dict):
        return dataclasses.field(default_factory=default.copy, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def one_of(default: str, *others: str, help: str, or_path: bool = False) -> Any:
    """A dataclass field whose value is one of these strings."""
    return setting(default, help, rule=Choice(tuple(dict.fromkeys([default, *others])), or_path))


def list_of(default: str, *others: str, help: str) -> Any:
    """A dataclass field that holds a list of these strings."""
    return setting([default], help, rule=Choice((default, *others)))


def number(
    default: float | None,
    *,
    help: str,
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
) -> Any:
    """A dataclass field that holds a finite number within limits."""
    return setting(default, help, rule=Range(at_least, above, at_most))


def numbers(*default: int, help: str, at_least: int | None = None) -> Any:
    """A dataclass field that holds a list of whole numbers within a limit."""
    return setting(list(default), help, rule=Range(at_least))


@dataclasses.dataclass(frozen=True)
class RecipeKey:
    """One key of a schema: what help shows and what values are checked against."""

    type: Any
    default: str
    rule: Rule | None
    help: str
    names: Names | None = None

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
    def is_open(self) -> bool:
        """Whether it is a group whose keys the schema does not name, such as a template's variables."""
        return typing.get_origin(self.type) is dict

    @property
    def is_numbers(self) -> bool:
        """Whether it is a list of whole numbers."""
        return self.is_list and typing.get_args(self.type) == (int,)


def keys_of(schema: type[Any], prefix: str = "") -> dict[str, RecipeKey]:
    """Every key of `schema` with its full name, in the order of the fields."""
    hints = typing.get_type_hints(schema)
    keys: dict[str, RecipeKey] = {}
    for field in dataclasses.fields(schema):
        if dataclasses.is_dataclass(hints[field.name]):
            keys |= keys_of(hints[field.name], f"{prefix}{field.name}.")
        else:
            metadata = field.metadata
            keys[prefix + field.name] = RecipeKey(
                hints[field.name],
                _default(field),
                metadata.get("rule"),
                metadata.get("help", ""),
                metadata.get("names"),
            )
    return keys


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default is not dataclasses.MISSING:
        return "null" if field.default is None else str(field.default)
    if field.default_factory is not dataclasses.MISSING:
        if isinstance(field.default_factory(), dict):
            return "{}"
        return f"[{','.join(map(str, field.default_factory()))}]"
    return "required"


def completed(schema: type[Any], saved: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that an earlier version may have saved, with the keys that it did not know of.

    They have the value that a result without them stands for: their field's `before`, else its default.
    """
    hints = typing.get_type_hints(schema)
    whole = dict(saved)
    for field in dataclasses.fields(schema):
        name, before = field.name, field.metadata.get("before", dataclasses.MISSING)
        if dataclasses.is_dataclass(group := hints[name]):
            if isinstance(own := whole.get(name, {}), Mapping):
                whole[name] = completed(typing.cast(type[Any], group), own)
        elif before is not dataclasses.MISSING:
            whole.setdefault(name, before)
        elif field.default is not dataclasses.MISSING:
            whole.setdefault(name, field.default)
        elif callable(field.default_factory):
            whole.setdefault(name, field.default_factory())
    return whole


def changed_values(recipe: Any, prefix: str = "") -> dict[str, Any]:
    """The values of a recipe that are not the defaults, by key; what has no default is among them."""
    changed: dict[str, Any] = {}
    for field in dataclasses.fields(recipe):
        value, name = getattr(recipe, field.name), prefix + field.name
        if dataclasses.is_dataclass(value):
            changed |= changed_values(value, f"{name}.")
            continue
        factory = field.default_factory
        if value != (field.default if factory is dataclasses.MISSING else factory()):
            changed[name] = value
    return changed


def help_lines(keys: Mapping[str, RecipeKey]) -> list[str]:
    """One line per key: name, type and default, meaning, and what is accepted."""
    width = max(map(len, keys))
    lines = []
    for name, key in keys.items():
        rule = f" [{textwrap.shorten(str(key.rule), 80, placeholder=' ...')}]" if key.rule else ""
        start = f"  {name:<{width}}  {key.type_name} = {key.default}"
        lines.append(f"{start:<{width + 30}}  {key.help}{rule}".rstrip())
    return lines
