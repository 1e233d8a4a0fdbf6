"""Recipes: `recipe=NAME|PATH key=value ...` in, a checked dataclass out.

Of the schema's default, the base recipe, the recipe and the command line, the last that sets a key decides.
"""

import dataclasses
import io
import re
import types
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any, TypeVar

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import GrammarParseError, OmegaConfBaseException
from omegaconf.grammar_parser import OmegaConfGrammarParser, parse  # type: ignore[attr-defined]

from cctuning.settings.keys import RecipeKey, help_lines, keys_of
from cctuning.settings.near_matches import did_you_mean
from cctuning.tools.files import write_whole
from cctuning.tools.package_data import package_data

RECIPES = package_data("recipes")

_SUFFIXES = (".yaml", ".yml")
_COMMAND_LINE = "on the command line"
_CALL = "in the call"
_SHOWN = 80  # characters of a value in a message
_MODEL = "MODEL"

Schema = TypeVar("Schema")


class RecipeError(ValueError):
    """A recipe or argument that cannot be used: which key, where it stands and what is accepted."""


@dataclasses.dataclass(frozen=True)
class Assignment:
    """`key=value` and where it was written."""

    key: str
    value: Any
    where: str


@dataclasses.dataclass(frozen=True)
class RecipeFile:
    """A recipe, and where it stands.

    A file with MODEL in its name holds a recipe for every model: `MODEL_aya_sft.yaml` is `llama31_aya_sft`,
    because its base, MODEL_aya, is there as `llama31_aya`. In its text, too, MODEL stands for the model.
    """

    path: Path
    model: str = ""  # what MODEL stands for

    @property
    def name(self) -> str:
        """Its name, without folders."""
        return self._filled(self.path.stem)

    def text(self) -> str:
        """The text of the file. Raises `RecipeError` for a file that cannot be read as text."""
        try:
            return self._filled(self.path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise RecipeError(f"{self} is not readable YAML: {error}") from error

    @property
    def comment(self) -> str:
        """The comment that it begins with, as one line."""
        lines = self.text().splitlines()
        return " ".join(line.lstrip("# ") for line in takewhile(lambda line: line.startswith("#"), lines))

    def _filled(self, text: str) -> str:
        return text.replace(_MODEL, self.model) if self.model else text

    def __str__(self) -> str:
        return str(self.path)


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
            value = _shown(get_value(whole, name)).strip("'")
        else:
            value = _shown(assigned[name].value).strip("'") if name in assigned else key.default
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
        return _build([*_flatten(held, _CALL, keys), *_flatten(given, _CALL, keys)], schema, keys)
    if dataclasses.is_dataclass(recipe):
        raise RecipeError(f"a {type(recipe).__name__} is given where a {schema.__name__} is needed")
    name = None if recipe is None else str(recipe)
    return _build(_assignments(name, given, _CALL, keys, folder), schema, keys)


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
        raise RecipeError(f"recipe= names no recipe ({_COMMAND_LINE}): one of {names}")
    return name, overrides, _COMMAND_LINE


def _assignments(
    name: str | None, overrides: Mapping[str, Any], where: str, keys: Mapping[str, RecipeKey], folder: Path
) -> list[Assignment]:
    """What the recipe `name`, its bases and `overrides` set, in this order: the last one decides."""
    files = _with_bases(_find(name, _folders(folder), keys, where), folder, keys) if name else []
    assignments = (
        [Assignment("run_name", files[-1].name, "the recipe's name")] if files and "run_name" in keys else []
    )
    for file in files:
        assignments += _each_once(_flatten(_read_yaml(file), f"in {file}", keys))
    return assignments + list(_flatten(overrides, where, keys))


def help_text(description: str, schema: type[Any], folder: Path) -> str:
    """The `--help` text of a command: `description`, its recipes, its keys."""
    recipes = ", ".join(recipe_files(schema, folder)) or "none"
    lines = [description, "", f"recipes (recipe=NAME or a path): {recipes}"]
    return "\n".join([*lines, "", "keys (key=value):", *help_lines(keys_of(schema)), ""])


def recipe_files(schema: type[Any], folder: Path) -> dict[str, RecipeFile]:
    """The recipes of a command to choose from, by name, and their files."""
    return _named(_folders(folder), keys_of(schema))


def _folders(folder: Path) -> list[Path]:
    """`folder`, and before it the same one in the working folder's own `recipes/`, where there is one."""
    if not folder.is_relative_to(RECIPES):
        return [folder]
    local = Path("recipes") / folder.relative_to(RECIPES)
    return (
        [local, folder] if local.is_dir() and not (folder.is_dir() and local.samefile(folder)) else [folder]
    )


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
            raise RecipeError(f"{key}= is there twice {_COMMAND_LINE}")
        values[key] = text
    return values.pop("recipe", None), values


def _named(folders: Sequence[Path], keys: Mapping[str, RecipeKey]) -> dict[str, RecipeFile]:
    """The recipes in `folders`, by name: the first one of a name. One with `_` in front is only a base.

    Of a folder in a folder those that set no other keys: it may hold recipes of another command.
    """
    by_name: dict[str, RecipeFile] = {}
    for folder in folders:
        inside = [path for path in sorted(folder.glob("*/*.yaml")) if _sets_only(RecipeFile(path), keys)]
        for path in [*sorted(folder.glob("*.yaml")), *inside]:
            within = path.parent.relative_to(folder)
            for file in _recipes_of(path, folders):
                if not file.name.startswith("_"):
                    by_name.setdefault((within / file.name).as_posix(), file)
    return by_name


def _recipes_of(path: Path, folders: Sequence[Path]) -> list[RecipeFile]:
    """The recipes that a file holds: one, or one for every model that has its base."""
    if _MODEL not in path.name:
        return [RecipeFile(path)]
    chain = [path]
    while True:
        base = f"{_read_yaml(RecipeFile(chain[-1])).get('base')}.yaml"
        bases = [place / base for place in (chain[-1].parent, *folders) if (place / base).is_file()]
        if not bases:
            break
        if bases[0] in chain:  # recipes that are each other's base are of no model
            return []
        chain.append(bases[0])  # that is one of every model, too
    before, _, behind = base.partition(_MODEL)
    files = [file.relative_to(place) for place in folders for file in place.glob(f"{before}[!_]*{behind}")]
    models = {file.as_posix().removeprefix(before).removesuffix(behind) for file in files}
    return [RecipeFile(path, model) for model in sorted(models)]


def _sets_only(file: RecipeFile, keys: Mapping[str, RecipeKey]) -> bool:
    try:
        return any(True for _ in _flatten(_read_yaml(file), f"in {file}", keys))
    except RecipeError:
        return False


def _find(name: str, folders: Iterable[Path], keys: Mapping[str, RecipeKey], where: str) -> RecipeFile:
    """The recipe that `name` stands for: a path where it ends in .yaml, else a recipe in one of `folders`."""
    folders = list(dict.fromkeys(folders))
    if name.endswith(_SUFFIXES):
        candidates = [Path(name), *(folder / name for folder in folders)]
    else:
        candidates = [folder / f"{name}.yaml" for folder in folders]
    for candidate in candidates:
        if candidate.is_file():
            return RecipeFile(candidate)
        if file := _of_a_model(candidate, folders):
            return file
    known = _named(folders, keys)
    listed = ", ".join([*known, "or a path to a .yaml"]) if known else "no names here, only paths to a .yaml"
    searched = " or ".join(map(str, folders))
    raise RecipeError(
        f"no recipe {name!r} ({where}) in {searched}{did_you_mean(name, known)}\navailable: {listed}"
    )


def _of_a_model(wanted: Path, folders: Sequence[Path]) -> RecipeFile | None:
    """The recipe of one model that `wanted` would be the file of, if a file of every model holds it."""
    for path in sorted(wanted.parent.glob(f"*{_MODEL}*{wanted.suffix}")):
        before, _, behind = path.name.partition(_MODEL)
        if wanted.name.startswith(before) and wanted.name.endswith(behind):
            for file in _recipes_of(path, folders):
                if file.name == wanted.stem:
                    return file
    return None


def _with_bases(file: RecipeFile, folder: Path, keys: Mapping[str, RecipeKey]) -> list[RecipeFile]:
    """`file` preceded by its base, its base's base, and so on."""
    chain = [file]
    while (base := _read_yaml(chain[0]).get("base")) is not None:
        if not isinstance(base, str):
            raise RecipeError(f"base (in {chain[0]}) must be the name or the path of one recipe")
        parent = _find(base, [chain[0].path.parent, *_folders(folder)], keys, f"base of {chain[0]}")
        if any(parent.path.samefile(seen.path) for seen in chain):
            names = " -> ".join(str(step) for step in [*reversed(chain), parent])
            raise RecipeError(f"recipes that are each other's base: {names}")
        chain.insert(0, parent)
    return chain


def _read_yaml(file: RecipeFile) -> dict[Any, Any]:
    text = file.text()
    try:
        content = OmegaConf.load(io.StringIO(text))
    # An OSError is OmegaConf's for a lone number.
    except (yaml.YAMLError, ValueError, OSError, OmegaConfBaseException, RecursionError) as error:
        raise RecipeError(f"{file} is not readable YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, DictConfig):
        raise RecipeError(f"{file} holds no `key: value` lines")
    return typing.cast("dict[Any, Any]", OmegaConf.to_container(content, resolve=False))


def _flatten(
    values: Mapping[Any, Any], where: str, keys: Mapping[str, RecipeKey], prefix: str = ""
) -> Iterator[Assignment]:
    """The assignments in nested `values`; raises for keys that are not in `keys`."""
    for name, value in values.items():
        key = f"{prefix}{name}"
        if key in keys and keys[key].is_open:
            if not isinstance(value, dict):
                raise RecipeError(f"{key} ({where}) is a group of keys: set {key}.KEY=value")
            yield from _flatten(value, where, keys, f"{key}.")
        elif known := _known(key, keys):
            yield Assignment(key, _parsed(known, key, value, where), where)
        elif key == "base" and where not in (_COMMAND_LINE, _CALL):
            continue
        elif any(known.startswith(f"{key}.") for known in keys):
            if not isinstance(value, dict):
                members = ", ".join(known for known in keys if known.startswith(f"{key}."))
                raise RecipeError(f"{key} ({where}) is a group of keys: set {members}")
            yield from _flatten(value, where, keys, f"{key}.")
        else:
            raise RecipeError(
                f"unknown key {key!r} ({where}){did_you_mean(key, keys) or '; --help lists the keys'}"
            )


def _known(name: str, keys: Mapping[str, RecipeKey]) -> RecipeKey | None:
    """The key of this name, or the open group that it stands in; None where there is neither."""
    group = keys.get(name.rpartition(".")[0])
    return keys.get(name) or (group if group is not None and group.is_open else None)


def _each_once(assignments: Iterable[Assignment]) -> list[Assignment]:
    """The assignments of one file; raises for a key in two spellings, `lora.r: 8` and `lora: {r: 8}`."""
    by_key: dict[str, Assignment] = {}
    for assignment in assignments:
        if by_key.setdefault(assignment.key, assignment) is not assignment:
            raise RecipeError(f"{assignment.key} is there twice ({assignment.where})")
    return list(by_key.values())


def _parsed(key: RecipeKey, name: str, value: Any, where: str) -> Any:
    """A value as OmegaConf takes it: command line text read by the key's type, a lone item made a list."""
    if where is _COMMAND_LINE:
        value = _parse_text(key, name, value)
    if key.is_list and (isinstance(value, str) or (key.is_numbers and type(value) is int)):
        value = [value]
    for item in value if key.is_list and isinstance(value, list) else [value]:
        # YAML reads `no` as false and the revision 12e5678 as a number: a string that was not meant as one.
        if key.is_numbers:
            if type(item) is not int:
                raise RecipeError(
                    f"{name} ({where}) must be a list of whole numbers, and holds {_shown(item)}"
                )
            continue
        if (key.is_text or key.is_list) and isinstance(item, bool | int | float):
            raise RecipeError(f"{name}={item!r} ({where}) must be text: put quotes around it")
        if key.is_list and isinstance(value, list) and not isinstance(item, str):
            raise RecipeError(f"{name} ({where}) must be a list of texts, and holds {_shown(item)}")
        if isinstance(item, str) and _calls(item):
            raise RecipeError(
                f"{name}={_shown(item)} ({where}) takes a value from the environment or from a function, and "
                "would be saved with it: write the value itself"
            )
        if isinstance(item, str) and "\0" in item:
            raise RecipeError(f"{name}={_shown(item)} ({where}) holds a NUL character")
    return value


def _calls(text: str) -> bool:
    """Whether an interpolation calls a function, such as `${oc.env:NAME}`; `${KEY}` names another setting."""
    if "${" not in text or ":" not in text:
        return False
    try:
        waiting: list[Any] = [parse(text)]
    except GrammarParseError:  # which is told with its place, where it is resolved
        return False
    while waiting:
        node = waiting.pop()
        if isinstance(node, OmegaConfGrammarParser.InterpolationResolverContext):
            return True
        waiting += getattr(node, "children", None) or []
    return False


def _parse_text(key: RecipeKey, name: str, text: str) -> Any:
    if not text and key.default:
        raise RecipeError(f"{name}= ({_COMMAND_LINE}) has no value")
    if key.is_text:
        return None if text == "null" and types.NoneType in key.plain_types else text
    if key.is_list and not text.startswith("["):
        if not key.is_numbers:
            return text
        text = f"[{text}]"
    try:
        return OmegaConf.to_container(OmegaConf.from_dotlist([f"value={text}"]), resolve=False)["value"]  # type: ignore[index,call-overload]
    except (yaml.YAMLError, ValueError, OmegaConfBaseException, RecursionError):
        raise RecipeError(
            f"{name}={_shortened(text)} ({_COMMAND_LINE}) is not a value; a list is written [a,b]"
        ) from None


def _build(assignments: Iterable[Assignment], schema: type[Schema], keys: Mapping[str, RecipeKey]) -> Schema:
    config = OmegaConf.structured(schema)
    where: dict[str, str] = {}
    for assignment in assignments:
        where[assignment.key] = assignment.where
        try:
            OmegaConf.update(config, assignment.key, assignment.value)
        except OmegaConfBaseException as error:
            place = f"{assignment.key}={_shown(assignment.value)} ({assignment.where})"
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
    raise RecipeError(f"{', '.join(missing)} must be set: by a recipe (recipe=NAME) or {_COMMAND_LINE}")


def _shown(value: Any) -> str:
    return "null" if value is None else _shortened(repr(value))


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


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
