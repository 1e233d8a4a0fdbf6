"""Connected models: subclasses of vLLM's own, one for each architecture of the table.

`CCTuning<Base>` is made when it is asked for, by the name under which `plugin` registers it.
"""

from collections.abc import Iterable, Iterator
from functools import cache
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from cctuning.serving.vllm import runner
from cctuning.serving.vllm.architectures import PREFIX, SERVED, ServedArchitecture
from cctuning.serving.vllm.connection import ServedConnection
from cctuning.serving.vllm.errors import UnservableError
from cctuning.serving.vllm.taps import Taps


def connect(model: Any, vllm_config: Any, served: ServedArchitecture) -> None:
    """Puts taps and a `ServedConnection` into `model`, which vLLM has just built, still without weights."""
    config = vllm_config.model_config.hf_config
    paths = config.cctuning["paths"]
    decoder = getattr(model, "transformer", None) or model.model
    layers = decoder.get_submodule(paths["layers"])
    factory = {"dtype": vllm_config.model_config.dtype, "device": next(layers.parameters()).device}
    model.cctuning = ServedConnection(config, layers, model.embed_input_ids, factory)
    model.cctuning_taps = Taps(
        layers,
        record=served.name_of(paths["record"]),
        inject=served.name_of(paths["inject"]),
        target=model.cctuning.connection.target_layer,
        rows=vllm_config.scheduler_config.max_num_seqs,
        hidden_size=config.cctuning["hidden_size"],
        splits_residual=served.splits_residual,
        **factory,
    )


class ConnectedModel:
    """Mixin before a model class of vLLM's."""

    served: ServedArchitecture
    cctuning: ServedConnection
    cctuning_taps: Taps

    def __init__(self, *, vllm_config: Any, prefix: str = "") -> None:
        runner.install(vllm_config)
        super().__init__(vllm_config=vllm_config, prefix=prefix)  # type: ignore[call-arg]
        with torch.device(vllm_config.device_config.device):
            connect(self, vllm_config, self.served)

    def load_weights(self, weights: Iterable[tuple[str, Tensor]]) -> set[str]:
        """The base's weights by its own rules, and the connection's by their names in the export.

        Raises `UnservableError` where one of the connection's is missing.
        """
        own = self.cctuning.state_dict()
        loaded: set[str] = set()

        def others() -> Iterator[tuple[str, Tensor]]:
            for name, tensor in weights:
                if name in own:
                    own[name].copy_(tensor)
                    loaded.add(name)
                else:
                    yield name, tensor

        of_base = super().load_weights(others())  # type: ignore[misc]
        if missing := set(own) - loaded:
            raise UnservableError(
                f"the exported model holds no {', '.join(sorted(missing))}: export it again"
            )
        return of_base | {f"cctuning.{name}" for name in loaded}


@cache
def connected_class(name: str) -> type:
    """`CCTuning<Base>`, where <Base> is a line of the table."""
    base_name = name.removeprefix(PREFIX)
    registry: Any = import_module("vllm.model_executor.models.registry")
    base = registry.ModelRegistry.models[base_name].load_model_cls()
    body = {"served": SERVED[base_name], "__module__": __name__, "__doc__": f"{base_name}, connected."}
    return type(name, (ConnectedModel, base), body)


def __getattr__(name: str) -> type:
    if not name.startswith(PREFIX) or name.removeprefix(PREFIX) not in SERVED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return connected_class(name)
