import dataclasses
import inspect
import logging
import math
import shutil

import pytest
import torch
from datasets import Dataset
from peft import LoraConfig, PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, Qwen2MoeConfig, Qwen2MoeForCausalLM, Trainer, TrainerCallback
from transformers.integrations.neftune import activate_neftune
from trl import SFTConfig, SFTTrainer

from cctuning import CCTuningModel, CCTuningTrainer, ConnectionConfig
from cctuning.data.encoding import encode, languages_of, training_set
from cctuning.data.prompts import PromptFormat
from cctuning.data.rows import BadRowsError
from cctuning.pretrained.four_bits import load_four_bits
from cctuning.training import checkpoints
from cctuning.training.callbacks import MetricsFile, TemperatureSchedule, scheduled_temperature
from cctuning.training.checkpointing import checkpointing_arguments
from cctuning.training.checkpoints import CheckpointError
from cctuning.training.output_statistics import measured
from cctuning.training.resumable import ResumableTrainer
from cctuning.training.trainer import NonFiniteLossError
from cctuning.transform import LeastSquares
from tests.json_lines import read_lines
from tests.naive import Settings, measured_statistics, sublayer_outputs
from tests.tiny import tiny_llama, tiny_rows, tiny_tokenizer

pytestmark = pytest.mark.slow

TOKENIZER = tiny_tokenizer()
EXAMPLES, _ = encode(tiny_rows(12), PromptFormat(TOKENIZER), cutoff_len=128, english_cutoff_len=128)


def arguments(output_dir, **changes):
    settings = {
        "output_dir": str(output_dir),
        "per_device_train_batch_size": 4,
        "max_steps": 6,
        "learning_rate": 1e-2,
        "lr_scheduler_type": "constant",
        "bf16": False,
        "use_cpu": True,
        **checkpointing_arguments(False),
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": [],
        "seed": 3,
        "disable_tqdm": True,
    }
    return SFTConfig(**(settings | changes))


def connected_llama(**connection):
    torch.manual_seed(7)
    return CCTuningModel.wrap(tiny_llama(len(TOKENIZER)), ConnectionConfig(**connection))


def connected_four_bits(folder):
    """A base in four bits, which is what adapters are trained on in QLoRA."""
    pytest.importorskip("bitsandbytes")
    tiny_llama(len(TOKENIZER)).save_pretrained(folder)
    torch.manual_seed(7)
    return CCTuningModel.wrap(load_four_bits(folder, {"load_in_4bit": True}, dtype="float32"))


def trainer_for(model, args, *, examples=EXAMPLES, **options):
    return CCTuningTrainer(model, args, train_dataset=examples, processing_class=TOKENIZER, **options)


def weights_of(model):
    return {name: tensor.clone() for name, tensor in [*model.named_buffers(), *model.state_dict().items()]}


def assert_same(first, second):
    assert first.keys() == second.keys()
    for name in first:
        assert torch.equal(first[name], second[name]), name


def losses(path):
    lines = read_lines(path / "metrics.jsonl")
    return [line for line in lines if "loss" in line]


def test_training_lowers_the_loss_and_moves_the_decision_maker(tmp_path):
    model = connected_llama()
    before = model.decision_maker.weight.detach().clone()
    trainer = trainer_for(model, arguments(tmp_path, max_steps=12), callbacks=[MetricsFile(tmp_path)])
    trainer.train()
    assert not torch.equal(model.decision_maker.weight, before)
    logged = losses(tmp_path)
    assert logged[-1]["loss"] < 0.8 * logged[0]["loss"]


def tiny_mixture():
    """A mixture of experts, whose routers have a loss of their own."""
    torch.manual_seed(0)
    config = Qwen2MoeConfig(
        vocab_size=len(TOKENIZER),
        hidden_size=32,
        intermediate_size=48,
        moe_intermediate_size=16,
        shared_expert_intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        num_experts=4,
        num_experts_per_tok=2,
        router_aux_loss_coef=0.1,
    )
    return Qwen2MoeForCausalLM(config)


@pytest.mark.parametrize(
    ("build", "lora", "changes"),
    [
        (lambda: tiny_llama(len(TOKENIZER)), None, {}),
        (tiny_mixture, None, {}),
        (lambda: tiny_llama(len(TOKENIZER)), None, {"neftune_noise_alpha": 5.0}),
        (lambda: tiny_llama(len(TOKENIZER)), {"use_dora": True}, {}),
        (lambda: tiny_llama(len(TOKENIZER)), {"use_rslora": True}, {"neftune_noise_alpha": 5.0}),
    ],
    ids=["llama", "experts", "NEFTune", "DoRA", "rsLoRA and NEFTune"],
)
def test_without_a_connection_it_is_plain_sft(tmp_path, build, lora, changes):
    args = arguments(tmp_path, per_device_train_batch_size=2, gradient_accumulation_steps=2, **changes)
    options = {} if lora is None else {"peft_config": LoraConfig(target_modules="all-linear", r=4, **lora)}
    ours = trainer_for(build(), args, **options)
    ours.train()
    data = training_set(EXAMPLES, languages_of(EXAMPLES)).select_columns(["input_ids", "labels"])
    theirs = SFTTrainer(build(), args, train_dataset=data, processing_class=TOKENIZER, **options)
    theirs.train()
    assert_same(weights_of(ours.model), weights_of(theirs.model))


@pytest.mark.parametrize("embedding", ["last", "mean"])
def test_noise_is_on_the_embeddings_of_prompt_and_response_alone(embedding):
    """The connection's vector is that of no noise, and the rest what noisy embeddings give."""
    example, model = EXAMPLES[0], connected_llama(embedding=embedding, hard=False).train()
    ids, english = torch.tensor([example.input_ids]), torch.tensor([example.english_input_ids])
    index = torch.tensor([example.prompt_length - 1])
    vectors = []
    fuse = model.fuse
    model.fuse = lambda *given, **options: vectors.append(fuse(*given, **options)) or vectors[-1]

    def logits(**inputs):
        torch.manual_seed(1)  # of the Gumbel noise, which is drawn before that of the embeddings
        with torch.no_grad():
            return model(**inputs, connection_index=index).logits

    model(input_ids=ids, connection_index=index, english_input_ids=english)
    torch.manual_seed(1)
    quiet = logits(input_ids=ids, english_input_ids=english)
    hook = activate_neftune(model, 5.0)
    noisy = logits(input_ids=ids, english_input_ids=english)
    hook.remove()
    torch.testing.assert_close(vectors[-1], vectors[-2], rtol=0, atol=0)
    torch.manual_seed(1)
    fuse(model.english_outputs(english, rows=1), model.input_embeddings({"input_ids": ids}, index))
    embeddings = model.get_input_embeddings()(ids)
    size = 5.0 / math.sqrt(embeddings[0].numel())
    embeddings = embeddings + torch.zeros_like(embeddings).uniform_(-size, size)
    expected = logits(inputs_embeds=embeddings.detach(), connection_output=vectors[-2])
    torch.testing.assert_close(noisy, expected)
    assert not torch.allclose(noisy, quiet, atol=1e-3)


@pytest.mark.parametrize("settings", [{"centred": True}, {"scale": 2.0}, {"centred": True, "scale": 0.5}])
@pytest.mark.parametrize("lora", [False, True])
def test_outputs_are_centred_and_scaled_by_those_of_the_base_model(tmp_path, settings, lora):
    options = {"peft_config": LoraConfig(target_modules="all-linear", r=2)} if lora else {}
    model, plain = connected_llama(**settings), connected_llama().eval()
    trainer_for(model, arguments(tmp_path, max_steps=2), **options).train()
    english, own = [], []
    for example in EXAMPLES:
        for ids, found in ((example.english_input_ids, english), (example.input_ids, own)):
            length = example.prompt_length if found is own else len(ids)
            found.append(sublayer_outputs(plain, torch.tensor(ids[:length])).detach())
    means, scales = measured_statistics(english, own, Settings(**settings))
    torch.testing.assert_close(model.output_statistics.mean, means, rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(model.output_statistics.scale, scales, rtol=1e-4, atol=0)


def test_a_trained_mixture_of_experts_generates(tmp_path):
    """Its configuration asks for router logits, which are those of training, no more than before."""
    trainer = trainer_for(CCTuningModel.wrap(tiny_mixture()), arguments(tmp_path, max_steps=1))
    trainer.train()
    trainer.save_model(tmp_path)
    model = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert not model.config.output_router_logits
    prompts = torch.tensor([[5, 6, 7, 8], [2, 9, 10, 11]])
    mask = torch.tensor([[1, 1, 1, 1], [0, 1, 1, 1]])
    out = model.generate(input_ids=prompts, attention_mask=mask, max_new_tokens=3, min_new_tokens=3)
    assert out.shape == (2, 7)


@pytest.mark.parametrize("scale", [None, 0.5])
@pytest.mark.parametrize(
    ("dtype", "noise"), [(torch.float64, 1e-16), (torch.float32, 3e-7), (torch.bfloat16, 1e-4)]
)
def test_a_layer_that_says_the_same_of_all_rows_is_scaled_by_zero(scale, dtype, noise):
    """Batches of other shapes compute it with other rounding, which would be all that is left of it."""
    outputs = torch.randn(6, 3, 8, dtype=torch.float64)
    outputs[:, 1] = outputs[0, 1] * (1 + noise * outputs[:, 0])
    outputs[:, 2] = outputs[0, 2] * (1 + 1e-2 * outputs[:, 0])
    outputs = outputs.to(dtype).to(torch.promote_types(dtype, torch.float32))
    settings = ConnectionConfig(centred=True, scale=scale)
    means, scales = measured(outputs, outputs[:, 0], settings)
    rows = [row.double() for row in outputs]
    of_rows = measured_statistics(rows, rows, Settings(centred=True, scale=scale))
    torch.testing.assert_close(means, of_rows[0])
    assert scales[1] == 0
    torch.testing.assert_close(scales[[0, 2]], of_rows[1][[0, 2]])


def test_the_own_transform_is_the_fit_of_the_weights_of_then(tmp_path):
    model, plain = connected_llama(monolingual_share=0.5), connected_llama().eval()
    trainer_for(model, arguments(tmp_path, max_steps=2)).train()
    pairs = [
        (example.input_ids[: example.prompt_length], example.english_input_ids)
        for example in EXAMPLES
        if example.input_ids[: example.prompt_length] != example.english_input_ids
    ]
    assert len(pairs) < len(EXAMPLES)
    distinct = list(dict.fromkeys(tuple(english) for _, english in pairs))
    numbers = torch.tensor([distinct.index(tuple(english)) for _, english in pairs])
    F, F_en = (
        torch.stack([sublayer_outputs(plain, torch.tensor(ids)).detach() for ids in side])
        for side in zip(*pairs, strict=True)
    )
    fit = LeastSquares(32, folds=5)
    fit.update(F, F_en, numbers)
    with pytest.warns(UserWarning, match="few for a matrix"):
        expected = fit.solve().float()
    error = (F @ model.own_transform.weight - F @ expected).norm() / (F @ expected).norm()
    assert float(error) < 1e-3 and float((F @ expected - F).norm() / F.norm()) > 1e-2


OPTIONS = {
    **{"centred": True, "scale": 0.5, "gate": "vector", "decision_maker_norm": True},
    **{"target_layer": 1, "monolingual_share": 0.5, "alignment": 0.5},
}


@pytest.mark.parametrize(
    ("resumed_at", "lora", "changes", "connection"),
    [
        (3, False, {}, {}),
        (3, True, {"neftune_noise_alpha": 5.0}, {}),
        (3, "4 bits", {"eval_strategy": "steps", "eval_steps": 2}, {}),
        (3, False, {}, OPTIONS),
        (3, True, {}, OPTIONS),
        (4, False, {"logging_steps": 3}, {}),  # between two logs
        (
            5,
            False,
            {"logging_steps": 3, "gradient_accumulation_steps": 2, "per_device_train_batch_size": 2},
            {},
        ),
        (5, False, {"train_sampling_strategy": "group_by_length"}, {}),  # in the second epoch
        (6, False, {}, {}),  # after the last step, which is not the end of an epoch
    ],
    ids=[
        *("full", "lora", "lora, 4 bits", "options", "lora, options", "between logs"),
        *("accumulation", "grouped", "after the last step"),
    ],
)
def test_a_resumed_run_ends_with_the_same_weights_and_metrics(
    tmp_path, resumed_at, lora, changes, connection
):
    examples, options = EXAMPLES[:10], {"decision_maker_lr_multiplier": 2.0, "monolingual_refit_steps": 2}
    if lora:
        options["peft_config"] = LoraConfig(target_modules="all-linear", r=2)
    results = []
    for name in ("whole", "resumed"):
        folder = tmp_path / name
        args = arguments(folder, save_strategy="steps", save_steps=resumed_at, **changes)
        metrics = MetricsFile(folder)
        model = connected_llama(**connection) if lora != "4 bits" else connected_four_bits(folder / "base")
        options["eval_dataset"] = EXAMPLES[10:] if "eval_strategy" in changes else None
        trainer = trainer_for(model, args, examples=examples, callbacks=[metrics], **options)
        if name == "resumed":
            checkpoint = f"checkpoint-{resumed_at}"
            shutil.copytree(tmp_path / "whole" / checkpoint, folder / checkpoint)
            shutil.copy(tmp_path / "whole" / "metrics.jsonl", folder)
        trainer.train(resume_from_checkpoint=name == "resumed")
        results.append((weights_of(trainer.model), losses(folder)))
        assert trainer.state.global_step == 6
    assert_same(results[0][0], results[1][0])
    assert results[0][1] == results[1][1]
    assert len(results[0][1]) == 6 // args.logging_steps


def test_evaluations_do_not_change_the_training(tmp_path):
    weights = []
    for name, changes in (("without", {}), ("with", {"eval_strategy": "steps", "eval_steps": 1})):
        trainer = trainer_for(
            connected_llama(), arguments(tmp_path / name, **changes), eval_dataset=EXAMPLES[:5]
        )
        trainer.train()
        weights.append(weights_of(trainer.model))
    assert_same(*weights)


def test_what_is_overridden_still_exists():
    """A method that moves upstream would be one that nobody calls."""
    for own in (CCTuningTrainer, ResumableTrainer):
        overridden = {name for name, value in vars(own).items() if inspect.isfunction(value)}
        ours = {
            "__init__", "own_state", "restore_own_state", "_note", "_each_row_once", "_restore",
            "_non_finite_message", "_sum_over_processes", "_measure_statistics", "_load_connection", "_refit",
            "_passes", "_alignment_loss", "_checked_languages",
        }  # fmt: skip
        for name in overridden - ours:
            assert hasattr(SFTTrainer, name), name
    private = ["_get_train_sampler", "_save_checkpoint", "_save", "_load_from_checkpoint", "_get_grad_norm"]
    private += ["_load_best_model", "_issue_warnings_after_load", "_set_signature_columns_if_needed"]
    source = inspect.getsource(Trainer)
    for name in private:
        assert f"self.{name}" in source, name


def test_weights_that_others_stand_for_are_not_missed_when_a_checkpoint_is_loaded(tmp_path, caplog):
    model = CCTuningModel.wrap(tiny_llama(len(TOKENIZER), tie_word_embeddings=True), ConnectionConfig())
    trainer = trainer_for(model, arguments(tmp_path))
    logger = logging.getLogger("transformers.trainer")
    logger.addHandler(caplog.handler)
    try:
        held = {name: weight for name, weight in model.state_dict().items() if name != "lm_head.weight"}
        trainer._issue_warnings_after_load(model.load_state_dict(held, strict=False))
        assert not caplog.records
        held.pop("model.embed_tokens.weight")  # now nothing stands for the LM head
        trainer._issue_warnings_after_load(model.load_state_dict(held, strict=False))
        assert "model.embed_tokens.weight" in caplog.text and "lm_head.weight" in caplog.text
    finally:
        logger.removeHandler(caplog.handler)


def test_orders_that_deal_out_rows_by_themselves_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"train_sampling_strategy=batch_rebalance deals rows out"):
        trainer_for(connected_llama(), arguments(tmp_path, train_sampling_strategy="batch_rebalance"))
    args = arguments(tmp_path, train_sampling_strategy="sequential")
    batches = trainer_for(connected_llama(), args).get_train_dataloader()
    assert [row for batch in batches for row in batch["example"].tolist()] == list(range(12))


def test_other_rows_than_a_checkpoint_s_are_refused_and_without_a_complete_one_there_is_nothing(tmp_path):
    args = arguments(tmp_path, max_steps=2, save_strategy="steps", save_steps=1)
    trainer = trainer_for(connected_llama(), args)
    trainer.train()
    other = [*EXAMPLES[1:], EXAMPLES[0]]  # the same rows, but not in the same order
    said = r"made with other rows: 12 with tokens \w{8} then, 12 with tokens \w{8} now"
    with pytest.raises(CheckpointError, match=said):
        trainer_for(connected_llama(), args, examples=other).train(resume_from_checkpoint=True)
    for step in (1, 2):
        (tmp_path / f"checkpoint-{step}" / "complete.json").unlink()
    with pytest.raises(CheckpointError, match="holds no complete checkpoint to resume from"):
        trainer.train(resume_from_checkpoint=True)


def test_a_checkpoint_is_complete_before_an_older_one_is_removed(tmp_path, monkeypatch):
    kept = []

    def sealing(folder, **values):
        kept.append(sorted(path.name for path in tmp_path.glob("checkpoint-*")))
        return checkpoints.seal(folder, **values)

    monkeypatch.setattr("cctuning.training.resumable.seal", sealing)
    args = arguments(tmp_path, max_steps=3, save_strategy="steps", save_steps=1, save_total_limit=1)
    trainer_for(connected_llama(), args).train()
    assert kept == [["checkpoint-1"], ["checkpoint-1", "checkpoint-2"], ["checkpoint-2", "checkpoint-3"]]
    assert [path.name for path in tmp_path.glob("checkpoint-*")] == ["checkpoint-3"]
    assert checkpoints.check(tmp_path / "checkpoint-3").step == 3


def test_a_step_of_rows_without_a_response_has_an_alignment_and_no_loss(tmp_path):
    rows = [dataclasses.replace(row, output="") for row in tiny_rows(12) if row.language != "en"]
    silent, _ = encode(rows[:4], PromptFormat(TOKENIZER), cutoff_len=128, english_cutoff_len=128)
    args = arguments(tmp_path, max_steps=3, train_sampling_strategy="sequential")
    model = connected_llama(centred=True, alignment=0.5)
    trainer = trainer_for(
        model, args, examples=[*EXAMPLES[:4], *silent, *EXAMPLES[4:8]], callbacks=[MetricsFile(tmp_path)]
    )
    trainer.train()
    lines = read_lines(tmp_path / "metrics.jsonl")
    assert [("loss" in line, "tokens/sw" in line) for line in lines] == [
        (True,) * 2,
        (False,) * 2,
        (True,) * 2,
    ]
    assert all(line["alignment"] > 0 for line in lines)
    with pytest.raises(BadRowsError, match="no response start"):
        trainer_for(connected_llama(centred=True), args, examples=silent)
    with pytest.raises(BadRowsError, match="no response start"):
        trainer_for(model, args, eval_dataset=silent)


def test_the_log_tells_of_all_label_tokens_since_the_last_log(tmp_path):
    """Two steps, of two unequal batches each, beside one plain pass over the same rows."""
    model = connected_llama(pooling="mean")
    data = training_set(EXAMPLES, languages_of(EXAMPLES))
    args = arguments(
        tmp_path,
        max_steps=2,
        logging_steps=2,
        logging_first_step=False,
        learning_rate=0.0,
        per_device_train_batch_size=3,
        gradient_accumulation_steps=2,
    )
    trainer = trainer_for(model, args, callbacks=[MetricsFile(tmp_path)])
    trainer.train()
    [line] = losses(tmp_path)
    batch = trainer.data_collator([data[number] for number in range(len(EXAMPLES))])
    labels = batch.pop("labels")[:, 1:]
    del batch["language"], batch["example"], batch["aligned"]
    with torch.no_grad():
        log_p = model(**batch).logits[:, :-1].log_softmax(-1)
    of_labels = labels != -100
    nll = -log_p.gather(-1, labels.clamp(min=0)[..., None])[..., 0][of_labels]
    assert line["loss"] == pytest.approx(float(nll.mean()), rel=1e-5)
    entropy = -(log_p.exp() * log_p).sum(-1)[of_labels].mean()
    assert line["entropy"] == pytest.approx(float(entropy), rel=1e-5)
    correct = (log_p.argmax(-1) == labels)[of_labels].float().mean()
    assert line["mean_token_accuracy"] == pytest.approx(float(correct), abs=1e-6)
    tokens = {name: line[f"tokens/{name}"] for name in languages_of(EXAMPLES)}
    assert sum(tokens.values()) == int(of_labels.sum())
    total = sum(line[f"loss/{name}"] * count for name, count in tokens.items())
    assert total / sum(tokens.values()) == pytest.approx(line["loss"], rel=1e-14)


def test_everything_logged_is_ours_or_of_the_last_step(tmp_path):
    """So that a resumed run logs the same: TRL keeps lists since the last log that no checkpoint holds."""
    args = arguments(tmp_path, max_steps=2, per_device_train_batch_size=2, gradient_accumulation_steps=2)
    trainer_for(connected_llama(), args, callbacks=[MetricsFile(tmp_path)]).train()
    ours = {"loss", "entropy", "mean_token_accuracy"}
    of_the_last_step = {"step", "epoch", "grad_norm", "learning_rate"}
    for line in losses(tmp_path):
        assert {name for name in line if "/" not in name} == ours | of_the_last_step
        shares = [line[f"decision_maker/layer_{layer:02d}"] for layer in range(3)]
        assert sum(shares) == pytest.approx(1)
        assert all(round(4 * share) == 4 * share for share in shares)  # 4 rows, one layer each
        assert 0 < line["decision_maker/entropy"] <= math.log(3)


@pytest.mark.parametrize("norm", [False, True])
def test_a_normalised_decision_maker_starts_undecided_whatever_the_activations(tmp_path, norm):
    model = connected_llama(decision_maker_norm=norm)
    with torch.no_grad():
        for layer in model.model.layers:
            layer.mlp.down_proj.weight *= 1e7
    assert float(model.ffn_outputs(torch.tensor([[9, 10]])).norm(dim=-1).mean()) > 1e3
    trainer_for(
        model, arguments(tmp_path, max_steps=2, save_strategy="no"), callbacks=[MetricsFile(tmp_path)]
    ).train()
    first, second = (line["decision_maker/entropy"] for line in losses(tmp_path))
    if norm:
        assert first == pytest.approx(math.log(3), rel=1e-5)
        assert 0.5 < second < first - 1e-6  # it has learned, and has not decided
    else:
        assert first < 0.1


@pytest.mark.parametrize(
    ("module", "option", "settings"),
    [
        ("decision_maker", "decision_maker_lr_multiplier", {"embedding": "mean"}),
        ("connection_gate", "gate_lr_multiplier", {"gate": "vector"}),
    ],
)
def test_the_learning_rate_of_the_connection_is_a_multiple(tmp_path, module, option, settings):
    def moved(multiplier):
        model = connected_llama(**settings)
        weight = model.get_submodule(module).weight
        before = weight.detach().clone()
        args = arguments(tmp_path, max_steps=1, optim="sgd", max_grad_norm=0.0, learning_rate=1.0)
        trainer_for(model, args, **{option: multiplier}).train()
        return weight.detach() - before

    torch.testing.assert_close(moved(4.0), 4 * moved(1.0), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("schedule", ["linear", "exponential"])
def test_the_temperature_goes_from_start_to_end(tmp_path, schedule):
    assert scheduled_temperature(2.0, 0.5, 0.0, schedule) == 2.0
    assert scheduled_temperature(2.0, 0.5, 1.0, schedule) == pytest.approx(0.5)
    assert scheduled_temperature(2.0, 0.5, 0.5, schedule) == pytest.approx(
        {"linear": 1.25, "exponential": 1.0}[schedule]
    )
    model = connected_llama(temperature=2.0)
    trainer_for(
        model, arguments(tmp_path), callbacks=[TemperatureSchedule(model.connection, 0.5, schedule)]
    ).train()
    assert model.connection.temperature == pytest.approx(0.5)  # of the last step


@pytest.mark.parametrize("lora", [False, True])
def test_the_temperature_is_that_of_the_weights(tmp_path, lora):
    """Of the best checkpoint where that is what the run ends with, and of one without a step left to take."""

    def trained(path, **changes):
        model = connected_llama(temperature=2.0, hard=False)
        trainer = trainer_for(
            model,
            arguments(path, save_strategy="steps", save_steps=1, max_steps=4, **changes),
            eval_dataset=EXAMPLES[:2],
            callbacks=[TemperatureSchedule(model.connection, 0.5)],
            peft_config=LoraConfig(target_modules="all-linear", r=2) if lora else None,
        )
        return trainer, model.connection

    evaluated = {"eval_strategy": "steps", "eval_steps": 1, "load_best_model_at_end": True}
    evaluated["greater_is_better"] = True  # the loss falls, so the first is the best
    trainer, connection = trained(tmp_path / "best", **evaluated)
    trainer.train()
    assert trainer.state.best_global_step < 4
    expected = 2.0 - 1.5 * (trainer.state.best_global_step - 1) / 3
    assert connection.temperature == pytest.approx(expected)

    trained(tmp_path / "whole")[0].train()
    trainer, connection = trained(tmp_path / "whole")
    trainer.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-4"))
    assert connection.temperature == pytest.approx(0.5)


def test_a_non_finite_loss_stops_the_run_and_names_step_and_row(tmp_path):
    used = {token for example in EXAMPLES for token in (*example.input_ids, *example.english_input_ids)}
    unused = next(
        token for token in range(8, len(TOKENIZER)) if token not in used
    )  # will be in one row alone
    examples = list(EXAMPLES)
    examples[5] = dataclasses.replace(examples[5], input_ids=[unused, *examples[5].input_ids[1:]])
    model = connected_llama()
    with torch.no_grad():
        model.get_input_embeddings().weight[unused] = float("nan")
    trainer = trainer_for(model, arguments(tmp_path, per_device_train_batch_size=12), examples=examples)
    with pytest.raises(NonFiniteLossError, match=r"nan at step 1, in tiny.jsonl row 6 \(id 6\)\. "):
        trainer.train()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_non_finite_gradient_of_a_finite_loss_changes_no_weight(tmp_path, value):
    model = connected_llama()
    args = arguments(tmp_path, save_strategy="steps", save_steps=1)
    trainer = trainer_for(model, args, callbacks=[Spoiled(model, step=3, value=value)])
    with pytest.raises(NonFiniteLossError, match=rf"its gradient is not \(norm {value}\) at step 3: "):
        trainer.train()
    kept = load_file(tmp_path / "checkpoint-2" / "model.safetensors")
    assert_same(kept, {name: weight for name, weight in weights_of(model).items() if name in kept})
    assert not (tmp_path / "checkpoint-3").exists()


def test_a_float16_run_looks_for_its_loss_scale_by_way_of_infinite_gradients(tmp_path):
    trainer = trainer_for(connected_llama(), arguments(tmp_path))
    norm = torch.tensor(math.inf)
    with pytest.raises(NonFiniteLossError):
        trainer._get_grad_norm(trainer.model, norm)
    trainer.args.fp16 = True
    assert trainer._get_grad_norm(trainer.model, norm) is norm


class Spoiled(TrainerCallback):
    """Makes one number of a gradient something else in a step, as it comes out of the backward pass."""

    def __init__(self, model, step, value):
        self.step, self.value, self.now = step, value, 0
        model.lm_head.weight.register_hook(self.spoil)

    def on_step_begin(self, args, state, control, **kwargs):
        self.now = state.global_step + 1

    def spoil(self, gradient):
        if self.now == self.step:
            gradient = gradient.clone()
            gradient[0, 0] = self.value
        return gradient


@pytest.mark.parametrize("prompt", ["none", "all"])
def test_an_example_without_a_response_token_is_reported_before_training(tmp_path, prompt):
    examples = list(EXAMPLES)
    tokens = {"none": 0, "all": len(examples[4].input_ids)}[prompt]
    examples[4] = dataclasses.replace(examples[4], prompt_length=tokens)
    with pytest.raises(BadRowsError, match=rf"tiny.jsonl, row 5, output: {tokens} of the row's "):
        trainer_for(connected_llama(), arguments(tmp_path), examples=examples)


@pytest.mark.parametrize("option", ["packing", "padding_free"])
def test_joined_rows_are_refused(tmp_path, option):
    with pytest.raises(ValueError, match=f"{option}=True joins rows"):
        trainer_for(connected_llama(), arguments(tmp_path, **{option: True}))


@pytest.mark.parametrize(
    "changes",
    [{"average_tokens_across_devices": False}, {"label_smoothing_factor": 0.1}, {"loss_type": "dft"}],
    ids=str,
)
def test_other_losses_are_refused(tmp_path, changes):
    [name] = changes
    with pytest.raises(ValueError, match=f"{name}="):
        trainer_for(connected_llama(), arguments(tmp_path, **changes))
    with pytest.raises(ValueError, match="compute_loss_func="):
        trainer_for(connected_llama(), arguments(tmp_path), compute_loss_func=print)


@pytest.mark.parametrize("kind", [{}, {"use_dora": True}, {"use_rslora": True}], ids=str)
def test_an_adapter_is_saved_with_the_connection_beside_it_and_merges(tmp_path, kind):
    base = tmp_path / "base"
    tiny_llama(len(TOKENIZER)).save_pretrained(base)
    torch.manual_seed(7)
    model = CCTuningModel.wrap(AutoModelForCausalLM.from_pretrained(base), ConnectionConfig())
    model.generation_config.eos_token_id = 4
    config = LoraConfig(target_modules="all-linear", r=2, **kind)
    trainer = trainer_for(model, arguments(tmp_path / "run"), peft_config=config)
    trainer.train()
    trainer.save_model(str(tmp_path / "run"))
    trained = trainer.model.merge_and_unload()
    loaded = CCTuningModel.load(tmp_path / "run")
    saved = load_file(tmp_path / "run" / "connection" / "connection.safetensors")["decision_maker.weight"]
    torch.testing.assert_close(saved, trained.decision_maker.weight.detach())
    assert 4 in loaded.generation_config.eos_token_id
    # Without us, transformers loads base and adapter, and leaves the Decision Maker out; of DoRA it leaves
    # the magnitudes out as well, and PEFT has to load it.
    if kind.get("use_dora"):
        plain = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), tmp_path / "run")
    else:
        plain = AutoModelForCausalLM.from_pretrained(tmp_path / "run")
    ids = torch.tensor([EXAMPLES[0].input_ids])
    torch.testing.assert_close(loaded(ids).logits, trained.eval()(ids).logits)
    torch.testing.assert_close(plain(ids).logits, trained(ids).logits)


def test_rows_can_be_given_as_they_are(tmp_path):
    rows = [
        {name: getattr(row, name) for name in ("id", "language", "instruction", "instruction_en", "output")}
        for row in tiny_rows(12)
    ]
    args = arguments(tmp_path, max_length=128, eval_strategy="steps", eval_steps=3)
    of_rows = CCTuningTrainer(
        connected_llama(),
        args,
        train_dataset=Dataset.from_list(rows),
        eval_dataset=rows[:4],
        processing_class=TOKENIZER,
    )
    of_rows.train()
    evaluated = [line for line in of_rows.state.log_history if "eval_loss" in line]
    assert len(evaluated) == 2 and {"eval_loss/sw", "eval_decision_maker/entropy"} <= evaluated[0].keys()
    of_examples = trainer_for(connected_llama(), arguments(tmp_path))
    of_examples.train()
    first = [line["loss"] for line in of_rows.state.log_history if "loss" in line]
    second = [line["loss"] for line in of_examples.state.log_history if "loss" in line]
    assert first[:3] == second[:3]  # an evaluation draws random numbers


def test_a_row_that_cannot_be_trained_on_is_named(tmp_path):
    rows = [{"instruction": "Mji?", "instruction_en": "City?", "output": "Nairobi"}] * 2
    rows[1] = {**rows[1], "instruction_en": " "}
    with pytest.raises(BadRowsError, match="train_dataset, row 2, instruction_en"):
        CCTuningTrainer(
            connected_llama(), arguments(tmp_path), train_dataset=rows, processing_class=TOKENIZER
        )
