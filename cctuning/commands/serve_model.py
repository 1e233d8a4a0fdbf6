"""Serves a model over HTTP: on vLLM with the plug-in of this package, or on a small server of its own."""

import dataclasses
import errno
import json
import os
import subprocess
import sys
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import Any

from cctuning.commands.asked_model import load_asked_model
from cctuning.commands.result import Result
from cctuning.commands.schemas import ServeRecipe
from cctuning.data.prompts import PromptFormat
from cctuning.generation.conversation import Show, Turn, encode_conversation, respond
from cctuning.generation.modes import export_of
from cctuning.pretrained.hub import model_folder
from cctuning.pretrained.kinds import kind_of
from cctuning.serving.chat_api import ChatRequest, Refusal
from cctuning.serving.http_server import CHAT, Answering, ChatServer
from cctuning.tools.console import new_console

console = new_console()


def serve_model(recipe: ServeRecipe) -> Result:
    """Serves the model until a signal or Ctrl-C ends it.

    Raises `ValueError` for a run, which has no connection without English prompts, and for an engine that is
    not installed or cannot connect the model, and `OSError` where the address is taken.
    """
    kind = kind_of(model_folder(recipe.model))
    if kind.run:
        raise ValueError(
            f"model={recipe.model} is a run, whose connection needs an English prompt with each question: "
            f"serve {export_of(recipe.model)}"
        )
    if _on_vllm(recipe):
        if kind.exported:
            _check_plug_in()
        _serve_on_vllm(recipe)
        return Result()
    with _bound(recipe) as server:
        model, prompts = load_asked_model(
            recipe.model,
            trust_remote_code=recipe.trust_remote_code,
            dtype=recipe.dtype,
            use_cpu=recipe.use_cpu,
            warn=console.warn,
        )
        server.answering = _answering(model, prompts, recipe.max_new_tokens)
        state = "connected" if kind.exported else "a plain model, not connected"
        console.say(f"{server.name} ({state}) is served at {server.url}{CHAT}; Ctrl-C ends it")
        server.serve_forever()
    return Result()


# --- vLLM ---------------------------------------------------------------------------------------------------


def _on_vllm(recipe: ServeRecipe) -> bool:
    installed = find_spec("vllm") is not None
    if recipe.engine == "vllm" and not installed:
        raise ValueError(
            'engine=vllm: vLLM is not installed. It comes with: pip install "cctuning[vllm]"; '
            "engine=transformers needs nothing more"
        )
    if recipe.engine == "vllm" and recipe.use_cpu:
        raise ValueError("use_cpu=true: what vLLM runs on is decided by its build; take engine=transformers")
    return recipe.engine == "vllm" or (recipe.engine == "auto" and installed and not recipe.use_cpu)


def _serve_on_vllm(recipe: ServeRecipe) -> None:
    with subprocess.Popen(vllm_command(recipe)) as server:
        try:
            status = server.wait()
        finally:
            server.terminate()  # nothing where it has ended
    if status:
        raise ChildProcessError(f"vLLM's server has ended with status {status}: what it printed says why")


def _check_plug_in() -> None:
    """Raises `ValueError` where vLLM would start without the plug-in, and so refuse the model."""
    allowed = os.environ.get("VLLM_PLUGINS")
    if not any(point.name == "cctuning" for point in entry_points(group="vllm.general_plugins")):
        raise ValueError(
            "vLLM does not find the plug-in that connects the model: install this package beside it (pip "
            'install "cctuning[vllm]"), or take engine=transformers'
        )
    if allowed is not None and "cctuning" not in allowed.split(","):
        raise ValueError(f"VLLM_PLUGINS={allowed} leaves out cctuning, which connects the model: add it")


def vllm_command(recipe: ServeRecipe) -> list[str]:
    """The command line of vLLM's server. Requests that do not say otherwise are answered greedily."""
    settings = {
        "--model": recipe.model,
        "--served-model-name": recipe.name or recipe.model,
        "--host": recipe.host,
        "--port": str(recipe.port),
        "--dtype": recipe.dtype,
        "--override-generation-config": json.dumps({"temperature": 0}),
    }
    trusted = ["--trust-remote-code"] if recipe.trust_remote_code else []
    module = "vllm.entrypoints.openai.api_server"
    flat = [word for pair in settings.items() for word in pair]
    return [sys.executable, "-m", module, *flat, *trusted, *recipe.vllm_arguments]


# --- transformers -------------------------------------------------------------------------------------------


def _bound(recipe: ServeRecipe) -> ChatServer:
    """The server at its address, before a model is loaded for nothing."""
    try:
        return ChatServer((recipe.host, recipe.port), recipe.name or recipe.model)
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        reason = "another process listens there" if taken else error.strerror or str(error)
        raise OSError(f"host={recipe.host} port={recipe.port}: {reason}; choose others") from error


def _answering(model: Any, prompts: PromptFormat, longest: int) -> Answering:
    def answer(request: ChatRequest, show: Show) -> Turn:
        prompt, room = encode_conversation(
            model, prompts, request.messages, request.english, prompt_language=request.prompt_language
        )
        wanted = request.decoding.max_new_tokens or min(longest, room)
        if wanted > room:
            raise Refusal(
                f"max_tokens={wanted}: behind the prompt's {len(prompt.ids)} tokens the model has {room} left"
            )
        decoding = dataclasses.replace(request.decoding, max_new_tokens=wanted)
        return respond(model, prompts, prompt, decoding, connected=request.connected, show=show)

    return answer
