"""XNLI: does a hypothesis follow from its premise?"""

from cctuning.evaluation.items.benchmark import Benchmark
from cctuning.evaluation.items.raw_questions import HubSet, RawQuestion, Read
from cctuning.evaluation.scoring.metrics import CHOICE_BY_TEXT


def _questions(read: Read, language: str) -> list[RawQuestion]:
    return [
        RawQuestion(
            id=number,
            fields={"premise": row["premise"], "hypothesis": row["hypothesis"]},
            answers=(str(row["label"] + 1),),  # entailment, neutral, contradiction
        )
        for number, row in enumerate(read(HubSet("facebook/xnli", "test", language)))
    ]


XNLI = Benchmark(
    name="xnli",
    title="XNLI",
    kind="choice",
    languages=("ar", "el", "en", "hi", "ru", "sw", "th", "tr", "ur", "zh"),
    metrics=CHOICE_BY_TEXT,
    questions=_questions,
    sample_size=1000,
    labels=("1", "2", "3"),
)
