"""What a connected model is not served with, each refused by name."""

from types import SimpleNamespace

import pytest

from cctuning.serving.vllm import patches, versions
from cctuning.serving.vllm.architectures import SERVED, served_architecture
from cctuning.serving.vllm.configuration import SCHEDULER, is_connected, refusals
from cctuning.serving.vllm.errors import UnservableError


def configured(path="", value=None, **connection):
    """A configuration of vLLM's that is served, with one value changed."""
    settings = {"connection": {"pooling": "decision_maker", "selection": "argmax"} | connection}
    model = {"hf_config": SimpleNamespace(cctuning=settings), "runner_type": "generate", "is_moe": False}
    model |= {"enable_prompt_embeds": False, "is_hybrid": False, "is_attention_free": False}
    parallel = {"pipeline_parallel_size": 1, "decode_context_parallel_size": 1, "use_ubatching": False}
    parallel |= {"prefill_context_parallel_size": 1, "data_parallel_size": 1, "tensor_parallel_size": 2}
    config = SimpleNamespace(
        model_config=SimpleNamespace(**model),
        parallel_config=SimpleNamespace(**parallel),
        cache_config=SimpleNamespace(kv_sharing_fast_prefill=False),
        scheduler_config=SimpleNamespace(scheduler_cls=None),
        use_v2_model_runner=False,
        speculative_config=None,
        kv_transfer_config=None,
        ec_transfer_config=None,
        lora_config=None,
    )
    part, _, name = path.rpartition(".")
    if path:
        setattr(getattr(config, part) if part else config, name, value)
    return config


def test_what_is_served():
    assert refusals(configured()) == []
    assert refusals(configured("scheduler_config.scheduler_cls", SCHEDULER)) == []
    assert refusals(configured("parallel_config.data_parallel_size", 2)) == []


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ("use_v2_model_runner", True, "VLLM_USE_V2_MODEL_RUNNER=0"),
        ("model_config.runner_type", "pooling", "runner=pooling"),
        ("parallel_config.pipeline_parallel_size", 2, "pipeline"),
        ("parallel_config.decode_context_parallel_size", 2, "context parallel"),
        ("parallel_config.prefill_context_parallel_size", 2, "context parallel"),
        ("parallel_config.use_ubatching", True, "enable_dbo"),
        ("speculative_config", object(), "speculative"),
        ("kv_transfer_config", object(), "KV transfer"),
        ("ec_transfer_config", object(), "encoder transfer"),
        ("lora_config", object(), "LoRA"),
        ("model_config.enable_prompt_embeds", True, "enable_prompt_embeds"),
        ("cache_config.kv_sharing_fast_prefill", True, "kv_sharing_fast_prefill"),
        ("scheduler_config.scheduler_cls", "my.Scheduler", "scheduler"),
        ("model_config.is_hybrid", True, "recurrent"),
        ("model_config.is_attention_free", True, "recurrent"),
    ],
)
def test_what_is_refused(path, value, named):
    (found,) = refusals(configured(path, value))
    assert named in found


@pytest.mark.parametrize("settings", [{"pooling": "random"}, {"selection": "gumbel"}])
def test_a_draw_would_differ_from_worker_to_worker(settings):
    (found,) = refusals(configured(**settings))
    assert "tensor parallel" in found
    assert refusals(configured("parallel_config.tensor_parallel_size", 1, **settings)) == []


def test_two_mixtures_of_experts_on_two_engines():
    config = configured("parallel_config.data_parallel_size", 2)
    config.model_config.is_moe = True
    assert "expert" in refusals(config)[0]


def test_another_model_is_none_of_ours():
    assert is_connected(configured())
    assert not is_connected(configured("model_config.hf_config", SimpleNamespace()))
    assert not is_connected(configured("model_config", None))


def test_an_architecture_is_served_or_named():
    for name in SERVED:
        assert served_architecture(f"CCTuning{name}") is served_architecture(name)
    with pytest.raises(UnservableError, match="BloomForCausalLM") as error:
        served_architecture("CCTuningBloomForCausalLM")
    assert "LlamaForCausalLM" in str(error.value)


class Owner:
    def method(self, first, second=None):
        return (first, second)


@pytest.fixture
def owner(monkeypatch):
    monkeypatch.setattr(patches, "installed", lambda: "0.99.0")
    return type("Owner", (Owner,), {})


def test_a_function_is_wrapped_once(owner):
    for _ in range(2):
        patches.wrap(owner, "method", ("self", "first"), lambda original, *args: [original(*args)])
    assert owner().method(1) == [(1, None)]


@pytest.mark.parametrize(("name", "parameters"), [("method", ("self", "other")), ("missing", ())])
def test_a_function_that_differs_is_named(owner, name, parameters):
    with pytest.raises(UnservableError, match=r"0\.99\.0") as error:
        patches.wrap(owner, name, parameters, lambda original: None)
    assert f"Owner.{name}" in str(error.value)
    assert owner().method(1) == (1, None)


@pytest.mark.parametrize(
    ("found", "fine"), [("0.32.0", True), ("0.32.7rc1", True), ("0.33.0", False), ("1.32.0", False)]
)
def test_versions(monkeypatch, found, fine):
    monkeypatch.setattr(versions, "installed", lambda: found)
    if fine:
        versions.check_version()
    else:
        with pytest.raises(UnservableError, match=found):
            versions.check_version()
