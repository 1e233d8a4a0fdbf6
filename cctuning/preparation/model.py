"""Makes a plain model folder: of a GGUF file, or of a LoRA adapter and its base model, merged.

It holds weights as safetensors, configuration, tokenizer and chat template, as every program reads them. Of a
CC-Tuning run with an adapter it also holds the connection, and is a run that `cctuning fit` takes. Other
commands take the file or the adapter as it is, and convert it each time.
"""

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cctuning.commands.run import quiet_libraries
from cctuning.preparation.command import ended
from cctuning.pretrained.kinds import GGUF_SUFFIX, kind_of
from cctuning.pretrained.names import naming_model
from cctuning.tools.console import new_console

DTYPES = ("auto", "float32", "bfloat16", "float16")


def main(arguments: Sequence[str] | None = None) -> int:
    """Converts; returns the exit status."""
    options = _parser().parse_args(arguments)
    return ended(lambda: _convert(options.model, options.output, options.dtype))


def _convert(source: str, output: Path, dtype: str) -> int:
    console = new_console()
    is_file = Path(source).suffix == GGUF_SUFFIX
    if not is_file and not (Path(source).is_dir() and kind_of(source).adapter):
        raise ValueError(
            f"{source} is neither a {GGUF_SUFFIX} file nor a folder with an adapter: other folders and hub "
            "names are used as they are"
        )
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise FileExistsError(f"--output {output} is there already: choose an empty folder or a new one")
    quiet_libraries()
    with naming_model("model", source):
        # Weights of a file have no dtype of their own.
        tokenizer, model = _loaded(source, "float32" if is_file and dtype == "auto" else dtype)
    model.save_pretrained(output)
    tokenizer.save_pretrained(output)
    if not is_file:
        _copy_of_run(Path(source), output)
    count = sum(parameter.numel() for parameter in model.parameters())
    stored = str(model.dtype).removeprefix("torch.")
    console.say(f"{output} holds {type(model).__name__}, {count / 1e6:,.0f} M weights, {stored}")
    if tokenizer.chat_template is None:
        console.print("It has no chat template: a base model; template=plain and others give it one")
    return 0


def _loaded(source: str, dtype: str) -> tuple[Any, Any]:
    """The tokenizer, and the model, whose adapter is merged."""
    from cctuning.connection.model import load_model  # with torch, which --help does without
    from cctuning.pretrained.loading import load_causal_lm, load_tokenizer

    load = load_model if Path(source).is_dir() else load_causal_lm
    return load_tokenizer(source), load(source, dtype=dtype)


def _copy_of_run(run: Path, output: Path) -> None:
    """Copies what a fit reads of a run beside its model."""
    from cctuning.training.runs import FINISHED_FILE, RECIPE_FILE

    for name in (RECIPE_FILE, FINISHED_FILE):
        if (run / name).is_file():
            shutil.copyfile(run / name, output / name)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="cctuning prepare model", description=__doc__)
    add = parser.add_argument
    add(
        "model",
        metavar="MODEL",
        help=f"a {GGUF_SUFFIX} file of an architecture that transformers reads, or an adapter's folder",
    )
    add("--output", type=Path, required=True, metavar="FOLDER", help="a new or empty folder")
    add(
        "--dtype",
        choices=DTYPES,
        default=DTYPES[0],
        help="of the weights; auto: as the base model's are stored, of a file float32 (default: auto)",
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
