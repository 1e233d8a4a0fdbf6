"""Asks a model questions: a CC-Tuning run, an exported model, any other, or one that is served."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from rich.text import Text

from cctuning.commands.asked_model import load_asked_model
from cctuning.commands.result import Result
from cctuning.commands.schemas import ChatRecipe
from cctuning.connection.connected import is_connected
from cctuning.data.unknown_tokens import unknown_tokens_warning
from cctuning.generation.conversation import ChatMessage, Decoding, Show, encode_conversation, respond
from cctuning.generation.generate import Answer
from cctuning.pretrained.hub import model_folder
from cctuning.pretrained.kinds import kind_of
from cctuning.serving.client import ServedModel
from cctuning.tools.console import new_console

console = new_console()

_ANEW = "/new"  # typed in place of a question
_USAGE = f"An empty question ends, {_ANEW} begins a new conversation."


@dataclasses.dataclass(frozen=True)
class Partner:
    """What a conversation is held with.

    Attributes:
        description: what it is, in words.
        takes_english: whether questions may come with an English parallel.
        respond: the next turn of a conversation, with that parallel or None; its text is shown in pieces.
    """

    description: str
    takes_english: bool
    respond: Callable[[Sequence[ChatMessage], str | None, Show], Answer]


def chat_with_model(recipe: ChatRecipe) -> Result:
    """Answers `question`, or holds a conversation until the input ends.

    Raises `ValueError` or `OSError` for a model that cannot be used. The report has the answer's text,
    whether the model was connected (None: a server did not say), the layer (None: all), and what the model
    itself has put into English (None: nothing).
    """
    decoding = Decoding(recipe.max_new_tokens, recipe.temperature, recipe.top_p, recipe.seed)
    partner = _served(recipe, decoding) if recipe.server else _loaded(recipe, decoding)
    talk = [{"role": "system", "content": recipe.system}] if recipe.system else []
    if recipe.question:
        question = {"role": "user", "content": recipe.question}
        return Result(report=dataclasses.asdict(reply(partner, recipe, [*talk, question], recipe.english)))
    converse(partner, recipe, talk)
    return Result()


def _loaded(recipe: ChatRecipe, decoding: Decoding) -> Partner:
    name = str(recipe.model)
    model, prompts = load_asked_model(
        name,
        template=recipe.template,
        template_arguments=recipe.template_arguments,
        trust_remote_code=recipe.trust_remote_code,
        dtype=recipe.dtype,
        use_cpu=recipe.use_cpu,
        warn=console.warn,
    )
    if recipe.english and not is_connected(model):
        raise ValueError(f"english= needs a connected model, and {name} is a plain {type(model).__name__}")

    def answer(messages: Sequence[ChatMessage], english: str | None, show: Show) -> Answer:
        prompt, room = encode_conversation(
            model, prompts, messages, english, prompt_language=recipe.prompt_language
        )
        for text in filter(None, (messages[-1]["content"], english)):
            if token := prompts.control_token(text):
                console.warn(f"{token} in the question is read as a special token, as no training row's is")
        read = [prompt.ids] if prompt.english_ids is None else [prompt.ids, prompt.english_ids]
        if unknown := unknown_tokens_warning(prompts.tokenizer, {"the question": read}):
            console.warn(unknown)
        longest = dataclasses.replace(decoding, max_new_tokens=min(decoding.max_new_tokens, room))
        turn = respond(model, prompts, prompt, longest, show=show)
        return Answer(turn.text, turn.connected, turn.layer, turn.english)

    takes_english = is_connected(model) and recipe.prompt_language is None
    return Partner(f"{name}: {describe(name, model)}", takes_english, answer)


def _served(recipe: ChatRecipe, decoding: Decoding) -> Partner:
    served = ServedModel(str(recipe.server))

    def answer(messages: Sequence[ChatMessage], english: str | None, show: Show) -> Answer:
        text, said = served.respond(
            messages,
            decoding,
            english=english,
            prompt_language=recipe.prompt_language,
            stream=recipe.stream,
            show=show,
        )
        if said is None:
            return Answer(text, None, None)
        return Answer(text, bool(said.get("connected")), said.get("layer"), said.get("english"))

    return Partner(f"{served.name} at {served.url}", False, answer)


def converse(partner: Partner, recipe: ChatRecipe, beginning: list[ChatMessage]) -> None:
    """Reads questions, and where the model can use one an English parallel, until an empty line or Ctrl-D.

    Every question is asked with the conversation before it. What cannot be answered is said, and forgotten.
    """
    console.say(f"{partner.description}. {_USAGE}")
    talk = beginning
    while True:
        try:
            question = console.input(Text("\nquestion> ", "bold")).strip()
            if not question:
                return
            if question == _ANEW:
                talk = beginning
                continue
            if question.startswith("/") and len(question.split()) == 1:
                console.warn(f"there is no command {question}, and it was not asked. {_USAGE}")
                continue
            english = _typed_english() if partner.takes_english else ""
        except (EOFError, KeyboardInterrupt):
            console.print()
            return
        messages = [*talk, {"role": "user", "content": question}]
        try:
            response = reply(partner, recipe, messages, english.strip() or None)
        except ValueError as error:
            console.warn(str(error))
            continue
        talk = [*messages, {"role": "assistant", "content": response.text}]


def _typed_english() -> str:
    """The line that is typed; piped input may end with the question, which is asked all the same."""
    try:
        return console.input(Text("in English (or empty)> ", "bold"))
    except EOFError:
        return ""


def describe(directory: str, model: Any) -> str:
    """The kind of model, in words."""
    if kind_of(model_folder(directory)).exported:
        return "monolingual, connected through its Transform Matrix"
    if is_connected(model):
        return "bilingual, connected where you give the question in English too"
    return "a plain model, not connected"


def reply(
    partner: Partner, recipe: ChatRecipe, messages: Sequence[ChatMessage], english: str | None
) -> Answer:
    """Prints the answer and the layer that was chosen, and returns it."""

    def show(piece: str) -> None:
        if recipe.stream:
            console.print(piece, end="", soft_wrap=True)

    response = partner.respond(messages, english, show)
    if not response.text:
        console.say("(an empty answer)")
    else:
        console.say("" if recipe.stream else response.text)
    console.say(origin(response, english), style="dim")
    return response


def origin(response: Answer, english: str | None) -> str:
    """The source of the connection, in words."""
    if response.connected is None:
        return "the server does not say what was connected"
    if not response.connected:
        return "not connected"
    source = "the English prompt" if english else "the model's own outputs, transformed"
    if response.english is not None:
        source = f"the model's own English: {' '.join(response.english.split())}"
    return f"{'all layers' if response.layer is None else f'layer {response.layer}'} of {source}"
