"""The estimate of a step's memory against the peaks of real training runs, and what it is made of.

How a peak is measured stands in `measured.py`; the large grid is `python -m tests.stress.memory`.
"""

import copy
import dataclasses

import pytest
import torch
from transformers import Adafactor, AutoConfig, AutoModelForCausalLM, GPTNeoXConfig, LlamaConfig
from transformers.training_args import OptimizerNames
from trl.kernels import chunked_logprob
from trl.trainer import utils

from cctuning import CCTuningModel, ConnectionConfig
from cctuning.distributed.engines import Engine
from cctuning.training.memory import Step, UnknownMemoryError, estimate_memory, tracing
from cctuning.training.memory.estimate import total_memory
from cctuning.training.memory.optimizers import is_known, state_bytes
from cctuning.training.memory.tracing import LiveStorages, trace_step
from tests.models import _COMMON, ARCHITECTURES, without_aliases
from tests.tiny import tiny_llama
from tests.training.memory.measured import measured_peak
from tests.training.memory.shapes import CONNECTIONS, SHAPES, lora, step_of, train

pytestmark = pytest.mark.slow

FOUR_BITS = {"lora": lora(), "four_bits": True}
ALIGNED, OWN = (CONNECTIONS[name] for name in ("aligned", "own"))
STEP = step_of(SHAPES["tiny"])
LLAMA_8B = LlamaConfig(
    vocab_size=128256, hidden_size=4096, intermediate_size=14336, num_hidden_layers=32,
    num_attention_heads=32, num_key_value_heads=8,
)  # fmt: skip


def smaller(shape):
    """Fewer tokens and layers, and a quarter of what is wide: bfloat16 and the LM head are slow on a CPU."""
    config = shape.config
    quarter = {name: config[name] // 4 for name in ("hidden_size", "intermediate_size", "head_dim")}
    changes = quarter if config["hidden_size"] > 128 else {}
    most = {"vocab_size": 8000, "num_hidden_layers": 6}
    changes |= {name: min(config[name], number) for name, number in most.items()}
    return dataclasses.replace(shape, tokens=48, prompt=24, english=32, config=config | changes)


@pytest.mark.parametrize(
    ("shape", "changes"),
    [
        ("wide", {"bf16": False, "checkpointing": False}),
        ("wide", {"bf16": True, "checkpointing": True, "lora": lora()}),
        ("wide", {"bf16": True, "checkpointing": True, "dtype": "bfloat16", "optim": "adafactor"}),
        ("deep", {"bf16": True, "checkpointing": False}),
        ("tied", {"bf16": True, "checkpointing": True, "accumulation": 2}),
        ("tied", {"bf16": False, "checkpointing": False, "connection": None}),
        ("vocabulary", {"bf16": True, "checkpointing": True}),
        ("gemma2", {"bf16": False, "checkpointing": True, "reentrant": True}),
        ("wide", {"bf16": False, "checkpointing": False, "connection": ALIGNED}),
        ("deep", {"bf16": True, "checkpointing": True, "connection": ALIGNED}),
        ("tied", {"bf16": True, "checkpointing": True, "connection": ALIGNED, "lora": lora()}),
        ("wide", {"bf16": False, "checkpointing": True, "connection": OWN}),
        ("wide", {"bf16": True, "checkpointing": True, "dtype": "bfloat16", **FOUR_BITS}),
        ("wide", {"bf16": False, "checkpointing": False, "double_quant": False, **FOUR_BITS}),
    ],
)
def test_the_estimate_is_the_peak_of_a_real_run(shape, changes, tmp_path):
    if "four_bits" in changes:
        pytest.importorskip("bitsandbytes")
    small = smaller(SHAPES[shape])
    step = step_of(small, **changes)
    peak = measured_peak(lambda: train(step, small, tmp_path), tmp_path)
    assert total_memory(step).total == pytest.approx(peak, rel=0.1)


@pytest.mark.parametrize(
    "changes",
    [
        {"lora": lora(), "gpu": True},
        {"reentrant": True, "accumulation": 2},
        {"connection": ALIGNED, "gpu": True},
        {"connection": ALIGNED, "checkpointing": False, "bf16": False},
        {"connection": dataclasses.replace(OWN, pooling="layer", layer=5, target_layer=-6)},
    ],
)
def test_two_small_models_tell_the_peak_of_a_deep_one(changes):
    deep = dataclasses.replace(SHAPES["deep"], config=SHAPES["deep"].config | {"num_hidden_layers": 6})
    step = step_of(deep, **changes)
    estimate = total_memory(dataclasses.replace(step, optim="sgd"))
    whole = max(trace_step(dataclasses.replace(step, optim="")).values())  # all six layers
    assert estimate.total == pytest.approx(whole + real_weights(step), rel=0.002)


@pytest.mark.parametrize(
    ("connection", "backward"), [(ALIGNED, {"own between", "own first layer", "own embedding"}), (OWN, set())]
)
def test_an_alignment_alone_differentiates_the_reading_of_a_rows_own_prompt(connection, backward):
    phases = trace_step(step_of(SHAPES["tiny"], connection=connection))
    assert {phase for phase in phases if phase.startswith("own")} == {"own"} | backward


def real_model(step):
    model = AutoModelForCausalLM.from_config(step.config)
    model = CCTuningModel.wrap(model, step.connection) if step.connection else model
    if step.lora:
        from peft import get_peft_model

        from cctuning.connection.adapters import with_connection

        model = get_peft_model(model, with_connection(step.lora, model))
    return model


def real_weights(step):
    model = real_model(step)
    return sum(tensor.nbytes for tensor in [*model.parameters(), *model.buffers()])


def trained_weights(step):
    return [weight for weight in real_model(step).parameters() if weight.requires_grad]


def test_an_8b_llama_needs_no_memory_to_be_counted():
    step = Step(LLAMA_8B, rows=2, tokens=1024, response_tokens=512, english_tokens=512)
    estimate = estimate_memory(step)
    assert estimate.weights == pytest.approx(4 * 8_030_261_248, rel=1e-6)
    assert estimate.gradients == estimate.optimizer // 2 == 4 * 8_030_261_248


def test_adapters_are_counted_not_guessed():
    step = dataclasses.replace(STEP, lora=lora(), dtype="bfloat16", connection=None)
    weights = trained_weights(step)
    assert estimate_memory(step).gradients == 4 * sum(weight.numel() for weight in weights)  # in float32


@pytest.mark.parametrize(("double_quant", "scale"), [(True, 1 + 4 / 256), (False, 4)])
def test_weights_of_four_bits_take_half_a_byte_and_their_scales(double_quant, scale):
    step = step_of(SHAPES["wide"], lora=lora(), connection=None)
    packed = sum(
        module.base_layer.weight.numel()
        for module in real_model(step).modules()
        if hasattr(module, "base_layer")
    )
    saved = 4 * packed - (packed / 2 + scale * packed / 64)
    estimate = estimate_memory(dataclasses.replace(step, four_bits=True, double_quant=double_quant))
    assert estimate.weights == real_weights(step) - saved
    assert estimate.gradients == estimate_memory(step).gradients


@pytest.mark.parametrize("setting", ["rows", "tokens", "english_tokens"])
def test_more_to_read_takes_more_memory(setting):
    step = dataclasses.replace(STEP, rows=1, tokens=32, response_tokens=16, english_tokens=32, gpu=True)
    little, much = (
        max(trace_step(dataclasses.replace(step, **{setting: value})).values()) for value in (32, 4096)
    )
    assert little < much


@pytest.mark.parametrize(
    "name", sorted(set(ARCHITECTURES) - {"mixtral", "qwen2_moe", "qwen3_moe", "olmoe", "deepseek_v3"})
)
def test_every_dense_architecture_can_be_traced(name):
    architecture = ARCHITECTURES[name]
    values = without_aliases(_COMMON | architecture.changes)
    config = AutoConfig.for_model(architecture.model_type, **values)
    step = Step(
        config, rows=2, tokens=32, response_tokens=16, english_tokens=16, connection=ConnectionConfig()
    )
    assert {"english", "forward", "end"} <= trace_step(step, layers=2).keys()


def test_a_step_that_needs_values_is_said_to_be_unknown():
    values = _COMMON | ARCHITECTURES["mixtral"].changes
    step = Step(AutoConfig.for_model("mixtral", **values), rows=2, tokens=32, response_tokens=16, bf16=False)
    with pytest.raises(UnknownMemoryError, match="the step of mixtral cannot be traced"):
        estimate_memory(step)


def test_an_architecture_that_is_in_no_table_is_estimated_without_the_connection():
    config = GPTNeoXConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32
    )
    step = Step(config, rows=2, tokens=32, response_tokens=16)
    assert estimate_memory(step).weights == real_weights(step)


# --- Parts -----------------------------------------------------------------------------------------------


def test_what_lives_is_counted_and_what_is_freed_is_not():
    with LiveStorages() as counter:
        first = torch.ones(100)
        view = first[:10]
        second = first + 1
        del first
        assert counter.current == 800  # the view keeps all of it
        del view, second
    assert counter.current == 0 and counter.peaks == {"": 800}


@pytest.mark.parametrize(
    ("optim", "make"),
    [
        ("adamw_torch", torch.optim.AdamW),
        ("sgd", torch.optim.SGD),
        ("adagrad", torch.optim.Adagrad),
        ("rmsprop", torch.optim.RMSprop),
        ("adafactor", lambda weights: Adafactor(weights, scale_parameter=False, relative_step=False, lr=1.0)),
    ],
)
def test_an_optimizer_keeps_what_the_table_says(optim, make):
    weights = [torch.nn.Parameter(torch.ones(shape)) for shape in ((30, 20), (50,))]
    optimizer = make(weights)
    for weight in weights:
        weight.grad = torch.ones_like(weight)
    optimizer.step()
    states = [value for state in optimizer.state.values() for value in state.values()]
    real = sum(value.nbytes for value in states if isinstance(value, torch.Tensor) and value.numel() > 1)
    assert state_bytes(optim, weights) == real


def test_optimizers_that_are_not_in_the_table_are_known_by_name():
    unknown = {name.value for name in OptimizerNames if not is_known(name.value)}
    assert all(
        name.startswith(("galore", "apollo", "lomo", "adalomo", "grok", "adamw_any")) for name in unknown
    )


def test_the_head_on_a_gpu_works_in_tiles_as_large_as_trls():
    assert chunked_logprob.TOKEN_CHUNK_SIZE == tracing.TILE_TOKENS
    assert utils._CHUNKED_LOGPROB_CHUNK_SIZE == tracing.TILE_VOCABULARY


def test_the_head_on_a_gpu_never_holds_the_logits():
    step = step_of(SHAPES["vocabulary"], gpu=True, bf16=False)
    assert max(trace_step(step).values()) < max(trace_step(dataclasses.replace(step, gpu=False)).values())


# --- Engines -----------------------------------------------------------------------------------------------


def test_ddp_adds_one_copy_of_the_gradients():
    step = dataclasses.replace(STEP, connection=None)
    one, ddp = estimate_memory(step), estimate_memory(step, Engine("ddp", 4))
    assert ddp == dataclasses.replace(one, engine=one.gradients)


@pytest.mark.parametrize("name", ["fsdp2", "zero2", "zero3"])
def test_more_processes_share_what_an_engine_shares(name):
    two, eight = (estimate_memory(STEP, Engine(name, count)) for count in (2, 8))
    assert eight.optimizer == pytest.approx(two.optimizer / 4, rel=1e-3)
    assert eight.gradients == pytest.approx(two.gradients / 4, rel=1e-3)
    assert (eight.weights < two.weights) == Engine(name).shards_weights


def test_offloading_moves_the_optimizer_to_main_memory():
    held, away = (estimate_memory(STEP, Engine("zero3", 4, offload=offload)) for offload in (False, True))
    assert away.optimizer == 0 and held.main_memory == 0
    assert away.main_memory >= 4 * (held.optimizer + held.weights)


def test_the_total_is_the_sum_of_the_parts():
    estimate = estimate_memory(STEP, Engine("fsdp2", 2))
    parts = dataclasses.asdict(estimate)
    assert parts.pop("main_memory") == 0 and parts["connection"] > 0
    assert estimate.total == sum(parts.values()) == total_memory(STEP, Engine("fsdp2", 2)).total


def test_the_configuration_stays_as_it_is():
    config = tiny_llama(100, layers=6).config
    before = copy.deepcopy(config.to_dict())
    estimate_memory(Step(config, rows=1, tokens=16, response_tokens=8))
    assert config.to_dict() == before
