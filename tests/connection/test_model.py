"""A wrapped model against the naive reference: the loss and every gradient, in float64."""

import copy
import warnings

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import nn
from transformers import AutoModelForCausalLM

from cctuning import CCTuningModel, ConnectionConfig
from cctuning.connection.model import load_model, save_connection
from cctuning.connection.modeling_cctuning import contrast
from tests.models import ARCHITECTURES, build, pad, random_ids
from tests.naive import (
    Settings,
    TrainingRow,
    connected_outputs,
    gradients,
    layers_of,
    naive_bilingual_generate,
    naive_contrast,
    naive_training_step,
    sublayer_outputs,
)

pytestmark = pytest.mark.usefixtures("no_float32")

SEED = 3  # of the Gumbel noise: the rows below choose different layers
MAIN = ["llama", "qwen2", "mistral", "gemma2", "gemma3", "gpt_neox"]


def some_rows():
    lengths = [(5, 4, 3), (2, 6, 1), (7, 3, 5), (1, 1, 2)]
    return [
        TrainingRow(*(random_ids(length, seed=10 * row + part) for part, length in enumerate(parts)))
        for row, parts in enumerate(lengths)
    ]


def arguments(rows, *, side="right", english_side="right"):
    """The wrapped model's arguments for these rows."""
    ids, mask = pad([torch.cat([row.prompt, row.response]) for row in rows], side)
    unlabelled = [torch.full_like(row.prompt, -100) for row in rows]
    labels, _ = pad(
        [torch.cat([u, r.response]) for u, r in zip(unlabelled, rows, strict=True)], side, fill=-100
    )
    english_ids, english_mask = pad([row.english for row in rows], english_side)
    return {
        "input_ids": ids,
        "attention_mask": mask,
        "labels": labels,
        "prompt_lengths": torch.tensor([len(row.prompt) for row in rows]),
        "english_input_ids": english_ids,
        "english_attention_mask": english_mask,
    }


def wrapped_and_plain(name, *, changes=None, **settings):
    """The wrapped model in training mode, a plain copy of its base, and its W_DM (d, L) as a leaf."""
    plain = build(name, **(changes or {})).train()
    model = CCTuningModel.wrap(copy.deepcopy(plain), ConnectionConfig(**settings))
    decision_maker = 0.3 * torch.randn(plain.config.hidden_size, len(layers_of(plain)), dtype=plain.dtype)
    if model.output_statistics is not None:
        model.output_statistics.mean.normal_()
        model.output_statistics.scale.uniform_(0.2, 2)
    if model.decision_maker is not None:
        model.decision_maker.weight.data = decision_maker.T.clone()
    if model.connection_gate is not None:
        model.connection_gate.weight.data.normal_()
    if model.own_transform is not None:
        model.own_transform.weight.normal_()
    return model, plain, decision_maker.requires_grad_()


def naive_step(plain, rows, decision_maker, **settings):
    torch.manual_seed(SEED)
    step = naive_training_step(plain, rows, decision_maker, Settings(**settings))
    parameters = {name: p for name, p in plain.named_parameters() if p.requires_grad}
    if settings.get("factors") is not None:
        parameters["connection_gate.weight"] = settings["factors"]
    values = gradients(step.loss, parameters | {"decision_maker": decision_maker})
    values["decision_maker.weight"] = values.pop("decision_maker").T
    return step, values


def assert_equal_step(model, out, step, expected):
    """The loss, the logits at real tokens (through the loss), the choice, and every gradient."""
    torch.testing.assert_close(out.loss, step.loss, rtol=1e-10, atol=1e-12)
    out.loss.backward()
    assert {name for name, p in model.named_parameters() if p.requires_grad} <= set(expected)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            actual = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            close(name, actual, expected[name])


def close(name, actual, expected):
    scale = float(expected.abs().max())
    torch.testing.assert_close(
        actual, expected, rtol=1e-8, atol=1e-9 * max(scale, 1e-3), msg=lambda text: f"{name}: {text}"
    )


def test_a_closed_gate_is_plain_fine_tuning_and_learns():
    """At its start f is 0: loss and gradients are the plain model's, and the gate has one of its own."""
    torch.manual_seed(0)
    model, plain, _ = wrapped_and_plain("llama", gate="scalar")
    model.connection_gate.weight.data.zero_()
    rows = some_rows()
    given = arguments(rows)
    out = model(**given)
    plain_loss = plain(**{name: given[name] for name in ("input_ids", "attention_mask", "labels")}).loss
    torch.testing.assert_close(out.loss, plain_loss, rtol=1e-12, atol=0)
    out.loss.backward(), plain_loss.backward()
    values = dict(model.named_parameters())
    for name, parameter in plain.named_parameters():
        close(name, values[name].grad, parameter.grad)
    assert float(model.connection_gate.weight.grad.abs()) > 1e-6


SIDES = [(None, "left"), (False, "right"), (True, "left"), (True, "right")]


@pytest.mark.parametrize(("checkpointing", "side"), SIDES)
def test_a_share_of_the_rows_has_its_own_vector_in_training_alone(side, checkpointing):
    settings = {"monolingual_share": 0.5, "pooling": "mean"}
    model, _, _ = check("llama", side=side, checkpointing=checkpointing, **settings)
    rows = some_rows()
    step = naive_training_step(build("llama"), rows, torch.empty(0), Settings(pooling="mean"))
    torch.testing.assert_close(model.eval()(**arguments(rows)).loss, step.loss, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("checkpointing", "side"), SIDES)
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"monolingual_share": 0.5},
        {"scale": 2.0, "english_gradient": True, "sublayer": "block"},
        {"pooling": "layer", "layer": -1},
    ],
)
def test_an_alignment_contrasts_own_with_english_outputs(settings, side, checkpointing):
    """Centred, layer by layer; its gradient goes into the prompt's own outputs, read without a connection."""
    settings = {"centred": True, "pooling": "mean"} | settings
    torch.manual_seed(0)
    model, plain, decision_maker = wrapped_and_plain("llama", **settings, alignment=0.5)
    if checkpointing is not None:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": checkpointing})
    settings["statistics"] = (model.output_statistics.mean, model.output_statistics.scale)
    settings["transform"] = model.own_transform and model.own_transform.weight
    rows, given = some_rows(), Settings(**settings)
    torch.manual_seed(SEED)
    loss = naive_training_step(plain, rows, decision_maker, given).loss
    torch.manual_seed(SEED)
    out = model(**arguments(rows, side=side), use_cache=False)
    chosen = [-1] if settings["pooling"] == "layer" else range(len(model.decoder_layers))
    english = [connected_outputs(plain, row.english, given).detach() for row in rows]
    for number, (row, found) in enumerate(zip(rows, model.last_contrast, strict=True)):
        expected = naive_contrast(connected_outputs(plain, row.prompt, given), english, number, chosen)
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
        loss = loss + expected * 0.5 / len(rows)
    (out.loss + 0.5 * model.last_contrast.mean()).backward()
    parameters = dict(plain.named_parameters())
    values = gradients(loss, parameters)
    for name in parameters:
        close(name, model.get_parameter(name).grad, values[name])
    model.eval()(**arguments(rows))
    assert model.last_contrast is None


def test_a_row_is_told_from_each_distinct_english_prompt_once():
    own, distinct = torch.randn(2, 6, 3, 5, dtype=torch.float64)
    questions = torch.tensor([2, 0, 2, 1, 0, 0])
    found = contrast(own, distinct[questions], questions)
    for row, question in enumerate(questions.tolist()):
        expected = naive_contrast(own[row], list(distinct[:3]), question, range(3))
        torch.testing.assert_close(found[row], expected)


def check(
    name, *, rows=None, changes=None, checkpointing=None, side="right", english_side="right", **settings
):
    torch.manual_seed(0)
    model, plain, decision_maker = wrapped_and_plain(name, changes=changes, **settings)
    rows = rows or some_rows()
    if checkpointing is not None:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": checkpointing})
    if model.output_statistics is not None:
        settings["statistics"] = (model.output_statistics.mean, model.output_statistics.scale)
    if model.connection_gate is not None:
        settings["factors"] = model.connection_gate.weight.detach().clone().requires_grad_()
    if model.own_transform is not None:
        settings["transform"] = model.own_transform.weight
    step, expected = naive_step(plain, rows, decision_maker, **settings)
    torch.manual_seed(SEED)
    out = model(**arguments(rows, side=side, english_side=english_side), use_cache=False)
    torch.testing.assert_close(model.last_selection.weights, step.weights.detach())
    assert_equal_step(model, out, step, expected)
    return model, step, expected


@pytest.mark.parametrize("checkpointing", [None, False, True], ids=["plain", "non-reentrant", "reentrant"])
@pytest.mark.parametrize("name", MAIN)
def test_step_equals_naive(name, checkpointing):
    _, step, expected = check(name, checkpointing=checkpointing)
    assert len(step.weights.argmax(-1).unique()) > 1, "all rows chose one layer: pick another seed"
    assert float(expected["decision_maker.weight"].abs().max()) > 1e-6


@pytest.mark.parametrize("name", [name for name in ARCHITECTURES if name not in MAIN])
def test_every_architecture(name):
    check(name, checkpointing=False)


@pytest.mark.parametrize("sublayer", ["attention", "block"])
@pytest.mark.parametrize(
    "name", ["llama", "gemma3", "glm4", "granite", "gpt_neox", "gpt_neox_serial", "bloom", "falcon", "gptj"]
)
def test_other_sublayers(name, sublayer):
    check(name, sublayer=sublayer)


@pytest.mark.parametrize("target", [0, 1])
@pytest.mark.parametrize("sublayer", ["ffn", "attention", "block"])
@pytest.mark.parametrize("reentrant", [False, True])
def test_other_sublayers_checkpointed(sublayer, reentrant, target):
    # Granite scales what is connected.
    name = "granite" if reentrant == bool(target) else "llama"
    check(name, sublayer=sublayer, checkpointing=reentrant, target_layer=target)


@pytest.mark.parametrize(
    "settings",
    [
        {"english_gradient": True},
        {"english_gradient": True, "hard": False, "embedding": "mean"},
        {"embedding": "mean"},
        {"hard": False},
        {"temperature": 0.3},
        {"temperature": 3.0, "hard": False},
        {"pooling": "mean"},
        {"pooling": "mean", "english_gradient": True, "sublayer": "block"},
        {"pooling": "layer", "layer": 1},
        {"pooling": "layer", "layer": -1, "english_gradient": True},
        {"centred": True},
        {"scale": 0.5, "pooling": "mean", "sublayer": "attention"},
        {"centred": True, "scale": 2.0, "english_gradient": True, "hard": False},
        {"gate": "scalar"},
        {"gate": "vector", "hard": False, "english_gradient": True},
        {"decision_maker_norm": True},
        {"decision_maker_norm": True, "hard": False, "english_gradient": True, "centred": True},
        {"monolingual_share": 0.5},
        {"monolingual_share": 1.0, "centred": True, "pooling": "mean"},
        {"monolingual_share": 0.5, "english_gradient": True, "hard": False, "embedding": "mean"},
        {"target_layer": 1},
        {"target_layer": -1, "pooling": "layer", "layer": 1, "english_gradient": True},
        {"target_layer": 2, "sublayer": "attention", "gate": "vector", "centred": True, "scale": 1.0},
    ],
    ids=lambda settings: ",".join(f"{key}={value}" for key, value in settings.items()),
)
def test_options(settings):
    """Several at once with windows and norms behind the sub-layers, too."""
    for name in ("llama", "gemma2") if len(settings) > 2 else ("llama",):
        check(name, **settings)


@pytest.mark.parametrize("reentrant", [False, True])
def test_english_gradient_with_checkpointing(reentrant):
    check("llama", english_gradient=True, checkpointing=reentrant)


def test_random_pooling_takes_one_layer_per_row():
    torch.manual_seed(0)
    model, plain, decision_maker = wrapped_and_plain("llama", pooling="random")
    assert model.decision_maker is None
    rows = some_rows()
    seen = set()
    for _ in range(10):
        model.zero_grad()
        out = model(**arguments(rows))
        weights = model.last_selection.weights
        assert model.last_selection.logits is None
        assert weights.sum(-1).tolist() == [1.0] * 4 and set(weights.flatten().tolist()) == {0.0, 1.0}
        seen |= {tuple(weights.argmax(-1).tolist())}
    assert len(seen) > 5
    step = naive_training_step(plain, rows, decision_maker, weights=weights)
    assert_equal_step(model, out, step, gradients(step.loss, dict(plain.named_parameters())))


@pytest.mark.parametrize("english_side", ["left", "right"])
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("name", ["llama", "gemma3", "bloom"])
def test_padding_side(name, side, english_side):
    check(name, side=side, english_side=english_side, embedding="last" if side == english_side else "mean")


def test_rows_without_masks():
    """One length everywhere: no padding, so no masks are needed."""
    rows = [TrainingRow(*(random_ids(n, seed=9 * row + n) for n in (4, 5, 3))) for row in range(3)]
    torch.manual_seed(0)
    model, plain, decision_maker = wrapped_and_plain("llama")
    step, expected = naive_step(plain, rows, decision_maker)
    given = arguments(rows)
    del given["attention_mask"], given["english_attention_mask"]
    torch.manual_seed(SEED)
    assert_equal_step(model, model(**given), step, expected)


@pytest.mark.parametrize("english_gradient", [False, True])
def test_equal_english_prompts_run_once(english_gradient):
    rows = some_rows()
    rows[1].english = rows[0].english
    rows[3].english = rows[0].english
    torch.manual_seed(0)
    model, plain, decision_maker = wrapped_and_plain("llama", english_gradient=english_gradient)
    step, expected = naive_step(plain, rows, decision_maker, english_gradient=english_gradient)
    ids, mask = pad([rows[2].english, rows[0].english], "right")
    given = arguments(rows) | {"english_input_ids": ids, "english_attention_mask": mask}
    torch.manual_seed(SEED)
    out = model(**given, english_index=torch.tensor([1, 1, 0, 1]))
    assert_equal_step(model, out, step, expected)


def test_english_prompts_in_buckets():
    rows = some_rows()
    torch.manual_seed(0)
    model, plain, decision_maker = wrapped_and_plain("llama")
    step, expected = naive_step(plain, rows, decision_maker)
    short, long = (
        pad([rows[3].english, rows[2].english], "right"),
        pad([rows[1].english, rows[0].english], "left"),
    )
    given = arguments(rows) | {
        "english_input_ids": [short[0], long[0]],
        "english_attention_mask": [short[1], long[1]],
    }
    torch.manual_seed(SEED)
    out = model(**given, english_index=torch.tensor([3, 2, 1, 0]))
    assert_equal_step(model, out, step, expected)


@pytest.mark.parametrize("targets", ["all-linear", ["q_proj", "down_proj"]], ids=["all-linear", "named"])
@pytest.mark.parametrize("checkpointing", [None, False, True], ids=["plain", "non-reentrant", "reentrant"])
def test_lora(targets, checkpointing):
    torch.manual_seed(0)
    model, plain, decision_maker = wrapped_and_plain("llama")

    def lora(**more):
        return LoraConfig(task_type="CAUSAL_LM", r=4, target_modules=targets, init_lora_weights=False, **more)

    adapted = get_peft_model(model, lora(modules_to_save=["decision_maker"])).train()
    reference = get_peft_model(plain, lora()).train()
    values = dict(adapted.named_parameters())
    for name, parameter in reference.named_parameters():
        parameter.data.copy_(values[name])
    if checkpointing is not None:
        adapted.enable_input_require_grads()
        adapted.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": checkpointing})

    rows = some_rows()
    step, expected = naive_step(reference.base_model.model, rows, decision_maker)
    expected = {f"base_model.model.{name}": value for name, value in expected.items()}
    key = "base_model.model.decision_maker"
    expected[f"{key}.modules_to_save.default.weight"] = expected.pop(f"{key}.weight")
    trainable = {name for name, p in adapted.named_parameters() if p.requires_grad}
    assert trainable == set(expected)
    torch.manual_seed(SEED)
    assert_equal_step(adapted, adapted(**arguments(rows), use_cache=False), step, expected)


@pytest.mark.parametrize("name", MAIN)
def test_without_english_prompts_it_is_the_plain_model(name):
    torch.manual_seed(0)
    model, plain, _ = wrapped_and_plain(name)
    given = {key: arguments(some_rows())[key] for key in ("input_ids", "attention_mask", "labels")}
    ours, theirs = model(**given), plain(**given)
    assert torch.equal(ours.loss, theirs.loss) and torch.equal(ours.logits, theirs.logits)
    ours.loss.backward(), theirs.loss.backward()
    values = dict(model.named_parameters())
    for key, parameter in plain.named_parameters():
        assert torch.equal(values[key].grad, parameter.grad), key
    assert model.decision_maker.weight.grad is None
    prompt = {"input_ids": random_ids(5, seed=0)[None], "attention_mask": torch.ones(1, 5, dtype=torch.long)}
    greedy = {"max_new_tokens": 5, "do_sample": False}
    assert torch.equal(model.eval().generate(**prompt, **greedy), plain.eval().generate(**prompt, **greedy))


def test_evaluation_takes_the_argmax():
    """In eval mode there is no Gumbel noise, also with labels."""
    torch.manual_seed(0)
    model, plain, decision_maker = wrapped_and_plain("llama")
    rows = some_rows()
    step = naive_training_step(plain, rows, decision_maker, noise=torch.zeros(4, 3, dtype=torch.float64))
    for seed in range(3):
        torch.manual_seed(seed)
        out = model.eval()(**arguments(rows))
        torch.testing.assert_close(out.loss, step.loss, rtol=1e-10, atol=1e-12)
        assert torch.equal(model.last_selection.weights.argmax(-1), step.weights.argmax(-1))


def test_evaluation_with_gumbel_noise():
    """`selection="gumbel"` keeps the noise, as the authors' code does."""
    torch.manual_seed(0)
    model, plain, decision_maker = wrapped_and_plain("llama", selection="gumbel")
    rows = some_rows()
    step, _ = naive_step(plain, rows, decision_maker)
    torch.manual_seed(SEED)
    out = model.eval()(**arguments(rows))
    torch.testing.assert_close(out.loss, step.loss, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["llama", "gemma2", "gpt2", "falcon"])
def test_bilingual_generation(name):
    torch.manual_seed(0)
    model, plain, decision_maker = wrapped_and_plain(name)
    model.eval(), plain.eval()
    rows = some_rows()
    prompts, mask = pad([row.prompt for row in rows], "left")
    english, english_mask = pad([row.english for row in rows], "right")
    tokens = model.generate(
        prompts,
        attention_mask=mask,
        english_input_ids=english,
        english_attention_mask=english_mask,
        max_new_tokens=6,
        do_sample=False,
    )[:, prompts.shape[1] :]
    expected = [naive_bilingual_generate(plain, decision_maker, r.prompt, r.english, 6) for r in rows]
    assert tokens.tolist() == [generation.tokens.tolist() for generation in expected]
    assert model.last_selection.weights.tolist() == [generation.weights.tolist() for generation in expected]
    unconnected = model.generate(prompts, attention_mask=mask, max_new_tokens=6, do_sample=False)
    assert unconnected[:, prompts.shape[1] :].tolist() != tokens.tolist()


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("name", ["llama", "gemma3", "olmo2", "glm4", "bloom", "falcon", "granite"])
def test_sublayer_outputs(name, side):
    """At the end of a prompt, alone or with a response behind it."""
    torch.manual_seed(0)
    model, plain, _ = wrapped_and_plain(name, sublayer="attention")
    rows = some_rows()
    lengths = torch.tensor([len(row.prompt) for row in rows])
    whole, whole_mask = pad([torch.cat([row.prompt, row.response]) for row in rows], side)
    prompts, mask = pad([row.prompt for row in rows], side)
    for method, sublayer in (("ffn_outputs", "ffn"), ("sublayer_outputs", "attention")):
        expected = torch.stack([sublayer_outputs(plain, row.prompt, sublayer=sublayer) for row in rows])
        with torch.no_grad():
            from_whole = getattr(model, method)(whole, whole_mask, lengths)
            from_prompts = getattr(model, method)(prompts, mask)
        torch.testing.assert_close(from_whole, expected.detach(), rtol=1e-9, atol=1e-10)
        torch.testing.assert_close(from_prompts, expected.detach(), rtol=1e-9, atol=1e-10)
    assert not model.ffn_outputs(prompts, mask).requires_grad


def test_it_is_its_base_class_and_ours():
    model, plain, _ = wrapped_and_plain("llama")
    assert isinstance(model, type(plain)) and isinstance(model, CCTuningModel)
    assert type(model).__name__ == "CCTuningLlamaForCausalLM"
    assert type(model.decision_maker).__mro__[1] is nn.Linear or type(model.decision_maker) is nn.Linear
    assert model.decision_maker.weight.shape == (3, 32) and model.decision_maker.bias is None
    assert set(dict(model.named_parameters())) == {*dict(plain.named_parameters()), "decision_maker.weight"}


@pytest.mark.parametrize("tied", [False, True])
def test_save_and_load(tmp_path, tied):
    torch.manual_seed(0)
    model, _, decision_maker = wrapped_and_plain(
        "qwen2", changes={"tie_word_embeddings": tied}, temperature=0.5
    )
    model.save_pretrained(tmp_path)
    given = arguments(some_rows())
    loaded = CCTuningModel.load(tmp_path, dtype=torch.float64).double()  # the rotary frequencies too
    assert loaded.connection == model.connection and torch.equal(
        loaded.decision_maker.weight, decision_maker.T
    )
    # Not exact: a loaded model computes its rotary frequencies anew.
    torch.testing.assert_close(loaded(**given).loss, model.eval()(**given).loss, rtol=1e-6, atol=0)
    assert isinstance(load_model(tmp_path, dtype=torch.float64), CCTuningModel)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plain, report = AutoModelForCausalLM.from_pretrained(
            tmp_path, dtype=torch.float64, output_loading_info=True
        )
    assert not isinstance(plain, CCTuningModel)
    assert not any(report.values()), report
    ids = given["input_ids"]
    torch.testing.assert_close(plain.double()(ids).logits, model(ids).logits, rtol=1e-5, atol=1e-5)


def test_an_adapter_is_loaded_and_merged(tmp_path):
    """With an adapter the run holds no base weights; the trained Decision Maker is the one that counts."""
    torch.manual_seed(0)
    base = build("llama")
    base.save_pretrained(tmp_path / "base")
    base.config._name_or_path = base.name_or_path = str(tmp_path / "base")
    options = {"r": 4, "target_modules": "all-linear", "modules_to_save": ["decision_maker"]}
    adapted = get_peft_model(
        CCTuningModel.wrap(base), LoraConfig(task_type="CAUSAL_LM", init_lora_weights=False, **options)
    )
    adapted.decision_maker.modules_to_save["default"].weight.data.normal_()
    adapted.save_pretrained(tmp_path / "run")
    save_connection(adapted.base_model.model, tmp_path / "run")
    given = arguments(some_rows())
    loaded = CCTuningModel.load(tmp_path / "run", dtype=torch.float64).double()
    torch.testing.assert_close(loaded(**given).loss, adapted.eval()(**given).loss, rtol=1e-6, atol=0)
    assert not any("lora" in name for name, _ in loaded.named_parameters())


def test_deepcopy_is_independent():
    torch.manual_seed(0)
    model, _, _ = wrapped_and_plain("llama")
    given = arguments(some_rows())
    twin = copy.deepcopy(model)
    torch.manual_seed(SEED)
    before = model(**given).loss
    torch.manual_seed(SEED)
    assert torch.equal(twin(**given).loss, before)
    for parameter in model.parameters():
        parameter.data.zero_()
    torch.manual_seed(SEED)
    assert torch.equal(twin(**given).loss, before)


@pytest.mark.parametrize("name", ["llama", "gpt_neox", "falcon", "gptj"])
def test_hidden_states_hold_the_connection(name):
    """After the first layer they differ from the plain model's by f, and only at the response start."""
    torch.manual_seed(0)
    model, plain, _ = wrapped_and_plain(name, pooling="layer", layer=1)
    model.eval(), plain.eval()
    rows = some_rows()
    given = arguments(rows)
    for _ in range(2):  # transformers adds hooks of its own the first time, and keeps them
        ours = model(**given, output_hidden_states=True)
    theirs = plain(
        input_ids=given["input_ids"], attention_mask=given["attention_mask"], output_hidden_states=True
    )
    assert len(ours.hidden_states) == len(theirs.hidden_states) == 4
    difference = ours.hidden_states[1] - theirs.hidden_states[1]
    for row, (d, given_row) in enumerate(zip(difference, rows, strict=True)):
        f = sublayer_outputs(plain, given_row.english)[1]
        expected = torch.zeros_like(d)
        expected[len(given_row.prompt) - 1] = f
        torch.testing.assert_close(
            d, expected, rtol=1e-9, atol=1e-10, msg=lambda text, row=row: f"{row}: {text}"
        )


def test_a_forward_leaves_no_hooks_behind():
    model, _, _ = wrapped_and_plain("llama")
    model(**arguments(some_rows()))
    bad = arguments(some_rows()) | {"english_input_ids": torch.full((4, 3), 999)}
    with pytest.raises(IndexError):
        model(**bad)
    assert not any(module._forward_hooks for module in model.modules())


def test_english_prompts_without_a_response_start_are_refused():
    model, _, _ = wrapped_and_plain("llama")
    given = arguments(some_rows())
    del given["prompt_lengths"]
    with pytest.raises(ValueError, match="prompt_lengths"):
        model(**given)


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"pooling": "max"}, "pooling"),
        ({"sublayer": "mlp"}, "sublayer"),
        ({"pooling": "layer"}, "layer"),
        ({"layer": 2}, "layer"),
        ({"temperature": 0.0}, "temperature"),
        ({"embedding": "first"}, "embedding"),
        ({"selection": "best"}, "selection"),
        ({"centred": 1}, "centred"),
        ({"scale": 0}, "scale"),
        ({"scale": float("inf")}, "scale"),
        ({"scale": True}, "scale"),
        ({"gate": "both"}, "gate"),
        ({"monolingual_share": 1.5}, "monolingual_share"),
        ({"alignment": 0.5}, "centred"),
        ({"alignment": -1, "centred": True}, "alignment"),
        ({"target_layer": None}, "target_layer"),
        ({"decision_maker_norm": True, "pooling": "mean"}, "decision_maker_norm"),
    ],
)
def test_wrong_settings_are_named(settings, field):
    with pytest.raises(ValueError, match=field):
        ConnectionConfig(**settings)


@pytest.mark.parametrize("settings", [{"pooling": "layer", "layer": 3}, {"target_layer": 3}])
def test_a_layer_that_is_not_there(settings):
    with pytest.raises(ValueError, match="3 layers"):
        CCTuningModel.wrap(build("llama"), ConnectionConfig(**settings))


@pytest.mark.parametrize("prompts", [1, 3])
def test_as_many_english_prompts_as_rows_are_needed(prompts):
    model, _, _ = wrapped_and_plain("llama")
    given = arguments(some_rows())
    given["english_input_ids"] = given["english_input_ids"][:prompts]
    given["english_attention_mask"] = given["english_attention_mask"][:prompts]
    with pytest.raises(ValueError, match=rf"english_input_ids holds {prompts} prompts for 4 rows"):
        model(**given)
    with pytest.raises(ValueError, match=rf"english_input_ids holds {prompts} prompts for 4 rows"):
        model.generate(given["input_ids"], max_new_tokens=1, english_input_ids=given["english_input_ids"])
