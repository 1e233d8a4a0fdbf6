"""XQuAD: questions whose answer stands in a paragraph."""

from cctuning.evaluation.items.benchmark import Benchmark
from cctuning.evaluation.items.raw_questions import HubSet, RawQuestion, Read
from cctuning.evaluation.scoring.metrics import SHORT_ANSWER


def _questions(read: Read, language: str) -> list[RawQuestion]:
    return [
        RawQuestion(
            id=row["id"],
            fields={"context": row["context"], "question": row["question"]},
            answers=tuple(dict.fromkeys(row["answers"]["text"])),
        )
        for row in read(HubSet("google/xquad", "validation", f"xquad.{language}"))
    ]


XQUAD = Benchmark(
    name="xquad",
    title="XQuAD",
    kind="short_answer",
    languages=("ar", "de", "el", "en", "hi", "ru", "th", "tr", "vi", "zh"),
    metrics=SHORT_ANSWER,
    questions=_questions,
)
