"""Scores of all seeds as one table: mean and spread of the accuracy, per language, model and inference."""

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich import box
from rich.table import Table

from cctuning.reporting.tables import RecordTable
from demo.words import LANGUAGES

MODELS = {"sft": "ML-SFT", "decision_maker": "Decision Maker", "last_layer": "last layer"}
# (model, inference) -> how the table calls it, in the table's order
COLUMNS: dict[tuple[str, str], str] = {
    ("sft", "none"): "ML-SFT",
    **{
        (model, inference): f"{title}, {inference}"
        for model, title in MODELS.items()
        if model != "sft"
        for inference in ("none", "monolingual", "translated", "bilingual")
    },
}
SPLITS = {"held_out": "held-out pairs", "trained": "trained pairs"}
CONTROL = "trained: the fine-tuned pairs, as a control"
ROWS = {**LANGUAGES, "all": "all"}


class Cell(NamedTuple):
    """Accuracy in [0, 1] over seeds: its mean, and its standard deviation (n - 1; None for one seed)."""

    mean: float
    spread: float | None

    def __str__(self) -> str:
        """In percent."""
        spread = "" if self.spread is None else f" ± {100 * self.spread:.0f}"
        return f"{100 * self.mean:.0f}{spread}"


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


def as_record(cells: Cells) -> dict[str, Any]:
    """The same cells for a JSON file."""
    return {
        split: {
            title: {language: cell._asdict() for language, cell in row.items()}
            for title, row in columns.items()
        }
        for split, columns in cells.items()
    }


def summarise(values: Sequence[float]) -> Cell:
    """Mean and spread of one number per seed."""
    return Cell(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None)


def table(cells: Cells, seeds: int) -> Table:
    """The table for the terminal, 80 columns wide."""
    view = Table(title=_title(seeds), caption=CONTROL, box=box.SIMPLE_HEAD, padding=0, pad_edge=False)
    view.add_column("")
    for name in [*ROWS.values(), "trained"]:
        view.add_column(name, justify="right", no_wrap=True)
    for model, model_title in MODELS.items():
        own = {inference: title for (name, inference), title in COLUMNS.items() if name == model}
        if len(own) > 1:
            view.add_row(model_title)
        for inference, title in own.items():
            *languages, overall = map(str, cells["held_out"][title].values())
            name = f"  {inference}" if len(own) > 1 else title
            view.add_row(name, *languages, f"[bold]{overall}[/]", str(cells["trained"][title]["all"]))
    return view


def markdown(cells: Cells, seeds: int) -> str:
    """The same table for a page."""
    rows = []
    for title in COLUMNS.values():
        *languages, overall = map(str, cells["held_out"][title].values())
        rows.append([title, *languages, f"**{overall}**", cells["trained"][title]["all"]])
    table = RecordTable(["model, inference", *ROWS.values(), "trained"], rows)
    return f"{_title(seeds)} ({CONTROL})\n\n{table.markdown()}\n"


def background(scores: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """What else was measured, as text: what the base model knows, and how well the tuned ones translate."""
    lines = {f"base model, {name}": [seed["base"][name] for seed in scores] for name in scores[0]["base"]}
    name = "held-out questions put into English"
    for model, title in (("decision_maker", "Decision Maker"), ("last_layer", "last layer")):
        lines[f"{title}, {name}"] = [seed[model][name] for seed in scores]
    return {title: str(summarise(values)) for title, values in lines.items()}


def _title(seeds: int) -> str:
    over = f"{seeds} seeds: mean ± standard deviation" if seeds > 1 else "one seed"
    return f"Accuracy in % on the held-out pairs, {over}"
