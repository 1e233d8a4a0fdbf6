"""XCOPA: which of two sentences is the cause, or the effect, of a premise?"""

from typing import Any

from cctuning.evaluation.items.benchmark import Benchmark
from cctuning.evaluation.items.raw_questions import HubSet, RawQuestion, Read, parquet_of_script
from cctuning.evaluation.scoring.metrics import CHOICE


def _questions(read: Read, language: str) -> list[RawQuestion]:
    """The translations, or for English COPA's test set.

    COPA's labels are hidden there, so they come from a translation; whether cause or effect is asked comes
    from COPA, since some translations have it wrong (th, tr, sw, id, it).
    """
    english = read(parquet_of_script("aps/super_glue", "copa", "test"))
    kinds = {row["idx"]: row["question"] for row in english}
    rows = read(HubSet("cambridgeltl/xcopa", "test", "it" if language == "en" else language))
    labels = {row["idx"]: row["label"] for row in rows}
    return [
        _question(row, kinds[row["idx"]], labels[row["idx"]])
        for row in sorted(english if language == "en" else rows, key=lambda row: row["idx"])
        if row["idx"] in labels and row["idx"] in kinds
    ]


def _question(row: dict[str, Any], kind: str, label: int) -> RawQuestion:
    choices = {"1": row["choice1"], "2": row["choice2"]}
    return RawQuestion(
        id=row["idx"],
        fields={
            "premise": row["premise"],
            "choice1": row["choice1"],
            "choice2": row["choice2"],
            "question": kind,
        },
        answers=(str(label + 1),),
        options=choices,
        details={"question": kind},
    )


XCOPA = Benchmark(
    name="xcopa",
    title="XCOPA",
    kind="choice",
    languages=("en", "et", "ht", "id", "it", "sw", "ta", "th", "tr", "vi", "zh"),
    metrics=CHOICE,
    questions=_questions,
    labels=("1", "2"),
)
