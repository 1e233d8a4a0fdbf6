"""What a pooling sees of the outputs, and one that is made up here, from training to an export."""

import json

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import nn
from transformers import AutoModelForCausalLM
from trl import SFTConfig

from cctuning import CCTuningModel, CCTuningTrainer, ConnectionConfig, export
from cctuning.connection import modeling_cctuning
from cctuning.connection.adapters import make_plain_adapter, with_connection
from cctuning.connection.modeling_cctuning import POOLINGS, LayerOutputs, TransformMatrix
from cctuning.data.encoding import encode
from cctuning.data.prompts import PromptFormat
from cctuning.transform.fit import fit_transform
from cctuning.transform.pairs import pairs_of, sample_pairs
from tests.float64 import float64
from tests.models import build, pad, random_ids
from tests.naive import TrainingRow, gradients, injected, naive_training_step, sublayer_outputs
from tests.tiny import tiny_llama, tiny_rows, tiny_tokenizer

# A mixture of the layers by how near each output and e are to a trained vector. It reads every layer by
# itself, so a pooling that were shown F in place of F W_T would go wrong most.
QUERY = """

class Nearness(nn.Module):
    def __init__(self, hidden_size: int, **factory: Any) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.empty(hidden_size, **factory))

    def forward(self, outputs: Tensor, embedding: Tensor) -> Tensor:
        return (outputs + embedding[:, None]) @ self.query.to(outputs.dtype)


@register_pooling("query")
class QueryPooling(Pooling):
    def module(self, hidden_size: int, num_layers: int, **factory: Any) -> nn.Module:
        return Nearness(hidden_size, **factory)

    def weigh(self, outputs: LayerOutputs, embedding: Tensor, module: Any, *, noise: bool) -> Selection:
        logits = module(outputs.each(), embedding)
        return Selection((logits / self.connection.temperature).softmax(-1), logits)
"""
CONNECTION = {"pooling": "query", "temperature": 0.5}


@pytest.fixture
def query_pooling(tmp_path, monkeypatch):
    """The pooling above, as if it stood at the end of the modeling file, which an export carries."""
    source = export.MODELING_FILE.read_text()
    file = tmp_path / "file" / export.MODELING_FILE.name
    file.parent.mkdir()
    file.write_text(source + QUERY)
    monkeypatch.setattr(export, "MODELING_FILE", file)
    exec(QUERY, dict(vars(modeling_cctuning)))
    yield
    del POOLINGS["query"]


def naive_weights(outputs, e, query):
    """(L,), of one row: outputs (L, d), e and query (d,)."""
    scores = torch.stack([(output + e) @ query for output in outputs]) / CONNECTION["temperature"]
    return scores.exp() / scores.exp().sum()


def with_query(model):
    """A connected model with a query that prefers no layer overmuch, and the query."""
    connected = CCTuningModel.wrap(model, ConnectionConfig(**CONNECTION))
    with torch.no_grad():
        connected.query.query.copy_(0.3 * torch.randn(connected.config.hidden_size))
    return connected, connected.query.query


class Counting(TransformMatrix):
    """W_T that counts the vectors it is multiplied with."""

    vectors = 0

    def forward(self, values):
        self.vectors += values.numel() // values.shape[-1]
        return super().forward(values)


def random_matrix(matrix):
    """The module with random weights."""
    for weight in matrix.parameters():
        nn.init.normal_(weight, std=weight.shape[-1] ** -0.5)
    return matrix


def each_transformed(F, matrix):
    """What each layer's F is times its own matrix, or the one of all, layer by layer."""

    def of(tensor, layer):
        return tensor[layer] if matrix.per_layer else tensor

    columns = []
    for layer in range(F.shape[1]):
        column = F[:, layer]
        for factor in matrix.factors:
            column = column @ of(factor, layer).T
        columns.append(column if matrix.bias is None else column + of(matrix.bias, layer))
    return torch.stack(columns, 1)


KINDS = [{}, {"bias": True}, {"layers": 3}, {"layers": 3, "rank": 2, "bias": True}, {"rank": 3}]


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("pooling", ["decision_maker", "mean", "random", "layer"])
def test_the_poolings_see_transformed_outputs_and_transform_little(pooling, kind):
    with float64():
        torch.manual_seed(0)
        layer = -1 if pooling == "layer" else None
        model = CCTuningModel.wrap(build("llama"), ConnectionConfig(pooling=pooling, layer=layer)).eval()
        d, layers = model.config.hidden_size, len(model.decoder_layers)
        F, e = torch.randn(5, layers, d, dtype=torch.float64), torch.randn(5, d, dtype=torch.float64)
        model.transform_matrix = matrix = random_matrix(Counting(d, **kind, dtype=torch.float64))
        f = model.fuse(F, e, transform=True)
        weights = model.last_selection.weights
        transformed = each_transformed(F, matrix)
        torch.testing.assert_close(
            f, torch.einsum("bl,bld->bd", weights, transformed), rtol=1e-10, atol=1e-12
        )
        times = layers if matrix.per_layer else 2 if pooling == "decision_maker" else 1
        assert matrix.vectors == 5 * times
        if pooling == "decision_maker":
            H = (transformed + e[:, None]).mean(1) @ model.decision_maker.weight.T
            torch.testing.assert_close(model.last_selection.logits, H, rtol=1e-10, atol=1e-12)
            assert torch.equal(weights.argmax(-1), H.argmax(-1))


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_all_that_a_pooling_can_see_is_transformed(kind):
    """Every public attribute and method that gives tensors of outputs: none of them is F."""
    torch.manual_seed(0)
    F, matrix = torch.randn(2, 3, 4), random_matrix(TransformMatrix(4, **kind))
    weights = torch.rand(2, 3)
    seen = LayerOutputs(F, matrix)
    given = {"mixture": (weights,), "one_hot": (1,)}
    views = {}
    for name in [name for name in dir(seen) if not name.startswith("_")]:
        value = getattr(seen, name)
        value = value(*given.get(name, ())) if callable(value) else value
        if isinstance(value, torch.Tensor):
            views[name] = value
    each = each_transformed(F, matrix)
    expected = {"each": each, "mean": each.mean(1), "mixture": (weights[..., None] * each).sum(1)}
    expected["one_hot"] = torch.tensor([[0.0, 1, 0]] * 2)
    assert views.keys() == expected.keys()
    for name, value in views.items():
        torch.testing.assert_close(value, expected[name], msg=lambda text, name=name: f"{name}: {text}")


def test_a_new_pooling_in_training(query_pooling):
    """The loss and every gradient, the query's too, in float64."""
    with float64():
        torch.manual_seed(0)
        plain = build("llama").train()
        model, query = with_query(build("llama"))
        model.load_state_dict(plain.state_dict(), strict=False)
        model.train()
        lengths = [(5, 4, 3), (2, 6, 1)]
        rows = [
            TrainingRow(*(random_ids(n, seed=10 * r + i) for i, n in enumerate(three)))
            for r, three in enumerate(lengths)
        ]
        ids, mask = pad([torch.cat([row.prompt, row.response]) for row in rows], "right")
        labels, _ = pad(
            [torch.cat([torch.full_like(row.prompt, -100), row.response]) for row in rows], "right", fill=-100
        )
        english, english_mask = pad([row.english for row in rows], "right")
        leaf = query.detach().clone().requires_grad_()
        weights = []
        for row in rows:
            with torch.no_grad():
                F_en = sublayer_outputs(plain, row.english)
            weights.append(naive_weights(F_en, plain.get_input_embeddings()(row.prompt[-1]), leaf))
        step = naive_training_step(plain, rows, None, weights=torch.stack(weights))
        expected = gradients(step.loss, {"query.query": leaf, **dict(plain.named_parameters())})
        out = model(
            ids,
            attention_mask=mask,
            labels=labels,
            prompt_lengths=torch.tensor([len(row.prompt) for row in rows]),
            english_input_ids=english,
            english_attention_mask=english_mask,
        )
        torch.testing.assert_close(model.last_selection.weights, step.weights.detach())
        torch.testing.assert_close(out.loss, step.loss, rtol=1e-10, atol=1e-12)
        out.loss.backward()
        assert float(expected["query.query"].abs().max()) > 1e-9
        for name, parameter in model.named_parameters():
            torch.testing.assert_close(parameter.grad, expected[name], rtol=1e-7, atol=1e-12)


def test_a_new_pooling_from_training_to_an_export(query_pooling, tmp_path):
    """Trained, with a learning rate of its own; saved and loaded; fitted; exported; asked in one language."""
    tokenizer = tiny_tokenizer()
    model = CCTuningModel.wrap(tiny_llama(len(tokenizer)), ConnectionConfig(**CONNECTION))
    start = model.query.query.detach().clone()
    prompts = PromptFormat(tokenizer)
    examples, _ = encode(tiny_rows(40), prompts, cutoff_len=128, english_cutoff_len=128)
    arguments = SFTConfig(
        str(tmp_path / "run"), max_steps=2, per_device_train_batch_size=4, learning_rate=1e-4,
        lr_scheduler_type="constant", bf16=False, use_cpu=True, report_to=[], save_strategy="no",
    )  # fmt: skip
    trainer = CCTuningTrainer(
        model, arguments, train_dataset=examples, processing_class=tokenizer, decision_maker_lr_multiplier=100
    )
    trainer.train()
    assert [len(group["params"]) for group in trainer.optimizer.param_groups if group["lr"] > 1e-3] == [1]
    assert float((model.query.query.detach() - start).abs().max()) > 5e-3
    trainer.save_model()

    saved = json.loads((tmp_path / "run" / "connection" / "connection.json").read_text())["connection"]
    assert saved["pooling"] == "query"
    loaded = CCTuningModel.load(tmp_path / "run")
    assert torch.equal(loaded.query.query, model.query.query)
    plain, report = AutoModelForCausalLM.from_pretrained(tmp_path / "run", output_loading_info=True)
    assert not any(report.values()), report

    sample = sample_pairs(pairs_of(examples), 24, held_out=0.2, seed=0)
    fit = fit_transform(loaded, sample, pad_token_id=0, ridge=1e-3)
    assert "layer_agreement" in fit.report  # its choice depends on the outputs
    exported = export.export_monolingual(loaded, tokenizer, fit.transform, tmp_path / "exported")
    # Not this package's class: the folder's own file makes it.
    remote = AutoModelForCausalLM.from_pretrained(exported, trust_remote_code=True)
    assert not isinstance(remote, modeling_cctuning.CrossLingualConnection)
    # Far from the identity, so that W_T matters.
    transform = torch.randn(32, 32, generator=torch.Generator().manual_seed(1)) / 4
    for own in (remote, loaded):
        own.transform_matrix = TransformMatrix(32)
        own.transform_matrix.weight.data = transform.T.clone()

    ids = torch.tensor(prompts.prompts_ids(["Mji mkuu wa Kenya ni upi?"]))
    with float64(), torch.no_grad():
        plain, remote, loaded = (own.double().eval() for own in (plain, remote, loaded))
        query, W_T = model.query.query.detach().double(), transform.double()
        F = sublayer_outputs(plain, ids[0])
        weights = naive_weights(F @ W_T, plain.get_input_embeddings()(ids[0, -1]), query)
        with injected(plain, "ffn", ids.shape[1] - 1, weights @ (F @ W_T)):
            expected = plain(ids, use_cache=False).logits[:, -1]
        for own in (remote, loaded):
            generated = own.generate(
                ids, max_new_tokens=1, do_sample=False, return_dict_in_generate=True, output_logits=True
            )
            torch.testing.assert_close(own.last_selection.weights[0], weights, rtol=1e-8, atol=1e-10)
            torch.testing.assert_close(generated.logits[0].double(), expected, rtol=1e-6, atol=1e-8)


def test_a_new_pooling_beside_an_adapter(query_pooling, tmp_path):
    """Trained in full, and taken out of the adapter when that is to fit the base model."""
    model, _ = with_query(tiny_llama(50))
    adapted = get_peft_model(model, with_connection(LoraConfig(target_modules="all-linear", r=2), model))
    trained = [name for name, w in adapted.named_parameters() if w.requires_grad and "lora_" not in name]
    assert trained == ["base_model.model.query.modules_to_save.default.query"]
    adapted.save_pretrained(tmp_path)
    make_plain_adapter(tmp_path)
    assert json.loads((tmp_path / "adapter_config.json").read_text())["modules_to_save"] is None


def test_a_pooling_from_elsewhere_is_not_exported(monkeypatch, tmp_path):
    """The folder's own file would not know it."""

    class Elsewhere(POOLINGS["mean"]):
        pass

    monkeypatch.setitem(POOLINGS, "elsewhere", Elsewhere)
    tokenizer = tiny_tokenizer()
    model = CCTuningModel.wrap(tiny_llama(len(tokenizer)), ConnectionConfig(pooling="elsewhere"))
    with pytest.raises(ValueError, match=r"pooling='elsewhere'.*modeling_cctuning\.py"):
        export.export_monolingual(model, tokenizer, torch.eye(32), tmp_path / "exported")
    assert not (tmp_path / "exported").exists()


def test_a_name_that_the_model_has_is_refused(query_pooling):
    """PEFT would train every module of that name in full."""
    POOLINGS["mlp"] = POOLINGS["query"]
    try:
        with pytest.raises(ValueError, match=r"pooling='mlp'.*layers.0.mlp"):
            CCTuningModel.wrap(tiny_llama(50), ConnectionConfig(pooling="mlp"))
    finally:
        del POOLINGS["mlp"]
