"""MMMLU: questions of school and university examinations with four options."""

from typing import Any

from cctuning.evaluation.items.benchmark import Benchmark
from cctuning.evaluation.items.raw_questions import HubSet, RawQuestion, Read
from cctuning.evaluation.scoring.metrics import CHOICE

_LABELS = ("A", "B", "C", "D")
_CONFIGS = {
    **{"ar": "AR_XY", "bn": "BN_BD", "es": "ES_LA", "hi": "HI_IN", "id": "ID_ID"},
    **{"ko": "KO_KR", "pt": "PT_BR", "sw": "SW_KE", "yo": "YO_NG"},
}


def _questions(read: Read, language: str) -> list[RawQuestion]:
    """The translations, or for English MMLU itself, which has the same questions in the same order."""
    if language == "en":
        rows = [_as_translated(row) for row in read(HubSet("cais/mmlu", "test", "all"))]
    else:
        rows = read(HubSet("openai/MMMLU", "test", _CONFIGS[language]))
    return [
        RawQuestion(
            id=number,
            fields={"question": row["Question"], **{label: str(row[label]) for label in _LABELS}},
            answers=(row["Answer"],),
            options={label: str(row[label]) for label in _LABELS},
            details={"subject": row["Subject"]},
        )
        for number, row in enumerate(rows)
    ]


def _as_translated(row: dict[str, Any]) -> dict[str, Any]:
    """A row of MMLU in the columns of its translations."""
    options = dict(zip(_LABELS, row["choices"], strict=True))
    return {
        "Question": row["question"],
        **options,
        "Answer": _LABELS[row["answer"]],
        "Subject": row["subject"],
    }


MMMLU = Benchmark(
    name="mmmlu",
    title="MMMLU",
    kind="choice",
    languages=("ar", "bn", "en", "es", "hi", "id", "ko", "pt", "sw", "yo"),
    metrics=CHOICE,
    questions=_questions,
    sample_size=1000,
    labels=_LABELS,
)
