"""An exported model in vLLM: connected over plain in the same engine, and over `evaluate`'s own batches.

python -m benchmarks.serving [--hidden 512 --layers 8 --requests 64 --new-tokens 64 --repeats 5]

Runs where vLLM is installed (`make test-vllm` builds such an environment in .venv-vllm). Prefill asks for one
token of prompts that no cache holds; decoding asks for many tokens after short prompts. The last two lines
generate the same answers to prompts of mixed lengths with `generate` in evaluate's batches: in turns, but
vLLM's threads and memory are there all the time.
"""

import os
import random
import tempfile
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from transformers import LlamaForCausalLM

from benchmarks.evaluation import make_tokenizer
from benchmarks.interleaved import as_row, compare, parser_of, ratio_columns, report
from benchmarks.llama import VOCABULARY, llama_config
from cctuning import CCTuningModel
from cctuning.connection.model import load_model
from cctuning.data.batches import plan_batches
from cctuning.data.prompts import PromptFormat, choose_template
from cctuning.export import export_monolingual
from cctuning.generation.generate import generate_batch

Prompts = list[list[int]]
DTYPE = "bfloat16" if torch.cuda.is_available() else "float32"


def write_model(hidden: int, layers: int, folder: str) -> PromptFormat:
    """An exported model with random weights; returns the prompt format of its tokenizer."""
    torch.manual_seed(0)
    connected = CCTuningModel.wrap(LlamaForCausalLM(llama_config(hidden, layers, initializer_range=0.1)))
    tokenizer = make_tokenizer()
    choose_template(tokenizer, "plain")
    export_monolingual(connected, tokenizer, torch.randn(hidden, hidden) / hidden**0.5, folder)
    return PromptFormat(tokenizer)


def random_prompts(count: int, shortest: int, longest: int, draw: random.Random) -> Prompts:
    """Prompts of random words."""
    return [
        [draw.randrange(10, VOCABULARY) for _ in range(draw.randint(shortest, longest))] for _ in range(count)
    ]


class Engine:
    """vLLM in this process."""

    def __init__(self, folder: str, requests: int, longest: int) -> None:
        from vllm import LLM

        settings = {"max_model_len": longest, "max_num_seqs": requests, "enable_prefix_caching": False}
        self.llm: Any = LLM(folder, dtype=DTYPE, block_size=32, **settings)

    def ask(self, prompts: Prompts, new_tokens: int, *, connected: bool) -> list[list[int]]:
        """Greedy tokens after each prompt."""
        from vllm import SamplingParams

        options = {"temperature": 0.0, "max_tokens": new_tokens, "ignore_eos": True, "detokenize": False}
        params = SamplingParams(**options, extra_args={"cctuning": {"connected": connected}})
        inputs = [{"prompt_token_ids": prompt} for prompt in prompts]
        outputs = self.llm.generate(inputs, params, use_tqdm=False)
        return [list(output.outputs[0].token_ids) for output in outputs]


def in_batches(model: Any, prompts: PromptFormat, prompt_ids: Prompts, new_tokens: int) -> None:
    """The same answers by `generate`, batched as `cctuning evaluate` does; one in hundreds may end early."""
    for batch in plan_batches([len(ids) for ids in prompt_ids], batch_size=32, batch_tokens=16384):
        generate_batch(model, prompts, [prompt_ids[number] for number in batch], max_new_tokens=new_tokens)


def main() -> None:
    """Measures all settings, prints a table and writes the JSON report."""
    parser = parser_of(__doc__, hidden=512, layers=8, requests=64, new_tokens=64, repeats=5)
    parser.add_argument("--prompts", type=int, nargs="+", default=[64, 256, 1024])
    options = parser.parse_args()
    os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    draw, new = random.Random(0), options.new_tokens
    results = []

    def measure(name: str, rival: Callable[[], Any], ours: Callable[[], Any], **settings: Any) -> None:
        results.append(as_row(compare(rival, ours, repeats=options.repeats, warmup=1), what=name, **settings))

    with tempfile.TemporaryDirectory() as folder:
        prompts = write_model(options.hidden, options.layers, folder)
        engine = Engine(folder, options.requests, max(options.prompts) + new + 1)

        def sides(prompt_ids: Prompts, tokens: int) -> list[Callable[[], Any]]:
            return [partial(engine.ask, prompt_ids, tokens, connected=chosen) for chosen in (False, True)]

        for length in options.prompts:
            prompt_ids = random_prompts(max(1, 8192 // length), length, length, draw)
            measure("prefill", *sides(prompt_ids, 1), prompt=length, requests=len(prompt_ids))
        prompt_ids = random_prompts(options.requests, 16, 16, draw)
        measure("decoding", *sides(prompt_ids, new), prompt=16, requests=len(prompt_ids))
        prompt_ids = random_prompts(options.requests, 16, 256, draw)
        measure("both", *sides(prompt_ids, new), prompt="16-256", requests=len(prompt_ids))
        model = load_model(folder, dtype=DTYPE).to("cuda" if torch.cuda.is_available() else "cpu")
        rival = partial(in_batches, model, prompts, prompt_ids, new)
        measure("over generate", rival, sides(prompt_ids, new)[1], prompt="16-256", requests=len(prompt_ids))
    columns = {"": "what", "P": "prompt", "requests": "requests", **ratio_columns("rival", "connected")}
    report("serving", columns, results, "vLLM, connected over plain; over evaluate's batches")


if __name__ == "__main__":
    main()
