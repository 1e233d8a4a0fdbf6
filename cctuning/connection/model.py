"""`CCTuningModel`: a causal language model with the cross-lingual connection, to train and to run."""

import dataclasses
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import GenerationConfig, PreTrainedModel
from transformers.utils import CONFIG_NAME, GENERATION_CONFIG_NAME

from cctuning.connection.adapters import base_of, load_merged
from cctuning.connection.connected import connection_weights, constants_of, is_connected, is_of_connection
from cctuning.connection.modeling_cctuning import (
    ConnectionConfig,
    CrossLingualConnection,
    MonolingualConnection,
    connected_class,
)
from cctuning.connection.settings import check_exported, read_connection
from cctuning.connection.sublayers import sublayer_paths
from cctuning.pretrained.hub import model_folder
from cctuning.pretrained.kinds import (
    ADAPTER_FILE,
    CONNECTION_FILE,
    CONNECTION_FOLDER,
    ModelError,
    connection_folder,
    kind_of,
    read_json_object,
)
from cctuning.pretrained.loading import from_library, load_causal_lm, load_config, load_generation_config
from cctuning.pretrained.names import naming_model
from cctuning.pretrained.weights import WeightsError, check_finite, read_tensors

CONNECTION_WEIGHTS = "connection.safetensors"


class CCTuningModel(CrossLingualConnection):
    """The connection in a model that is trained; made by `wrap` or `load`, never by its constructor."""

    @classmethod
    def wrap(cls, base_model: PreTrainedModel, connection: ConnectionConfig | None = None) -> Any:
        """Connects `base_model` in place and returns it, now of class `CCTuning<Base>`.

        The pooling's parameters (the Decision Maker) start at zero mean with the base model's own
        initialisation scale, from torch's global generator. What outputs are centred and scaled by is NaN
        until it is measured, as `CCTuningTrainer` does, or set in `output_statistics`. Raises `ValueError`
        for an unknown architecture and `TypeError` for a model that is wrapped.
        """
        if is_connected(base_model):
            raise TypeError(f"the model is a {type(base_model).__name__} already: wrap the plain base model")
        connection = dataclasses.replace(connection or ConnectionConfig())
        paths = sublayer_paths(base_model, connection.sublayer)
        layers = len(base_model.get_decoder().get_submodule(paths.layers))
        for name in ("layer", "target_layer"):
            number = getattr(connection, name)
            if not -layers <= (number or 0) < layers:
                raise ValueError(f"{name}={number} is not one of the model's {layers} layers")
        ours: Any = cls
        plain: Any = type(base_model)
        base_model.__class__ = connected_class(ours, plain)
        model: Any = base_model
        model.connect(connection, paths)
        _attach_new_modules(model)
        return model

    @classmethod
    def load(cls, directory: str | Path, **kwargs: Any) -> Any:
        """The model of a finished run, connected; `kwargs` go to `load_causal_lm`. An adapter is merged.

        Raises `FileNotFoundError` where `directory` holds no `connection.json` (see `load_model`), and
        `ModelError` or `WeightsError` where one of its files cannot be used.
        """
        directory = model_folder(directory)
        settings = connection_folder(directory) / CONNECTION_FILE
        if not settings.is_file():
            raise FileNotFoundError(f"{settings} is missing: {directory} is no CC-Tuning run")
        connection, marker = read_connection(settings)
        model = cls.wrap(_load_base(directory, **kwargs), connection)
        load_connection_weights(model, directory)
        model.response_marker = marker
        return model.eval()

    def english_outputs(self, *args: Any, **kwargs: Any) -> Tensor:
        """As the mixin's; noise that training adds to embeddings (NEFTune) is the prompt's and response's."""
        with _noiseless_embeddings(self):
            return super().english_outputs(*args, **kwargs)

    def input_embeddings(self, *args: Any, **kwargs: Any) -> Tensor:
        """As the mixin's, without noise."""
        with _noiseless_embeddings(self):
            return super().input_embeddings(*args, **kwargs)

    def _first_reading(self, *args: Any, **kwargs: Any) -> Tensor:
        """As the mixin's, without noise."""
        with _noiseless_embeddings(self):
            return super()._first_reading(*args, **kwargs)

    def ffn_outputs(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, prompt_lengths: Tensor | None = None
    ) -> Tensor:
        """Every layer's feed-forward output at the response start (F of eq. 2): (B, L, d), without gradient.

        `input_ids` (B, T), padded on either side; `prompt_lengths` (B,) defaults to all of a row's tokens.
        """
        model: Any = self
        path = sublayer_paths(model, "ffn").record
        with torch.no_grad():
            return self._record(input_ids, attention_mask, prompt_lengths, path)

    def save_pretrained(self, save_directory: Any, *args: Any, state_dict: Any = None, **kwargs: Any) -> Any:
        """A plain checkpoint of the base model, and the connection in a folder of its own inside."""
        state_dict = self.state_dict() if state_dict is None else state_dict
        base = {name: tensor for name, tensor in state_dict.items() if not is_of_connection(name)}
        result = super().save_pretrained(  # type: ignore[misc]
            save_directory, *args, state_dict=base, **kwargs
        )
        # That has named the connected class, as fits an exported model.
        model: Any = self
        model.config.architectures = [_base_class_name(model)]
        if kwargs.get("is_main_process", True):
            model.config.save_pretrained(save_directory)
            save_connection(self, save_directory, state_dict)
        return result


@contextmanager
def _noiseless_embeddings(model: Any) -> Iterator[None]:
    """Forwards inside read the input embeddings as in evaluation; the embedding's hooks ask for its mode."""
    embeddings = model.get_input_embeddings()
    training, embeddings.training = embeddings.training, False
    try:
        yield
    finally:
        embeddings.training = training


def _base_class_name(model: Any) -> str:
    return type(model).__name__.removeprefix("FSDP").removeprefix("CCTuning")


def _attach_new_modules(model: Any) -> None:
    embeddings = model.get_input_embeddings().weight
    config = model.config.get_text_config()
    # In float32 also in a half-precision model: it computes in float32, and small steps would be lost.
    dtype = torch.float64 if embeddings.dtype == torch.float64 else torch.float32
    model.attach_modules(config.hidden_size, dtype=dtype, device=embeddings.device)
    if model.pooling_module is not None:
        model.pooling.initialise(model.pooling_module, getattr(config, "initializer_range", 0.02))


def load_model(directory: str | Path, **kwargs: Any) -> Any:
    """Any model of ours: a CC-Tuning run, an exported model, or a plain (ML-SFT, base) model; in eval mode.

    An exported model runs this package's code, not the file in its folder. `kwargs` go to `load_causal_lm`.
    Raises `ModelError` or `WeightsError` where one of its files cannot be used.
    """
    directory = model_folder(directory)
    kind = kind_of(directory)
    if kind.run:
        return CCTuningModel.load(directory, **kwargs)
    if kind.exported:
        return load_causal_lm(directory, model_class=_exported_class(directory), **kwargs).eval()
    model = _load_base(directory, **kwargs).eval()
    if getattr(model.config, "cctuning", None) is not None:  # which nobody could see until now
        raise ModelError(
            f"{directory} is an exported model on the hub, and was taken for a plain one: try again"
        )
    return model


def load_model_config(directory: str | Path, *, trust_remote_code: bool = False) -> Any:
    """The configuration of a run's model, for an adapter that of its base; raises as `load_model` does."""
    key, name, revision = _configured_by(directory)
    with naming_model(key, name):
        return load_config(name, revision=revision, trust_remote_code=trust_remote_code)


def load_model_generation_config(
    directory: str | Path, *, trust_remote_code: bool = False
) -> GenerationConfig:
    """The generation configuration of a model, for an adapter without one that of its base."""
    key, name, revision = _configured_by(directory)
    if (model_folder(directory) / GENERATION_CONFIG_NAME).is_file():
        key, name, revision = "model", str(model_folder(directory)), None
    with naming_model(key, name):
        return load_generation_config(name, revision=revision, trust_remote_code=trust_remote_code)


def _configured_by(directory: str | Path) -> tuple[str, str, str | None]:
    """Whose configuration is a model's: its own, or for an adapter its base's; key, name and revision."""
    folder = model_folder(directory)
    if not kind_of(folder).adapter:
        return "model", str(folder), None
    name, revision = base_of(folder)
    return f"{folder / ADAPTER_FILE}: base_model_name_or_path", name, revision


def _exported_class(directory: Path) -> Any:
    config = read_json_object(directory / CONFIG_NAME)
    names = config.get("architectures") or [""]
    base: Any = getattr(transformers, str(names[0]).removeprefix("CCTuning"), None)
    if not (isinstance(base, type) and issubclass(base, PreTrainedModel)):
        raise ModelError(f"{directory / CONFIG_NAME}: architectures={names} names no model of transformers")
    check_exported(config["cctuning"], f"{directory / CONFIG_NAME}: cctuning")
    mixin: Any = MonolingualConnection
    exported: Any = base
    return connected_class(mixin, exported)


def _load_base(directory: Path, **kwargs: Any) -> Any:
    if not kind_of(directory).adapter:
        return load_causal_lm(directory, **kwargs)
    merged = load_merged(directory, **kwargs)
    if (directory / GENERATION_CONFIG_NAME).is_file():
        merged.generation_config = from_library(lambda: GenerationConfig.from_pretrained(directory))
    return merged


def save_connection(
    model: Any, directory: str | Path, state_dict: Mapping[str, Tensor] | None = None
) -> None:
    """Writes the folder `connection` into a run's `directory`: settings, and weights and statistics if any.

    What an older version left beside the model's weights is removed.
    """
    folder = Path(directory, CONNECTION_FOLDER)
    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "connection": dataclasses.asdict(model.connection),
        "paths": model.paths._asdict(),
        "response_marker": list(model.response_marker),
        "base_model_class": _base_class_name(model),
    }
    if expected := _shapes(model):
        state_dict = model.state_dict() if state_dict is None else state_dict
        weights = connection_weights(state_dict) | constants_of(model)
        if weights.keys() != expected.keys():
            raise ValueError(f"expected {', '.join(expected)} among the weights, found {sorted(weights)}")
        tensors = {name: tensor.detach().contiguous().cpu() for name, tensor in weights.items()}
        save_file(tensors, folder / CONNECTION_WEIGHTS)
    (folder / CONNECTION_FILE).write_text(json.dumps(settings, indent=2) + "\n")
    for name in (CONNECTION_WEIGHTS, CONNECTION_FILE):
        Path(directory, name).unlink(missing_ok=True)


def _shapes(model: Any) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the connection's tensors, whatever an engine or PEFT has made of its modules."""
    modules = nn.ModuleDict(model.make_modules(model.config.get_text_config().hidden_size, device="meta"))
    tensors = modules.state_dict() | constants_of(model)
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def load_connection_weights(model: Any, directory: str | Path, *, constants_only: bool = False) -> None:
    """Loads the connection's tensors from a run's directory into `model`, where it has any.

    `constants_only`: not the weights, which may be wrapped by PEFT, or lie in an engine's files.
    """
    expected = _shapes(model)
    if not expected:
        return
    path = connection_folder(directory) / CONNECTION_WEIGHTS
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: the connection's weights belong there")
    tensors, names = read_tensors(path), ", ".join(expected)
    if tensors.keys() != expected.keys():
        raise WeightsError(
            f"{path} must hold {names} alone, and holds {', '.join(sorted(tensors)) or 'nothing'}"
        )
    check_finite(tensors, path)
    for name, tensor in tensors.items():
        if tuple(tensor.shape) != expected[name]:
            raise WeightsError(
                f"{path}: {name} is {tuple(tensor.shape)}, the model needs {expected[name]}: it belongs to "
                "another model"
            )
    for name, constant in constants_of(model).items():
        constant.copy_(tensors.pop(name))
    if not constants_only:
        modules = {name.partition(".")[0] for name in tensors}
        nn.ModuleDict({name: model.get_submodule(name) for name in modules}).load_state_dict(tensors)
