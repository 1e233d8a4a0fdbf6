"""A client of OpenAI's chat API: `cctuning serve`'s servers, vLLM's, or any other."""

import http.client
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from cctuning.generation.conversation import ChatMessage, Decoding, Show
from cctuning.serving.http_server import CHAT, MODELS
from cctuning.tools.json_text import from_json, to_json

_TIMEOUT = 600  # seconds that a server may be silent
_SHOWN = 300  # characters of a server's error


class ServerError(ValueError):
    """A server that cannot be asked, or does not answer; the message names it."""


class ServedModel:
    """The first model that the server at `url` has, such as http://127.0.0.1:8000.

    Raises `ServerError` where none answers there.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        parts = urlsplit(url)
        try:
            self._port = parts.port
        except ValueError as error:
            raise ServerError(f"server={url} is no address: {error}") from error
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ServerError(f"server={url} is no address: it begins like http://127.0.0.1:8000")
        self._host, self._secure = parts.hostname, parts.scheme == "https"
        self._path = parts.path.rstrip("/").removesuffix("/v1")
        with self._answer("GET", MODELS) as response:
            listed = self._object(response.read())
        try:
            self.name = str(listed["data"][0]["id"])
        except (KeyError, IndexError, TypeError) as error:
            raise ServerError(f"server={url} lists no model") from error

    def respond(
        self,
        messages: Sequence[ChatMessage],
        decoding: Decoding,
        *,
        english: str | None,
        prompt_language: str | None = None,
        stream: bool,
        show: Show,
    ) -> tuple[str, dict[str, Any] | None]:
        """The response's text, and what the server says of its connection (None: nothing).

        `show` is given the text, with `stream` in pieces. Raises `ServerError` where the request is refused.
        """
        request = {
            "model": self.name,
            "messages": list(messages),
            "max_tokens": decoding.max_new_tokens,
            "temperature": decoding.temperature,
            "top_p": decoding.top_p,
            "stream": stream,
        }
        if decoding.seed is not None:
            request["seed"] = decoding.seed
        options = {"cctuning_english": english, "cctuning_prompt_language": prompt_language}
        if given := {name: value for name, value in options.items() if value is not None}:
            request["vllm_xargs"] = given
        text, connection = "", None
        with self._answer("POST", CHAT, to_json(request)) as response:
            for event in self._events(response) if stream else [self._object(response.read())]:
                connection = _connection_of(event) or connection
                piece = self._piece(event, "delta" if stream else "message")
                show(piece)
                text += piece
        return text, connection

    def _events(self, response: http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
        for line in response:
            data = line.decode("utf-8", "replace").strip()
            if not data.startswith("data:"):
                continue
            data = data.removeprefix("data:").strip()
            if data == "[DONE]":
                return
            event = self._object(data)
            if "error" in event:
                raise ServerError(f"server={self.url}: {_message(event)}")
            yield event
        raise ServerError(f"server={self.url} has broken off its answer")

    def _piece(self, event: dict[str, Any], name: str) -> str:
        choices = event.get("choices") or [{}]  # the numbers of tokens come without any
        try:
            return str((choices[0].get(name) or {}).get("content") or "")
        except (LookupError, TypeError, AttributeError) as error:
            raise ServerError(f"server={self.url} answers in another way than OpenAI's chat API") from error

    def _object(self, content: str | bytes) -> dict[str, Any]:
        try:
            value = from_json(content)
        except ValueError as error:
            raise ServerError(f"server={self.url} answers with what is no JSON: {error}") from error
        if not isinstance(value, dict):
            raise ServerError(f"server={self.url} answers with what is no JSON object")
        return value

    @contextmanager
    def _answer(self, method: str, path: str, body: str = "") -> Iterator[http.client.HTTPResponse]:
        """The response to a request, which has gone well so far."""
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = kind(self._host, self._port, timeout=_TIMEOUT)
        try:
            headers = {"Content-Type": "application/json"}
            connection.request(method, f"{self._path}{path}", body.encode() or None, headers)
            response = connection.getresponse()
            if response.status != 200:
                raise ServerError(f"server={self.url}: {response.status} {self._refusal(response)}")
            yield response
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise ServerError(
                f"server={self.url} does not answer: {reason}. cctuning serve model=DIR starts one"
            ) from error
        finally:
            connection.close()

    def _refusal(self, response: http.client.HTTPResponse) -> str:
        content = response.read().decode("utf-8", "replace")
        try:
            return _message(self._object(content))
        except ServerError:
            return content[:_SHOWN] or response.reason


def _message(answer: dict[str, Any]) -> str:
    error = answer.get("error")
    text = error.get("message") if isinstance(error, dict) else error
    return str(text or answer)[:_SHOWN]


def _connection_of(event: dict[str, Any]) -> dict[str, Any] | None:
    """What an answer says of the connection: in a field of its own, or in one of vLLM's."""
    exchanged = event.get("kv_transfer_params")
    said = event.get("cctuning") or (exchanged.get("cctuning") if isinstance(exchanged, dict) else None)
    return said if isinstance(said, dict) else None
