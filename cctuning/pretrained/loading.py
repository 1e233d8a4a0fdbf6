"""Models, configurations and tokenizers of other people: nothing random, nothing run that was not asked for.

Wrap calls in `names.naming_model`, which says which setting named the model. A model is a folder, a hub name,
or a GGUF file, whose weights are converted to plain ones when it is loaded.
"""

import importlib
import logging
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING,
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedConfig,
)
from transformers.integrations.deepspeed import is_deepspeed_zero3_enabled
from transformers.tokenization_utils_base import FULL_TOKENIZER_FILE, TOKENIZER_CONFIG_FILE
from transformers.utils import CONFIG_NAME, GENERATION_CONFIG_NAME

from cctuning.pretrained.architectures import ARCHITECTURES
from cctuning.pretrained.kinds import (
    GGUF_SUFFIX,
    ModelError,
    check_link,
    check_whole,
    kind_of,
    read_json_object,
)
from cctuning.pretrained.sizes import check_described, check_sizes, not_together
from cctuning.pretrained.weights import CONVERT, WeightsError, check_finite, check_floating, check_folder
from cctuning.tools.errors import is_out_of_memory
from cctuning.tools.extras import extra

_TOKENIZERS = ("*token*", "vocab*", "merges*", "*.model")
_LAYER = re.compile(r"\b(?:layers|h|blocks|layer)\.(\d+)\.")


def load_config(source: str | Path, *, revision: str | None = None, trust_remote_code: bool = False) -> Any:
    """The configuration of a causal language model: of a folder, a hub name or a GGUF file.

    Raises `ModelError` where it is broken, holds sizes that no model has, names code that nobody asked to
    run, or is of another kind of model.
    """
    config = _read_config(source, revision, trust_remote_code)
    kernel = config._attn_implementation
    if kernel is not None and "/" in str(kernel):
        raise ModelError(f"{CONFIG_NAME} asks for the attention code {kernel!r} of the hub: take that out")
    explicit = getattr(config, "transformers_weights", None)
    if explicit is not None and not str(explicit).endswith(".safetensors"):
        raise ModelError(f"{CONFIG_NAME}: transformers_weights={explicit!r} is no safetensors file")
    known = type(config) in MODEL_FOR_CAUSAL_LM_MAPPING or trust_remote_code
    both_ways = getattr(config, "is_decoder", True) is False and config.model_type not in ARCHITECTURES
    if not known or both_ways or getattr(config, "is_encoder_decoder", False):
        raise ModelError(f"model type {config.model_type!r} is no decoder-only language model")
    return config


def _read_config(source: str | Path, revision: str | None, trust_remote_code: bool) -> Any:
    """The configuration of any model."""
    _check_config_file(source, revision)
    place, where = _located(source)
    where |= {"revision": revision, "trust_remote_code": trust_remote_code}
    return _read(where, lambda: AutoConfig.from_pretrained(place, **where))


def _check_config_file(source: str | Path, revision: str | None) -> None:
    """Raises `ModelError` for sizes that no model has: making the configuration may already take memory."""
    content = read_json_object(Path(source) / CONFIG_NAME)
    if not Path(source).is_dir():
        place, where = _located(source)
        where |= {"revision": revision}
        content, _ = _read(where, lambda: PreTrainedConfig.get_config_dict(place, **where))
    check_sizes(content)


def check_model(
    source: str | Path,
    *,
    revision: str | None = None,
    trust_remote_code: bool = False,
    model_class: Any = AutoModelForCausalLM,
) -> Any:
    """The configuration, as `load_config` gives it, where all that shows without loading is as it must be.

    Raises `ModelError` for an adapter, or where the configuration is of another model than the weights, and
    `WeightsError` where a folder's weights are broken or pickles.
    """
    if Path(source).is_dir():
        if kind_of(source).adapter:
            raise ModelError(f"{source} is an adapter, and no model of its own: name its base model")
        check_whole(source)
        check_folder(source)
        read_json_object(Path(source) / GENERATION_CONFIG_NAME)
    config = load_config(source, revision=revision, trust_remote_code=trust_remote_code)
    _check_described(source, config, model_class, trust_remote_code)
    return config


def _check_described(source: str | Path, config: Any, model_class: Any, trust_remote_code: bool) -> None:
    """Whether the weights of a folder can be those that the configuration describes; see `sizes`."""
    if getattr(config, "quantization_config", None) is not None:
        return  # whose weights have other shapes
    if is_deepspeed_zero3_enabled():
        return  # under which a model is made in parts, in memory; loading says what differs
    folder = Path(source) if Path(source).is_dir() else None
    if folder is not None:
        check_floating(folder)
    auto = hasattr(model_class, "from_config")
    make = (
        partial(model_class.from_config, config, trust_remote_code=trust_remote_code)
        if auto
        else partial(model_class._from_config, config)
    )
    from_library(lambda: check_described(make, config, folder))


def load_generation_config(
    source: str | Path, *, revision: str | None = None, trust_remote_code: bool = False
) -> GenerationConfig:
    """The generation configuration of a folder or hub name; a model without one gets its configuration's.

    Raises `ModelError` for a file that cannot be used.
    """
    folder = Path(source)
    read_json_object(folder / GENERATION_CONFIG_NAME)
    on_the_hub = not folder.exists()
    if on_the_hub or (folder / GENERATION_CONFIG_NAME).is_file():
        try:
            return from_library(lambda: GenerationConfig.from_pretrained(source, revision=revision or "main"))
        except OSError:
            pass  # a name on the hub without the file
    config = load_config(source, revision=revision, trust_remote_code=trust_remote_code)
    return GenerationConfig.from_model_config(config)


def load_causal_lm(
    source: str | Path,
    *,
    revision: str | None = None,
    trust_remote_code: bool = False,
    model_class: Any = AutoModelForCausalLM,
    **kwargs: Any,
) -> Any:
    """The model of a folder or hub name with all of its weights; `kwargs` go to `from_pretrained`.

    Raises `ModelError` or `WeightsError` where weights are missing, of another shape, not finite, or pickles,
    and as `check_model` does.
    """
    options: dict[str, Any] = {"revision": revision, "trust_remote_code": trust_remote_code}
    config = check_model(source, model_class=model_class, **options)
    # The plain model of an export leaves out the connection's weights, which is as it should be.
    with _without_report() if hasattr(config, "cctuning") else nullcontext():
        return _load_whole(model_class, source, **options, **kwargs)


@contextmanager
def _without_report() -> Iterator[None]:
    """A block in which transformers prints no table of the weights that a model has no place for."""
    logger = logging.getLogger("transformers.modeling_utils")

    def keep(record: logging.LogRecord) -> bool:
        return "LOAD REPORT" not in record.getMessage()

    logger.addFilter(keep)
    try:
        yield
    finally:
        logger.removeFilter(keep)


def load_seq2seq_lm(source: str | Path, **kwargs: Any) -> Any:
    """As `load_causal_lm`, for an encoder with a decoder, such as a translation model; no code of its own."""
    if Path(source).is_dir():
        check_folder(source)
    config = _read_config(source, None, trust_remote_code=False)
    if type(config) not in MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING:
        raise ModelError(f"model type {config.model_type!r} is no encoder with a decoder")
    _check_described(source, config, AutoModelForSeq2SeqLM, trust_remote_code=False)
    return _load_whole(AutoModelForSeq2SeqLM, source, revision=None, trust_remote_code=False, **kwargs)


def _load_whole(model_class: Any, source: str | Path, **kwargs: Any) -> Any:
    place, where = _located(source)
    if where:
        where |= _unpacked()
    if where and torch.distributed.is_initialized():
        raise ModelError(
            "a GGUF file is loaded by one process alone: make a folder of it first, with cctuning prepare "
            f"model {source} --output FOLDER"
        )
    model, report = _read(
        where,
        lambda: model_class.from_pretrained(
            place,
            use_safetensors=True,
            ignore_mismatched_sizes=True,  # they are in the report, and refused below
            output_loading_info=True,
            **where,
            **kwargs,
        ),
    )
    if where:
        model = _unquantised(model, load_config(source))
    if getattr(model, "peft_config", None) is not None:
        raise ModelError("it is an adapter, and no model of its own: name its base model")
    _refuse_incomplete(model, report)
    _refuse_plain(model)
    # An engine may fill the other processes' weights later, from the first one's.
    if not torch.distributed.is_initialized() or torch.distributed.get_rank() == 0:
        check_finite(dict(model.named_parameters()), source)
    return model


def _refuse_plain(model: Any) -> None:
    """Refuses plain weights that the configuration calls weights of four bits: they are loaded as neither."""
    for name, module in model.named_modules():
        if type(module).__name__ == "Linear4bit" and getattr(module.weight, "quant_state", None) is None:
            raise ModelError(
                f"{CONFIG_NAME} says that its weights have four bits (quantization_config), and {name} is "
                f"plain: take quantization_config out of {CONFIG_NAME}"
            )


def positions_of(config: Any) -> int | None:
    """The positions that a model's configuration has room for; None where it sets no limit."""
    return getattr(config.get_text_config(), "max_position_embeddings", None)


def load_tokenizer(
    source: str | Path, *, revision: str | None = None, trust_remote_code: bool = False
) -> Any:
    """The tokenizer of a folder or hub name. Raises `ModelError` as `load_config` does."""
    folder = Path(source)
    for name in (FULL_TOKENIZER_FILE, TOKENIZER_CONFIG_FILE):
        read_json_object(folder / name)
    with suppress(OSError):  # a name on the hub without the file: a tokenizer alone
        _check_config_file(source, revision)  # some tokenizers are chosen by it
    if folder.is_dir() and not any(path for pattern in _TOKENIZERS for path in folder.glob(pattern)):
        raise ModelError(
            f"{folder} holds no tokenizer: copy its files there, {FULL_TOKENIZER_FILE} or others"
        )
    for path in (folder / "chat_template.jinja", *folder.glob("additional_chat_templates/*")):
        check_link(path)
    place, where = _located(source)
    where |= {"revision": revision, "trust_remote_code": trust_remote_code}
    tokenizer = _read(where, lambda: AutoTokenizer.from_pretrained(place, **where))
    # Each template but the default one is saved with the model, as a file of its name.
    for name in tokenizer.chat_template if isinstance(tokenizer.chat_template, dict) else ():
        if re.fullmatch(r"[\w-]+", name) is None:
            raise ModelError(f"the tokenizer has a chat template named {name!r}, which is no name for a file")
    return tokenizer


def _located(source: str | Path) -> tuple[str | Path, dict[str, Any]]:
    """What the library is to read, and with which arguments: of a GGUF file its folder and its name."""
    path = Path(source)
    if path.suffix != GGUF_SUFFIX or not path.is_file():
        return source, {}
    with extra("gguf"):
        importlib.import_module("gguf")
    return path.parent, {"gguf_file": path.name}


def _unpacked() -> dict[str, Any]:
    """Asks for plain weights; versions of transformers that know no others have no such setting."""
    config = getattr(transformers, "GgufConfig", None)
    return {} if config is None else {"quantization_config": config(dequantize=True)}


def _read(where: Mapping[str, Any], load: Callable[[], Any]) -> Any:
    """As `from_library`; of a GGUF file an error says that it is one."""
    try:
        return from_library(load)
    except (ModelError, OSError) as error:
        if "gguf_file" not in where:
            raise
        raise ModelError(
            f"transformers cannot read it as GGUF ({error}): damaged, or of a kind that it lacks"
        ) from error


def _unquantised(model: Any, config: Any) -> Any:
    """The same model without the mark of the quantised file that it was read from: it can be saved."""
    same = {"dtype": model.dtype, "attn_implementation": model.config._attn_implementation}
    plain = type(model).from_pretrained(None, config=config, state_dict=model.state_dict(), **same)
    plain.generation_config = GenerationConfig.from_model_config(config)
    return plain


def from_library(load: Callable[[], Any]) -> Any:
    """The result of `load`. Whatever a library raises over somebody's files becomes an error to show."""
    try:
        return load()
    except ImportError as error:  # the files ask for it, so it is no defect here
        if error.name is None:
            raise
        raise ImportError(
            f"its files need the package {error.name.partition('.')[0]}, which is not installed: install it, "
            f"or take another model ({error})"
        ) from error
    except Exception as error:
        if is_out_of_memory(error) or isinstance(error, ModelError | WeightsError):
            raise
        text = str(error)
        if "trust_remote_code" in text:
            raise ModelError(
                "its files name code of their own to run, which is not done unasked: look at that code, "
                "then say trust_remote_code=true"
            ) from error
        if "use_safetensors" in text:
            raise ModelError(f"it has no weights as safetensors: {CONVERT}") from error
        reason = textwrap.shorten(text.split("\n\n")[0], 300, placeholder=" ...")
        if isinstance(error, OSError):
            raise OSError(reason) from error
        raise ModelError(f"its files cannot be used: {type(error).__name__}: {reason}") from error


def _refuse_incomplete(model: Any, report: dict[str, Any]) -> None:
    missing, mismatched = sorted(report["missing_keys"]), sorted(report["mismatched_keys"])
    layers = model.config.get_text_config().num_hidden_layers
    beyond = [
        name
        for name in sorted(report["unexpected_keys"])
        if (match := _LAYER.search(name)) and int(match[1]) >= layers
    ]
    if mismatched:
        name, held, needed = mismatched[0]
        raise not_together(name, held, needed, len(mismatched) - 1)
    if missing:
        raise ModelError(
            f"the weights lack {missing[0]}{_others(missing)}: {type(model).__name__} would start random"
        )
    if beyond:
        raise ModelError(
            f"{CONFIG_NAME} says {layers} layers, and the weights hold {beyond[0]}{_others(beyond)}"
        )


def _others(names: list[Any]) -> str:
    return f" (and {len(names) - 1} more)" if len(names) > 1 else ""
