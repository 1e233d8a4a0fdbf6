"""XStoryCloze: which of two sentences ends a story of four?"""

from cctuning.evaluation.items.benchmark import Benchmark
from cctuning.evaluation.items.raw_questions import RawQuestion, Read, parquet_of_script
from cctuning.evaluation.scoring.metrics import CHOICE


def _questions(read: Read, language: str) -> list[RawQuestion]:
    return [
        RawQuestion(
            id=number,
            fields={
                **{f"sentence{n}": row[f"input_sentence_{n}"] for n in (1, 2, 3, 4)},
                **{f"ending{n}": row[f"sentence_quiz{n}"] for n in (1, 2)},
            },
            answers=(str(row["answer_right_ending"]),),
            options={str(n): row[f"sentence_quiz{n}"] for n in (1, 2)},
        )
        for number, row in enumerate(read(parquet_of_script("juletxara/xstory_cloze", language, "eval")))
    ]


XSTORYCLOZE = Benchmark(
    name="xstorycloze",
    title="XStoryCloze",
    kind="choice",
    languages=("ar", "en", "es", "eu", "hi", "id", "ru", "sw", "te", "zh"),
    metrics=CHOICE,
    questions=_questions,
    labels=("1", "2"),
)
