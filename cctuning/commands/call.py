"""A command as the command line calls it."""

import sys
from collections.abc import Sequence
from typing import Any

from cctuning.commands.other_commands import naming_other_commands
from cctuning.commands.registry import Command
from cctuning.commands.run import quiet_libraries, run
from cctuning.pretrained.names import check_model_path
from cctuning.settings.assignments import RecipeError
from cctuning.settings.keys import keys_of
from cctuning.settings.recipe import get_value, help_text, load_recipe
from cctuning.tools.errors import printable, write_error


def call_command(command: Command, arguments: Sequence[str]) -> None:
    """Reads the settings, checks what they name, and carries the command out.

    `--help` prints the keys. A recipe that cannot be used ends the process with the error and status 2, what
    goes wrong later with status 1; see `run`.
    """
    try:
        if any(argument in ("-h", "--help") for argument in arguments):
            examples = "\n".join(command.examples)
            description = f"{command.summary}.\n\n{examples}"
            sys.stdout.write(printable(help_text(description, command.schema, command.recipes)))
            return
        with naming_other_commands(command):
            recipe = load_recipe(arguments, command.schema, folder=command.recipes)
    except RecipeError as error:
        write_error(str(error))
        raise SystemExit(2) from None

    def work() -> None:
        check_names(recipe)
        function = command.function()
        quiet_libraries()
        function(recipe)

    run(work, stopped=command.stopped)


def check_names(recipe: Any) -> None:
    """Raises `OSError` or `ValueError` for a model's folder or a file of rows that does not exist.

    Names that may be on the hub pass; what is in the folders and files is looked at when they are read.
    """
    for name, key in keys_of(type(recipe)).items():
        value = get_value(recipe, name)
        if key.names == "model" and value is not None:
            check_model_path(name, value)
        elif key.names == "rows" and value:
            from cctuning.data.sources import find_sources  # it needs pyarrow, which a misspelt key does not

            find_sources(value, split=getattr(recipe, "data_split", "train"))
