"""Recipes: `recipe=NAME|PATH key=value ...` in, a checked dataclass out.

Of the schema's default, the base recipe, the recipe and the command line, the last that sets a key decides.
"""

import copy
import dataclasses
import functools
import re
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from cctuning.settings.assignments import (
    CALL,
    COMMAND_LINE,
    Assignment,
    RecipeError,
    each_once,
    flatten,
    shown,
)
from cctuning.settings.keys import RecipeKey, help_lines, keys_of
from cctuning.settings.recipe_files import (
    RECIPES,
    find_recipe,
    read_yaml,
    recipe_files,
    recipe_folders,
    with_bases,
)
from cctuning.tools.files import write_whole

Schema = TypeVar("Schema")


def load_recipe(arguments: Sequence[str], schema: type[Schema], *, folder: Path = RECIPES) -> Schema:
    """The checked settings for `arguments`: at most one `recipe=NAME|PATH`, the others `key=value`.

    A NAME is `folder/NAME.yaml`, or a name that a `RecipeFile` holds; it may lie deeper (`ablations/NAME`).
    Before a folder of the package's the same one in `./recipes` is looked into. A recipe may name a recipe to
    start from with `base: NAME|PATH`. A list is written `[a,b]`, and a single item without brackets. A
    schema's `run_name` defaults to the recipe's name, without folders.

    Raises `RecipeError` for a recipe, key or value that cannot be used.
    """
    keys = keys_of(schema)
    return _build(_assignments(*_typed(arguments, schema, folder), keys, folder), schema, keys)


def recipe_settings(
    arguments: Sequence[str], schema: type[Any], *, folder: Path = RECIPES
) -> list[tuple[str, str, str]]:
    """Every key of `schema` with its value as text, and where that was set; `arguments` as of `load_recipe`.

    What nothing sets and has no default is named as required: unlike `load_recipe`, this shows it.
    """
    keys = keys_of(schema)
    assignments = _assignments(*_typed(arguments, schema, folder), keys, folder)
    assigned = {assignment.key: assignment for assignment in assignments}
    try:
        whole = _build(assignments, schema, keys)  # with what follows from other settings
    except RecipeError:
        whole = None
    rows = []
    for name, key in keys.items():
        if whole is not None:
            value = shown(get_value(whole, name)).strip("'")
        else:
            value = shown(assigned[name].value).strip("'") if name in assigned else key.default
        inside = f"{name}." if key.is_open else name  # keys of an open group are a template's own
        places = [where.where for own, where in assigned.items() if own == name or own.startswith(inside)]
        rows.append((name, value, places[-1] if places else "default"))
    return rows


def recipe_from_call(
    schema: type[Schema], recipe: Schema | str | Path | None, settings: Mapping[str, Any], *, folder: Path
) -> Schema:
    """The settings that a function is called with: an object of `schema`, or a recipe and `settings`.

    With an object, `settings` replace its values; it is checked like any other recipe. Raises as
    `load_recipe`.
    """
    keys, given = keys_of(schema), _escaped(_plain(settings))
    if isinstance(recipe, schema):
        held = _escaped(_plain(_held(recipe)))
        return _build([*flatten(held, CALL, keys), *flatten(given, CALL, keys)], schema, keys)
    if dataclasses.is_dataclass(recipe):
        raise RecipeError(f"a {type(recipe).__name__} is given where a {schema.__name__} is needed")
    name = None if recipe is None else str(recipe)
    return _build(_assignments(name, given, CALL, keys, folder), schema, keys)


def _held(recipe: Any) -> dict[str, Any]:
    """A recipe's content, less an output folder that follows from its other settings."""
    held = dataclasses.asdict(recipe)
    if held.get("output_dir"):
        derived = dataclasses.replace(recipe, output_dir=type(recipe).output_dir)
        if derived.output_dir == held["output_dir"]:
            del held["output_dir"]
    return held


def _plain(value: Any) -> Any:
    """`value` with paths as text and tuples as lists, as YAML would hold it."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _typed(
    arguments: Sequence[str], schema: type[Any], folder: Path
) -> tuple[str | None, Mapping[str, Any], str]:
    """The recipe's name and the other settings, as text, of a command line."""
    name, overrides = _split_arguments(arguments)
    if name == "":
        names = ", ".join(recipe_files(schema, folder))
        raise RecipeError(f"recipe= names no recipe ({COMMAND_LINE}): one of {names}")
    return name, overrides, COMMAND_LINE


def _assignments(
    name: str | None, overrides: Mapping[str, Any], where: str, keys: Mapping[str, RecipeKey], folder: Path
) -> list[Assignment]:
    """What the recipe `name`, its bases and `overrides` set, in this order: the last one decides."""
    files = with_bases(find_recipe(name, recipe_folders(folder), keys, where), folder, keys) if name else []
    assignments = (
        [Assignment("run_name", files[-1].name, "the recipe's name")] if files and "run_name" in keys else []
    )
    for file in files:
        assignments += each_once(flatten(read_yaml(file), f"in {file}", keys))
    return assignments + list(flatten(overrides, where, keys))


def help_text(description: str, schema: type[Any], folder: Path) -> str:
    """The `--help` text of a command: `description`, its recipes, its keys."""
    recipes = ", ".join(recipe_files(schema, folder)) or "none"
    lines = [description, "", f"recipes (recipe=NAME or a path): {recipes}"]
    return "\n".join([*lines, "", "keys (key=value):", *help_lines(keys_of(schema)), ""])


def save_recipe(recipe: Any, path: str | Path) -> None:
    """Writes every setting of `recipe`, a dataclass, to a file that `recipe=PATH` reads back as the same."""
    text = OmegaConf.to_yaml(OmegaConf.create(_escaped(dataclasses.asdict(recipe))))
    write_whole(path, text)


def _escaped(value: Any) -> Any:
    """`value` with `${`, which OmegaConf would interpolate, escaped."""
    if isinstance(value, dict):
        return {key: _escaped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_escaped(item) for item in value]
    return re.sub(r"(\\*)\$\{", r"\1\1\\${", value) if isinstance(value, str) else value


def _split_arguments(arguments: Sequence[str]) -> tuple[str | None, dict[str, str]]:
    """The recipe's name and the other `key=value`s, as text."""
    values: dict[str, str] = {}
    for argument in arguments:
        if re.match(r"--local[-_]rank\b", argument):  # launchers add it; it is in the environment too
            continue
        key, equals, text = argument.partition("=")
        if key.startswith("-"):
            plain = f"{key.lstrip('-').replace('-', '_')}={text if equals else 'VALUE'}"
            raise RecipeError(
                f"{argument!r}: arguments are written key=value, without dashes: {plain} (--help lists them)"
            )
        if not equals:
            raise RecipeError(
                f"{argument!r}: arguments are written key=value, such as recipe=NAME (--help lists them)"
            )
        if key in values:
            raise RecipeError(f"{key}= is there twice {COMMAND_LINE}")
        values[key] = text
    return values.pop("recipe", None), values


@functools.cache
def _defaults(schema: type[Any]) -> Any:
    return OmegaConf.structured(schema)  # five times as slow as to copy it


def _build(assignments: Iterable[Assignment], schema: type[Schema], keys: Mapping[str, RecipeKey]) -> Schema:
    config = copy.deepcopy(_defaults(typing.cast(Any, schema)))
    where: dict[str, str] = {}
    for assignment in assignments:
        where[assignment.key] = assignment.where
        try:
            OmegaConf.update(config, assignment.key, assignment.value)
        except OmegaConfBaseException as error:
            place = f"{assignment.key}={shown(assignment.value)} ({assignment.where})"
            raise RecipeError(f"{place} must be {keys[assignment.key].type_name}") from error
    recipe = _object(config, where)
    for name, key in keys.items():
        value = get_value(recipe, name)
        if key.rule and value is not None and (problem := key.rule.problem(value)):
            raise RecipeError(f"{name} ({where.get(name, 'by default')}): {problem}")
    return typing.cast(Schema, recipe)


def _object(config: Any, where: Mapping[str, str]) -> Any:
    """The dataclass that `config` describes; its own checks' errors get the place of their key."""
    try:
        if not (missing := sorted(OmegaConf.missing_keys(config))):
            return OmegaConf.to_object(config)
    except OmegaConfBaseException as error:  # an interpolation, `${...}`, that leads nowhere
        name, reason = str(error.full_key), str(error).splitlines()[0]
        raise RecipeError(f"{name} ({where.get(name, 'by default')}): {reason}") from error
    except ValueError as error:
        raise RecipeError(_located(str(error), where)) from error
    raise RecipeError(f"{', '.join(missing)} must be set: by a recipe (recipe=NAME) or {COMMAND_LINE}")


def get_value(recipe: Any, name: str) -> Any:
    """The value of the key `name`, which may have dots."""
    for part in name.split("."):
        recipe = getattr(recipe, part)
    return recipe


def _located(message: str, where: Mapping[str, str]) -> str:
    """`message` of a dataclass's own check, which starts with `field=`, and where that key was set."""
    field = message.partition("=")[0]
    places = [f"{key} ({place})" for key, place in where.items() if key.rpartition(".")[2] == field]
    return f"{places[0]}: {message}" if len(places) == 1 else message
