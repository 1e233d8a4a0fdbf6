"""A small HTTP server of OpenAI's chat API for a model of transformers: one answer at a time, all of it ours.

`transformers serve` has no place for a connected model: it looks for the class by its name in transformers.
"""

import sys
import threading
import traceback
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cctuning.generation.conversation import Show, Turn
from cctuning.generation.finite import NonFiniteError
from cctuning.serving.chat_api import ChatAnswer, ChatRequest, Refusal, error_body, event, read_request
from cctuning.tools.errors import message_of
from cctuning.tools.json_text import to_json

CHAT, MODELS, HEALTH = "/v1/chat/completions", "/v1/models", "/health"
_METHODS = {CHAT: "POST", MODELS: "GET", HEALTH: "GET"}
_LARGEST_BODY = 8 * 2**20  # bytes

# Answers a request; what it shows is sent at once where the request asks for a stream. Raises `ValueError`
# for what cannot be answered.
Answering = Callable[[ChatRequest, Show], Turn]


class ChatServer(ThreadingHTTPServer):
    """Serves a model under `name` at `address` (host, port); port 0 takes a free one.

    `answering`, to be set before it serves, is called for one request after the other. Raises `OSError` where
    the address is taken.
    """

    daemon_threads = True

    answering: Answering

    def __init__(self, address: tuple[str, int], name: str) -> None:
        super().__init__(address, _Handler)
        self.name = name
        self._one_at_a_time = threading.Lock()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://{self.server_address[0]!s}:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Logs what has ended a connection, but for a client that has gone."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def answer(self, request: ChatRequest, show: Show) -> Turn:
        """Answers a request when those before it are answered."""
        with self._one_at_a_time:
            return self.answering(request, show)


def _refusal(error: Exception) -> Refusal:
    """What the client is told of an error; the log has the rest of one that it is not to blame for."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, ValueError) and not isinstance(error, NonFiniteError):
        return Refusal(message_of(error))
    traceback.print_exception(error)
    return Refusal("the server has failed; its log says why", 500)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60  # seconds that a client may be silent while it sends
    server: ChatServer

    def do_GET(self) -> None:
        self._route()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = do_GET

    def _route(self) -> None:
        try:
            path = self.path.partition("?")[0].rstrip("/")
            if path not in _METHODS:
                raise Refusal(f"there is no {path[:80]} here: {', '.join(_METHODS)}", 404)
            if self.command != _METHODS[path]:
                raise Refusal(f"{path} takes {_METHODS[path]}", 405)
            if path == CHAT:
                self._chat(read_request(self._body(), self.server.name))
            else:
                self._send(to_json(self._models() if path == MODELS else {"status": "ok"}))
        except Refusal as error:
            self._refuse(str(error), error.status)
        except OSError:
            self.close_connection = True  # the client has gone, or takes nothing any more

    def _models(self) -> dict[str, Any]:
        model = {"id": self.server.name, "object": "model", "owned_by": "cctuning"}
        return {"object": "list", "data": [model]}

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()):
            raise Refusal("the request must say its Content-Length", 411)
        if len(length) > 12 or int(length) > _LARGEST_BODY:
            raise Refusal(f"the body is larger than {_LARGEST_BODY:,} bytes", 413)
        try:
            body = self.rfile.read(int(length))
        except TimeoutError:
            raise Refusal("the body did not come", 408) from None
        if len(body) < int(length):
            raise Refusal("the body is shorter than its Content-Length")
        return body

    def _chat(self, request: ChatRequest) -> None:
        answer, streaming = ChatAnswer(self.server.name), False

        def show(text: str) -> None:
            nonlocal streaming
            if request.stream:
                if not streaming:
                    self._begin_stream()
                self._write(answer.piece(text, first=not streaming))
                streaming = True

        try:
            turn = self.server.answer(request, show)
        except OSError:
            raise
        except Exception as error:
            refusal = _refusal(error)
            if not streaming:
                raise refusal from error
            self._write(event(error_body(str(refusal), refusal.status)))
            self.close_connection = True
            return
        if not request.stream:
            self._send(answer.whole(turn))
            return
        if not streaming:
            show("")
        self._write(answer.end(turn, usage=request.usage))

    def _begin_stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Connection", "close")  # whose end is the stream's
        self.end_headers()

    def _write(self, text: str) -> None:
        self.wfile.write(text.encode())
        self.wfile.flush()

    def _refuse(self, message: str, status: int) -> None:
        self.close_connection = True  # of what is left of its body nothing is known
        self._send(error_body(message, status), status)

    def _send(self, body: str, status: int = 200) -> None:
        content = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
