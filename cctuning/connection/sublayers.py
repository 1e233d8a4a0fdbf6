"""Sub-layers of a loaded model that can be connected, by its line of the architecture table."""

from torch import nn
from transformers import PreTrainedModel

from cctuning.connection.modeling_cctuning import SublayerPaths
from cctuning.pretrained.architectures import architecture_of


def final_norm(model: PreTrainedModel) -> nn.Module:
    """The norm between `model`'s last decoder layer and its LM head.

    Raises `ValueError` for an architecture that is not in the table, or that does not look as the table says.
    """
    decoder = model.get_decoder()
    model_type = decoder.config.model_type
    try:
        return decoder.get_submodule(architecture_of(model_type).final_norm)
    except AttributeError as error:
        raise ValueError(_differs(model, model_type, error)) from None


def sublayer_paths(model: PreTrainedModel, sublayer: str = "ffn") -> SublayerPaths:
    """The modules of `model` that hold its layers' `sublayer` outputs: "ffn", "attention" or "block".

    Raises `ValueError` for an architecture that is not in the table, or that does not look as the table says.
    """
    model_type = model.get_decoder().config.model_type
    architecture = architecture_of(model_type)
    record = {"ffn": architecture.ffn, "attention": architecture.attention, "block": ""}[sublayer]
    # What a layer adds to its output as it is can be added at the layer's output, whose hooks run outside of
    # the region that activation checkpointing recomputes.
    at_layer_output = sublayer == "block" or (sublayer == "ffn" and not architecture.scales_ffn)
    paths = SublayerPaths(architecture.layers, record, "" if at_layer_output else record)
    _check(model, paths, model_type)
    return paths


def _check(model: PreTrainedModel, paths: SublayerPaths, model_type: str) -> None:
    try:
        for layer in model.get_decoder().get_submodule(paths.layers):
            layer.get_submodule(paths.record)
    except AttributeError as error:
        raise ValueError(_differs(model, model_type, error)) from None


def _differs(model: PreTrainedModel, model_type: str, error: AttributeError) -> str:
    return f"{type(model).__name__} ({model_type}) is not as the architecture table says: {error}"
