"""Makes the rows of +SDRRL from base rows: the model's own English answers, their translations and mixtures.

The file that is written is used beside the base rows. A run that is stopped goes on when the same command is
given again; answers and translations are kept beside the file.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from rich.console import Console
from tqdm.auto import tqdm

from cctuning.fields import is_language_code
from cctuning.loading import load_tokenizer
from cctuning.model import load_model
from cctuning.model_names import naming_model
from cctuning.nearest import did_you_mean
from cctuning.prompts import PromptFormat, choose_template
from cctuning.rows import read_rows
from cctuning.runs import check_trusted
from cctuning.translation import KINDS, Translation, load_translator, translate_all
from cctuning.translation.loading import model_name
from data_prep.command import add_row_arguments, check_target, ended, rows_file, share, typed
from data_prep.manifest import count_languages, write_manifest
from data_prep.sdrrl.answers import answer_faults, english_answers, question_faults
from data_prep.sdrrl.build import (
    Answers,
    alignable,
    build,
    check_base_rows,
    parallel_texts,
    questions,
    serving,
    to_translate,
)
from data_prep.sdrrl.draw import SHARES, Pick, draw
from data_prep.sdrrl.lexicon import read_lexicon
from data_prep.sdrrl.parallel import Progress
from data_prep.sdrrl.report import left_out, remarks, tables, too_few_to_align, write_files

_STOPPED = "stopped; the same command goes on from here"


def main(arguments: Sequence[str] | None = None) -> int:
    """Makes the rows, prints what became of them, and returns the exit status."""
    options = _parser().parse_args(arguments)
    return ended(lambda: _make(options, typed("sdrrl", arguments)), stopped=_STOPPED)


def _make(options: argparse.Namespace, command: list[str]) -> int:
    console = Console()
    output: Path = options.output

    def say(lines: Iterable[str]) -> None:
        for line in lines:
            console.print(line, markup=False, highlight=False, soft_wrap=True)

    check_target(options.data, output)
    rows, _ = read_rows(
        options.data, columns=dict(options.column), split=options.split, language=options.language
    )
    check_base_rows(rows)
    check_trusted(options.model, options.trust_remote_code)
    lexicons = {language: read_lexicon(path) for language, path in options.lexicon}
    texts = parallel_texts(rows)
    able = alignable(texts, lexicons)
    say(too_few_to_align(texts, able))
    shares = {**SHARES, **dict(options.share)}
    picks, short = draw(rows, shares, serving(able), seed=options.seed)
    output.parent.mkdir(parents=True, exist_ok=True)
    answers = _answers(options, picks)
    translations = _translations(options, to_translate(picks, answers))
    with _aligning() as progress:
        built = build(
            picks,
            texts,
            answers,
            translations,
            lexicons,
            switched=options.switched,
            seed=options.seed,
            progress=progress,
        )
    files = write_files(built, output)
    write_manifest(
        output,
        command=command,
        inputs=[
            *dict.fromkeys(row.file for row in rows),
            *(path for _, path in options.lexicon),
            options.model,
            *([options.translator_model] if options.translator_model else []),
        ],
        outputs=files,
        counts=count_languages(built.rows),
        seed=options.seed,
        settings={
            "shares": shares,
            "switched": options.switched,
            "max_new_tokens": options.max_new_tokens,
            "translator": options.translator,
            "base_rows": len(rows),
            "kinds": dict(Counter(built.kinds)),
        },
        left_out=left_out(built.problems),
        packages=("icu4py", "sil-thot", "torch", "transformers"),
    )
    for table in tables(rows, built):
        console.print(table)
    say(remarks(built, short, output))
    return 0


def _answers(options: argparse.Namespace, picks: Sequence[Pick]) -> Answers:
    """The model's answers; the model is let go of before a translator is loaded."""
    asked = questions(picks)
    if not asked:
        return Answers({}, {})
    with naming_model("--model", options.model):
        tokenizer = load_tokenizer(options.model, trust_remote_code=options.trust_remote_code)
        choose_template(tokenizer, options.template)
        model = load_model(
            options.model, dtype=options.dtype, trust_remote_code=options.trust_remote_code
        ).to(_device(options))
    prompts = PromptFormat(tokenizer)
    faults = question_faults(model, prompts, asked, max_new_tokens=options.max_new_tokens)
    with tqdm(desc="answers", unit=" prompts", disable=None) as bar:
        found = english_answers(
            model,
            prompts,
            [question for question in asked if question not in faults],
            model_name=model_name(options.model),
            kept=_beside(options.output, ".answers.jsonl"),
            max_new_tokens=options.max_new_tokens,
            batch_size=options.batch_size,
            progress=_shown_by(bar),
        )
    faults |= answer_faults(found)
    good = {question: answer.text for question, answer in found.items() if question not in faults}
    return Answers(good, faults)


def _translations(
    options: argparse.Namespace, texts: Mapping[str, Sequence[str]]
) -> dict[tuple[str, str], Translation]:
    if not texts:
        return {}
    translator = load_translator(
        options.translator,
        model=options.translator_model or options.model,
        batch_size=options.batch_size,
        dtype=options.dtype,
        device=_device(options),
        template=options.template,
        trust_remote_code=options.trust_remote_code,
    )
    found: dict[tuple[str, str], Translation] = {}
    for language, wanted in texts.items():
        with tqdm(desc=f"translations: {language}", unit=" texts", disable=None) as bar:
            translated = translate_all(
                translator,
                wanted,
                sources=["en"] * len(wanted),
                target=language,
                cache=_beside(options.output, ".translations.jsonl"),
                progress=_shown_by(bar),
            )
        found |= {(language, text): one for text, one in zip(wanted, translated, strict=True)}
    return found


def _device(options: argparse.Namespace) -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() and not options.use_cpu else "cpu")


def _beside(output: Path, suffix: str) -> Path:
    return output.with_suffix(suffix)


def _shown_by(bar: tqdm) -> Progress:
    def show(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)

    return show


@contextmanager
def _aligning() -> Iterator[Callable[[str], Progress]]:
    """A bar for the language that is being aligned."""
    with tqdm(desc="aligning", unit=" rounds", disable=None) as bar:

        def start(language: str) -> Progress:
            bar.reset()
            bar.set_description(f"aligning: {language}")
            return _shown_by(bar)

        yield start


# --- The command line ---------------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m data_prep.sdrrl", description=__doc__)
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
    add(
        "--switched",
        type=share,
        default=0.3,
        help="share of a text's words that are exchanged (0.3)",
    )
    add("--seed", type=int, default=666, help="of what is drawn, and of the alignment (default: 666)")
    add(
        "--max-new-tokens",
        type=int,
        default=256,
        help="of an answer; longer ones are left out (256)",
    )
    add("--batch-size", type=int, default=16, help="prompts or texts at a time (default: 16)")
    add("--template", default="auto", help="of the model's prompts, as in train.py (default: auto)")
    add("--dtype", default="auto", choices=("auto", "float32", "bfloat16"), help="of the weights")
    add("--use-cpu", action="store_true", help="even where there is a GPU")
    add("--trust-remote-code", action="store_true", help="run code that comes with the model")
    return parser


def _lexicon(text: str) -> tuple[str, Path]:
    language, equals, path = text.partition("=")
    if not (equals and path and is_language_code(language)):
        raise argparse.ArgumentTypeError(f"{text!r} is not LANGUAGE=FILE, such as sw=lexicons/en-sw.txt")
    return language, Path(path)


def _share(text: str) -> tuple[str, float]:
    kind, equals, number = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not KIND=NUMBER, such as cross=0.1")
    if kind not in SHARES:
        raise argparse.ArgumentTypeError(f"{kind!r} is no kind{did_you_mean(kind, SHARES)}")
    return kind, share(number)


if __name__ == "__main__":
    raise SystemExit(main())
