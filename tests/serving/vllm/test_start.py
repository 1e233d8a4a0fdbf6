"""What vLLM is told before an engine starts. Runs where vLLM is installed."""

import json
import shutil
from contextlib import contextmanager

import pytest

from tests.serving.vllm.exports import engine_environment, make_export, needs_vllm

needs_vllm()
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    return make_export("llama", tmp_path_factory.mktemp("exported") / "model")


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name, value in engine_environment().items():
        monkeypatch.setenv(name, value)


def configured(folder, **settings):
    """The configuration of an engine, which is checked before there is one."""
    from vllm.engine.arg_utils import EngineArgs
    from vllm.plugins import load_general_plugins

    load_general_plugins()
    return EngineArgs(model=str(folder), dtype="float32", **settings).create_engine_config()


def test_the_plug_in_is_found_and_sets_what_it_needs(exported):
    config = configured(exported)
    assert config.model_config.architectures == ["CCTuningLlamaForCausalLM"]
    assert config.scheduler_config.scheduler_cls.endswith("connected_scheduler")
    assert not config.compilation_config.cudagraph_mode.has_full_cudagraphs()
    assert not config.use_v2_model_runner


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"pipeline_parallel_size": 2}, "pipeline"),
        ({"enable_lora": True}, "LoRA"),
        ({"enable_prompt_embeds": True}, "enable_prompt_embeds"),
        ({"model_impl": "transformers"}, "model_impl"),
        ({"model_impl": "transformers", "trust_remote_code": True}, "model_impl"),
        ({"runner": "pooling"}, "runner"),
        ({"speculative_config": {"method": "ngram", "num_speculative_tokens": 2}}, "speculative"),
        ({"scheduler_cls": "vllm.v1.core.sched.scheduler.Scheduler"}, "scheduler"),
    ],
    ids=str,
)
def test_what_is_refused(exported, settings, named):
    with pytest.raises(Exception, match=named) as error:
        configured(exported, **settings)
    assert "connected" in str(error.value) or "CCTuning" in str(error.value)


def test_model_runner_v2(exported, monkeypatch):
    monkeypatch.setenv("VLLM_USE_V2_MODEL_RUNNER", "1")
    with pytest.raises(Exception, match="VLLM_USE_V2_MODEL_RUNNER=0"):
        configured(exported)


@contextmanager
def edited_copy(exported, folder):
    """A copy of an export in `folder`, and its config.json to be changed in the block."""
    path = shutil.copytree(exported, folder) / "config.json"
    config = json.loads(path.read_text())
    yield folder, config
    path.write_text(json.dumps(config))


def test_another_architecture_is_named(exported, tmp_path):
    with edited_copy(exported, tmp_path / "other") as (folder, config):
        config["architectures"] = ["CCTuningBloomForCausalLM"]
    with pytest.raises(Exception, match="BloomForCausalLM is not among"):
        configured(folder)


def test_a_damaged_connection_is_named(exported, tmp_path):
    with edited_copy(exported, tmp_path / "other") as (folder, config):
        config["cctuning"]["connection"]["poling"] = "mean"
    with pytest.raises(Exception, match="poling"):
        configured(folder)


def test_other_models_are_left_alone(exported, tmp_path):
    with edited_copy(exported, tmp_path / "plain") as (folder, config):
        del config["cctuning"], config["auto_map"]
        config["architectures"] = ["LlamaForCausalLM"]
    plain = configured(folder, enable_lora=True)
    assert plain.model_config.architectures == ["LlamaForCausalLM"]
    assert plain.scheduler_config.scheduler_cls is None
