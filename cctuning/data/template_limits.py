"""Jinja that ends: a template from anybody may loop for ever, or write more than memory holds.

What a template makes is counted before it is made: characters, items, turns of loops. More than any prompt
needs is an error. Processor time is limited too, for what does not show in sizes.
"""

import math
import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache, wraps
from typing import Any

from jinja2 import Template, TemplateError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer
from transformers.utils import chat_template_utils
from transformers.utils.chat_template_utils import _compile_jinja_template

# Templates see plain JSON types alone; before transformers 5.20 or so the library left that to its callers.
_plain_template_data = getattr(chat_template_utils, "_plain_template_data", lambda value: value)

_LONGEST = 1_000_000  # characters of a template; those of large models have 20,000
_DEEPEST = 50  # blocks in blocks
_ALLOWED = 2_000_000  # characters, items and turns around the messages
_PER_CHARACTER = 1000  # and for each character of the messages, which a template may go through many times
_CALL = 10  # what a call takes in time, a macro's too
_SECONDS = 20  # of processor time
_LOOK = 1000  # counts between looks at the clock
_LOOP, _JOINED = "turns of a loop", "texts in a row"  # filters of names that no template can write
# What may be as long as two values multiplied; all else is as long as the first one, times numbers.
_GROWING = frozenset(
    {"*", "%", "replace", "join", "format", "format_map", "translate", "indent", "wordwrap", "truncate"}
)
_FORMATS = frozenset({"%", "format", "format_map"})


class _Allowance:
    """The limit of what a rendering may still make."""

    def __init__(self, amount: int) -> None:
        self.left: float = amount
        self._times = 0
        self._until = math.inf

    def take(self, amount: float) -> None:
        """Counts `amount`. Raises `TemplateError` where that is more than is left."""
        self.left -= amount
        if self.left < 0:
            raise TemplateError("it repeats or writes far more than any prompt needs")
        self._times += 1
        if self._times % _LOOK == 0:  # not each time: asking for the time takes some
            if time.thread_time() > self._until:
                raise TemplateError(f"it takes more than {_SECONDS} s")
            self._until = min(self._until, time.thread_time() + _SECONDS)


_allowance: ContextVar[_Allowance] = ContextVar("allowance")


@contextmanager
def _allowing(amount: int) -> Iterator[None]:
    token = _allowance.set(_Allowance(amount))
    try:
        yield
    finally:
        _allowance.reset(token)


@lru_cache
def compiled(text: str) -> Template:
    """The template, in the library's sandbox. Raises what Jinja and Python raise over it."""
    if len(text) > _LONGEST:
        raise TemplateError(f"it has {len(text):,} characters")
    with _allowing(_ALLOWED):  # what is constant is computed here
        return environment().from_string(text)


def rendered(template: Template, messages: Sequence[Mapping[str, str]], variables: Mapping[str, Any]) -> str:
    """The template's text. Raises `TemplateError` beyond the limits, and what Python raises inside."""
    given = sum(len(str(value)) for message in messages for value in message.values())
    with _allowing(_ALLOWED + _PER_CHARACTER * given):
        return template.render(_plain_template_data({"messages": list(messages), **variables}))


@lru_cache
def environment() -> ImmutableSandboxedEnvironment:
    """The library's environment for chat templates, where everything is counted."""
    made: Any = _compile_jinja_template("").environment.overlay(finalize=_written)
    made.__class__ = _Environment
    made.filters = {name: _counted(name, function) for name, function in made.filters.items()}
    made.filters |= {_LOOP: _turns, _JOINED: _joined}
    made.globals = {name: value for name, value in made.globals.items() if name != "lipsum"}  # text at random
    sandbox: ImmutableSandboxedEnvironment = made
    return sandbox


class _Environment(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        _check_depth(tree, 0)
        counting: nodes.Template = _Counting().visit(tree)
        return counting

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        _allowance.get().take(_bound(operator, [left, right]))
        return _taken(super().call_binop(context, operator, left, right))

    def call(self, context: Any, called: Any, *args: Any, **kwargs: Any) -> Any:
        owner = getattr(getattr(called, "__wrapped__", called), "__self__", None)  # the x of x.center(3)
        size = _bound(getattr(called, "__name__", ""), [owner, *args, *kwargs.values()])
        _allowance.get().take(_CALL + size)
        return _taken(super().call(context, called, *args, **kwargs))


class _Counting(NodeTransformer):
    """Lets each loop count its turns, and each `a ~ b` its characters."""

    def visit_For(self, node: nodes.For) -> nodes.For:
        self.generic_visit(node)
        written = sum(len(text.data) for text in node.find_all(nodes.TemplateData))  # in each turn
        items: Any = node.iter
        node.iter = _filter(items, _LOOP, nodes.Const(written))
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Filter:
        self.generic_visit(node)
        return _filter(nodes.List(node.nodes, lineno=node.lineno), _JOINED)


def _filter(value: nodes.Expr, name: str, *arguments: nodes.Expr) -> nodes.Filter:
    return nodes.Filter(value, name, list(arguments), [], None, None, lineno=value.lineno)


def _check_depth(node: nodes.Node, depth: int) -> None:
    if depth > _DEEPEST:
        raise TemplateError(f"line {node.lineno}: more than {_DEEPEST} blocks in one another")
    for child in node.iter_child_nodes():
        _check_depth(child, depth + isinstance(child, nodes.Stmt))


def _turns(items: Iterable[Any], written: int) -> Iterator[Any]:
    """The items of a loop that writes so many characters in each turn."""
    for item in items:
        _allowance.get().take(1 + written)
        yield item


def _joined(parts: list[Any]) -> str:
    _allowance.get().take(_size(parts))
    return "".join(map(str, parts))


def _written(value: Any) -> Any:
    """The value of a `{{ }}`."""
    _allowance.get().take(_size(value))
    return value


def _counted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that counts what it makes."""
    context = int(hasattr(function, "jinja_pass_arg"))  # a first argument that is Jinja's own

    @wraps(function)
    def counted(*args: Any, **kwargs: Any) -> Any:
        _allowance.get().take(_bound(name, [*args[context:], *kwargs.values()]))
        return _taken(function(*args, **kwargs))

    return counted


def _taken(made: Any) -> Any:
    """What a call has made, counted; what would be made later, one by one, is made now."""
    if isinstance(made, Iterator):
        made = list(_turns(made, 0))
    _allowance.get().take(_size(made))
    return made


def _size(value: Any) -> float:
    """Characters of `value` as text, or some more than may be made: lists may hold one another many times."""
    size, waiting, enough = 0.0, [value], _allowance.get().left
    while waiting and size <= enough:
        part = waiting.pop()
        size += 1
        if isinstance(part, str | bytes):
            size += len(part)
        elif isinstance(part, int):
            size += part.bit_length() / 3
        elif isinstance(part, range):
            size += len(part)
        elif isinstance(part, Collection):
            waiting += [*part, *part.values()] if isinstance(part, Mapping) else part
    return size


def _bound(name: str, values: list[Any]) -> float:
    """About the size of what an operator, a filter or a call of this name makes of `values`, at most."""
    whole = [abs(value) for value in values if isinstance(value, int)]
    sizes = [_size(value) for value in values if not isinstance(value, int)]
    if name == "**":
        return math.prod(map(float, whole)) if len(whole) == 2 else 1
    if name in ("+", "*", "%") and len(whole) == len(values):  # numbers
        return sum(map(_size, whole))
    if name == "replace" and len(sizes) == 3:
        return sizes[0] + sizes[0] / max(sizes[1] - 1, 1) * sizes[2]
    if name in _FORMATS:
        whole += [int(digits[:9]) for digits in re.findall(r"[0-9]{4,}", str(values[0]))]
        whole += [abs(part) for value in values for part in _numbers(value)]
    factors = [*whole, *(sizes if name in _GROWING else sizes[:1])]
    return sum(sizes) + math.prod(float(max(factor, 1)) for factor in factors)


def _numbers(value: Any) -> list[int]:
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, tuple) else ()
    return [part for part in parts if isinstance(part, int)]
