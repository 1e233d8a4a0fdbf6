"""XLSum: a news article in one sentence. Each language has articles of its own."""

from cctuning.evaluation.items.benchmark import Benchmark
from cctuning.evaluation.items.raw_questions import RawQuestion, Read, parquet_of_script
from cctuning.evaluation.scoring.metrics import SUMMARY

_CONFIGS = {
    **{"ar": "arabic", "en": "english", "fr": "french", "hi": "hindi", "id": "indonesian"},
    **{"ru": "russian", "sw": "swahili", "tr": "turkish", "ur": "urdu", "vi": "vietnamese"},
}


def _questions(read: Read, language: str) -> list[RawQuestion]:
    return [
        RawQuestion(
            id=row["id"],
            fields={"title": row["title"], "text": row["text"]},
            answers=(row["summary"],),
            details={"url": row["url"]},
        )
        for row in read(parquet_of_script("csebuetnlp/xlsum", _CONFIGS[language], "test"))
    ]


XLSUM = Benchmark(
    name="xlsum",
    title="XLSum",
    kind="summary",
    languages=("ar", "en", "fr", "hi", "id", "ru", "sw", "tr", "ur", "vi"),
    metrics=SUMMARY,
    questions=_questions,
    sample_size=100,
    parallel=False,
)
