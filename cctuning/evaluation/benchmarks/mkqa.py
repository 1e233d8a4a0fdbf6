"""MKQA: open questions with short answers."""

from typing import Any

from cctuning.evaluation.items.benchmark import Benchmark
from cctuning.evaluation.items.raw_questions import RawQuestion, Read, parquet_of_script
from cctuning.evaluation.scoring.metrics import SHORT_ANSWER

_CODES = {"zh": "zh_cn"}  # the others are the same there


def _questions(read: Read, language: str) -> list[RawQuestion]:
    """The questions that have an answer in all of the benchmark's languages."""
    questions = []
    for row in read(parquet_of_script("apple/mkqa", "mkqa", "train")):
        answers = {code: _texts(row["answers"][_CODES.get(code, code)]) for code in MKQA.languages}
        if all(answers.values()):
            fields = {"question": row["queries"][_CODES.get(language, language)]}
            questions.append(RawQuestion(row["example_id"], fields, answers[language]))
    return questions


def _texts(answers: list[dict[str, Any]]) -> tuple[str, ...]:
    """Every way in which the source writes an answer, each once."""
    texts = [text for answer in answers for text in (answer["text"], *(answer["aliases"] or ()))]
    return tuple(dict.fromkeys(text for text in texts if text))


MKQA = Benchmark(
    name="mkqa",
    title="MKQA",
    kind="short_answer",
    languages=("ar", "de", "en", "ja", "ko", "pt", "ru", "tr", "vi", "zh"),
    metrics=SHORT_ANSWER,
    questions=_questions,
    sample_size=1000,
)
