"""Scores one seed's models: the share of questions that each answers in the question's language.

python -m demo.score outputs/demo/seed0        # writes outputs/demo/seed0/scores.json
"""

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from cctuning.connection.connected import is_connected
from cctuning.connection.model import load_model
from cctuning.data.prompts import PromptFormat
from cctuning.generation.generate import Answer, answer
from cctuning.translation.prompt import translation_prompt
from demo.stages import CONNECTED
from demo.words import ENGLISH
from demo.world import Row, World, make_world

Scores = dict[str, Any]
BATCH_SIZE = 128


def main() -> None:
    """Scores the models in one seed's folder."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    scores = score_seed(folder, make_world())
    (folder / "scores.json").write_text(json.dumps(scores, indent=1) + "\n", encoding="utf-8")


def score_seed(folder: Path, world: World) -> Scores:
    """Per model (base, sft, decision_maker, last_layer) its accuracies, all in [0, 1]."""
    scores: Scores = {
        "base": score_base(_Asked(folder / "base"), world),
        "sft": score_plain(folder / "sft", world),
    }
    for run in CONNECTED:
        scores[run] = score_connected(folder / run, world)
    return scores


class _Asked:
    """A model with its prompt format, to put questions to."""

    def __init__(self, directory: Path) -> None:
        self.model = load_model(directory)
        self.prompts = PromptFormat(AutoTokenizer.from_pretrained(directory))

    def __call__(
        self, questions: Sequence[str], english: Sequence[str] | None = None, tokens: int = 3
    ) -> list[Answer]:
        return answer(
            self.model, self.prompts, questions, english=english, max_new_tokens=tokens, batch_size=BATCH_SIZE
        )

    def into_english(self, rows: Sequence[Row]) -> list[str]:
        """The model's own translations of the rows' questions; what asks for them is its own English."""
        asked = [
            translation_prompt(row["instruction"], source=row["language"], target=ENGLISH) for row in rows
        ]
        return [item.text for item in self(asked, asked if is_connected(self.model) else None, tokens=16)]


def score_base(model: _Asked, world: World) -> Scores:
    """What the base model brings along."""
    asked = [row["instruction"] for row in world.held_out]
    return {
        "facts in English": _overall(model([row["instruction"] for row in world.facts]), world.facts),
        "held-out questions put into English": _exact(model.into_english(world.held_out), world.held_out),
        "held-out answers": _overall(model(asked), world.held_out),
    }


def score_plain(directory: Path, world: World) -> Scores:
    """A model without a connection."""
    model = _Asked(directory)
    splits = _splits(world)
    return {"none": {name: per_language(model(_questions(rows)), rows) for name, rows in splits.items()}}


def score_connected(directory: Path, world: World) -> Scores:
    """A model with its connection, in all four ways to ask it."""
    model, exported = _Asked(directory), _Asked(directory / "monolingual")
    scores: Scores = {"none": {}, "monolingual": {}, "translated": {}, "bilingual": {}, "layers": {}}
    for name, rows in _splits(world).items():
        questions = _questions(rows)
        translated = model.into_english(rows)
        answers = {
            "none": model(questions),
            "monolingual": exported(questions),
            "translated": model(questions, translated),
            "bilingual": model(questions, [row["instruction_en"] for row in rows]),
        }
        for inference, given in answers.items():
            scores[inference][name] = per_language(given, rows)
        if name == "held_out":
            scores["held-out questions put into English"] = _exact(translated, rows)
            scores["layers"] = {kind: _layers(answers[kind]) for kind in ("monolingual", "bilingual")}
    return scores


def per_language(answers: Sequence[Answer], rows: Sequence[Row]) -> dict[str, float]:
    """Language -> share of its rows that are answered exactly, and "all" -> the share of all rows."""
    languages = dict.fromkeys(row["language"] for row in rows)
    right = [item.text == row["output"] for item, row in zip(answers, rows, strict=True)]
    scores = {}
    for language in languages:
        own = [hit for hit, row in zip(right, rows, strict=True) if row["language"] == language]
        scores[language] = sum(own) / len(own)
    return {**scores, "all": sum(right) / len(right)}


def _splits(world: World) -> dict[str, list[Row]]:
    return {"held_out": world.held_out, "trained": world.pairs}


def _questions(rows: Sequence[Row]) -> list[str]:
    return [row["instruction"] for row in rows]


def _overall(answers: Sequence[Answer], rows: Sequence[Row]) -> float:
    return per_language(answers, rows)["all"]


def _exact(translations: Sequence[str], rows: Sequence[Row]) -> float:
    return sum(text == row["instruction_en"] for text, row in zip(translations, rows, strict=True)) / len(
        rows
    )


def _layers(answers: Sequence[Answer]) -> dict[str, int]:
    """Layer, from 0 -> how many answers chose it."""
    return {
        str(layer): count for layer, count in sorted(Counter(item.layer for item in answers).items(), key=str)
    }


if __name__ == "__main__":
    main()
