"""Metrics of each kind of question; the first is the one that the papers report."""

from cctuning.evaluation.items.benchmark import Metric
from cctuning.evaluation.scoring import paper, rouge, strict

_STRICT_CHOICE = Metric("accuracy", "strict", strict.exact_option)

CHOICE = (Metric("accuracy", "paper", paper.names_option), _STRICT_CHOICE)
CHOICE_BY_TEXT = (Metric("accuracy", "paper", paper.names_option_or_text), _STRICT_CHOICE)
CHOICE_OF_LETTERS = (Metric("accuracy", "paper", paper.names_letter), _STRICT_CHOICE)
SHORT_ANSWER = (
    Metric("accuracy", "paper", paper.contains_answer),
    Metric("exact_match", "strict", strict.exact_match),
    Metric("f1", "strict", strict.f1),
)
SUMMARY = (Metric("rougeL", "paper", rouge.rouge_l),)
