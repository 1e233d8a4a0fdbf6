"""ROUGE-L with words of every script."""

from cctuning.evaluation.items.item import Item
from cctuning.evaluation.scoring.words import folded, words
from cctuning.tools.extras import extra


class _Words:
    """A tokenizer as the library `rouge-score` takes it. Its own knows the letters a to z only."""

    def __init__(self, language: str):
        self.language = language

    def tokenize(self, text: str) -> list[str]:
        return words(folded(text, self.language))


def rouge_l(response: str, item: Item) -> float:
    """ROUGE-L F-measure of the response against the best of the gold texts, in [0, 1] (XLSum).

    Words are those of `words`, folded in case and width; nothing is stemmed, in English neither, so that
    languages are measured alike. Texts without a word score 0.
    """
    with extra("evaluation"):
        from rouge_score.rouge_scorer import RougeScorer
    scorer = RougeScorer(["rougeL"], tokenizer=_Words(item.language))
    return max(float(scorer.score(answer, response)["rougeL"].fmeasure) for answer in item.answers)
