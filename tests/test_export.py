"""An exported model, in a process that cannot import `cctuning`, against the naive two-prefill reference."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from torch import Tensor
from transformers import PreTrainedModel

from cctuning import CCTuningModel, ConnectionConfig
from cctuning.export import export_monolingual
from tests.models import ARCHITECTURES, ASSISTANT, BOS, EOS, USER, build, pad, random_ids, word_tokenizer
from tests.naive import (
    Settings,
    inference_vector,
    injected,
    layers_of,
    naive_bilingual_generate,
    naive_generate,
    naive_log_likelihoods,
    naive_monolingual_generate,
)

pytestmark = pytest.mark.slow

WINDOWED = ["mistral_window", "gemma2", "gemma3"]
# Their eager attention turns rows of padding into NaN in float64, connected or not.
IN_FLOAT32 = ["bloom", "gemma2"]
# Two correct engines may take another token below this gap between two logits. (float64 models, too, round to
# float32 inside of norms.)
MARGIN = {torch.float64: 1e-5, torch.float32: 1e-4}


class Isolated:
    """A Python process that answers the calls of tests/exported.py."""

    def __init__(self, folder: Path) -> None:
        script = Path(__file__).with_name("exported.py")
        environment = os.environ | {"HF_HOME": str(folder), "HF_MODULES_CACHE": str(folder / "modules")}
        with (folder / "stderr").open("w") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-I", str(script)],
                cwd=folder,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def call(self, name: str, **arguments: Any) -> Any:
        self.process.stdin.write(json.dumps({"call": name, "arguments": arguments}, default=as_json) + "\n")
        self.process.stdin.flush()
        reply = json.loads(self.process.stdout.readline())
        if "error" in reply:
            raise RuntimeError(reply["error"])
        return reply["result"]

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(timeout=30)
        self.process.stdout.close()


def as_json(value: Any) -> Any:
    return value.tolist() if isinstance(value, Tensor) else str(value)


@dataclass
class Export:
    """An exported model's directory, and all that the reference needs."""

    directory: Path
    plain: PreTrainedModel
    decision_maker: Tensor
    transform: Tensor
    settings: Settings
    known: dict[str, Any] = field(default_factory=dict)  # what many tests ask of the reference

    def naive(self, prompt: Tensor, new_tokens: int) -> Any:
        asked = f"{prompt.tolist()} {new_tokens}"
        if asked not in self.known:
            self.known[asked] = naive_monolingual_generate(
                self.plain, self.decision_maker, self.transform, prompt, new_tokens, self.settings
            )
        generation = self.known[asked]
        assert generation.margin > MARGIN[self.plain.dtype], (
            "two correct engines may differ here: pick another prompt"
        )
        return generation

    def vector(self, prompt: Tensor) -> Tensor:
        f, _ = inference_vector(
            self.plain, self.decision_maker, prompt, transform=self.transform, settings=self.settings
        )
        return f


@pytest.fixture(scope="module")
def isolated(tmp_path_factory):
    process = Isolated(tmp_path_factory.mktemp("isolated"))
    yield process
    process.close()


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    """Exports a model of an architecture, once for each set of settings."""
    done: dict[str, Export] = {}

    def get(name: str, *, changes: dict[str, Any] | None = None, **settings: Any) -> Export:
        key = f"{name} {changes} {settings}"
        if key not in done:
            done[key] = make_export(tmp_path_factory.mktemp("export"), name, changes or {}, settings)
        return done[key]

    return get


def make_export(directory: Path, name: str, changes: dict[str, Any], settings: dict[str, Any]) -> Export:
    if name in IN_FLOAT32:
        changes = {"dtype": torch.float32} | changes
    matrices = {name: settings.pop(name, None) for name in ("affine", "each", "rank")}
    plain = build(name, **changes)
    model = CCTuningModel.wrap(build(name, **changes), ConnectionConfig(**settings))
    decision_maker, transform = random_connection(plain)
    if model.decision_maker is not None:
        model.decision_maker.weight.data = decision_maker.T.clone()
    given = Settings(**settings, statistics=model.output_statistics and random_statistics(model))
    if model.connection_gate is not None:
        given.factors = model.connection_gate.weight.data.normal_()
    factors = random_factors(transform, len(layers_of(plain)), **matrices)
    export_monolingual(model, word_tokenizer(), factors if len(factors) > 1 else factors[0], directory)
    *others, last = factors
    if others:  # their product, and below it what is added
        rank = others[0].shape[-1]
        last = torch.cat([others[0] @ last[..., :rank, :], last[..., rank:, :]], dim=-2)
    return Export(directory, plain, decision_maker, last, given)


def random_factors(
    transform: Tensor, layers: int, *, affine: Any, each: Any, rank: Any
) -> tuple[Tensor, ...]:
    """`transform` (d, d); for `each` layer another, of a rank two factors, and a row more where affine."""
    generator, d = torch.Generator().manual_seed(3), len(transform)

    def randn(*shape: int) -> Tensor:
        several = (layers,) if each else ()
        return torch.randn(*several, *shape, generator=generator, dtype=torch.float64).to(transform.dtype)

    if rank:
        factors = (2 * randn(d, rank) / d**0.5, randn(rank, d))
    else:
        factors = (2 * randn(d, d) / d**0.5 if each else transform,)
    if affine:
        row = torch.linspace(-1, 1, d, dtype=transform.dtype)
        row = row * torch.arange(1, layers + 1)[:, None, None] if each else row[None]
        factors = (*factors[:-1], torch.cat([factors[-1], row], dim=-2))
    return factors


def random_statistics(model: Any) -> tuple[Tensor, Tensor]:
    """Mean (L, d) and scale (L,), set in `model`."""
    torch.manual_seed(2)
    module = model.output_statistics
    return module.mean.normal_(), module.scale.uniform_(0.5, 2)


def random_connection(model: PreTrainedModel) -> tuple[Tensor, Tensor]:
    """W_DM (d, L) and W_T (d, d)."""
    generator = torch.Generator().manual_seed(1)
    d, layers = model.config.hidden_size, len(layers_of(model))
    decision_maker = torch.randn(d, layers, generator=generator, dtype=torch.float64)
    transform = 2 * torch.randn(d, d, generator=generator, dtype=torch.float64) / d**0.5
    return decision_maker.to(model.dtype), transform.to(model.dtype)


def left_padded(prompts: list[Tensor]) -> dict[str, Tensor]:
    ids, mask = pad(prompts, "left")
    return {"input_ids": ids, "attention_mask": mask}


def some_prompts(*lengths: int) -> list[Tensor]:
    return [random_ids(length, seed=length) for length in lengths]


def greedy(new_tokens: int, **more: Any) -> dict[str, Any]:
    return {"max_new_tokens": new_tokens, "do_sample": False, **more}


def assert_greedy(isolated, made, prompts, new_tokens=7, **arguments):
    """One left-padded batch gives the tokens and the choice of layer of the naive reference, row by row."""
    out = isolated.call(
        "generate", directory=made.directory, inputs=left_padded(prompts), **greedy(new_tokens, **arguments)
    )
    expected = [made.naive(prompt, new_tokens) for prompt in prompts]
    assert out["tokens"] == [generation.tokens.tolist() for generation in expected]
    weights = torch.tensor(out["weights"], dtype=torch.float64)
    torch.testing.assert_close(
        weights, torch.stack([generation.weights for generation in expected]).double(), rtol=1e-5, atol=1e-6
    )
    return out, expected


# --- What is exported -------------------------------------------------------------------------------------


def test_the_process_cannot_import_us(isolated):
    with pytest.raises(RuntimeError, match="must not be imported"):
        isolated.call("import_cctuning")


def test_files_and_weights(export):
    made = export("llama")
    config = json.loads((made.directory / "config.json").read_text())
    assert config["model_type"] == "llama"
    assert config["auto_map"]["AutoModelForCausalLM"].startswith("modeling_cctuning.")
    source = (made.directory / "modeling_cctuning.py").read_text()
    assert "import cctuning" not in source and "from cctuning" not in source
    weights = load_file(made.directory / "model.safetensors")
    assert torch.equal(weights["decision_maker.weight"], made.decision_maker.T)
    assert torch.equal(weights["transform_matrix.weight"], made.transform.T)


@pytest.mark.parametrize("name", ["llama", "gemma3", "gpt2"])
def test_loaded_with_and_without_our_code(isolated, export, name):
    made = export(name)
    connected = isolated.call("describe", directory=made.directory)
    base = type(made.plain).__name__
    assert connected["class"] == f"CCTuning{base}" and base in connected["bases"]
    assert {"decision_maker.weight", "transform_matrix.weight"} <= set(connected["parameters"])
    assert not any(connected["report"].values()), connected["report"]
    plain = isolated.call("describe", directory=made.directory, connected=False)
    assert plain["class"] == base and plain["module"].startswith("transformers.")
    assert connected["model_type"] == plain["model_type"] == made.plain.config.model_type
    assert not plain["report"]["missing_keys"]
    inputs = left_padded(some_prompts(5, 3))
    out = isolated.call(
        "generate", directory=made.directory, inputs=inputs, load_options={"connected": False}, **greedy(6)
    )
    assert out["tokens"] == made.plain.generate(**inputs, **greedy(6))[:, 5:].tolist()


@pytest.mark.parametrize("settings", [{}, {"each": True, "rank": 4, "affine": True}], ids=str)
def test_save_round_trip(isolated, export, tmp_path, settings):
    made = export("llama", **settings)
    isolated.call("save_again", directory=made.directory, target=tmp_path)
    again = isolated.call("describe", directory=tmp_path)
    assert again == isolated.call("describe", directory=made.directory) | {"module": again["module"]}
    weights, before = (
        load_file(tmp_path / "model.safetensors"),
        load_file(made.directory / "model.safetensors"),
    )
    assert weights.keys() == before.keys()
    assert all(torch.equal(weights[name], before[name]) for name in before)
    made = Export(tmp_path, made.plain, made.decision_maker, made.transform, made.settings)
    assert_greedy(isolated, made, some_prompts(4, 7))


@pytest.mark.parametrize("name", ["llama", "gemma3"])
def test_tied_embeddings(isolated, export, name):
    made = export(name, changes={"tie_word_embeddings": True})
    assert "lm_head.weight" not in load_file(made.directory / "model.safetensors")
    assert_greedy(isolated, made, some_prompts(4, 7))


def test_an_adapter_is_merged(isolated, tmp_path):
    """Both LoRA's weights and the trained copy of the Decision Maker arrive in the export."""

    def lora(**more: Any) -> LoraConfig:
        options = {"r": 4, "target_modules": "all-linear", "init_lora_weights": False}
        return LoraConfig(task_type="CAUSAL_LM", **options, **more)

    adapted = get_peft_model(CCTuningModel.wrap(build("llama")), lora(modules_to_save=["decision_maker"]))
    reference = get_peft_model(build("llama"), lora())
    weights = dict(adapted.named_parameters())
    for name, parameter in reference.named_parameters():
        parameter.data.copy_(weights[name])
    plain = reference.merge_and_unload()
    decision_maker, transform = random_connection(plain)
    adapted.decision_maker.modules_to_save["default"].weight.data.copy_(decision_maker.T)

    export_monolingual(adapted, word_tokenizer(), transform, tmp_path)
    made = Export(tmp_path, plain, decision_maker, transform, Settings())
    assert_greedy(isolated, made, some_prompts(4, 7))
    untouched = build("llama").generate(**left_padded(some_prompts(4)), **greedy(7))[:, 4:]
    assert made.naive(*some_prompts(4), 7).tokens.tolist() != untouched[0].tolist()


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({}, ("weight", "bias")),
        ({"each": True}, ("weight", "bias")),
        ({"each": True, "rank": 4}, ("down", "up", "bias")),
    ],
    ids=str,
)
def test_bfloat16_runs(isolated, export, settings, names):
    made = export("llama", changes={"dtype": torch.bfloat16}, affine=True, **settings)
    weights = load_file(made.directory / "model.safetensors")
    kept = {name for name in weights if name.startswith("transform_matrix.")}
    assert kept == {f"transform_matrix.{name}" for name in names}
    for name in kept:
        assert weights[name].dtype == torch.bfloat16
    inputs = left_padded(some_prompts(5, 8))
    out = isolated.call("generate", directory=made.directory, inputs=inputs, **greedy(6))
    assert len(out["tokens"]) == 2 and all(len(row) == 6 for row in out["tokens"])


# --- Greedy generation ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_greedy(isolated, export, name):
    """Prompts of 1 to 9 tokens in one batch, and one alone."""
    made, prompts = export(name), some_prompts(4, 1, 9, 6)
    out, _ = assert_greedy(isolated, made, prompts)
    alone, _ = assert_greedy(isolated, made, prompts[:1])
    assert alone["tokens"] == out["tokens"][:1]
    inputs = left_padded(prompts)
    plain = made.plain.generate(**inputs, **greedy(7))[:, 9:].tolist()
    assert sum(ours != theirs for ours, theirs in zip(out["tokens"], plain, strict=True)) >= 2


@pytest.mark.parametrize(
    "settings",
    [
        {"sublayer": "attention"},
        {"sublayer": "block"},
        {"pooling": "mean"},
        {"pooling": "layer", "layer": -2},
        {"embedding": "mean"},
        {"hard": False, "temperature": 2.0},
        {"centred": True},
        {"scale": 0.5, "pooling": "layer", "layer": -1},
        {"gate": "vector"},
        {"decision_maker_norm": True},
        {"affine": True},
        {"affine": True, "pooling": "layer", "layer": 1, "centred": True, "gate": "vector"},
        {"each": True},
        {"each": True, "affine": True, "pooling": "mean"},
        {"each": True, "affine": True, "rank": 4, "hard": False, "centred": True, "scale": 0.5},
        {"rank": 4, "affine": True},
        {"target_layer": 1},
        {"target_layer": -1, "sublayer": "block", "gate": "scalar", "centred": True},
    ],
    ids=lambda settings: ",".join(f"{key}={value}" for key, value in settings.items()),
)
def test_settings(isolated, export, settings):
    """Several at once with windows, too."""
    for name in ("llama", "gemma3") if len(settings) > 1 else ("llama",):
        made = export(name, **settings)
        assert_greedy(isolated, made, some_prompts(3, 1, 9))
        assert_greedy(isolated, made, some_prompts(3, 9), prefill_chunk_size=4)


SUBLAYERS = {"bloom": "attention", "falcon": "block", "granite": "attention", "glm4": "block"}


@pytest.mark.parametrize(("name", "sublayer"), [*SUBLAYERS.items(), ("gpt_neox", "attention")])
def test_other_sublayers(isolated, export, name, sublayer):
    assert_greedy(isolated, export(name, sublayer=sublayer), some_prompts(3, 8))


@pytest.mark.parametrize("name", ["llama", *WINDOWED])
@pytest.mark.parametrize(
    "arguments",
    [
        {"cache_implementation": "static"},
        {"use_cache": False},
        {"prefill_chunk_size": 3},
        {"prefill_chunk_size": 4, "cache_implementation": "static"},
    ],
    ids=lambda arguments: ",".join(f"{key}={value}" for key, value in arguments.items()),
)
def test_caches(isolated, export, name, arguments):
    assert_greedy(isolated, export(name), some_prompts(6, 2, 9), **arguments)


@pytest.mark.parametrize("name", WINDOWED)
def test_windows(isolated, export, name):
    """Prompts shorter than the window of 4, as long, and longer; alone, and generating far past it."""
    made = export(name)
    for prompt in some_prompts(*range(1, 8)):
        assert_greedy(isolated, made, [prompt], new_tokens=6)


@pytest.mark.parametrize("name", ["llama", "gemma3"])
def test_long_prompts(isolated, export, name):
    assert_greedy(isolated, export(name), some_prompts(60, 33), new_tokens=5)


def test_bilingual(isolated, export):
    """With real English prompts it takes those, not the Transform Matrix."""
    made = export("llama")
    prompts, english = some_prompts(4, 7, 2), some_prompts(5, 3, 8)
    ids, mask = pad(english, "right")
    inputs = left_padded(prompts) | {"english_input_ids": ids, "english_attention_mask": mask}
    out = isolated.call("generate", directory=made.directory, inputs=inputs, **greedy(6))
    expected = [
        naive_bilingual_generate(made.plain, made.decision_maker, x, x_en, 6)
        for x, x_en in zip(prompts, english, strict=True)
    ]
    assert out["tokens"] == [generation.tokens.tolist() for generation in expected]

    beams = greedy(6, num_beams=3, num_return_sequences=2)
    out = isolated.call("generate", directory=made.directory, inputs=inputs, **beams)
    for row, (x, x_en) in enumerate(zip(prompts, english, strict=True)):
        f, _ = inference_vector(made.plain, made.decision_maker, x, english=x_en)
        expected_beams = naive_generate(made.plain, x, f, **beams)[:, len(x) :]
        assert out["tokens"][2 * row : 2 * row + 2] == expected_beams.tolist()


def test_stops_at_the_end_token(isolated, export):
    """A row that ends early is padded; the others go on."""
    made, prompts = export("llama"), some_prompts(4, 1, 9, 6)
    expected = [made.naive(prompt, 7).tokens.tolist() for prompt in prompts]
    stop = expected[0][2]

    def stopped(tokens: list[int]) -> list[int]:
        end = tokens.index(stop) + 1 if stop in tokens else len(tokens)
        return tokens[:end] + [0] * (len(tokens) - end)

    inputs = left_padded(prompts)
    out = isolated.call(
        "generate", directory=made.directory, inputs=inputs, **greedy(7, eos_token_id=stop, pad_token_id=0)
    )
    assert out["tokens"] == [stopped(tokens) for tokens in expected]


# --- Other ways to decode ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["llama", "gemma2", "mistral_window"])
def test_beam_search(isolated, export, name):
    """Three beams of a padded batch equal transformers' own search over connected forwards, row by row."""
    made, prompts = export(name), some_prompts(4, 1, 9)
    arguments = greedy(6, num_beams=3, num_return_sequences=2)
    out = isolated.call(
        "generate", directory=made.directory, inputs=left_padded(prompts), output_scores=True, **arguments
    )
    for row, prompt in enumerate(prompts):
        f = made.vector(prompt)
        expected = naive_generate(
            made.plain, prompt, f, return_dict_in_generate=True, output_scores=True, **arguments
        )
        rows = slice(2 * row, 2 * row + 2)
        assert out["tokens"][rows] == expected.sequences[:, len(prompt) :].tolist()
        scores = torch.tensor(out["sequences_scores"][rows])
        torch.testing.assert_close(scores, expected.sequences_scores.float(), rtol=1e-5, atol=1e-5)
        for tokens, score in zip(out["tokens"][rows], scores, strict=True):
            log_likelihoods = naive_log_likelihoods(made.plain, prompt, torch.tensor(tokens), f)
            # The score is the sum over the length (length_penalty 1).
            assert float(log_likelihoods.mean()) == pytest.approx(float(score), abs=1e-5)


def test_sampling(isolated, export):
    made, prompt = export("llama"), random_ids(5, seed=1)
    arguments = {"max_new_tokens": 10, "do_sample": True, "temperature": 0.8, "top_k": 20}

    def sampled(seed: int) -> list[int]:
        inputs = left_padded([prompt])
        out = isolated.call("generate", directory=made.directory, inputs=inputs, seed=seed, **arguments)
        return out["tokens"][0]

    def expected(seed: int) -> list[int]:
        torch.manual_seed(seed)
        return naive_generate(made.plain, prompt, made.vector(prompt), **arguments)[0, 5:].tolist()

    assert sampled(1) == sampled(1) == expected(1)
    assert sampled(2) == expected(2) != sampled(1)


def test_several_samples_of_each_prompt(isolated, export):
    """Each sample goes on from its own prompt, as connected as that one is."""
    made, prompts = export("llama"), some_prompts(5, 2)
    arguments = {"max_new_tokens": 6, "do_sample": True, "num_return_sequences": 3, "output_logits": True}
    out = isolated.call("generate", directory=made.directory, inputs=left_padded(prompts), **arguments)
    for number, tokens in enumerate(out["tokens"]):
        prompt = prompts[number // 3]
        logits = torch.tensor(out["logits"][number], dtype=torch.float64).log_softmax(-1)
        expected = naive_log_likelihoods(made.plain, prompt, torch.tensor(tokens), made.vector(prompt))
        torch.testing.assert_close(logits[torch.arange(6), tokens], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["llama", "gemma3"])
def test_assisted_decoding(isolated, export, name, tmp_path):
    """Drafts change nothing: another model's, connected or plain, the model's own, or the prompt's."""
    made, prompt = export(name), random_ids(6, seed=6)
    expected, inputs = [made.naive(prompt, 9).tokens.tolist()], left_padded([prompt])
    lookup = greedy(9, prompt_lookup_num_tokens=2)
    out = isolated.call("generate", directory=made.directory, inputs=inputs, **lookup)
    assert out["tokens"] == expected

    plain = build(name, seed=5)
    plain.save_pretrained(tmp_path)
    assistants = [export("llama").directory, tmp_path, made.directory]
    try:
        made.plain.generate(**inputs, assistant_model=plain, **greedy(9))
    except RuntimeError:  # transformers 5.17 with sliding layers, nothing of ours involved
        assistants = assistants[:1]
    for assistant in assistants:
        out = isolated.call(
            "generate_assisted", directory=made.directory, assistant=assistant, inputs=inputs, **greedy(9)
        )
        assert out["tokens"] == expected


def test_a_twin_drafts_what_is_accepted(isolated, export, tmp_path):
    """An exported assistant stays connected at the prompt's end, so the same model's drafts are all taken."""
    made, prompt = export("llama"), random_ids(6, seed=6)
    isolated.call("save_again", directory=made.directory, target=tmp_path)
    inputs = left_padded([prompt])
    out = isolated.call(
        "generate_assisted", directory=made.directory, assistant=tmp_path, inputs=inputs, **greedy(12)
    )
    assert out["tokens"] == [made.naive(prompt, 12).tokens.tolist()]
    assert out["forwards"] == 2  # each checks 5 drafted tokens and adds one of its own


def test_streaming(isolated, export):
    made, prompt = export("llama"), random_ids(6, seed=6)
    tokens = isolated.call(
        "generate_streamed", directory=made.directory, inputs=left_padded([prompt]), **greedy(7)
    )
    assert tokens == [*prompt.tolist(), *made.naive(prompt, 7).tokens.tolist()]


def test_prompts_as_embeddings(isolated, export):
    made, prompts = export("llama"), some_prompts(6, 3)
    tokens = isolated.call(
        "generate_from_embeddings", directory=made.directory, inputs=left_padded(prompts), **greedy(7)
    )
    assert tokens == [made.naive(prompt, 7).tokens.tolist() for prompt in prompts]


def test_hidden_states_can_be_asked_for(isolated, export):
    assert_greedy(isolated, export("llama"), some_prompts(6, 3), output_hidden_states=True)


@pytest.mark.parametrize("name", ["llama", "gemma3"])
@pytest.mark.parametrize("arguments", [{}, {"output_attentions": True}, {"cache_implementation": "static"}])
def test_eager_attention(isolated, export, name, arguments):
    made = export(name, changes={"dtype": torch.float32})
    options = {"load_options": {"attention": "eager"}}
    assert_greedy(isolated, made, some_prompts(6, 3), **options, **arguments)


@pytest.mark.parametrize("batch_size", [1, 3])
def test_pipeline(isolated, export, batch_size):
    """Chats of different lengths; the tokenizer that was exported brings template and padding."""
    made, tokenizer = export("llama"), word_tokenizer()
    texts = ["w7 w20 w33", "w9", "w50 w51 w6 w8 w30"]
    out = isolated.call("pipe", directory=made.directory, texts=texts, batch_size=batch_size, **greedy(7))
    for text, answer in zip(texts, out, strict=True):
        words = [int(word[1:]) for word in text.split()]
        prompt = torch.tensor([BOS, USER, *words, EOS, ASSISTANT])
        assert answer == tokenizer.decode(made.naive(prompt, 7).tokens, skip_special_tokens=True)


def test_threads(isolated, export):
    """Generating at once, in two threads with one model, gives what one after another does."""
    made, prompts = export("llama"), some_prompts(6, 9, 3)
    batches = [left_padded(prompts[:1]), left_padded(prompts[1:])]
    out = isolated.call(
        "generate_in_threads", directory=made.directory, batches=batches, repeats=5, **greedy(12)
    )
    first, second, third = ([made.naive(prompt, 12).tokens.tolist()] for prompt in prompts)
    assert out["one_by_one"] == [first, second + third]
    assert all(result == out["one_by_one"] for result in out["rounds"])


@pytest.mark.parametrize("name", ["llama", "gemma3"])
def test_conversation(isolated, export, name):
    """The last response start alone is connected, whatever cache there is of earlier turns."""
    made = export(name)
    turns = [
        random_ids(5, seed=21).tolist(),
        random_ids(3, seed=22).tolist(),
        random_ids(1, seed=23).tolist(),
    ]
    answers = isolated.call("converse", directory=made.directory, turns=turns, **greedy(5))

    sequence: list[int] = []
    for turn, answer in zip(turns, answers, strict=True):
        sequence += turn
        assert answer == made.naive(torch.tensor(sequence), 5).tokens.tolist()
        sequence += answer


# --- Bare forwards ----------------------------------------------------------------------------------------


def marked_prompts(*lengths: int) -> list[Tensor]:
    """Prompts as the chat template writes them; they end in the response marker."""
    return [
        torch.cat(
            [torch.tensor([BOS, USER]), random_ids(length, seed=length), torch.tensor([EOS, ASSISTANT])]
        )
        for length in lengths
    ]


def real_tokens(values: Any, mask: Tensor) -> list[Tensor]:
    """Per row what stands at tokens that are no padding."""
    return [
        torch.tensor(row, dtype=torch.float64)[keep.bool()] for row, keep in zip(values, mask, strict=True)
    ]


def is_marked(tokens: Tensor) -> bool:
    return any(pair.tolist() == [EOS, ASSISTANT] for pair in tokens.unfold(0, 2, 1))


def token_log_likelihoods(logits: Tensor, prompt: Tensor, response: Tensor) -> Tensor:
    scores = logits[len(prompt) - 1 : -1].log_softmax(-1)
    return scores[torch.arange(len(response)), response]


@pytest.mark.parametrize(
    "name", ["llama", "gemma3", "mistral_window", "qwen3_moe", "bloom", "falcon", "gptj"]
)
def test_log_likelihoods_equal_the_scores_of_generate(isolated, export, name):
    made, prompts = export(name), marked_prompts(5, 1, 8)
    generated = isolated.call(
        "generate", directory=made.directory, inputs=left_padded(prompts), **greedy(6, output_logits=True)
    )
    responses = [torch.tensor(tokens) for tokens in generated["tokens"]]
    assert not any(is_marked(response) for response in responses), "pick other prompts"
    found = []  # by side and row
    for side in ("left", "right"):
        ids, mask = pad([torch.cat(pair) for pair in zip(prompts, responses, strict=True)], side)
        inputs = {"input_ids": ids, "attention_mask": mask}
        out = isolated.call("forward", directory=made.directory, inputs=inputs)
        assert out["warnings"] == []
        found.append(real_tokens(out["logits"], mask))
    rows = zip(prompts, responses, zip(*found, strict=True), generated["logits"], strict=True)
    for prompt, response, both, scores in rows:
        of_generate = torch.tensor(scores, dtype=torch.float64).log_softmax(-1)
        f = made.vector(prompt)
        expected = naive_log_likelihoods(made.plain, prompt, response, f, made.settings).double()
        torch.testing.assert_close(of_generate[torch.arange(6), response], expected, rtol=1e-5, atol=2e-5)
        plain = naive_log_likelihoods(made.plain, prompt, response, None)
        for logits in both:
            actual = token_log_likelihoods(logits, prompt, response)
            torch.testing.assert_close(actual, expected, rtol=1e-5, atol=2e-5)
            assert float((plain - actual).abs().max()) > 0.1


@pytest.mark.parametrize(
    "settings", [{"sublayer": "attention"}, {"sublayer": "block"}, {"embedding": "mean"}]
)
def test_log_likelihoods_with_other_settings(isolated, export, settings):
    made, prompts = export("llama", **settings), marked_prompts(5, 2)
    response = random_ids(4, seed=3)
    for side in ("left", "right"):
        ids, mask = pad([torch.cat([prompt, response]) for prompt in prompts], side)
        out = isolated.call(
            "forward", directory=made.directory, inputs={"input_ids": ids, "attention_mask": mask}
        )
        for prompt, logits in zip(prompts, real_tokens(out["logits"], mask), strict=True):
            expected = naive_log_likelihoods(made.plain, prompt, response, made.vector(prompt), made.settings)
            actual = token_log_likelihoods(logits, prompt, response)
            torch.testing.assert_close(actual, expected, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("embedding", ["last", "mean"])
def test_right_padded_without_a_mask(isolated, export, embedding):
    """As evaluation harnesses call a causal model: padding on the right is behind all that counts."""
    made, prompts, response = (
        export("llama", embedding=embedding),
        marked_prompts(5, 2),
        random_ids(4, seed=3),
    )
    ids, mask = pad([torch.cat([prompt, response]) for prompt in prompts], "right")
    out = isolated.call("forward", directory=made.directory, inputs={"input_ids": ids})
    for prompt, logits in zip(prompts, real_tokens(out["logits"], mask), strict=True):
        expected = naive_log_likelihoods(made.plain, prompt, response, made.vector(prompt))
        actual = token_log_likelihoods(logits, prompt, response)
        torch.testing.assert_close(actual, expected, rtol=1e-5, atol=2e-5)


def test_last_logits_alone(isolated, export):
    made, (prompt,), response = export("llama"), marked_prompts(5), random_ids(4, seed=3)
    ids = torch.cat([prompt, response])[None]
    out = isolated.call("forward", directory=made.directory, inputs={"input_ids": ids}, logits_to_keep=5)
    logits = torch.tensor(out["logits"][0], dtype=torch.float64)
    assert len(logits) == 5
    expected = naive_log_likelihoods(made.plain, prompt, response, made.vector(prompt))
    actual = logits[:-1].log_softmax(-1)[torch.arange(4), response]
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=2e-5)


def test_the_last_marker_counts(isolated, export):
    """In a conversation the response start is the end of the last response marker."""
    made = export("llama")
    prompt, response = torch.cat(marked_prompts(4, 3, 5)), random_ids(4, seed=3)
    ids = torch.cat([prompt, response])[None]
    out = isolated.call("forward", directory=made.directory, inputs={"input_ids": ids})
    actual = token_log_likelihoods(torch.tensor(out["logits"][0], dtype=torch.float64), prompt, response)
    expected = naive_log_likelihoods(made.plain, prompt, response, made.vector(prompt))
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("into_cache", [False, True])
@pytest.mark.parametrize("index", [3, [2, 6], [-1, 6]], ids=str)
@pytest.mark.parametrize("name", ["llama", "gemma3"])
def test_an_explicit_index_wins(isolated, export, name, index, into_cache):
    """For all rows or for each; -1 is a row that is not connected."""
    made = export(name)
    sequences = [torch.cat([prompt, random_ids(4, seed=3)]) for prompt in marked_prompts(5, 5)]
    inputs, arguments = {"input_ids": torch.stack(sequences)}, {}
    if isinstance(index, list):
        inputs["connection_index"] = torch.tensor(index)
    else:
        arguments["connection_index"] = index
    out = isolated.call(
        "forward", directory=made.directory, inputs=inputs, into_cache=into_cache, **arguments
    )
    starts = index if isinstance(index, list) else [index] * 2
    for sequence, start, logits in zip(sequences, starts, out["logits"], strict=True):
        f = made.vector(sequence[: start + 1]) if start >= 0 else torch.zeros(32, dtype=torch.float64)
        with injected(made.plain, "ffn", max(start, 0), f), torch.no_grad():
            expected = made.plain(input_ids=sequence[None], use_cache=False).logits[0]
        actual = torch.tensor(logits, dtype=torch.float64)
        torch.testing.assert_close(actual, expected, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("row", [0, 1])
def test_a_row_without_a_marker_fails(isolated, export, row):
    """It does not become another model, alone or beside a row that has one."""
    made, (marked,) = export("llama"), marked_prompts(3)
    rows = [random_ids(len(marked), seed=1)] if row == 0 else [marked, random_ids(len(marked), seed=1)]
    with pytest.raises(Exception, match=f"no response marker in row {row}"):
        isolated.call("forward", directory=made.directory, inputs={"input_ids": torch.stack(rows)})


@pytest.mark.parametrize("name", ["llama", "gemma3"])
def test_decoding_by_hand(isolated, export, name):
    """A loop of bare forwards over a cache: the marker is in the first, and behind the others."""
    made, (prompt,) = export(name), marked_prompts(5)
    tokens = isolated.call(
        "decode_by_hand", directory=made.directory, inputs={"input_ids": prompt[None]}, steps=6
    )
    assert tokens == [made.naive(prompt, 6).tokens.tolist()]
