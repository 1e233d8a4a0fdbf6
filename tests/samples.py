"""Samples of made-up evaluations, as evaluate.py writes them."""

import json
import random

from cctuning.evaluation.asking.sample_files import RESULTS_FILE
from cctuning.evaluation.benchmarks import find_benchmark
from cctuning.evaluation.results.results import summarise

CONFIG = {
    "model": "outputs/made/monolingual",
    "inference": "monolingual",
    "prompting": "original",
    "max_new_tokens": 40,
    "limit": None,
}


def sample(benchmark, language, id, scores, **changes):
    text = f"Question {id} of {benchmark}"
    return {
        "doc_id": id,
        "language": language,
        "doc": {"prompt": f"{text} in {language}", "prompt_en": text, "options": None},
        "target": ["1"],
        "prompt": f"{text} in {language}",
        "resps": [["(1)"]],
        "filtered_resps": ["(1)"],
        "scores": scores,
        "connected": True,
        "layer": id % 3,
        "last_tokens": "(1)",
        "new_tokens": 5,
        "stopped": id % 4 > 0,
        "response_language": language,
    } | changes


def samples(benchmark="xnli", languages=("en", "sw"), count=40, *, level=0.5, seed=0):
    """`count` questions in each language: right or wrong, and a second score between 0 and 1."""
    main = find_benchmark(benchmark).metrics[0].key
    easy = [random.Random(f"{benchmark} {id}").random() for id in range(count)]
    draw = random.Random(f"{seed} {benchmark}")

    def scores(id):
        return {main: float(0.5 * easy[id] + 0.5 * draw.random() < level), "f1,strict": draw.random()}

    return {
        (benchmark, language): [sample(benchmark, language, id, scores(id)) for id in range(count)]
        for language in languages
    }


def write_samples(folder, made):
    folder.mkdir(parents=True, exist_ok=True)
    for (benchmark, language), rows in made.items():
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
        (folder / f"samples_{benchmark}_{language}.jsonl").write_text("".join(lines), encoding="utf-8")


def write_evaluation(folder, made, **config):
    """A result folder as evaluate.py leaves it, without tables and figure, which take time."""
    write_samples(folder, made)
    results = summarise(made, config=CONFIG | config, resamples=200)
    (folder / RESULTS_FILE).write_text(json.dumps(results), encoding="utf-8")
    return folder
