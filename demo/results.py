"""Scores of all seeds as one table: mean and spread of the accuracy, per language, model and inference."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.table import Table

from demo.words import LANGUAGES

# (model, inference) -> how the table calls it, in the table's order
COLUMNS: dict[tuple[str, str], str] = {
    ("sft", "none"): "ML-SFT",
    ("decision_maker", "none"): "Decision Maker, none",
    ("decision_maker", "monolingual"): "Decision Maker, monolingual",
    ("decision_maker", "translated"): "Decision Maker, translated",
    ("decision_maker", "bilingual"): "Decision Maker, bilingual",
    ("last_layer", "none"): "last layer, none",
    ("last_layer", "monolingual"): "last layer, monolingual",
    ("last_layer", "translated"): "last layer, translated",
    ("last_layer", "bilingual"): "last layer, bilingual",
}
SPLITS = {"held_out": "held-out pairs", "trained": "trained pairs"}
ROWS = {**LANGUAGES, "all": "all"}


class Cell(NamedTuple):
    """Accuracy in [0, 1] over seeds: its mean, and its standard deviation (n - 1; 0 for a single seed)."""

    mean: float
    spread: float

    def __str__(self) -> str:
        return f"{self.mean:.2f} ± {self.spread:.2f}"


Cells = dict[str, dict[str, dict[str, Cell]]]  # split -> column -> language or "all" -> cell


def read_scores(folders: Sequence[Path]) -> list[dict[str, Any]]:
    """What `demo.score` wrote into each seed's folder."""
    return [json.loads((folder / "scores.json").read_text(encoding="utf-8")) for folder in folders]


def gather(scores: Sequence[Mapping[str, Any]]) -> Cells:
    """One cell for every split, column and language."""
    return {
        split: {
            title: {
                language: summarise([seed[model][inference][split][language] for seed in scores])
                for language in ROWS
            }
            for (model, inference), title in COLUMNS.items()
        }
        for split in SPLITS
    }


def summarise(values: Sequence[float]) -> Cell:
    """Mean and spread of one number per seed."""
    return Cell(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else 0.0)


def table(cells: Cells, seeds: int) -> Table:
    """The table for the terminal: the held-out pairs per language, and the trained pairs as a control."""
    view = Table(
        title=f"Accuracy on pairs that were held out of the fine-tuning, {_over(seeds)}", show_lines=False
    )
    view.add_column("model, inference")
    for name in [*ROWS.values(), "trained pairs"]:
        view.add_column(name, justify="right", no_wrap=True)
    for title in COLUMNS.values():
        held_out = [_short(cell) for cell in cells["held_out"][title].values()]
        view.add_row(
            title, *held_out[:-1], f"[bold]{held_out[-1]}[/]", _short(cells["trained"][title]["all"])
        )
    return view


def markdown(cells: Cells, seeds: int) -> str:
    """The same table for a page."""
    head = ["model, inference", *ROWS.values(), "trained pairs"]
    lines = [head, ["---", *["---:"] * (len(head) - 1)]]
    for title in COLUMNS.values():
        held_out = [str(cell) for cell in cells["held_out"][title].values()]
        lines.append([title, *held_out[:-1], f"**{held_out[-1]}**", str(cells["trained"][title]["all"])])
    body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"Accuracy on the held-out pairs, {_over(seeds)}; the last column is a control.\n\n{body}\n"


def background(scores: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """What else was measured, as text: what the base model knows, and how well the tuned ones translate."""
    lines = {f"base model, {name}": [seed["base"][name] for seed in scores] for name in scores[0]["base"]}
    name = "held-out questions put into English"
    for model, title in (("decision_maker", "Decision Maker"), ("last_layer", "last layer")):
        lines[f"{title}, {name}"] = [seed[model][name] for seed in scores]
    return {title: str(summarise(values)) for title, values in lines.items()}


def _over(seeds: int) -> str:
    return f"mean ± standard deviation over {seeds} seeds" if seeds > 1 else "one seed"


def _short(cell: Cell) -> str:
    """Without leading zeros, for narrow terminals."""
    return str(cell).replace("0.", ".")
