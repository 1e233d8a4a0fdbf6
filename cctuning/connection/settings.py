"""A connection's settings as JSON holds them, in a run's connection.json or an exported config.json."""

import dataclasses
from pathlib import Path
from typing import Any

from cctuning.connection.modeling_cctuning import ConnectionConfig, SublayerPaths
from cctuning.pretrained.kinds import ModelError, read_json_object
from cctuning.settings.near_matches import did_you_mean


def read_connection(path: str | Path) -> tuple[ConnectionConfig, tuple[int, ...]]:
    """The connection in a run's connection.json, and its response marker.

    Raises `ModelError` for a file that does not hold them, or holds what this version does not know.
    """
    settings = read_json_object(Path(path))
    connection = _connection(settings.get("connection"), f"{path}: connection")
    return connection, _marker(settings.get("response_marker", []), f"{path}: response_marker")


def check_exported(settings: Any, where: str) -> None:
    """Raises `ModelError` where an exported model's `settings`, which stand at `where`, cannot be used."""
    names = ("connection", "paths", "response_marker", "hidden_size")
    optional = ("into_english", "transform_bias", "transform_per_layer", "transform_rank")
    settings = _object(settings, where, names, optional=optional)
    _connection(settings["connection"], f"{where}.connection")
    paths = _object(settings["paths"], f"{where}.paths", SublayerPaths._fields)
    _marker(settings["response_marker"], f"{where}.response_marker")
    if not all(isinstance(path, str) for path in paths.values()) or type(settings["hidden_size"]) is not int:
        raise ModelError(
            f"{where}: paths must be text and hidden_size a whole number: export the model again"
        )
    for name in ("transform_bias", "transform_per_layer"):
        if type(settings.get(name, False)) is not bool:
            raise ModelError(f"{where}.{name} must be true or false: export the model again")
    rank = settings.get("transform_rank")
    if rank is not None and not (type(rank) is int and 1 <= rank <= settings["hidden_size"]):
        raise ModelError(
            f"{where}.transform_rank must be from 1 to hidden_size={settings['hidden_size']}: export the "
            "model again"
        )
    if "into_english" in settings:
        _check_into_english(settings["into_english"], f"{where}.into_english")


def _check_into_english(values: Any, where: str) -> None:
    values = _object(values, where, ("wordings", "prompt_start"))
    _marker(values["prompt_start"], f"{where}.prompt_start")
    wordings = _object(values["wordings"], f"{where}.wordings")
    if not all(isinstance(words, str) and "{text}" in words for words in wordings.values()):
        raise ModelError(f"{where}.wordings must be texts that hold {{text}}: export the model again")


def _connection(values: Any, where: str) -> ConnectionConfig:
    known = [field.name for field in dataclasses.fields(ConnectionConfig)]
    values = _object(values, where)
    for name in values:
        if name not in known:
            raise ModelError(
                f"{where}: {name!r} is no setting of this version, and may be one of another"
                f"{did_you_mean(name, known)}"
            )
    try:
        return ConnectionConfig(**values)
    except ValueError as error:
        raise ModelError(f"{where}.{error}") from error


def _object(
    values: Any, where: str, names: tuple[str, ...] = (), optional: tuple[str, ...] = ()
) -> dict[str, Any]:
    if not isinstance(values, dict) or (names and set(values) - set(optional) != set(names)):
        inner = f" with {', '.join(names)}" if names else ""
        raise ModelError(f"{where} must be a JSON object{inner}: it is damaged, or of another version")
    return values


def _marker(ids: Any, where: str) -> tuple[int, ...]:
    if not isinstance(ids, list) or any(type(token) is not int for token in ids):
        raise ModelError(f"{where} must be a list of token ids")
    return tuple(ids)
