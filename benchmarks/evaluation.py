"""Rows per second of an evaluation, over asking one question at a time.

python -m benchmarks.evaluation [--hidden 256 --layers 6 --questions 128 --repeats 3]

The rival is the loop of the papers' scripts: one prompt, a forward pass for the feed-forward outputs, another
one that is connected, then one token at a time with a cache, and the text so far decoded after each of them.
Both sides ask the same exported model the same questions, monolingually and without connection. Their tokens
are compared before anything is timed.
"""

import random
import tempfile
from functools import partial
from typing import Any

import torch
from tokenizers import Tokenizer, models
from transformers import DynamicCache, LlamaForCausalLM, PreTrainedTokenizerFast

from benchmarks.interleaved import as_row, compare, parser_of, report
from benchmarks.llama import VOCABULARY, llama_config
from cctuning import CCTuningModel
from cctuning.connection.model import load_model
from cctuning.data.prompts import PromptFormat, choose_template
from cctuning.evaluation.asking.questions import Prompt, Question
from cctuning.evaluation.asking.responses import GenerationSettings, ask
from cctuning.evaluation.asking.tasks import Task
from cctuning.evaluation.benchmarks import find_benchmark
from cctuning.evaluation.items.item import Item
from cctuning.export import export_monolingual
from cctuning.generation.modes import set_mode
from cctuning.generation.rules import stop_tokens
from cctuning.reporting.tables import Columns

COLUMNS: Columns = {
    "mode": "mode",
    "one at a time, rows/s": lambda row: f"{row['questions'] / row['rival_seconds']:.2f}",
    "evaluate, rows/s": lambda row: f"{row['questions'] / row['our_seconds']:.2f}",
    "times as fast": lambda row: f"{1 / row['ratio']:.1f}",
    "same responses": lambda row: f"{row['same_responses']} of {row['questions']}",
}


def make_tokenizer() -> PreTrainedTokenizerFast:
    """One made-up word per token."""
    words = {"<pad>": 0, "</s>": 1, "<s>": 2} | {f"w{number}": number for number in range(3, VOCABULARY)}
    backend = Tokenizer(models.WordLevel(words, unk_token="<pad>"))
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", eos_token="</s>", bos_token="<s>"
    )


def make_model(hidden: int, layers: int, device: str, dtype: torch.dtype) -> tuple[Any, PromptFormat]:
    """An exported model with random weights, and the prompt format of its tokenizer."""
    torch.manual_seed(0)
    config = llama_config(hidden, layers, initializer_range=0.1)
    tokenizer = make_tokenizer()
    choose_template(tokenizer, "plain")
    with torch.device(device):
        torch.set_default_dtype(dtype)
        connected = CCTuningModel.wrap(LlamaForCausalLM(config))
        torch.set_default_dtype(torch.float32)
    with tempfile.TemporaryDirectory() as folder:
        export_monolingual(connected, tokenizer, torch.randn(hidden, hidden) / hidden**0.5, folder)
        del connected
        return load_model(folder).to(device), PromptFormat(tokenizer)


def make_task(count: int, shortest: int, longest: int) -> Task:
    """Questions of random words, of lengths as benchmarks have them: few long ones, many short ones."""
    draw = random.Random(0)
    questions = []
    for number in range(count):
        length = int(shortest * (longest / shortest) ** draw.random())
        ids = [draw.randrange(10, VOCABULARY) for _ in range(length)]
        questions.append(Question(Item(number, "en", "", "", ("",)), Prompt("", ids), None))
    return Task(find_benchmark("mkqa"), "en", questions)


@torch.no_grad()
def one_at_a_time(model: Any, prompts: PromptFormat, task: Task, new_tokens: int) -> list[str]:
    """The responses of the rival."""
    stops = set(stop_tokens(model, prompts))
    responses = []
    for question in task.questions:
        ids = torch.tensor([question.prompt.ids], device=model.device)
        cache = DynamicCache(config=model.config)
        given: dict[str, Any] = {}
        if model.connected:
            index = torch.tensor([ids.shape[1] - 1], device=model.device)
            outputs = model.sublayer_outputs(ids)
            embedding = model.input_embeddings({"input_ids": ids}, index)
            given = {
                "connection_index": index,
                "connection_output": model.fuse(outputs, embedding, transform=True),
            }
        written: list[int] = []
        text = ""
        for _ in range(new_tokens):
            logits = model(input_ids=ids, past_key_values=cache, use_cache=True, **given).logits
            token = int(logits[:, -1].argmax(-1))
            if token in stops:
                break
            written.append(token)
            text = prompts.response_text(written)
            ids, given = torch.tensor([[token]], device=model.device), {"connection_index": -1}
        responses.append(text)
    return responses


def main() -> None:
    """Measures both modes, prints a table and writes the JSON report."""
    defaults = {"hidden": 256, "layers": 6, "questions": 128, "new_tokens": 40, "repeats": 3}
    defaults |= {"shortest": 40, "longest": 400, "batch_size": 32, "batch_tokens": 16384}
    options = parser_of(__doc__, **defaults).parse_args()
    gpu = torch.cuda.is_available()
    model, prompts = make_model(
        options.hidden, options.layers, "cuda" if gpu else "cpu", torch.bfloat16 if gpu else torch.float32
    )
    task = make_task(options.questions, options.shortest, options.longest)
    how = GenerationSettings(options.new_tokens, options.batch_size, options.batch_tokens)
    results = []
    for mode in ("monolingual", "none"):
        set_mode(model, mode)
        rival = partial(one_at_a_time, model, prompts, task, options.new_tokens)

        def ours() -> list[str]:
            with tempfile.TemporaryDirectory() as folder:  # a new one each time: nothing is resumed
                return [answer["response"] for answer in ask(model, prompts, task, folder, how)]

        same = sum(map(str.__eq__, rival(), ours()))
        measured = compare(rival, ours, repeats=options.repeats, warmup=0)
        results.append(as_row(measured, mode=mode, same_responses=same, **vars(options)))
    report("evaluation", COLUMNS, results)


if __name__ == "__main__":
    main()
