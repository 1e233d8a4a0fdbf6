"""GlobalOpinionQA: what would people of a country answer to a survey?

Each language stands for countries where it is spoken, and has questions of their surveys. They are asked in
English; the connection comes from the question in the language.
"""

import ast
import string
from typing import Any

from cctuning.evaluation.items.benchmark import Benchmark
from cctuning.evaluation.items.prompt_templates import load_data
from cctuning.evaluation.items.raw_questions import HubSet, RawQuestion, Read
from cctuning.evaluation.scoring.metrics import CHOICE_OF_LETTERS

_MAJORITY = 0.8  # share of the most frequent answer from which on XTransplant takes a question


def _questions(read: Read, language: str) -> list[RawQuestion]:
    """One for each question and country of the language where most people gave the same answer."""
    countries = load_data("countries").get(language)
    if countries is None:
        raise ValueError(f"GlobalOpinionQA has no countries of the language {language!r}")
    questions = []
    for number, row in enumerate(read(HubSet("Anthropic/llm_global_opinions", "train"))):
        shares_by_country = _literal(row["selections"])
        texts = [str(text) for text in _literal(row["options"])]
        for country, shares in shares_by_country.items():
            if country in countries and len(shares) == len(texts) and max(shares) >= _MAJORITY:
                questions.append(_question(f"{number}:{country}", country, row["question"], texts, shares))
    return questions


def _question(id_: str, country: str, text: str, options: list[str], shares: list[float]) -> RawQuestion:
    labelled = dict(zip(string.ascii_uppercase, options, strict=False))
    lines = "\n".join(f"({label}) {option}" for label, option in labelled.items())
    return RawQuestion(
        id=id_,
        fields={"country": country, "question": text, "options": lines},
        answers=(string.ascii_uppercase[shares.index(max(shares))],),
        options=labelled,
        details={"country": country, "label_probs": shares},
    )


def _literal(text: str) -> Any:
    """A value that the set holds as Python text, of a list or of a defaultdict of lists."""
    return ast.literal_eval(text.removeprefix("defaultdict(<class 'list'>, ").removesuffix(")"))


GLOBALOPINIONQA = Benchmark(
    name="globalopinionqa",
    title="GlobalOpinionQA",
    kind="choice",
    languages=(
        *("am", "ar", "bn", "de", "el", "en", "es", "fr", "hi", "id", "it", "ja"),
        *("ko", "nl", "pt", "ru", "sv", "sw", "tl", "tr", "uk", "ur", "vi", "zh-CN"),
    ),
    metrics=CHOICE_OF_LETTERS,
    questions=_questions,
    parallel=False,
    asked_in_english=True,
)
