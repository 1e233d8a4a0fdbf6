"""Files of recipes: where they are, which of them a name means, and the bases that each builds on."""

import dataclasses
import functools
import io
from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from cctuning.settings.assignments import RecipeError, at_home, flatten
from cctuning.settings.keys import RecipeKey, keys_of
from cctuning.settings.near_matches import did_you_mean
from cctuning.tools.package_data import package_data

RECIPES = package_data("recipes")
_MOST_NAMES = 12  # in a message
_SUFFIXES = (".yaml", ".yml")
_MODEL = "MODEL"


class NoRecipeError(RecipeError):
    """A name that no recipe of a command has."""

    def __init__(self, message: str, name: str) -> None:
        super().__init__(message)
        self.name = name


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


def recipe_files(schema: type[Any], folder: Path) -> dict[str, RecipeFile]:
    """The recipes of a command to choose from, by name, and their files."""
    return _named(recipe_folders(folder), keys_of(schema))


def recipe_folders(folder: Path) -> list[Path]:
    """`folder`, and before it the same one in the working folder's own `recipes/`, where there is one."""
    if not folder.is_relative_to(RECIPES):
        return [folder]
    local = Path("recipes") / folder.relative_to(RECIPES)
    return (
        [local, folder] if local.is_dir() and not (folder.is_dir() and local.samefile(folder)) else [folder]
    )


def _named(folders: Sequence[Path], keys: Mapping[str, RecipeKey]) -> dict[str, RecipeFile]:
    """The recipes in `folders`, by name: the first one of a name. One with `_` in front is only a base.

    Of a folder in a folder those that set no other keys: it may hold recipes of another command.
    """
    by_name: dict[str, RecipeFile] = {}
    for folder in folders:
        inside = [path for path in sorted(folder.glob("*/*.yaml")) if sets_only(RecipeFile(path), keys)]
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
        base = f"{read_yaml(RecipeFile(chain[-1])).get('base')}.yaml"
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


def sets_only(file: RecipeFile, keys: Mapping[str, RecipeKey]) -> bool:
    """Whether a recipe sets something, and nothing but `keys`."""
    try:
        return any(True for _ in flatten(read_yaml(file), f"in {file}", keys))
    except RecipeError:
        return False


def find_recipe(name: str, folders: Iterable[Path], keys: Mapping[str, RecipeKey], where: str) -> RecipeFile:
    """The recipe that `name` stands for: a path where it ends in .yaml, else a recipe in one of `folders`."""
    folders = list(dict.fromkeys(folders))
    if name.endswith(_SUFFIXES):
        candidates = [Path(at_home(name)), *(folder / name for folder in folders)]
    else:
        candidates = [folder / f"{name}.yaml" for folder in folders]
    for candidate in candidates:
        if candidate.is_file():
            return RecipeFile(candidate)
        if file := _of_a_model(candidate, folders):
            return file
    known = _named(folders, keys)
    more = [f"... ({len(known)} in all: cctuning recipes)"] if len(known) > _MOST_NAMES else []
    listed = ", ".join([*list(known)[:_MOST_NAMES], *more, "or a path to a .yaml"])
    listed = listed if known else "no names here, only paths to a .yaml"
    searched = " or ".join(map(str, folders))
    message = f"no recipe {name!r} ({where}) in {searched}{did_you_mean(name, known)}\navailable: {listed}"
    raise NoRecipeError(message, name)


def _of_a_model(wanted: Path, folders: Sequence[Path]) -> RecipeFile | None:
    """The recipe of one model that `wanted` would be the file of, if a file of every model holds it."""
    for path in sorted(wanted.parent.glob(f"*{_MODEL}*{wanted.suffix}")):
        before, _, behind = path.name.partition(_MODEL)
        if wanted.name.startswith(before) and wanted.name.endswith(behind):
            for file in _recipes_of(path, folders):
                if file.name == wanted.stem:
                    return file
    return None


def with_bases(file: RecipeFile, folder: Path, keys: Mapping[str, RecipeKey]) -> list[RecipeFile]:
    """`file` preceded by its base, its base's base, and so on."""
    chain = [file]
    while (base := read_yaml(chain[0]).get("base")) is not None:
        if not isinstance(base, str):
            raise RecipeError(f"base (in {chain[0]}) must be the name or the path of one recipe")
        parent = find_recipe(
            base, [chain[0].path.parent, *recipe_folders(folder)], keys, f"base of {chain[0]}"
        )
        if any(parent.path.samefile(seen.path) for seen in chain):
            names = " -> ".join(str(step) for step in [*reversed(chain), parent])
            raise RecipeError(f"recipes that are each other's base: {names}")
        chain.insert(0, parent)
    return chain


def read_yaml(file: RecipeFile) -> dict[Any, Any]:
    """The content of a recipe, as it stands there. Raises `RecipeError` for one that is not readable."""
    text = file.text()
    try:
        content = _parsed(text)
    # An OSError is OmegaConf's for a lone number.
    except (yaml.YAMLError, ValueError, OSError, OmegaConfBaseException, RecursionError) as error:
        raise RecipeError(f"{file} is not readable YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise RecipeError(f"{file} holds no `key: value` lines")
    return content


@functools.cache  # a call reads a base several times
def _parsed(text: str) -> Any:
    return OmegaConf.to_container(OmegaConf.load(io.StringIO(text)), resolve=False)
