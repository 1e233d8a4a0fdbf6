"""Downloads a file whole: resumed where it was cut off, checked, and never two versions glued together.

`requests` does the HTTP. What the libraries at hand do not do is to go on from a file that an earlier process
left (`urllib3.Retry` repeats requests, not bodies) and to notice that the server's file has become another
meanwhile (`huggingface_hub` resumes without If-Range).
"""

from __future__ import annotations

import errno
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cctuning.tools.console import new_console
from cctuning.tools.extras import extra
from cctuning.tools.files import write_whole
from cctuning.tools.locks import LockedError, only_run_in
from cctuning.tools.progress import progress_bar

if TYPE_CHECKING:
    import requests

TRIES = 6  # in a row, without a new byte
_WAIT = 1.0  # seconds before the second try; doubled each time
_TIMEOUT = (15, 60)  # seconds: to connect, and between two pieces
_CHUNK = 2**13  # bytes; of a cut connection, the last incomplete chunk is lost
_AGAIN = (408, 425, 429, 500, 502, 503, 504)  # statuses that may pass


class DownloadError(OSError):
    """A download that failed: the address, why, and what to do."""


class _Interrupted(Exception):
    """This try has ended early; another one may get further."""


@dataclass(frozen=True)
class _Part:
    """Part of a file that is there: its bytes, and which version of the server's file they are of."""

    path: Path
    notes: Path

    def version(self, url: str) -> str | None:
        """The validator (ETag or date) of the bytes that are there; None where these are of no more use."""
        try:
            notes = json.loads(self.notes.read_text(encoding="utf-8"))
            return notes["version"] if notes["url"] == url and self.size else None
        except (OSError, ValueError, LookupError, TypeError):
            return None

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.is_file() else 0

    def begin(self, url: str, version: str | None) -> None:
        """Empties the file, and notes of what the bytes to come are."""
        self.path.write_bytes(b"")
        write_whole(self.notes, json.dumps({"url": url, "version": version}) + "\n")

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
        self.notes.unlink(missing_ok=True)


def download(url: str, path: Path, *, wait: float = _WAIT) -> None:
    """Downloads `url` to `path`, and goes on with what an earlier call left.

    Args:
        url: an http or https address.
        path: where the file goes once it is whole. Until then `<name>.part` holds what is there of it.
        wait: seconds before a second try; each further one waits twice as long.

    Raises `DownloadError`; what came stays for the next call.
    """
    part = _Part(path.with_name(path.name + ".part"), path.with_name(path.name + ".part.json"))
    try:
        with only_run_in(path.parent):  # two that append to one file would mix their bytes
            _complete(url, part, wait)
            part.path.replace(path)
            part.remove()
    except LockedError as error:
        raise DownloadError(f"another process downloads into {path.parent}: wait until it ends") from error


def _complete(url: str, part: _Part, wait: float) -> None:
    """Tries until the file is whole, as long as tries bring new bytes."""
    failures, most = 0, part.size
    while True:
        try:
            return _try(url, part)
        except _Interrupted as error:
            failures = 1 if part.size > most else failures + 1
            most = max(most, part.size)
            if failures == TRIES:
                kept = f"the {part.size:,} bytes that came are kept, and the same command goes on from there"
                raise DownloadError(
                    f"{url} could not be downloaded in {TRIES} tries: {error}; "
                    f"{kept if part.size else 'nothing came'}"
                ) from error
            pause = wait * 2 ** (failures - 1)
            new_console(stderr=True).say(f"{error}; again in {pause:g} s, from byte {part.size:,}")
            time.sleep(pause)
        except OSError as error:
            raise _for_user(error, url, part) from error


def _try(url: str, part: _Part) -> None:
    """One request for what is missing. Raises `_Interrupted` where a further one may bring more."""
    with extra("preparation"):
        import requests
    version = part.version(url)
    # Compressed bytes could not be counted, so a cut-off file could not be gone on with.
    headers = {"Accept-Encoding": "identity"}
    if version is not None:
        # Where the file is no longer this version, the server sends all of the new one.
        headers |= {"Range": f"bytes={part.size}-", "If-Range": version}
    try:
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as response:
            if response.status_code == 416:  # there is nothing behind the last byte
                if response.headers.get("Content-Range") == f"bytes */{part.size}":
                    return  # it was whole already
                part.remove()
                raise _Interrupted("the server no longer has the rest of this file")
            _check_status(response.status_code, response.reason, url)
            start = _start(response, part, url)
            missing = response.headers.get("Content-Length", "")
            total = start + int(missing) if missing.isdigit() else None
            _write_body(response.iter_content(_CHUNK), part, start, total)
    except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
        raise _Interrupted(_shortly(error)) from error
    except requests.RequestException as error:  # an address that is none, endless redirects
        raise DownloadError(f"{url} cannot be downloaded: {error}") from error
    if total is not None and part.size < total:
        raise _Interrupted(f"the connection ended after {part.size:,} of {total:,} bytes")


def _start(response: requests.Response, part: _Part, url: str) -> int:
    """From which byte on the response goes; where it is the first, what was there is dropped."""
    size = part.size
    if response.status_code == 206:
        if response.headers.get("Content-Range", "").startswith(f"bytes {size}-"):
            return size
        part.remove()
        raise _Interrupted("the server sent another part of the file than was asked for")
    tag = response.headers.get("ETag", "")
    # A weak tag does not promise the same bytes.
    part.begin(url, tag if tag.startswith('"') else response.headers.get("Last-Modified"))
    return 0


def _write_body(chunks: Iterable[bytes], part: _Part, start: int, total: int | None) -> None:
    bar = progress_bar(part.path.stem, total, done=start, size=True, transient=True)
    with part.path.open("ab") as file, bar as shown:
        for chunk in chunks:
            file.write(chunk)
            file.flush()
            shown.advance(len(chunk))


def _check_status(status: int, reason: str, url: str) -> None:
    if status < 300:
        return
    if status in _AGAIN:
        raise _Interrupted(f"the server answers {status} {reason}")
    hint = {
        404: ": nothing is at this address; is the address or the commit right?",
        401: ": it asks for a login",
        403: ": access is refused, there or by a proxy on the way",
    }.get(status, "")
    raise DownloadError(f"{url} answers {status} {reason}{hint}")


def _for_user(error: OSError, url: str, part: _Part) -> OSError:
    if isinstance(error, DownloadError):
        return error
    if error.errno == errno.ENOSPC:
        return DownloadError(
            f"{part.path.parent} is full: the {part.size:,} bytes that came are kept; make room, and the "
            "same command goes on"
        )
    return DownloadError(f"{url} cannot be written to {part.path}: {error.strerror or error}")


def _shortly(error: Exception) -> str:
    """The innermost reason of a connection error; libraries wrap it several times."""
    cause: BaseException = error
    while cause.args and isinstance(cause.args[-1], BaseException):
        cause = cause.args[-1]
    reason = getattr(cause, "reason", None)
    text = str(reason if isinstance(reason, BaseException) else cause)
    return f"no connection ({text})" if text else f"no connection ({type(cause).__name__})"
