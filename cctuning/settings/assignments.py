"""`key=value` settings: from nested content or text to checked assignments that know where they stand."""

import dataclasses
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import GrammarParseError, OmegaConfBaseException
from omegaconf.grammar_parser import OmegaConfGrammarParser, parse  # type: ignore[attr-defined]

from cctuning.settings.aliases import NOT_HERE, ours_of
from cctuning.settings.keys import RecipeKey
from cctuning.settings.near_matches import did_you_mean

COMMAND_LINE = "on the command line"
CALL = "in the call"
_SHOWN = 80  # characters of a value in a message


class RecipeError(ValueError):
    """A recipe or argument that cannot be used: which key, where it stands and what is accepted."""


class UnknownKeysError(RecipeError):
    """Keys that a command does not have: all of one group of settings, each with what is known of it.

    Attributes:
        keys: the names.
        where: where they stand.
    """

    def __init__(self, keys: Sequence[str], where: str, known: Iterable[str]) -> None:
        self.keys, self.where = list(keys), where
        super().__init__("\n".join(f"unknown key {key!r} ({where}){_hint(key, list(known))}" for key in keys))


def _hint(key: str, known: Sequence[str]) -> str:
    """What may be meant by a key that is none of `known`."""
    name = key.lower().replace("-", "_")
    if name in NOT_HERE and ours_of(name, known) is None:
        here = "; here" if NOT_HERE[name].startswith("instead") else ", and here there is none,"
        return f": other programs have it{here} {NOT_HERE[name]}"
    return did_you_mean(key, known) or "; --help lists the keys"


@dataclasses.dataclass(frozen=True)
class Assignment:
    """`key=value` and where it was written."""

    key: str
    value: Any
    where: str


def flatten(
    values: Mapping[Any, Any], where: str, keys: Mapping[str, RecipeKey], prefix: str = ""
) -> Iterator[Assignment]:
    """The assignments in nested `values`; raises for keys that are not in `keys`, all of a group at once."""
    if unknown := [key for name in values if not _is_known(key := f"{prefix}{name}", keys, where)]:
        raise UnknownKeysError(unknown, where, keys)
    for name, value in values.items():
        key = f"{prefix}{name}"
        if key in keys and keys[key].is_open:
            if not isinstance(value, dict):
                raise RecipeError(f"{key} ({where}) is a group of keys: set {key}.KEY=value")
            yield from flatten(value, where, keys, f"{key}.")
        elif known := _known(key, keys):
            yield Assignment(key, _parsed(known, key, value, where), where)
        elif _is_group(key, keys):
            if not isinstance(value, dict):
                members = ", ".join(known for known in keys if known.startswith(f"{key}."))
                raise RecipeError(f"{key} ({where}) is a group of keys: set {members}")
            yield from flatten(value, where, keys, f"{key}.")


def _is_group(name: str, keys: Mapping[str, RecipeKey]) -> bool:
    return any(known.startswith(f"{name}.") for known in keys)


def _is_known(name: str, keys: Mapping[str, RecipeKey], where: str) -> bool:
    """Whether a key, a group of keys, or the base of a recipe's file."""
    is_base = name == "base" and where not in (COMMAND_LINE, CALL)
    return is_base or _known(name, keys) is not None or _is_group(name, keys)


def _known(name: str, keys: Mapping[str, RecipeKey]) -> RecipeKey | None:
    """The key of this name, or the open group that it stands in; None where there is neither."""
    group = keys.get(name.rpartition(".")[0])
    return keys.get(name) or (group if group is not None and group.is_open else None)


def each_once(assignments: Iterable[Assignment]) -> list[Assignment]:
    """The assignments of one file; raises for a key in two spellings, `lora.r: 8` and `lora: {r: 8}`."""
    by_key: dict[str, Assignment] = {}
    for assignment in assignments:
        if by_key.setdefault(assignment.key, assignment) is not assignment:
            raise RecipeError(f"{assignment.key} is there twice ({assignment.where})")
    return list(by_key.values())


def _parsed(key: RecipeKey, name: str, value: Any, where: str) -> Any:
    """A value as OmegaConf takes it: command line text read by the key's type, a lone item made a list."""
    if where is COMMAND_LINE:
        value = _parse_text(key, name, value)
    if key.is_list and (isinstance(value, str) or (key.is_numbers and type(value) is int)):
        value = [value]
    for item in value if key.is_list and isinstance(value, list) else [value]:
        # YAML reads `no` as false and the revision 12e5678 as a number: a string that was not meant as one.
        if key.is_numbers:
            if type(item) is not int:
                raise RecipeError(
                    f"{name} ({where}) must be a list of whole numbers, and holds {shown(item)}"
                )
            continue
        if (key.is_text or key.is_list) and isinstance(item, bool | int | float):
            raise RecipeError(f"{name}={item!r} ({where}) must be text: put quotes around it")
        if key.is_list and isinstance(value, list) and not isinstance(item, str):
            raise RecipeError(f"{name} ({where}) must be a list of texts, and holds {shown(item)}")
        if isinstance(item, str) and _calls(item):
            raise RecipeError(
                f"{name}={shown(item)} ({where}) takes a value from the environment or from a function, and "
                "would be saved with it: write the value itself"
            )
        if isinstance(item, str) and "\0" in item:
            raise RecipeError(f"{name}={shown(item)} ({where}) holds a NUL character")
    return at_home(value) if key.names else value


def at_home(value: Any) -> Any:
    """A path, or a list of paths, with the user's folder for `~/`; what is no text as it is.

    Not every shell writes it out in `key=value`, and none does in a file.
    """
    if isinstance(value, list):
        return [at_home(item) for item in value]
    return str(Path.home() / value[2:]) if isinstance(value, str) and f"{value}/"[:2] == "~/" else value


def _calls(text: str) -> bool:
    """Whether an interpolation calls a function, such as `${oc.env:NAME}`; `${KEY}` names another setting."""
    if "${" not in text or ":" not in text:
        return False
    try:
        waiting: list[Any] = [parse(text)]
    except GrammarParseError:  # which is told with its place, where it is resolved
        return False
    while waiting:
        node = waiting.pop()
        if isinstance(node, OmegaConfGrammarParser.InterpolationResolverContext):
            return True
        waiting += getattr(node, "children", None) or []
    return False


def _parse_text(key: RecipeKey, name: str, text: str) -> Any:
    if not text and key.default:
        raise RecipeError(f"{name}= ({COMMAND_LINE}) has no value")
    if key.is_text:
        return None if text == "null" and types.NoneType in key.plain_types else text
    if key.is_list and not text.startswith("["):
        if not key.is_numbers:
            return text
        text = f"[{text}]"
    try:
        return OmegaConf.to_container(OmegaConf.from_dotlist([f"value={text}"]), resolve=False)["value"]  # type: ignore[index,call-overload]
    except (yaml.YAMLError, ValueError, OmegaConfBaseException, RecursionError):
        raise RecipeError(
            f"{name}={_shortened(text)} ({COMMAND_LINE}) is not a value; a list is written [a,b], and a text "
            "in it that has brackets itself in quotes: [a,'b=[c]']"
        ) from None


def shown(value: Any) -> str:
    """A value as messages have it, cut where it is long."""
    return "null" if value is None else _shortened(repr(value))


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
