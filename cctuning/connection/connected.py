"""The connection in a model: whether there is one, and the tensors of its modules by name."""

import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from torch import Tensor

from cctuning.connection.modeling_cctuning import (
    GATE,
    OWN_TRANSFORM,
    POOLINGS,
    STATISTICS,
    Constants,
    CrossLingualConnection,
)

# What comes before a name of the model's own in that of a wrapped one: PEFT's, DDP's, a compiled model's.
_WRAPPED = r"(?:(?:base_model\.model|module|_orig_mod)\.)*"


def connection_of(model: Any) -> Any:
    """The connected model inside of `model` and what PEFT or an engine put around it; None without one.

    Told by the class's name: an exported folder's own modeling file defines the class a second time.
    """
    name = CrossLingualConnection.__name__
    return next((m for m in model.modules() if any(c.__name__ == name for c in type(m).__mro__)), None)


def is_connected(model: Any) -> bool:
    """Whether `model` has a connection, be it switched on or off."""
    return connection_of(model) is not None


@contextmanager
def with_connection(model: Any, connected: bool = True) -> Iterator[None]:
    """A block in which the connection of `model` is switched on, or off, where it has one."""
    own = connection_of(model)
    before = own is not None and own.connected
    try:
        if own is not None:
            own.connected = connected
        yield
    finally:
        if own is not None:
            own.connected = before


def without_connection(model: Any) -> AbstractContextManager[None]:
    """A block in which the connection of `model` is switched off, where it has one."""
    return with_connection(model, False)


def connection_weights(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of the connection's modules among a model's or adapter's, as `<module>.<name in it>`.

    Of PEFT's two copies the trained one, which it calls modules_to_save.
    """
    ours = re.compile(rf"{_ours()}\.(?:modules_to_save\.\w+\.)?(?!original_module\.)(?P<name>.+)")
    matches = ((ours.fullmatch(name), tensor) for name, tensor in tensors.items())
    return {f"{match['module']}.{match['name']}": tensor for match, tensor in matches if match}


def constants_of(model: Any) -> dict[str, Tensor]:
    """What a connection has measured and does not train, by name; in training it is in no state dict."""
    modules = {name: module for name, module in model.named_children() if isinstance(module, Constants)}
    return {
        f"{name}.{key}": tensor for name, module in modules.items() for key, tensor in module.named_buffers()
    }


def is_of_connection(name: str) -> bool:
    """Whether a tensor of this name is a connection's, and so none of the base model's or adapter's.

    Of a module: its name and a dot.
    """
    return re.match(rf"{_ours()}\.", name) is not None


def _ours() -> str:
    return rf"{_WRAPPED}(?P<module>{'|'.join([*POOLINGS, GATE, STATISTICS, OWN_TRANSFORM])})"
