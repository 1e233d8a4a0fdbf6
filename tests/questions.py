"""A model of every kind, loud enough for the connection to change what it writes, and questions for it."""

import os

import torch
from peft import LoraConfig, get_peft_model

from cctuning import CCTuningModel, ConnectionConfig
from cctuning.connection.model import load_model
from cctuning.data.prompts import PromptFormat
from cctuning.evaluation.asking.questions import encode_questions
from cctuning.evaluation.asking.tasks import Task
from cctuning.evaluation.items.benchmark import Benchmark
from cctuning.evaluation.items.item import Item
from cctuning.export import export_monolingual
from cctuning.generation.rules import prepare_to_save
from tests.tiny import tiny_llama, tiny_rows, tiny_tokenizer

TOKENIZER = tiny_tokenizer()
PROMPTS = PromptFormat(TOKENIZER)
CHOICE = Benchmark("choices", "Choices", "choice", ("sw",), ())
SHORT = Benchmark("answers", "Answers", "short_answer", ("sw",), ())


def plain_model():
    return tiny_llama(len(TOKENIZER), initializer_range=0.3).double().eval()


def run_model(**connection):
    """A model with a Decision Maker."""
    return CCTuningModel.wrap(plain_model(), ConnectionConfig(**connection))


def exported_model(folder, shape=(32, 32), **settings):
    """A model with a Transform Matrix too, or one for each layer; of 33 rows the last is its bias."""
    torch.manual_seed(1)
    export_monolingual(run_model(**settings), TOKENIZER, torch.randn(shape).double(), folder)
    return load_model(folder)


def save_models(folder, **models):
    """Writes models, by name, with their tokenizer and the tokens that end a response."""
    for name, model in models.items():
        prepare_to_save(model.generation_config, PROMPTS)
        model.save_pretrained(folder / name)
        TOKENIZER.save_pretrained(folder / name)


def save_adapter(folder, base):
    """Writes a plain model to `base`, and a LoRA adapter of it, which somebody else trained, to `folder`."""
    save_models(base.parent, **{base.name: plain_model()})
    config = LoraConfig(target_modules=["q_proj"], r=2, init_lora_weights=False, task_type="CAUSAL_LM")
    adapted = get_peft_model(load_model(base), config)
    adapted.save_pretrained(folder)
    TOKENIZER.save_pretrained(folder)


def change_weight(folder):
    """Another number in the last weight of a model's folder, in place, at the same time of the file."""
    path = folder / "model.safetensors"
    times = path.stat()
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def questions(count=9, *, parallel=False, options=0):
    """Questions of different lengths; with `options`, the first one has one option more."""
    items, asked, english = [], [], []
    for row in tiny_rows(count):
        labels = [str(number) for number in range(1, options + (2 if row.number == 1 else 1))]
        answers, texts = (("1",), {label: f"text {label}" for label in labels}) if options else (("x",), None)
        items.append(Item(row.number, "sw", row.instruction, row.instruction_en, answers, texts))
        asked.append(row.instruction)
        english.append(row.instruction_en + " very" * (row.number % 3))
    return encode_questions(items, asked, english if parallel else None, PROMPTS)


def task(**settings):
    benchmark = CHOICE if settings.get("options") else SHORT
    return Task(benchmark, "sw", questions(**settings))
