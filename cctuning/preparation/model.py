"""Makes a plain model folder: of a GGUF file, of a LoRA adapter merged into its base, or with fewer tokens.

It holds weights as safetensors, configuration, tokenizer and chat template, as every program reads them. Of a
CC-Tuning run with an adapter it also holds the connection, and is a run that `cctuning fit` takes. Other
commands take the file or the adapter as it is, and convert it each time.

--vocabulary leaves only the tokens that the texts of some files need, the rows to train on and the questions
to ask. They are read as before, and hidden states are the same; a step takes a fraction of the time where
embeddings and LM head are most of the model. Such a model knows and writes no other words. Texts are read
as prompts in the chat template, so name with --template the one that training will use.
"""

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cctuning.commands.run import quiet_imports, quiet_libraries
from cctuning.preparation.command import script
from cctuning.preparation.manifest import write_manifest
from cctuning.pretrained.hub import model_folder
from cctuning.pretrained.kinds import GGUF_SUFFIX, kind_of
from cctuning.pretrained.names import naming_model
from cctuning.tools.console import new_console
from cctuning.tools.errors import naming_written

DTYPES = ("auto", "float32", "bfloat16", "float16")


def _convert(options: argparse.Namespace, command: Sequence[str]) -> int:
    source, output = options.model, options.output
    console = new_console()
    is_file = Path(source).suffix == GGUF_SUFFIX
    _check(source, output, options.vocabulary)
    quiet_imports()
    quiet_libraries()
    texts = _texts(options.vocabulary)
    with naming_model("model", source):
        # Weights of a file have no dtype of their own.
        given = options.dtype
        tokenizer, model = _loaded(source, "float32" if is_file and given == "auto" else given)
    with naming_written(output):
        if texts:
            _trim(model, tokenizer, texts, options, command)
        else:
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


def _check(source: str, output: Path, vocabulary: Sequence[str]) -> None:
    """Raises `ValueError` or `OSError` for a model with nothing to do, and for a folder that is in use."""
    kind = kind_of(model_folder(source))
    if vocabulary and kind.connected:
        raise ValueError(f"{source} has a connection: cut the vocabulary of its base model, and train that")
    if not vocabulary and Path(source).suffix != GGUF_SUFFIX and not (kind.adapter and Path(source).is_dir()):
        raise ValueError(
            f"{source} is neither a {GGUF_SUFFIX} file nor a folder with an adapter: other folders and hub "
            "names are used as they are, but for their --vocabulary"
        )
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise FileExistsError(f"--output {output} is there already: choose an empty folder or a new one")


def _texts(vocabulary: Sequence[str]) -> list[str]:
    from cctuning.preparation.vocabulary import texts_of  # with torch, which --help does without

    return texts_of(vocabulary) if vocabulary else []


def _trim(
    model: Any, tokenizer: Any, texts: Sequence[str], options: argparse.Namespace, command: Sequence[str]
) -> None:
    """Writes the folder of a model whose vocabulary is cut, with a manifest of how it came about."""
    from cctuning.preparation.vocabulary import save_trimmed

    before = len(tokenizer)
    kept = save_trimmed(model, tokenizer, texts, options.output, templates=options.template)
    write_manifest(
        options.output,
        command=command,
        inputs=[options.model, *options.vocabulary],
        outputs=sorted(path for path in options.output.iterdir() if path.is_file()),
        counts={},
        settings={"tokens": kept, "tokens before": before, "texts": len(texts), "template": options.template},
    )
    console = new_console()
    console.say(f"{kept:,} of {before:,} tokens are left, for {len(texts):,} texts: it knows no other words")


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


def _add_arguments(parser: argparse.ArgumentParser) -> None:
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
    add(
        "--vocabulary",
        nargs="+",
        default=[],
        metavar="FILE",
        help="files or folders of rows and questions: no tokens are kept but those that their texts need",
    )
    add(
        "--template",
        nargs="+",
        default=["auto"],
        metavar="NAME",
        help="chat templates in which these texts are read, as in training recipes (default: auto)",
    )


main = script("model", __doc__, _add_arguments, _convert)

if __name__ == "__main__":
    raise SystemExit(main())
