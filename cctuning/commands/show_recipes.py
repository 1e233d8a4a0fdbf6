"""`cctuning recipes [NAME]`: lists the recipes, or shows one as it is resolved."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from cctuning.commands.registry import COMMANDS, Command
from cctuning.settings.near_matches import did_you_mean
from cctuning.settings.recipe import RecipeError, RecipeFile, recipe_files, recipe_settings

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
    if not arguments:
        sys.stdout.write("".join(f"{_listed(command)}\n" for command in commands if _listed(command)))
        return
    name = arguments[0].removeprefix("recipe=")
    try:
        shown = [_shown(command, name, arguments[1:]) for command in _commands_with(name, commands)]
    except RecipeError as error:
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(2) from None
    sys.stdout.write("\n".join(shown))


def _listed(command: Command) -> str:
    files = recipe_files(command.schema, command.recipes)
    width = max(map(len, files), default=0)
    lines = [f"  {name:<{width}}  {_summary(file)}".rstrip() for name, file in files.items()]
    return "\n".join([f"cctuning {command.name} recipe=...", *lines, ""]) if lines else ""


def _summary(file: RecipeFile) -> str:
    """A recipe's first comment."""
    lines = file.text().splitlines()
    return next((line.lstrip("# ") for line in lines if line.startswith("#")), "")


def _commands_with(name: str, commands: Sequence[Command]) -> list[Command]:
    """The commands that have a recipe `name`, or can read the file. Raises `RecipeError` where none has."""
    names = {command.name: recipe_files(command.schema, command.recipes) for command in commands}
    having = [command for command in commands if name in names[command.name]]
    if not having and Path(name).is_file():
        having = [command for command in commands if _reads(command, name)]
    if not having:
        known = [known for files in names.values() for known in files]
        raise RecipeError(f"no recipe {name!r}{did_you_mean(name, known)}; `cctuning recipes` lists them")
    return having


def _reads(command: Command, path: str) -> bool:
    try:
        recipe_settings([f"recipe={path}"], command.schema, folder=command.recipes)
    except RecipeError:
        return False
    return True


def _shown(command: Command, name: str, overrides: Sequence[str]) -> str:
    """Every key with its value and where that was set."""
    rows = recipe_settings([f"recipe={name}", *overrides], command.schema, folder=command.recipes)
    widths = [min(max(len(row[column]) for row in rows), 40) for column in (0, 1)]
    lines = [f"  {key:<{widths[0]}}  {value:<{widths[1]}}  {place}" for key, value, place in rows]
    return "\n".join([f"cctuning {command.name} recipe={name}", *lines, ""])
