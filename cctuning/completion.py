"""Completion in a shell: commands, then recipes, keys and their values."""

import argparse
from collections.abc import Iterator
from typing import Any

import argcomplete

from cctuning.commands.registry import COMMANDS, Command
from cctuning.preparation.scripts import SCRIPTS
from cctuning.settings.keys import Choice, LibraryChoice, keys_of
from cctuning.settings.recipe_files import recipe_files


def complete() -> None:
    """Prints how the command line that the shell asks about can go on, and ends the process."""
    parser = argparse.ArgumentParser(prog="cctuning", add_help=False)
    words: Any = parser.add_argument("words", nargs="*")
    words.completer = lambda prefix, parsed_args, **_: list(candidates(parsed_args.words or [], prefix))
    argcomplete.autocomplete(parser, always_complete_options=False)


def candidates(words: list[str], prefix: str) -> Iterator[str]:
    """The words that begin with `prefix` and may stand behind `words`, the command and its arguments."""
    return (word for word in _all(words, prefix) if word.startswith(prefix))


def _all(words: list[str], prefix: str) -> Iterator[str]:
    if not words:
        yield from (*COMMANDS, "prepare", "recipes")
    elif words[0] == "prepare":
        yield from SCRIPTS if len(words) == 1 else ()
    elif words[0] == "recipes":
        yield from COMMANDS if len(words) == 1 else ()
        for command in COMMANDS.values():
            yield from recipe_files(command.schema, command.recipes)
    elif words[0] in COMMANDS:
        yield from _arguments(COMMANDS[words[0]], words[1:], prefix)


def _arguments(command: Command, given: list[str], prefix: str) -> Iterator[str]:
    taken = {word.partition("=")[0] for word in given}
    if "recipe" not in taken:
        yield from (f"recipe={name}" for name in recipe_files(command.schema, command.recipes))
    for name, key in keys_of(command.schema).items():
        if name in taken or key.is_open:
            continue
        if prefix.startswith(f"{name}="):
            yield from (f"{name}={value}" for value in _values(key))
        else:
            yield f"{name}="


def _values(key: Any) -> tuple[str, ...]:
    if key.type is bool:
        return ("true", "false")
    if isinstance(key.rule, Choice):
        return key.rule.values
    return key.rule.common if isinstance(key.rule, LibraryChoice) else ()
