"""What the tests ask of an exported model, run in a process of its own that cannot import `cctuning`.

`python -I exported.py` reads one JSON request a line, {"call": name, "arguments": {...}}, calls the function
of that name below, and answers {"result": ...} or {"error": traceback}. Lists stand for tensors.
"""

import functools
import importlib.abc
import json
import os
import sys
import threading
import traceback
import warnings


class _Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "cctuning":
            raise ImportError(f"{name} must not be imported here")


sys.meta_path.insert(0, _Refuse())

import torch  # noqa: E402
import transformers  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache  # noqa: E402

torch.set_num_threads(1)


@functools.cache
def load(directory, connected=True, attention=None):
    """The model, which stops only where a call says so (a random model may prefer EOS anywhere)."""
    model = AutoModelForCausalLM.from_pretrained(
        directory,
        dtype="auto",
        trust_remote_code=connected,
        attn_implementation=attention,
        # The grouped matrix product of mixtures of experts has no float64.
        experts_implementation="eager",
    )
    model.generation_config.eos_token_id = None
    model.generation_config.pad_token_id = 0
    return model.eval()


def tensors(inputs):
    return {name: torch.tensor(value) for name, value in inputs.items()}


def import_cctuning():
    """Must fail."""
    import cctuning  # noqa: F401


def describe(directory, **options):
    """What was loaded, and what `from_pretrained` reports as missing or unexpected."""
    model, report = AutoModelForCausalLM.from_pretrained(
        directory, trust_remote_code=options.get("connected", True), output_loading_info=True
    )
    return {
        "class": type(model).__name__,
        "bases": [base.__name__ for base in type(model).__mro__],
        "module": type(model).__module__,
        "model_type": model.config.model_type,
        "report": {name: len(value) for name, value in report.items()},
        "dtype": str(model.dtype),
        "parameters": sorted(name for name, _ in model.named_parameters()),
    }


def generate(directory, inputs, seed=0, load_options=None, return_cache=False, **arguments):
    """`generate`; only what a test may compare comes back."""
    model = load(directory, **(load_options or {}))
    torch.manual_seed(seed)
    inputs = tensors(inputs)
    out = model.generate(**inputs, return_dict_in_generate=True, **arguments)
    start = 0 if "inputs_embeds" in inputs else inputs["input_ids"].shape[1]
    result = {"tokens": out.sequences[:, start:].tolist()}
    for name in ("logits", "scores"):
        if getattr(out, name, None) is not None:
            result[name] = torch.stack(out[name], dim=1).tolist()
    if getattr(out, "sequences_scores", None) is not None:
        result["sequences_scores"] = out.sequences_scores.tolist()
    if getattr(model, "last_selection", None) is not None:
        result["weights"] = model.last_selection.weights.tolist()
    return result


def generate_from_embeddings(directory, inputs, **arguments):
    model, inputs = load(directory), tensors(inputs)
    embeds = model.get_input_embeddings()(inputs.pop("input_ids"))
    return model.generate(inputs_embeds=embeds, **inputs, **arguments).tolist()


def generate_assisted(directory, assistant, inputs, drafted=5, **arguments):
    """With another (plain or exported) model as the assistant; `forwards` counts the checks of drafts."""
    model, inputs, forwards = load(directory), tensors(inputs), []
    assistant = load(assistant)
    assistant.generation_config.update(
        num_assistant_tokens=drafted,
        num_assistant_tokens_schedule="constant",
        assistant_confidence_threshold=0,
    )
    counter = model.lm_head.register_forward_hook(lambda *_: forwards.append(1))
    out = model.generate(**inputs, assistant_model=assistant, **arguments)
    counter.remove()
    return {"tokens": out[:, inputs["input_ids"].shape[1] :].tolist(), "forwards": len(forwards)}


def generate_streamed(directory, inputs, **arguments):
    """Tokens in the order in which a streamer meets them; the prompt comes first."""
    model, seen = load(directory), []

    class Streamer(transformers.generation.streamers.BaseStreamer):
        def put(self, value):
            seen.extend(value.flatten().tolist())

        def end(self):
            pass

    model.generate(**tensors(inputs), streamer=Streamer(), **arguments)
    return seen


def converse(directory, turns, **arguments):
    """Each turn's new tokens; every turn goes on from the cache of the one before."""
    model, cache, sequence, answers = load(directory), None, torch.empty(1, 0, dtype=torch.long), []
    for turn in turns:
        sequence = torch.cat([sequence, torch.tensor([turn])], dim=1)
        cache = DynamicCache(config=model.config) if cache is None else cache
        out = model.generate(
            sequence,
            attention_mask=torch.ones_like(sequence),
            past_key_values=cache,
            return_dict_in_generate=True,
            **arguments,
        )
        answers.append(out.sequences[0, sequence.shape[1] :].tolist())
        sequence, cache = out.sequences, out.past_key_values
    return answers


def generate_in_threads(directory, batches, repeats, **arguments):
    """For each batch of inputs its tokens: one after another, and all at once in a thread each."""
    model, batches = load(directory), [tensors(inputs) for inputs in batches]

    def tokens(inputs):
        return model.generate(**inputs, **arguments)[:, inputs["input_ids"].shape[1] :].tolist()

    one_by_one = [tokens(inputs) for inputs in batches]
    rounds = []
    for _ in range(repeats):
        results = [None] * len(batches)

        def work(number, results=results):
            results[number] = tokens(batches[number])

        threads = [threading.Thread(target=work, args=(number,)) for number in range(len(batches))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        rounds.append(results)
    return {"one_by_one": one_by_one, "rounds": rounds}


def pipe(directory, texts, batch_size=1, **arguments):
    """New text of each conversation of one user turn, by the text-generation pipeline."""
    tokenizer = AutoTokenizer.from_pretrained(directory)
    pipeline = transformers.pipeline("text-generation", model=load(directory), tokenizer=tokenizer)
    chats = [[{"role": "user", "content": text}] for text in texts]
    outputs = pipeline(chats, batch_size=batch_size, return_full_text=False, **arguments)
    return [output[0]["generated_text"] for output in outputs]


def forward(directory, inputs, calls=1, load_options=None, into_cache=False, **arguments):
    """Logits of the last of `calls` bare forwards, and every warning that our own file gave."""
    model = load(directory, **(load_options or {}))
    with warnings.catch_warnings(record=True) as caught, torch.no_grad():
        warnings.simplefilter("always")
        for _ in range(calls):
            if into_cache:
                arguments["past_key_values"] = DynamicCache(config=model.config)
            out = model(**tensors(inputs), **arguments)
    messages = [str(warning.message) for warning in caught if "connected" in str(warning.message)]
    return {"logits": out.logits.tolist(), "warnings": messages}


def decode_by_hand(directory, inputs, steps):
    """A greedy loop around bare forwards that go on from the cache, as people write it."""
    model, tokens, arguments = load(directory), [], tensors(inputs)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*connected")
        for _ in range(steps):
            out = model(**arguments, use_cache=True)
            token = out.logits[:, -1].argmax(-1, keepdim=True)
            tokens.append(token)
            arguments = {"input_ids": token, "past_key_values": out.past_key_values}
    return torch.cat(tokens, dim=1).tolist()


def save_again(directory, target, **options):
    model = AutoModelForCausalLM.from_pretrained(directory, dtype="auto", trust_remote_code=True, **options)
    model.save_pretrained(target)
    AutoTokenizer.from_pretrained(directory).save_pretrained(target)


def answer_requests():
    # Libraries may print; answers go to the real standard output alone.
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            reply = {"result": globals()[request["call"]](**request["arguments"])}
        except Exception:
            reply = {"error": traceback.format_exc()}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


if __name__ == "__main__":
    answer_requests()
