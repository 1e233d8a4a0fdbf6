"""Our benchmarks as tasks of lm-evaluation-harness: what the files of `cctuning prepare lm_eval_tasks` name.

The harness asks the model; questions come from local files as for cctuning evaluate, and so do the scores.
"""

import json
import os
from typing import Any

from datasets import Dataset

from cctuning.evaluation.asking.prompting import prompts_of
from cctuning.evaluation.benchmarks import find_benchmark
from cctuning.evaluation.items.files import read_items
from cctuning.evaluation.items.item import Item

FOLDER_VARIABLE = "CCTUNING_BENCHMARKS"


def load_questions(
    *, benchmark: str, language: str, data: str | None = None, **metadata: Any
) -> dict[str, Dataset]:
    """The questions of FOLDER/TITLE/LANGUAGE as the harness's split "test", in the file's order.

    `data` is the folder (`--metadata '{"data": "FOLDER"}'`); without it the environment variable
    `CCTUNING_BENCHMARKS` names it. Other `metadata` of the harness does not matter here. A document holds
    `asked`, the text that the benchmark asks, `answers`, and what scoring needs. Raises `ValueError` where no
    folder is named, and as `read_items` does.
    """
    folder = data or os.environ.get(FOLDER_VARIABLE)
    if not folder:
        raise ValueError(
            'no folder of benchmarks: give its path as --metadata \'{"data": "FOLDER"}\' or in the '
            f"environment variable {FOLDER_VARIABLE}"
        )
    chosen = find_benchmark(benchmark)
    items = read_items(folder, chosen, language)
    return {
        "test": Dataset.from_list(
            [
                {
                    "id": str(item.id),
                    "benchmark": benchmark,
                    "language": language,
                    "asked": prompts_of(item, chosen)[0],
                    "answers": list(item.answers),
                    # As text, since a table has the same columns in every row and labels differ.
                    "options": None if item.options is None else json.dumps(item.options, ensure_ascii=False),
                }
                for item in items
            ]
        )
    }


def score(document: dict[str, Any], responses: list[str]) -> dict[str, float]:
    """Every metric of the document's benchmark on the harness's response, as `name_rule` (`f1_strict`)."""
    options = document["options"]
    item = Item(
        document["id"],
        document["language"],
        document["asked"],
        "",
        tuple(document["answers"]),
        None if options is None else json.loads(options),
    )
    metrics = find_benchmark(document["benchmark"]).metrics
    response = responses[0].strip()  # as cctuning evaluate reads a response
    return {f"{metric.name}_{metric.rule}": metric.score(response, item) for metric in metrics}
