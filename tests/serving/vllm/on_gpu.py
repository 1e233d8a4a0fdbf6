"""What a first run on a GPU has to show: sequences with CUDA graphs, and which model runner is taken.

python -m tests.serving.vllm.on_gpu outputs/llama31_aya/monolingual [--prompts 30]

Each engine runs in a process of its own, in float32, and is compared with `generate` on the same device.
Exits with 1 where one differs. Without a GPU it runs, too, and says so: then there are no graphs to test.
"""

import argparse
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from tests.serving.vllm.engines import Engine
from tests.serving.vllm.exports import Answer, Reference, check_equal

# By what each one would fail: the settings of the engine, and variables.
ENGINES: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "eager": ({}, {}),
    "full second pass": ({}, {"CCTUNING_VLLM_SECOND_PASS": "full"}),
    "compiled, without graphs": (
        {"enforce_eager": False, "compilation_config": {"cudagraph_mode": "NONE"}},
        {},
    ),
    "graphs": ({"enforce_eager": False}, {}),
    # Of many prompts the last token is alone in its chunk, which looks like decoding.
    "graphs, chunks of 16": ({"enforce_eager": False, "max_num_batched_tokens": 16, "max_num_seqs": 16}, {}),
    "full graphs asked for": (
        {"enforce_eager": False, "compilation_config": {"cudagraph_mode": "FULL_AND_PIECEWISE"}},
        {},
    ),
    "synchronous": ({"enforce_eager": False, "async_scheduling": False}, {}),
    "model runner V2": ({}, {"VLLM_USE_V2_MODEL_RUNNER": "1"}),
}
REFUSED = {"model runner V2"}


def prompts_of(reference: Reference, count: int) -> list[list[int]]:
    """Prompts of all lengths from 1 to `count`, of random tokens that are no special ones."""
    vocabulary = reference.model.config.get_text_config().vocab_size
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randint(vocabulary // 4, vocabulary // 2, (length,), generator=generator).tolist()
        for length in range(1, count + 1)
    ]


def run_one(name: str, folder: Path, asked: list[list[int]], expected: list[Answer]) -> str:
    """What became of one engine."""
    settings, _ = ENGINES[name]
    try:
        engine = Engine.start(folder, **settings)
    except Exception as error:
        refused = "VLLM_USE_V2_MODEL_RUNNER=0" in str(error) and name in REFUSED
        if not refused:
            raise
        hooks = importlib.import_module("vllm.v1.worker.gpu.model_states")
        there = hasattr(hooks, "resolve_model_state_cls")
        return f"refused by name, as it should be; its hook get_model_state_cls is there: {there}"
    config = engine.llm.llm_engine.vllm_config
    mode = config.compilation_config.cudagraph_mode
    check_equal(engine.sequences(asked), expected)
    check_equal(engine.sequences(asked), expected)  # from the cache
    engine.stop()
    assert name not in REFUSED, "started, and should have been refused"
    assert not mode.has_full_cudagraphs()
    return f"equal; graphs: {mode.name}, model runner V{2 if config.use_v2_model_runner else 1}"


def main() -> None:
    """Runs all engines, or in a process of its own the one that is named."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--prompts", type=int, default=40)
    parser.add_argument("--one", nargs=2, metavar=("ENGINE", "FILE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        name, file = options.one
        asked, expected = json.loads(Path(file).read_text())
        print(f"RESULT {run_one(name, options.folder, asked, [Answer(*one) for one in expected])}")
        return
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU: graphs are not tested"
    print(device)
    reference = Reference(options.folder)
    reference.model.to("cuda" if torch.cuda.is_available() else "cpu")
    asked = prompts_of(reference, options.prompts)
    file = Path(f"{options.folder.name}-expected.json").resolve()
    file.write_text(json.dumps([asked, reference.answers(asked)]))
    del reference
    torch.cuda.empty_cache()
    failed = []
    for name, (_, variables) in ENGINES.items():
        command = [
            sys.executable,
            "-m",
            "tests.serving.vllm.on_gpu",
            str(options.folder),
            "--one",
            name,
            str(file),
        ]
        environment = os.environ | {"VLLM_ENABLE_V1_MULTIPROCESSING": "0"} | variables
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        result = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
        print(f"{name}: {result[-1][7:] if result else done.stderr[-1500:]}", flush=True)
        failed += [name] * (not result)
    file.unlink()
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
