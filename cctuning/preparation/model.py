"""Makes a plain model folder of a GGUF file: weights as safetensors, configuration, tokenizer, chat template.

Other commands take the file as it is (model_name_or_path=FILE.gguf), and convert it each time; a folder is
read faster, and by several processes.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from cctuning.commands.run import quiet_libraries
from cctuning.preparation.command import ended
from cctuning.pretrained.kinds import GGUF_SUFFIX
from cctuning.pretrained.names import naming_model
from cctuning.tools.console import new_console

DTYPES = ("float32", "bfloat16", "float16")


def main(arguments: Sequence[str] | None = None) -> int:
    """Converts; returns the exit status."""
    options = _parser().parse_args(arguments)
    return ended(lambda: _convert(options.file, options.output, options.dtype))


def _convert(file: str, output: Path, dtype: str) -> int:
    console = new_console()
    if Path(file).suffix != GGUF_SUFFIX:
        raise ValueError(f"{file} does not end in {GGUF_SUFFIX}: folders and hub names are used as they are")
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise FileExistsError(f"--output {output} is there already: choose an empty folder or a new one")
    from cctuning.pretrained.loading import (  # with torch, which --help does without
        load_causal_lm,
        load_tokenizer,
    )

    quiet_libraries()
    with naming_model("file", file):
        tokenizer = load_tokenizer(file)
        model = load_causal_lm(file, dtype=dtype)
    model.save_pretrained(output)
    tokenizer.save_pretrained(output)
    count = sum(parameter.numel() for parameter in model.parameters())
    console.say(f"{output} holds {type(model).__name__}, {count / 1e6:,.0f} M weights, {dtype}")
    if tokenizer.chat_template is None:
        console.print("It has no chat template: a base model; template=plain and others give it one")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="cctuning prepare model", description=__doc__)
    add = parser.add_argument
    add("file", metavar="FILE", help=f"a {GGUF_SUFFIX} file of an architecture that transformers reads")
    add("--output", type=Path, required=True, metavar="FOLDER", help="a new or empty folder")
    add("--dtype", choices=DTYPES, default=DTYPES[0], help=f"of the weights (default: {DTYPES[0]})")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
