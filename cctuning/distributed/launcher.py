"""The options of `accelerate launch`, read from the command line of the process that started this one."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import psutil
from accelerate.commands.config.config_args import default_config_file, load_config_from_file


class LauncherOptions(NamedTuple):
    """Options of `accelerate launch`, from its command line or else its configuration file."""

    processes: int | None  # None: it was not told, and counts the GPUs
    cpu: bool


def launcher_options() -> LauncherOptions | None:
    """The options of the `accelerate launch` that started this process; None where it was something else.

    The environment does not say them all: where accelerate starts one process in place of several
    (`--cpu --num_processes 2`), it leaves no trace there of the number.
    """
    try:
        parent = psutil.Process().parent()
        words = parent.cmdline() if parent else []
    except psutil.Error:  # a container may hide its parents
        return None
    return read_command_line(words)


def read_command_line(words: Sequence[str]) -> LauncherOptions | None:
    """The options in a command line; None where it is none of `accelerate launch`."""
    names = [Path(word).name for word in words[:4]]
    is_launch = "accelerate" in names and "launch" in names
    if not (is_launch or "accelerate-launch" in names or "accelerate.commands.launch" in words):
        return None
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--num_processes", "--num-processes", type=int)
    parser.add_argument("--config_file", "--config-file")
    parser.add_argument("--cpu", action="store_true")
    options, _ = parser.parse_known_args(list(words))
    file = options.config_file or (None if options.cpu else default_config_file)
    if file is None or not os.path.isfile(file):  # noqa: PTH113 - a name as the launcher got it
        return LauncherOptions(options.num_processes, options.cpu)
    config = load_config_from_file(file)
    return LauncherOptions(options.num_processes or config.num_processes, options.cpu or config.use_cpu)
