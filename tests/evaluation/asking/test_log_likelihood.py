"""Log-likelihoods against one full forward for every option."""

import math

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from cctuning.connection.connected import is_connected
from cctuning.data.prompts import PromptFormat, choose_template
from cctuning.evaluation.asking.log_likelihood import option_log_likelihoods
from cctuning.evaluation.asking.questions import Prompt, Question, encode_questions
from cctuning.evaluation.asking.tasks import Task, joined_options_warning
from cctuning.evaluation.items.item import Item
from tests.models import build
from tests.questions import CHOICE, PROMPTS, exported_model, plain_model, questions, run_model
from tests.tiny import tiny_llama


def one_at_a_time(model, question):
    """Each option appended to the prompt and read in one piece, nothing cached."""
    found = []
    for option in question.option_ids:
        start = len(question.prompt.ids)
        ids = torch.tensor([[*question.prompt.ids, *option]])
        given = {}
        if question.parallel:
            given = {
                "english_input_ids": torch.tensor([question.parallel.ids]),
                "prompt_lengths": torch.tensor([start]),
            }
        elif is_connected(model):
            given = {"connection_index": torch.tensor([start - 1])}
        with torch.no_grad():
            log_probabilities = model(input_ids=ids, **given).logits[0].log_softmax(-1)
        found.append(
            float(sum(log_probabilities[start - 1 + place, token] for place, token in enumerate(option)))
        )
    return found


def check(model, asked):
    """Asserts that the batch has what each option has alone."""
    found = option_log_likelihoods(model, PROMPTS, asked)
    for question, row in zip(asked, found.tolist(), strict=True):
        expected = one_at_a_time(model, question)
        assert row[: len(expected)] == pytest.approx(expected, abs=1e-9)
        assert all(map(math.isnan, row[len(expected) :]))


@pytest.mark.parametrize("parallel", [False, True], ids=["none", "bilingual"])
def test_of_a_run(parallel):
    check(run_model(), questions(parallel=parallel, options=3))


def test_of_an_exported_model(tmp_path):
    model = exported_model(tmp_path)
    check(model, questions(options=3))
    check(model, questions(options=3, parallel=True))
    connected = option_log_likelihoods(model, PROMPTS, questions(options=3))
    model.connected = False
    assert not torch.allclose(connected, option_log_likelihoods(model, PROMPTS, questions(options=3)))


def test_of_a_plain_model():
    check(plain_model(), questions(options=2))


@pytest.mark.parametrize("name", ["mistral_window", "gemma3", "gpt2", "qwen3"])
def test_of_other_architectures(name):
    """Past a sliding window, and where the language model's forward has other arguments."""
    model = build(name).eval()
    generator = torch.Generator().manual_seed(0)

    def ids(count):
        return torch.randint(5, 64, (count,), generator=generator).tolist()

    asked = [
        Question(Item(n, "sw", "", "", ("1",)), Prompt("", ids(7 + 2 * n)), None, (ids(1), ids(3), ids(2)))
        for n in range(4)
    ]
    check(model, asked)


def raw_prompts(spelling):
    """Prompts without a template, of a tokenizer that joins a colon or a blank with a bracket behind it."""
    core = Tokenizer(models.BPE(byte_fallback=spelling == "sentencepiece"))
    alphabet = []
    if spelling == "sentencepiece":
        core.pre_tokenizer = pre_tokenizers.Metaspace()
        core.decoder = decoders.Sequence([decoders.Metaspace(), decoders.ByteFallback(), decoders.Fuse()])
    else:
        core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        core.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, show_progress=False)
    core.train_from_iterator(["a: (1) (2) Jibu: (1) sentence:(2) :(1) \n\n答え：(2)\n"] * 4, trainer)
    core.add_special_tokens(["<s>", "</s>"])
    core.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", core.token_to_id("<s>"))]
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, bos_token="<s>", eos_token="</s>")
    choose_template(tokenizer, "raw")
    return PromptFormat(tokenizer)


@pytest.mark.parametrize("spelling", ["sentencepiece", "bytes"])
@pytest.mark.parametrize(
    ("prompt", "separator", "behind", "joined"),
    [
        ("Jibu:", " ", " ", False),
        ("答え：", " ", " ", False),
        ("Jibu:", "\n", "\n", False),  # as answers of shots stand
        ("Jibu:\n", " ", "", False),
        ("Jibu: ", " ", "", True),
    ],
)
def test_without_a_template_they_are_those_of_the_text(spelling, prompt, separator, behind, joined):
    """What the text has with the option, less what it has without, each as the tokenizer reads it."""
    prompts = raw_prompts(spelling)
    tokenizer = prompts.tokenizer
    model = tiny_llama(len(tokenizer), initializer_range=0.3).double().eval()
    item = Item(1, "sw", prompt, "Jibu:", ("1",), {"1": "x", "2": "y"})
    (question,) = encode_questions([item], [prompt], ["a:"], prompts, separator=separator)
    (found,) = option_log_likelihoods(model, prompts, [question]).tolist()

    def nats(text):
        ids = torch.tensor([tokenizer(text)["input_ids"]])
        with torch.no_grad():
            scores = model(ids).logits[:, :-1].log_softmax(-1)
        return float(scores.gather(-1, ids[:, 1:, None]).sum())

    texts = [f"{prompt}{behind}({label})" for label in "12"]
    assert [tokenizer.decode([*question.prompt.ids[1:], *ids]) for ids in question.option_ids] == texts
    exact = [nats(text) - nats(prompt) for text in texts]
    assert question.joined == joined
    assert (found == pytest.approx(exact, abs=1e-9)) != joined
    behind_parallel = tuple(
        tuple(tokenizer(f"a:{separator}({label})")["input_ids"][len(question.parallel.ids) :])
        for label in "12"
    )
    assert question.parallel_option_ids == behind_parallel
    said = joined_options_warning([Task(CHOICE, "sw", [question])]) or ""
    assert ("blank" in said) == joined
