"""Makes the rows of +SDRRL from base rows: the model's own English answers, their translations and mixtures.

The file that is written is used beside the base rows. A run that is stopped goes on when the same command is
given again; answers and translations are kept beside the file.
"""

import argparse
from pathlib import Path

from cctuning.data.fields import is_language_code
from cctuning.preparation.command import add_row_arguments, pair, rows_file, script, share, whole_number
from cctuning.preparation.sdrrl.draw import SHARES
from cctuning.settings.near_matches import did_you_mean
from cctuning.translation import KINDS


def _make(options: argparse.Namespace, command: list[str]) -> int:
    from cctuning.preparation.sdrrl.make import make  # imported here: --help should not wait for torch

    return make(options, command)


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_row_arguments(parser)
    add = parser.add_argument
    add(
        "--write",
        dest="output",
        type=rows_file,
        required=True,
        metavar="FILE",
        help="the added rows (.jsonl or .parquet)",
    )
    add("--model", required=True, help="folder or hub name of the model that answers")
    add(
        "--translator",
        choices=KINDS,
        default="self",
        help="what translates the answers (default: the model itself)",
    )
    add("--translator-model", metavar="NAME", help="its folder, hub name or file (self: that of --model)")
    add(
        "--lexicon",
        type=_lexicon,
        action="append",
        default=[],
        metavar="LANGUAGE=FILE",
        help="word pairs in place of an alignment",
    )
    add(
        "--share",
        type=_share,
        action="append",
        default=[],
        metavar="KIND=NUMBER",
        help="rows of a kind for one base row (default: "
        + ", ".join(f"{kind}={share}" for kind, share in SHARES.items())
        + ")",
    )
    add("--switched", type=share, default=0.3, help="share of a text's words that are exchanged (0.3)")
    add("--seed", type=int, default=666, help="of what is drawn, and of the alignment (default: 666)")
    add(
        "--max-new-tokens",
        type=whole_number,
        default=256,
        help="of an answer; longer ones are left out (256)",
    )
    add("--batch-size", type=whole_number, default=16, help="prompts or texts at a time (default: 16)")
    add("--template", default="auto", help="of the model's prompts, as in cctuning train (default: auto)")
    add("--dtype", default="auto", choices=("auto", "float32", "bfloat16"), help="of the weights")
    add("--use-cpu", action="store_true", help="even where there is a GPU")
    add("--trust-remote-code", action="store_true", help="run code that comes with the model")


def _lexicon(text: str) -> tuple[str, Path]:
    language, path = pair(text, "LANGUAGE=FILE", "sw=lexicons/en-sw.txt")
    if not is_language_code(language):
        raise argparse.ArgumentTypeError(f"{language!r} is no language code, such as sw")
    return language, Path(path)


def _share(text: str) -> tuple[str, float]:
    kind, number = pair(text, "KIND=NUMBER", "cross=0.1")
    if kind not in SHARES:
        raise argparse.ArgumentTypeError(f"{kind!r} is no kind{did_you_mean(kind, SHARES)}")
    return kind, share(number)


main = script("sdrrl", __doc__, _add_arguments, _make, stopped="stopped; the same command goes on from here")

if __name__ == "__main__":
    raise SystemExit(main())
