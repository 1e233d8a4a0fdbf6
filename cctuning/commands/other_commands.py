"""Keys and recipes that are another command's: an error about them says whose."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cctuning.commands.registry import COMMANDS, Command
from cctuning.settings.assignments import RecipeError, UnknownKeysError
from cctuning.settings.keys import keys_of
from cctuning.settings.recipe_files import NoRecipeError, RecipeFile, recipe_files, sets_only


@contextmanager
def naming_other_commands(command: Command) -> Iterator[None]:
    """Adds to a `RecipeError` of what runs inside which other command has such a key, or such a recipe."""
    others = [other for other in COMMANDS.values() if other is not command]
    try:
        yield
    except NoRecipeError as error:
        having = [other for other in others if error.name in recipe_files(other.schema, other.recipes)]
        raise RecipeError(f"{error}{_recipe_of(error.name, having)}") from error
    except UnknownKeysError as error:
        path = Path(error.where.removeprefix("in "))  # where no file is meant, there is none of this name
        if path.is_file():
            having = [other for other in others if sets_only(RecipeFile(path), keys_of(other.schema))]
            if having:
                raise RecipeError(f"{error}{_recipe_of(str(path), having)}") from error
        raise RecipeError(f"{error}{''.join(_key_of(key, others) for key in error.keys)}") from error


def _recipe_of(name: str, commands: list[Command]) -> str:
    if not commands:
        return ""
    return f"\n{name} is a recipe of {_names(commands)}: cctuning {commands[0].name} recipe={name}"


def _key_of(key: str, commands: list[Command]) -> str:
    having = [command for command in commands if key in keys_of(command.schema)]
    return f"\n{key} is a key of {_names(having)}" if having else ""


def _names(commands: list[Command]) -> str:
    return " and ".join(f"cctuning {command.name}" for command in commands)
