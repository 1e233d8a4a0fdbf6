"""Asks a model questions: a CC-Tuning run, an exported model, or any other."""

import dataclasses
from typing import Any

import torch
from rich.text import Text

from cctuning.commands.prompts import choose_prompts, choose_rules
from cctuning.commands.result import Result
from cctuning.commands.schemas import ChatRecipe
from cctuning.connection.connected import is_connected
from cctuning.connection.model import load_model
from cctuning.data.prompts import PromptFormat
from cctuning.generation.generate import Answer, answer
from cctuning.pretrained.kinds import kind_of
from cctuning.pretrained.loading import load_tokenizer
from cctuning.pretrained.names import naming_model
from cctuning.tools.console import new_console
from cctuning.training.runs import check_trusted

console = new_console()


def chat_with_model(recipe: ChatRecipe) -> Result:
    """Answers `question`, or asks for questions until the input ends.

    Raises `ValueError` or `OSError` for a model that cannot be used. The report has the answer's text,
    whether the model was connected, and the layer (None: all).
    """
    check_trusted(recipe.model, recipe.trust_remote_code)
    with naming_model("model", recipe.model):
        tokenizer = load_tokenizer(recipe.model, trust_remote_code=recipe.trust_remote_code)
    prompts = choose_prompts(tokenizer, recipe.template, recipe.template_arguments, warn=console.warn)
    choose_rules(recipe.model, prompts, trust_remote_code=recipe.trust_remote_code, warn=console.warn)
    with naming_model("model", recipe.model):
        model = load_model(recipe.model, dtype=recipe.dtype, trust_remote_code=recipe.trust_remote_code)
    if torch.cuda.is_available() and not recipe.use_cpu:
        model = model.to("cuda")
    if recipe.english and not is_connected(model):
        raise ValueError(
            f"english= needs a connected model, and {recipe.model} is a plain {type(model).__name__}"
        )
    if recipe.question:
        response = reply(model, prompts, recipe, recipe.question, recipe.english)
        return Result(report=dataclasses.asdict(response))
    converse(model, prompts, recipe)
    return Result()


def converse(model: Any, prompts: PromptFormat, recipe: ChatRecipe) -> None:
    """Reads questions, and where the model can use one an English parallel, until an empty line or Ctrl-D."""
    console.say(f"{recipe.model}: {describe(recipe.model, model)}. An empty question ends.")
    while True:
        try:
            question = console.input(Text("\nquestion> ", "bold")).strip()
            if not question:
                return
            english = (
                console.input(Text("in English (or empty)> ", "bold")).strip() if is_connected(model) else ""
            )
        except (EOFError, KeyboardInterrupt):
            console.print()
            return
        reply(model, prompts, recipe, question, english or None)


def describe(directory: str, model: Any) -> str:
    """The kind of model, in words."""
    if kind_of(directory).exported:
        return "monolingual, connected through its Transform Matrix"
    if is_connected(model):
        return "bilingual, connected where you give the question in English too"
    return "a plain model, not connected"


def reply(
    model: Any, prompts: PromptFormat, recipe: ChatRecipe, question: str, english: str | None
) -> Answer:
    """Prints the answer and the layer that was chosen, and returns it."""
    [response] = answer(
        model,
        prompts,
        [question],
        english=[english] if english else None,
        max_new_tokens=recipe.max_new_tokens,
    )
    console.say(response.text or "(an empty answer)")
    console.say(origin(response, english), style="dim")
    return response


def origin(response: Answer, english: str | None) -> str:
    """The source of the connection, in words."""
    if not response.connected:
        return "not connected"
    source = "the English prompt" if english else "the model's own outputs, transformed"
    return f"{'all layers' if response.layer is None else f'layer {response.layer}'} of {source}"
