"""A whole sweep of XTransplant, over generating each pair of layers for itself.

python -m benchmarks.transplant [--layers 6 12 24 --prompt-lengths 64 256 1024 --repeats 3]
python -m benchmarks.transplant --shape llama-7b --device cuda --dtype bfloat16 --prompt-lengths 150 400

All write `--new-tokens` tokens for all L x L pairs of one question, with the same model in memory and the
source prompt's outputs recorded once. Rivals: a forward hook and `generate` for each pair, the same in
batches of pairs, and nnsight and pyvene where they are installed (pip install nnsight pyvene). They are timed
on `--sample` pairs (one batch, where there are batches), by turns with the whole sweep, and their time is
multiplied by pairs / sample. On a CPU everything runs on `--threads` threads.

Memory is what a call takes at its peak, beyond the model: the sweep for all pairs, the rivals for one pair or
batch. Before anything is timed, all pairs of a small float64 model are compared with the hook's.
"""

import argparse
import random
import statistics
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import LlamaForCausalLM

from benchmarks.interleaved import as_row, by_turns, parser_of, ratio_of, write_report
from benchmarks.llama import VOCABULARY, llama_7b_config, llama_config
from benchmarks.peak_memory import extra_memory
from benchmarks.transplant_rivals import LIBRARIES, Answers, Pairs, Task, missing_libraries, with_hooks
from cctuning.analysis.transplant import PromptPair, sweep
from cctuning.reporting.tables import RecordTable

SHAPES: dict[str, dict[str, Any]] = {
    "small": {"hidden": 256, "layers": [6, 12, 24], "prompt_lengths": [64, 256, 1024], "rows": 8},
    "llama-7b": {"hidden": 4096, "layers": [32], "prompt_lengths": [150, 400], "rows": 64},
}
PAPER = {"models": 3, "questions": 3100, "gpu_hours": 6400}  # the pilot study: 800 hours on 8 cards


class Contender(NamedTuple):
    """A way to answer pairs, and those pairs that it is timed on."""

    make: Callable[[Task], Answers]
    pairs: Pairs


class BySweep:
    """Ours: answers as a rival gives them."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.token_forwards = 0  # of the last call

    def __call__(self, pairs: Pairs) -> Tensor:
        """(pairs, new) tokens."""
        question = PromptPair(self.task.source, self.task.target)
        cells = [(pair,) for pair in pairs]
        (result,) = sweep(self.task.model, [question], cells, max_new_tokens=self.task.new_tokens)
        self.token_forwards = result.token_forwards
        return result.tokens


def make_model(shape: str, hidden: int, layers: int, device: torch.device, dtype: torch.dtype) -> Any:
    """A Llama with random weights that never ends an answer."""
    torch.manual_seed(0)
    config = (llama_7b_config if shape == "llama-7b" else llama_config)(hidden, layers, initializer_range=0.1)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with device:
            model = LlamaForCausalLM(config).eval()
    finally:
        torch.set_default_dtype(before)
    model.generation_config.eos_token_id = None
    model.generation_config.pad_token_id = 0
    return model


def make_task(model: Any, length: int, new_tokens: int) -> Task:
    """Two prompts of random tokens."""
    generator = torch.Generator().manual_seed(length)
    source, target = torch.randint(3, VOCABULARY, (2, length), generator=generator).to(model.device)
    return Task(model, source, target, new_tokens)


def all_pairs(layers: int) -> list[tuple[int, int]]:
    """Row i * L + j is (i, j)."""
    return [(source, target) for source in range(layers) for target in range(layers)]


def check(device: torch.device) -> int:
    """How many answers of a small float64 model were compared. Raises `RuntimeError` where two differ."""
    task = make_task(make_model("small", 128, 4, device, torch.float64), 48, 12)
    pairs = all_pairs(4)
    ours, theirs = (make(task)(pairs).tolist() for make in (BySweep, with_hooks))
    for pair, our_tokens, their_tokens in zip(pairs, ours, theirs, strict=True):
        if our_tokens != their_tokens:
            raise RuntimeError(f"{pair}: the sweep wrote {our_tokens}, hook and generate {their_tokens}")
    return len(pairs)


def contenders(layers: int, sample: int, rows: int) -> dict[str, Contender]:
    """Ours, called "sweep", and the rivals, each with the pairs that it is timed on."""
    draw = random.Random(layers)
    every = all_pairs(layers)
    some, batch = (draw.sample(every, min(count, len(every))) for count in (sample, rows))
    by_name = {"sweep": Contender(BySweep, every), "hook": Contender(with_hooks, some)}
    if rows > 1:
        by_name[f"hook, {rows} at once"] = Contender(partial(with_hooks, rows=rows), batch)
    missing = missing_libraries()
    return by_name | {name: Contender(make, some) for name, make in LIBRARIES.items() if name not in missing}


def memory_of(contender: Contender, task: Task) -> int | None:
    """Bytes at the peak of one run, after a small one that does not count."""
    small = make_task(task.model, 8, 2)

    def prepare() -> Callable[[], Any]:
        contender.make(small)(contender.pairs[:1])
        answer = contender.make(task)
        return lambda: answer(contender.pairs)

    return extra_memory(prepare, task.model.device)


def measure(task: Task, by_name: dict[str, Contender], repeats: int) -> dict[str, Any]:
    """Seconds and token-forwards of the sweep, and each rival's ratio to it: all by turns."""
    by_sweep = BySweep(task)
    ways = {name: contender.make(task) for name, contender in by_name.items() if name != "sweep"}
    ways["sweep"] = by_sweep
    answers: dict[str, dict[tuple[int, int], list[int]]] = {}

    def answer(name: str) -> None:
        pairs = by_name[name].pairs
        answers[name] = dict(zip(pairs, ways[name](pairs).tolist(), strict=True))

    calls = {name: partial(answer, name) for name in by_name}
    times = by_turns(calls, repeats=repeats, warmup=int(task.model.device.type == "cuda"))
    ours = answers.pop("sweep")
    rivals = []
    for name, tokens in answers.items():
        ratio = ratio_of([len(ours) / len(tokens) * seconds for seconds in times[name]], times["sweep"])
        same = sum(ours[pair] == tokens[pair] for pair in tokens)
        rivals.append(as_row(ratio, rival=name, timed_pairs=len(tokens), same_answers=same))
    return {
        "sweep_seconds": statistics.median(times["sweep"]),
        "token_forwards": by_sweep.token_forwards,
        "most_token_forwards": task.new_tokens * len(ours) + len(task.source) + len(task.target),
        "rivals": rivals,
    }


def main() -> None:
    """Measures all settings, prints the tables and writes the JSON report."""
    options = parse()
    device, dtype = torch.device(options.device), getattr(torch, options.dtype)
    torch.set_num_threads(options.threads)
    for name in missing_libraries():
        print(f"{name} is not installed, so it is left out. To have it measured: pip install {name}")
    print(f"{check(device)} answers of a small float64 model are the same as with a hook and generate.")
    results = []
    for layers in options.layers:
        model = make_model(options.shape, options.hidden, layers, device, dtype)
        by_name = contenders(layers, options.sample, options.rows)
        tasks = [make_task(model, length, options.new_tokens) for length in options.prompt_lengths]
        print(f"L = {layers}: memory, then times for P =", *options.prompt_lengths, "...", flush=True)
        # All memory first: on a CPU it is measured in copies of this process, which so far holds the model.
        memory = [{name: memory_of(contender, task) for name, contender in by_name.items()} for task in tasks]
        for task, peaks in zip(tasks, memory, strict=True):
            sizes = {"layers": layers, "prompt": len(task.target), "new_tokens": options.new_tokens}
            measured = measure(task, by_name, options.repeats)
            memory_used = {"model_bytes": model.get_memory_footprint(), "peak_bytes": peaks}
            results.append(sizes | measured | memory_used)
    show(results, options.shape == "llama-7b")
    settings = {"shape": options.shape, "hidden": options.hidden, "dtype": options.dtype}
    print(write_report("transplant", [settings | result for result in results]))


def parse() -> argparse.Namespace:
    """The command line; what it leaves open depends on the shape."""
    parser = parser_of(__doc__, new_tokens=20, sample=2, repeats=3, threads=1)
    parser.add_argument("--shape", choices=SHAPES, default="small")
    parser.add_argument("--hidden", type=int)
    parser.add_argument("--layers", type=int, nargs="+")
    parser.add_argument("--prompt-lengths", type=int, nargs="+")
    parser.add_argument("--rows", type=int, help="pairs of a batch; 1: no batches")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=("float32", "bfloat16", "float64"), default="float32")
    options = parser.parse_args()
    for name, value in SHAPES[options.shape].items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    return options


def show(results: list[dict[str, Any]], with_study: bool) -> None:
    """Times and memory as tables in Markdown, and what the paper's pilot study would take."""
    rivals = [row["rival"] for row in results[0]["rivals"]]
    time, memory = [], []
    for row in results:
        sizes = row["layers"], row["prompt"]
        compared = sum(rival["timed_pairs"] for rival in row["rivals"])
        same = sum(rival["same_answers"] for rival in row["rivals"])
        times = (f"{1 / rival['ratio']:.1f} x" for rival in row["rivals"])
        time.append([*sizes, f"{row['sweep_seconds']:.2f} s", *times, f"{same} of {compared}"])
        peaks = ("?" if peak is None else f"{peak / 1e6:,.0f} MB" for peak in row["peak_bytes"].values())
        memory.append([*sizes, f"{row['token_forwards']:,}", f"{row['most_token_forwards']:,}", *peaks])
    print("\nTime of a whole sweep, and how many times as long each rival takes for all pairs:\n")
    print(RecordTable(["L", "P", "sweep", *rivals, "same answers"], time).markdown())
    print("\nTokens through the decoder in a sweep, and memory at the peak beside the model:\n")
    print(RecordTable(["L", "P", "token-forwards", "at most", "sweep", *rivals], memory).markdown())
    for row in results if with_study else ():
        hours = PAPER["models"] * PAPER["questions"] * row["sweep_seconds"] / 3600
        print(
            f"P = {row['prompt']}: {PAPER['models']} models with {PAPER['questions']:,} questions would take "
            f"{hours:.1f} hours on this device; the paper's took {PAPER['gpu_hours']:,} GPU-hours."
        )


if __name__ == "__main__":
    main()
