"""The engine that runs the model of an evaluation: transformers, or vLLM."""

from typing import Any

from cctuning.commands.schemas import EvaluateRecipe
from cctuning.connection.model import load_model
from cctuning.distributed.sharing import Shard
from cctuning.generation.modes import set_mode
from cctuning.pretrained.names import naming_model


def check_engine(recipe: EvaluateRecipe, mode: str, shard: Shard) -> None:
    """Raises `ValueError` where the recipe's engine cannot ask its model in `mode`, or lacks a setting."""
    if recipe.engine == "hf":
        if recipe.engine_arguments:
            raise ValueError("engine_arguments are for engine=vllm, and engine=hf has none")
        return
    from cctuning.serving.vllm.asking import check_servable

    if recipe.attn_implementation is not None:
        raise ValueError("attn_implementation is for engine=hf: vLLM has engine_arguments.attention_backend")
    if shard.world_size > 1:
        raise ValueError(
            "engine=vllm runs in one process and shares its model out by itself: call it without accelerate "
            "launch, with engine_arguments.tensor_parallel_size"
        )
    check_servable(recipe.model, mode)


def load_in_engine(recipe: EvaluateRecipe, mode: str, device: Any) -> Any:
    """The model of a recipe, in `mode`."""
    with naming_model("model", recipe.model):
        if recipe.engine == "hf":
            model = load_model(
                recipe.model,
                dtype=recipe.dtype,
                attn_implementation=recipe.attn_implementation,
                trust_remote_code=recipe.trust_remote_code,
            ).to(device)
            set_mode(model, mode)
            return model
        from cctuning.serving.vllm.asking import load_in_vllm

        return load_in_vllm(
            recipe.model,
            mode,
            dtype=recipe.dtype,
            trust_remote_code=recipe.trust_remote_code,
            arguments=recipe.engine_arguments,
        )
