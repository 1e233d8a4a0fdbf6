"""Chosen pairs on unseen questions: some answers to each question, where a grid has one per layer pair."""

from collections.abc import Mapping
from dataclasses import dataclass

from cctuning.analysis.cells.grid import Answers


@dataclass(frozen=True)
class Applied:
    """Answers of strategies to the Q unseen questions of a benchmark in one language.

    A strategy is a layer pair that was chosen on the pilot grid of the same language. `target` and `source`
    are what the model answers as it is, as in `Grid`: `target` is the papers' "original".
    """

    benchmark: str
    language: str
    sublayer: str
    questions: tuple[str, ...]  # ids, as text
    fingerprints: tuple[
        str, ...
    ]  # of each question and its gold answers: `comparison.evaluations.fingerprint`
    texts: tuple[tuple[str, ...], ...]  # Q times the distinct answers to a question
    target: Answers  # (Q,)
    source: Answers  # (Q,); its plain_log_probability is NaN
    asked_in: str  # the language of the prompts that activations go into
    pairs: Mapping[str, tuple[int, int]]  # of each strategy: source layer, target layer
    strategies: Mapping[str, Answers]  # of each strategy: (Q,)
