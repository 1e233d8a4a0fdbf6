"""`cctuning recipes [NAME]`: lists the recipes, or shows one as it is resolved."""

import sys
from collections.abc import Sequence
from pathlib import Path

from cctuning.commands.registry import COMMANDS, Command
from cctuning.settings.assignments import RecipeError
from cctuning.settings.near_matches import did_you_mean
from cctuning.settings.recipe import recipe_settings
from cctuning.settings.recipe_files import recipe_files
from cctuning.tools.errors import printable, write_error

_USAGE = """\
usage: cctuning recipes                     all recipes, one line each
       cctuning recipes COMMAND             those of one command
       cctuning recipes NAME [key=value]    one as it is resolved, and where each value comes from
       cctuning recipes COMMAND NAME ...    the same, where several commands have a recipe of that name
"""


def show_recipes(arguments: Sequence[str]) -> None:
    """Prints what `arguments` ask for. Ends with status 2 for a recipe that does not exist, or is faulty."""
    if arguments and arguments[0] in ("-h", "--help"):
        sys.stdout.write(_USAGE)
        return
    commands = list(COMMANDS.values())
    if arguments and arguments[0] in COMMANDS:
        commands, arguments = [COMMANDS[arguments[0]]], arguments[1:]
    try:
        shown = _of_a_recipe(arguments, commands) if arguments else _lists(commands)
    except RecipeError as error:
        write_error(str(error))
        raise SystemExit(2) from None
    sys.stdout.write(printable("\n".join(shown)))


def _lists(commands: Sequence[Command]) -> list[str]:
    """The recipes of each command that has any, a line each."""
    lists = []
    for command in commands:
        files = recipe_files(command.schema, command.recipes)
        width = max(map(len, files), default=0)
        lines = [f"  {name:<{width}}  {file.comment}".rstrip() for name, file in files.items()]
        if lines:
            lists.append("\n".join([f"cctuning {command.name} recipe=...", *lines, ""]))
    return lists or [f"no recipes for cctuning {commands[0].name}: its keys are set on the command line\n"]


def _of_a_recipe(arguments: Sequence[str], commands: Sequence[Command]) -> list[str]:
    """One recipe, or file, as each command that can read it resolves it."""
    name, overrides = arguments[0].removeprefix("recipe="), arguments[1:]
    names = {command.name: recipe_files(command.schema, command.recipes) for command in commands}
    having = [command for command in commands if name in names[command.name]]
    if having:
        return [_shown(command, name, overrides) for command in having]
    if Path(name).is_file():
        return _of_a_file(name, overrides, commands)
    known = [known for files in names.values() for known in files]
    raise RecipeError(f"no recipe {name!r}{did_you_mean(name, known)}; `cctuning recipes` lists them")


def _of_a_file(path: str, overrides: Sequence[str], commands: Sequence[Command]) -> list[str]:
    """The content of a file for each command. Raises the first error where none can read it."""
    shown, errors = [], []
    for command in commands:
        try:
            shown.append(_shown(command, path, overrides))
        except RecipeError as error:
            errors.append(error)
    if not shown:
        raise errors[0]
    return shown


def _shown(command: Command, name: str, overrides: Sequence[str]) -> str:
    """Every key with its value and where that was set."""
    rows = recipe_settings([f"recipe={name}", *overrides], command.schema, folder=command.recipes)
    widths = [min(max(len(row[column]) for row in rows), 40) for column in (0, 1)]
    lines = [f"  {key:<{widths[0]}}  {value:<{widths[1]}}  {place}" for key, value, place in rows]
    return "\n".join([f"cctuning {command.name} recipe={name}", *lines, ""])
