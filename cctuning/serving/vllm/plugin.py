"""The entry point: what vLLM calls in each of its processes."""

from collections.abc import Callable
from typing import Any

from cctuning.connection.settings import check_exported
from cctuning.serving.vllm import configuration, front_end
from cctuning.serving.vllm.architectures import PREFIX, SERVED, served_architecture
from cctuning.serving.vllm.errors import UnservableError
from cctuning.serving.vllm.patches import wrap
from cctuning.serving.vllm.versions import check_version


def register() -> None:
    """Makes vLLM know exported models. Other models run as without it; may be called any number of times."""
    from vllm import ModelRegistry
    from vllm.config import VllmConfig
    from vllm.config import model as config_module
    from vllm.model_executor.models import config as model_configs

    for base in SERVED:
        name = f"{PREFIX}{base}"
        ModelRegistry.register_model(name, f"cctuning.serving.vllm.model:{name}")
        model_configs.MODELS_CONFIG_MAP[name] = _checks_after(model_configs.MODELS_CONFIG_MAP.get(base))
    wrap(config_module, "get_config", (), _get_config)
    wrap(VllmConfig, "_get_v2_model_runner_unsupported_features", ("self",), _unsupported_by_v2)
    wrap(type(ModelRegistry), "_try_resolve_transformers", ("self", "architecture"), _not_by_transformers)


def _get_config(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """A model's configuration; that of an exported model names the connected class."""
    config = original(*args, **kwargs)
    settings = getattr(config, "cctuning", None)
    if settings is None:
        return config
    check_version()
    check_exported(settings, "config.json: cctuning")
    (architecture,) = config.architectures
    served_architecture(architecture)
    config.architectures = [f"{PREFIX}{architecture.removeprefix(PREFIX)}"]
    front_end.install()
    return config


def _checks_after(base: Any) -> Any:
    class Checks:
        """Hook of vLLM's, by which the configuration of one architecture is checked and completed."""

        @staticmethod
        def verify_and_update_config(vllm_config: Any) -> None:
            if base is not None:
                base.verify_and_update_config(vllm_config)
            configuration.check_and_set(vllm_config)

        @staticmethod
        def verify_and_update_model_config(model_config: Any) -> None:
            if base is not None:
                base.verify_and_update_model_config(model_config)

    return Checks


def _unsupported_by_v2(original: Callable[..., Any], vllm_config: Any) -> list[str]:
    """The features for which vLLM takes model runner V1, with ours among them."""
    ours = ["cctuning's connection"] if configuration.is_connected(vllm_config) else []
    return [*original(vllm_config), *ours]


def _not_by_transformers(
    original: Callable[..., Any], registry: Any, architecture: str, *args: Any, **kwargs: Any
) -> Any:
    if architecture.startswith(PREFIX):
        raise UnservableError(
            f"{architecture} is not served by vLLM's Transformers backend: leave out model_impl=transformers"
        )
    return original(registry, architecture, *args, **kwargs)
