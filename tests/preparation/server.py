"""A web server in this process whose misbehaviour a test chooses, one answer after the other."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.web_server import QuietHandler, answering


@dataclass
class Answers:
    """What the server gives, and what it was asked."""

    content: bytes = b""
    tag: str | None = '"one"'  # the ETag; None: no validator at all
    ranges: bool = True  # whether it understands Range
    statuses: list[int] = field(default_factory=list)  # answered first, one a request
    cuts: list[int] = field(default_factory=list)  # bytes after which a connection breaks, one a request
    length: bool = True  # whether it tells how long the content is
    paths: dict[str, bytes] = field(default_factory=dict)  # contents of other addresses
    asked: list[dict[str, str]] = field(default_factory=list)  # headers of each request
    before: Callable[[Answers], None] = lambda self: None  # called before each answer
    url: str = ""


@contextlib.contextmanager
def serving(content: bytes = b"") -> Iterator[Answers]:
    """Serves `content` at `answers.url` while the block runs."""
    answers = Answers(content)

    class Handler(QuietHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            answers.asked.append(dict(self.headers))
            answers.before(answers)
            if answers.statuses:
                self.send_response(answers.statuses.pop(0))
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            content, start = answers.paths.get(self.path, answers.content), 0
            wanted = self.headers.get("Range")
            if answers.ranges and wanted and self.headers.get("If-Range") in (None, answers.tag):
                start = int(wanted.removeprefix("bytes=").removesuffix("-"))
                if start >= len(content):
                    self.send_response(416)
                    self.send_header("Content-Range", f"bytes */{len(content)}")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            else:
                self.send_response(200)
            if answers.tag:
                self.send_header("ETag", answers.tag)
            if answers.length:
                self.send_header("Content-Length", str(len(content) - start))
            else:
                self.send_header("Connection", "close")
                self.close_connection = True
            self.end_headers()
            end = start + answers.cuts.pop(0) if answers.cuts else len(content)
            self.wfile.write(content[start:end])
            if end < len(content):
                self.close_connection = True

    with answering(Handler) as address:
        answers.url = f"{address}/folder/rows.json"
        yield answers
