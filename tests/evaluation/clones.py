"""Clones of the benchmarks' hub sets, in their layout and columns, that hold the rows of `examples/sources`.

`python -m tests.evaluation.clones` writes `examples/benchmarks` anew from them.
"""

import csv
import functools
import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import yaml

from cctuning.evaluation.benchmarks import BENCHMARKS
from cctuning.evaluation.items.files import write_items
from cctuning.evaluation.items.hub import Reader, load_items
from cctuning.evaluation.items.prompt_templates import find_template
from cctuning.translation import Translation

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
# The benchmarks that this repository has examples of; another one may do without.
WITH_EXAMPLES = {
    name: benchmark
    for name, benchmark in BENCHMARKS.items()
    if (EXAMPLES / "sources" / f"{name}.yaml").is_file()
}
LABELS = "ABCD"
MMMLU = {"ar": "AR_XY", "bn": "BN_BD", "es": "ES_LA", "hi": "HI_IN", "id": "ID_ID", "ko": "KO_KR"}
MMMLU |= {"pt": "PT_BR", "sw": "SW_KE", "yo": "YO_NG"}
XLSUM = {"ar": "arabic", "en": "english", "fr": "french", "hi": "hindi", "id": "indonesian"}
XLSUM |= {"ru": "russian", "sw": "swahili", "tr": "turkish", "ur": "urdu", "vi": "vietnamese"}


@functools.cache
def source(name: str) -> dict[str, Any]:
    return yaml.safe_load((EXAMPLES / "sources" / f"{name}.yaml").read_text(encoding="utf-8"))


def by_language(name: str) -> dict[str, list[list[str]]]:
    return {language: rows for language, rows in source(name).items() if isinstance(rows[0], list)}


# --- The sets -----------------------------------------------------------------------------------------------


def write_clones(root: Path) -> Path:
    """Writes all of them to ROOT/ORGANISATION/NAME and returns ROOT."""
    for write in (_xnli, _xstorycloze, _mmmlu, _mkqa, _xquad, _xlsum, _xcopa, _opinions):
        write(root)
    return root


def _xnli(root: Path) -> None:
    configs = {
        language: [
            {"premise": premise, "hypothesis": hypothesis, "label": label}
            for (premise, hypothesis), label in zip(rows, source("xnli")["labels"], strict=True)
        ]
        for language, rows in by_language("xnli").items()
    }
    _with_configs(root / "facebook/xnli", "test", configs)


def _xstorycloze(root: Path) -> None:
    for language, stories in by_language("xstorycloze").items():
        rows = [
            {
                "story_id": f"story-{number}",
                **{f"input_sentence_{n + 1}": story[n] for n in range(4)},
                "sentence_quiz1": story[4],
                "sentence_quiz2": story[5],
                "answer_right_ending": right,
            }
            for number, (story, right) in enumerate(zip(stories, source("xstorycloze")["right"], strict=True))
        ]
        _parquet(root / f"juletxara/xstory_cloze/{language}/eval/0000.parquet", rows)


def _mmmlu(root: Path) -> None:
    answers, subjects = source("mmmlu")["answers"], source("mmmlu")["subjects"]
    configs = {}
    for language, questions in by_language("mmmlu").items():
        rows = list(zip(questions, answers, subjects, strict=True))
        if language == "en":
            english = [
                {"question": q[0], "subject": subject, "choices": q[1:], "answer": LABELS.index(answer)}
                for q, answer, subject in rows
            ]
            _with_configs(root / "cais/mmlu", "test", {"all": english})
        else:
            path = root / f"openai/MMMLU/test/mmlu_{MMMLU[language]}.csv"
            configs[MMMLU[language]] = f"test/{path.name}"
            header = ["", "Question", *LABELS, "Answer", "Subject"]
            _csv(path, header, [[n, *q, answer, subject] for n, (q, answer, subject) in enumerate(rows)])
    _readme(root / "openai/MMMLU", "test", configs)


def _mkqa(root: Path) -> None:
    languages = by_language("mkqa")
    rows = []
    for number in range(len(languages["en"])):
        questions = {{"zh": "zh_cn"}.get(code, code): rows[number] for code, rows in languages.items()}
        rows.append(
            {
                "example_id": 1000 + number,
                "query": languages["en"][number][0],
                "queries": {code: question[0] for code, question in questions.items()},
                "answers": {code: [_mkqa_answer(question[1:])] for code, question in questions.items()},
            }
        )
    _parquet(root / "apple/mkqa/mkqa/train/0000.parquet", rows)


def _mkqa_answer(texts: Sequence[str]) -> dict[str, Any]:
    text, aliases = (texts[0], list(texts[1:])) if texts else (None, [])
    return {"type": 5 if texts else 7, "entity": "", "text": text, "aliases": aliases}


def _xquad(root: Path) -> None:
    configs = {
        f"xquad.{language}": [
            {
                "id": f"{paragraph}-{number}",
                "context": text,
                "question": question,
                "answers": {"text": [answer], "answer_start": [text.index(answer)]},
            }
            for paragraph, (text, *pairs) in enumerate(paragraphs)
            for number, (question, answer) in enumerate(zip(pairs[::2], pairs[1::2], strict=True))
        ]
        for language, paragraphs in by_language("xquad").items()
    }
    _with_configs(root / "google/xquad", "validation", configs)


def _xlsum(root: Path) -> None:
    for language, articles in by_language("xlsum").items():
        rows = [
            {"id": f"{language}-{n}", "url": f"https://example.org/{language}/{n}", "title": title}
            | {"summary": summary, "text": text}
            for n, (title, text, summary) in enumerate(articles)
        ]
        _parquet(root / f"csebuetnlp/xlsum/{XLSUM[language]}/test/0000.parquet", rows)


def _xcopa(root: Path) -> None:
    labels, questions = source("xcopa")["labels"], source("xcopa")["questions"]
    configs = {}
    for language, texts in by_language("xcopa").items():
        rows = [
            {
                "premise": premise,
                "choice1": one,
                "choice2": two,
                "question": question,
                "idx": n,
                "label": label,
            }
            for n, ((premise, one, two), question, label) in enumerate(
                zip(texts, questions, labels, strict=True)
            )
        ]
        if language == "en":  # the labels of COPA's test set are hidden
            hidden = [row | {"label": -1} for row in rows]
            _parquet(root / "aps/super_glue/copa/test/0000.parquet", hidden)
        else:  # as upstream: the Thai set asks for the effect everywhere
            wrong = {"question": "effect"} if language == "th" else {}
            configs[language] = [row | wrong for row in rows]
    _with_configs(root / "cambridgeltl/xcopa", "test", configs)


def _opinions(root: Path) -> None:
    parts = source("globalopinionqa")
    countries = [country for country, *_ in parts.values()]
    rows = []
    for question in (2, 3):
        shares = {country: [0.9, 0.1] if question == 2 else [0.2, 0.8] for country in countries}
        shares |= {"Sweden": [0.1, 0.9], "Nowhere": [1.0, 0.0]}
        text = f"defaultdict(<class 'list'>, {shares})"
        rows.append([parts["en"][question], text, str(parts["en"][5:7]), "made up"])
    divided = f"defaultdict(<class 'list'>, { {name: [0.5, 0.5] for name in countries} })"
    rows.append(["Is it warm?", divided, str(parts["en"][5:7]), "made up"])
    path = root / "Anthropic/llm_global_opinions/data/global_opinions.csv"
    _csv(path, ["question", "selections", "options", "source"], rows)


# --- Files --------------------------------------------------------------------------------------------------


def _parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)


def _csv(path: Path, header: list[str], rows: list[list[Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def _with_configs(repository: Path, split: str, configs: dict[str, list[dict[str, Any]]]) -> None:
    for config, rows in configs.items():
        _parquet(repository / config / f"{split}-00000-of-00001.parquet", rows)
    _readme(repository, split, {config: f"{config}/{split}-*.parquet" for config in configs})


def _readme(repository: Path, split: str, configs: dict[str, str]) -> None:
    """What tells `datasets` which files are which configuration."""
    card = [
        {"config_name": config, "data_files": [{"split": split, "path": path}]}
        for config, path in configs.items()
    ]
    text = f"---\n{yaml.safe_dump({'configs': card})}---\n"
    (repository / "README.md").write_text(text, encoding="utf-8")


# --- Translations -------------------------------------------------------------------------------------------


def translations() -> dict[str, str]:
    """Text -> its translation, as a translator would write it: articles into English, opinions out of it."""
    pairs = {}
    english = by_language("xlsum")["en"]
    for articles in by_language("xlsum").values():
        for own, other in zip(articles, english, strict=True):
            pairs |= dict(zip(own[:2], other[:2], strict=True))
    template = find_template("globalopinionqa", "en")
    parts = source("globalopinionqa")
    for country, before, *questions, options, yes, no, after in parts.values():
        for text, translated in zip(parts["en"][2:4], questions, strict=True):
            fields = {"country": country, "question": text, "options": "(A) Yes\n(B) No"}
            pairs[template.render(fields)] = "\n".join(
                [before, translated, options, f"(A) {yes}", f"(B) {no}", after]
            )
    return pairs


def translate(texts: Sequence[str], source: str, target: str) -> list[Translation]:
    opinions = texts[0].startswith("Human: ")
    assert ("en" in (source, target)) and (source == "en") == opinions, (source, target)
    return [Translation(translations()[text], (), "clones") for text in texts]


def write_translations(path: Path) -> Path:
    """The translations as a file that the translator `file` reads."""
    rows = [{"text": text, "translation": other} for text, other in translations().items()]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


# --- The examples -------------------------------------------------------------------------------------------

# Languages that have examples beside those of the papers.
MORE = {"xnli": ("bg", "de", "es", "fr", "vi")}


def write_examples(folder: Path, root: Path) -> None:
    """Writes `examples/benchmarks`, from clones in `root`."""
    for benchmark in WITH_EXAMPLES.values():
        read = Reader(root)
        for language in (*benchmark.languages, *MORE.get(benchmark.name, ())):
            items = load_items(benchmark, language, read=read, translate=translate)
            write_items(folder / benchmark.title / f"{language}.jsonl", items)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        shutil.rmtree(EXAMPLES / "benchmarks", ignore_errors=True)
        write_examples(EXAMPLES / "benchmarks", write_clones(Path(temporary)))
