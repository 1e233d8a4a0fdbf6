"""From base rows to the files of +SDRRL, as the command line says: the steps in their order."""

import argparse
import functools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch

from cctuning.connection.model import load_model
from cctuning.data.prompts import PromptFormat, choose_template
from cctuning.data.rows import Row
from cctuning.preparation.command import check_target, named_rows
from cctuning.preparation.manifest import count_languages, write_manifest
from cctuning.preparation.sdrrl.answers import answer_faults, english_answers, question_faults
from cctuning.preparation.sdrrl.build import (
    Answers,
    Built,
    alignable,
    build,
    parallel_texts,
    questions,
    serving,
    to_translate,
    usable_base_rows,
)
from cctuning.preparation.sdrrl.draw import SHARES, Pick, draw
from cctuning.preparation.sdrrl.lexicon import read_lexicon
from cctuning.preparation.sdrrl.report import left_out, remarks, tables, too_few_to_align, write_files
from cctuning.pretrained.identity import model_name
from cctuning.pretrained.loading import load_tokenizer
from cctuning.pretrained.names import naming_model
from cctuning.tools.console import new_console
from cctuning.tools.progress import progress_bar
from cctuning.training.runs import check_trusted
from cctuning.translation import Translation, load_translator, translate_all


def make(options: argparse.Namespace, command: list[str]) -> int:
    """Reads base rows, makes the others, writes them with a manifest, and prints how many there are."""
    console = new_console()
    output: Path = options.output

    def say(lines: Iterable[str]) -> None:
        for line in lines:
            console.say(line)

    check_target(options.data, output)
    given, _ = named_rows(options)
    rows, problems = usable_base_rows(given)
    spoken = {row.language for row in rows}
    if unused := [f"{language}={path}" for language, path in options.lexicon if language not in spoken]:
        raise ValueError(
            f"--lexicon {unused[0]}: no row is in that language, only in {', '.join(sorted(spoken))}"
        )
    check_trusted(options.model, options.trust_remote_code)
    lexicons = {language: read_lexicon(path) for language, path in options.lexicon}
    texts = parallel_texts(rows)
    able = alignable(texts, lexicons)
    say(too_few_to_align(texts, able))
    shares = {**SHARES, **dict(options.share)}
    picks, short = draw(rows, shares, serving(able), seed=options.seed)
    if not picks:
        raise ValueError(f"nothing is drawn from {len(rows):,} rows: give more of them, or raise --share")
    output.parent.mkdir(parents=True, exist_ok=True)
    answers = _answers(options, picks)
    translations = _translations(options, to_translate(picks, answers))
    with progress_bar("aligning", transient=True) as bar:
        built = build(
            picks,
            texts,
            answers,
            translations,
            lexicons,
            switched=options.switched,
            seed=options.seed,
            progress=lambda language: functools.partial(bar.update, description=f"aligning: {language}"),
        )
    built.problems[:0] = problems
    _write(options, command, given, built, shares)
    for table in tables(rows, built):
        console.print(table)
    say(remarks(built, short, output))
    return 0


def _write(
    options: argparse.Namespace,
    command: list[str],
    given: Sequence[Row],
    built: Built,
    shares: Mapping[str, float],
) -> None:
    """The rows with what goes beside them, and the manifest that says how they were made."""
    write_manifest(
        options.output,
        command=command,
        inputs=[
            *dict.fromkeys(row.file for row in given),
            *(path for _, path in options.lexicon),
            options.model,
            *([options.translator_model] if options.translator_model else []),
            *([options.template] if Path(options.template).is_file() else []),
        ],
        outputs=write_files(built, options.output),
        counts=count_languages(built.rows),
        seed=options.seed,
        settings={
            "shares": shares,
            "switched": options.switched,
            "max_new_tokens": options.max_new_tokens,
            "template": options.template,
            "dtype": options.dtype,
            "translator": options.translator,
            "base_rows": len(given),
            "kinds": dict(Counter(built.kinds)),
        },
        left_out=left_out(built.problems),
        packages=("icu4py", "sil-thot", "torch", "transformers"),
    )


def _answers(options: argparse.Namespace, picks: Sequence[Pick]) -> Answers:
    """The model's answers; the model is let go of before a translator is loaded."""
    prompts_en = questions(picks)
    if not prompts_en:
        return Answers({}, {})
    with naming_model("--model", options.model):
        tokenizer = load_tokenizer(options.model, trust_remote_code=options.trust_remote_code)
        choose_template(tokenizer, options.template)
        model = load_model(
            options.model, dtype=options.dtype, trust_remote_code=options.trust_remote_code
        ).to(_device(options))
    prompts = PromptFormat(tokenizer)
    faults = question_faults(model, prompts, prompts_en, max_new_tokens=options.max_new_tokens)
    with progress_bar("answers", transient=True) as bar:
        answers = english_answers(
            model,
            prompts,
            [question for question in prompts_en if question not in faults],
            model_name=model_name(options.model),
            kept=options.output.with_suffix(".answers.jsonl"),
            max_new_tokens=options.max_new_tokens,
            batch_size=options.batch_size,
            progress=bar.update,
        )
    faults |= answer_faults(answers)
    good = {question: answer.text for question, answer in answers.items() if question not in faults}
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
    translations: dict[tuple[str, str], Translation] = {}
    for language, wanted in texts.items():
        with progress_bar(f"translations: {language}", transient=True) as bar:
            translated = translate_all(
                translator,
                wanted,
                sources=["en"] * len(wanted),
                target=language,
                cache=options.output.with_suffix(".translations.jsonl"),
                progress=bar.update,
            )
        translations |= {
            (language, text): translation for text, translation in zip(wanted, translated, strict=True)
        }
    return translations


def _device(options: argparse.Namespace) -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() and not options.use_cpu else "cpu")
