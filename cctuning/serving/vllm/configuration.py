"""What a connected model cannot be served with, refused by name before the engine starts."""

from typing import Any

from cctuning.serving.vllm.errors import UnservableError

SCHEDULER = "cctuning.serving.vllm.scheduling.connected_scheduler"


def is_connected(vllm_config: Any) -> bool:
    """Whether the model of a configuration of vLLM's is an exported one."""
    model = vllm_config.model_config
    return model is not None and getattr(model.hf_config, "cctuning", None) is not None


def refusals(vllm_config: Any) -> list[str]:
    """What of a configuration of vLLM's does not go with a connected model."""
    model, parallel = vllm_config.model_config, vllm_config.parallel_config
    cache, scheduler = vllm_config.cache_config, vllm_config.scheduler_config
    connection = model.hf_config.cctuning["connection"]
    draws = connection["pooling"] == "random" or connection["selection"] == "gumbel"
    found = {
        "model runner V2: set VLLM_USE_V2_MODEL_RUNNER=0": vllm_config.use_v2_model_runner,
        f"runner={model.runner_type}: it generates text": model.runner_type != "generate",
        "pipeline parallelism": parallel.pipeline_parallel_size > 1,
        "context parallelism": max(
            parallel.decode_context_parallel_size, parallel.prefill_context_parallel_size
        )
        > 1,
        "micro-batch overlap (enable_dbo, ubatch_size)": parallel.use_ubatching,
        "expert parallelism over data-parallel engines": parallel.data_parallel_size > 1 and model.is_moe,
        "speculative decoding": vllm_config.speculative_config is not None,
        "KV transfer": vllm_config.kv_transfer_config is not None,
        "encoder transfer": vllm_config.ec_transfer_config is not None,
        "prompt embeddings (enable_prompt_embeds)": model.enable_prompt_embeds,
        "LoRA": vllm_config.lora_config is not None,
        "kv_sharing_fast_prefill": cache.kv_sharing_fast_prefill,
        "a scheduler of your own": scheduler.scheduler_cls not in (None, SCHEDULER),
        "recurrent or hybrid layers": model.is_hybrid or model.is_attention_free,
        "a random layer (pooling=random, selection=gumbel) under tensor parallelism": draws
        and parallel.tensor_parallel_size > 1,
    }
    return [name for name, is_there in found.items() if is_there]


def check_and_set(vllm_config: Any) -> None:
    """Raises `UnservableError` for what is refused, and sets what a connected model needs."""
    if found := refusals(vllm_config):
        raise UnservableError(f"a connected model is not served with {'; nor with '.join(found)}")
    vllm_config.scheduler_config.scheduler_cls = SCHEDULER
    # A prompt's last token alone in its chunk looks like decoding, and a full graph would replay that without
    # the Python around a forward that connects it.
    from vllm.config import CUDAGraphMode

    compilation = vllm_config.compilation_config
    mode = compilation.cudagraph_mode
    if mode is None or mode.has_full_cudagraphs():
        compilation.cudagraph_mode = CUDAGraphMode.PIECEWISE
