"""The console command: `cctuning COMMAND ...`, also as `python -m cctuning COMMAND ...`.

What is typed is read and checked before anything is imported that takes long: torch comes when there is work.
"""

import sys
from collections.abc import Sequence

_USAGE = """\
usage: cctuning COMMAND [recipe=NAME|PATH] [key=value ...]

{commands}
  prepare    Prepare data: download, translate, clean, check; `cctuning prepare` lists the scripts
  recipes    List the recipes, or show one as it is resolved: where each value comes from

`cctuning COMMAND --help` lists a command's recipes and keys. Completion of commands, recipes and keys:
  bash, zsh  eval "$(register-python-argcomplete cctuning)"
  fish       register-python-argcomplete --shell fish cctuning | source
"""

# Commands of other programs, and what they are here.
_ELSEWHERE = {
    **dict.fromkeys(("merge", "merge-lora"), "cctuning prepare model ADAPTER --output FOLDER"),
    "export": "cctuning fit, which makes the monolingual model of a run",
    **dict.fromkeys(("sft", "finetune"), "cctuning train"),
    **dict.fromkeys(("eval", "run"), "cctuning evaluate"),
}


def main(command: str | None = None, arguments: Sequence[str] | None = None) -> None:
    """Runs `command` with `arguments`: by default those of the process, whose first one is the command."""
    try:
        given = list(sys.argv[1:] if arguments is None else arguments)
        if command is None:
            _complete()
            command, given = (given[0], given[1:]) if given else ("--help", [])
        _dispatch(command, given)
        if arguments is None:  # the process ends with its command
            from cctuning.distributed.rank import leave_processes

            leave_processes()
    except KeyboardInterrupt:  # while the first modules are imported
        sys.stderr.write("\nstopped\n")
        raise SystemExit(130) from None


def _dispatch(name: str, arguments: list[str]) -> None:
    from cctuning.commands.registry import COMMANDS

    if name in ("-h", "--help", "help"):
        lines = (f"  {command.name:<10} {command.summary}" for command in COMMANDS.values())
        sys.stdout.write(_USAGE.format(commands="\n".join(lines)))
    elif name in ("-V", "--version"):
        from cctuning import __version__

        sys.stdout.write(f"cctuning {__version__}\n")
    elif name == "prepare":
        from cctuning.preparation.scripts import prepare

        prepare(arguments)
    elif name == "recipes":
        from cctuning.commands.show_recipes import show_recipes

        show_recipes(arguments)
    elif name in COMMANDS:
        from cctuning.commands.call import call_command

        call_command(COMMANDS[name], arguments)
    else:
        from cctuning.settings.near_matches import did_you_mean
        from cctuning.tools.errors import write_error

        names = (*COMMANDS, "prepare", "recipes")
        hint = did_you_mean(name, names) or f": one of {', '.join(names)}"
        hint = f": it is {_ELSEWHERE[name]}" if name in _ELSEWHERE else hint
        write_error(f"no command {name!r}{hint}")
        raise SystemExit(2)


def _complete() -> None:
    """Answers a shell that asks how a command goes on, and ends; returns at once where none asks."""
    import os

    if "_ARGCOMPLETE" in os.environ:
        from cctuning.completion import complete

        complete()


if __name__ == "__main__":
    main()
