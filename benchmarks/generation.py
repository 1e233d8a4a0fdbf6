"""Monolingual generation of an exported model, over the plain base model's `generate`.

python -m benchmarks.generation [--hidden 512 --layers 8 --new-tokens 40 --repeats 9]

The prompt is read once; its last token is run a second time with the connection.
"""

import tempfile
from functools import partial
from typing import Any

import torch
from transformers import AutoModelForCausalLM, LlamaForCausalLM

from benchmarks.interleaved import as_row, compare, parser_of, ratio_columns, report
from benchmarks.llama import VOCABULARY, llama_config
from benchmarks.training_step import no_words
from cctuning import CCTuningModel
from cctuning.export import export_monolingual

EOS = 1


def models(hidden: int, layers: int) -> tuple[Any, Any]:
    """The plain base model and the exported one, with the same weights."""
    torch.manual_seed(0)
    config = llama_config(hidden, layers)
    connected = CCTuningModel.wrap(LlamaForCausalLM(config))
    device, dtype = ("cuda", torch.bfloat16) if torch.cuda.is_available() else ("cpu", torch.float32)
    with tempfile.TemporaryDirectory() as folder:
        export_monolingual(connected, no_words(), torch.randn(hidden, hidden) / hidden**0.5, folder)
        plain: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
        exported: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, trust_remote_code=True)
    return plain.to(device), exported.to(device)


def main() -> None:
    """Measures all settings, prints a table and writes the JSON report."""
    parser = parser_of(__doc__, hidden=512, layers=8, new_tokens=40, repeats=9)
    parser.add_argument("--prompts", type=int, nargs="+", default=[64, 256, 1024])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8])
    options = parser.parse_args()
    plain, exported = models(options.hidden, options.layers)
    results = []
    for prompt in options.prompts:
        for batch in options.batches:
            ids = torch.randint(3, VOCABULARY, (batch, prompt), device=plain.device)
            settings = {"attention_mask": torch.ones_like(ids), "do_sample": False, "pad_token_id": 0}
            settings |= {"min_new_tokens": options.new_tokens, "max_new_tokens": options.new_tokens}
            rival, ours = (partial(model.generate, ids, **settings) for model in (plain, exported))
            measured = compare(rival, ours, repeats=options.repeats, warmup=1)
            results.append(as_row(measured, prompt=prompt, batch=batch, new_tokens=options.new_tokens))
    columns = {"P": "prompt", "batch": "batch", **ratio_columns("plain", "monolingual")}
    report("generation", columns, results, "generation")


if __name__ == "__main__":
    main()
