"""Files of the representations of several models: numbers, points on a plane, and the figure of both."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cctuning.reporting.tables import RecordTable
from cctuning.tools.files import write_whole
from cctuning.tools.json_text import to_json
from cctuning.tools.marks import finish
from cctuning.visualization.flat_map import fitting_perplexity
from cctuning.visualization.map_figure import plot_maps
from cctuning.visualization.maps import ModelMap
from cctuning.visualization.parallel_texts import ParallelTexts

MAPS_FILE = "representations.json"  # the last that is written
FILES = "representations.json, .csv, .png, .svg and similarity.csv"


def write_maps(
    folder: Path, maps: Sequence[ModelMap], texts: ParallelTexts, settings: Mapping[str, Any]
) -> None:
    """Writes what `FILES` names into `folder`. `settings`: how the representations were made."""
    points = len(texts) * len(texts.texts)
    report = {
        **settings,
        "sentences": len(texts),
        "languages": list(texts.texts),
        "perplexity_used": fitting_perplexity(points, settings["perplexity"]),
        "retrieval_by_chance": 1 / len(texts),
        "models": [
            {
                "name": model.name,
                "connection": model.connection,
                "means": model.means,
                "pairs": [asdict(pair) for pair in model.similarities],
            }
            for model in maps
        ],
    }
    write_whole(folder / "similarity.csv", _similarity_csv(maps))
    write_whole(folder / "representations.csv", _points_csv(maps, texts))
    plot_maps(maps, [folder / "representations.png", folder / "representations.svg"])
    finish(folder, MAPS_FILE, to_json(report, indent=1) + "\n")


def _similarity_csv(maps: Sequence[ModelMap]) -> str:
    rows = [
        (model.name, model.connection, pair.a, pair.b, pair.parallel, pair.other, pair.retrieval)
        for model in maps
        for pair in model.similarities
    ]
    head = ("model", "connection", "language", "other_language", "parallel", "other", "retrieval")
    return RecordTable(head, rows).csv()


def _points_csv(maps: Sequence[ModelMap], texts: ParallelTexts) -> str:
    rows = [
        (model.name, language, number, *place, texts.texts[language][number])
        for model in maps
        for language, places in model.points.items()
        for number, place in enumerate(places.tolist())
    ]
    return RecordTable(("model", "language", "sentence", "x", "y", "text"), rows).csv()
