"""A stand-in for the Hugging Face hub, as far as an upload needs it: users, repositories, large files.

What it answers is what the installed huggingface_hub asks for. Its metadata check is as strict as the hub's
where a card of ours could fail it.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha1, sha256

import yaml

from tests.web_server import QuietHandler, answering

USERS = {"hf_jane": "jane", "hf_reader": "reader"}  # by token; a reader may write nowhere
_LARGE = 4096  # bytes; larger files go to the large-file storage first


@dataclass
class Repository:
    """Files by name, and the message of each commit."""

    private: bool = False
    files: dict[str, bytes] = field(default_factory=dict)
    commits: list[str] = field(default_factory=list)


@dataclass
class Hub:
    """What the hub holds and was asked."""

    url: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    storage: dict[str, bytes] = field(default_factory=dict)  # large files by SHA-256
    asked: list[str] = field(default_factory=list)  # METHOD /path
    refuses: list[tuple[str, int]] = field(default_factory=list)  # a pattern of `asked`, and how: once each

    def answer(self, method: str, path: str, token: str, body: bytes) -> tuple[int, object]:
        """Status and content of an answer."""
        self.asked.append(f"{method} {path}")
        for refused in self.refuses:
            if re.search(refused[0], self.asked[-1]):
                self.refuses.remove(refused)
                return refused[1], {"error": "refused for a test"}
        if path.startswith("/storage/"):
            self.storage[sha256(body).hexdigest()] = body
            return 200, {}
        user = USERS.get(token)
        if user is None:
            return 401, {"error": "Invalid credentials"}
        if path == "/api/whoami-v2":
            return 200, {"name": user, "orgs": []}
        if path == "/api/validate-yaml":
            faults = _faults(json.loads(body)["content"])
            errors = [{"message": fault} for fault in faults]
            return (400 if faults else 200), {"errors": errors, "warnings": []}
        if path == "/api/repos/create":
            return self._create(user, **json.loads(body))
        found = re.fullmatch(r"(?:/api/models)?/([\w-]+/[\w-]+)(.*)", path)
        name, rest = found.groups() if found else ("", "")
        if name not in self.repositories:
            return 404, {"error": "Repository not found"}
        return self._of_repository(name, rest, user, body)

    def _create(self, user, name, organization=None, visibility=None, **_):
        owner = organization or user
        full = f"{owner}/{name}"
        if user != owner or user == "reader":
            return 403, {"error": "You don't have the rights to create a model under this namespace"}
        if full in self.repositories:
            return 409, {"error": "You already created this model repo", "url": f"{self.url}/{full}"}
        self.repositories[full] = Repository(visibility == "private")
        return 200, {"url": f"{self.url}/{full}"}

    def _of_repository(self, name, rest, user, body):
        repository = self.repositories[name]
        if rest in ("", "/revision/main"):
            return 200, {"id": name, "private": repository.private, "sha": "0" * 40, "siblings": []}
        if rest == "/tree/main":
            entries = [
                {"type": "file", "path": path, "size": len(content), "oid": _blob(content)}
                for path, content in repository.files.items()
            ]
            return 200, entries
        if user == "reader" or user != name.partition("/")[0]:
            return 403, {"error": "Forbidden: pass a token with write access to this repository"}
        if rest == "/auth-check/write":
            return 200, {}
        if rest == "/preupload/main":
            return 200, {"files": [self._mode(repository, file) for file in json.loads(body)["files"]]}
        if rest == ".git/info/lfs/objects/batch":
            return 200, {"objects": [self._room(entry) for entry in json.loads(body)["objects"]]}
        if rest == "/commit/main":
            return 200, self._commit(name, [json.loads(line) for line in body.splitlines()])
        return 404, {"error": f"a stand-in has no {rest}"}

    def _mode(self, repository, file):
        content = repository.files.get(file["path"])
        large = file["size"] > _LARGE
        known = {} if content is None else {"oid": sha256(content).hexdigest() if large else _blob(content)}
        mode = "lfs" if large else "regular"
        return {"path": file["path"], "uploadMode": mode, "shouldIgnore": False, **known}

    def _room(self, entry):
        upload = {"upload": {"href": f"{self.url}/storage/{entry['oid']}"}}
        return entry if entry["oid"] in self.storage else {**entry, "actions": upload}

    def _commit(self, name, lines):
        repository = self.repositories[name]
        for line in lines:
            value = line["value"]
            if line["key"] == "header":
                repository.commits.append(value["summary"])
            elif line["key"] == "file":
                repository.files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                repository.files[value["path"]] = self.storage[value["oid"]]
            elif line["key"] == "deletedFile":
                del repository.files[value["path"]]
        number = f"{len(repository.commits):040d}"
        return {"commitUrl": f"{self.url}/{name}/commit/{number}", "commitOid": number}


def _blob(content: bytes) -> str:
    return sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _faults(card: str) -> list[str]:
    matter = yaml.safe_load(card.split("---\n")[1])
    faults = [
        f'"{key}" with value "{name}" is not valid'
        for key, pattern in (
            ("language", r"[a-z]{2,3}"),
            ("base_model", r"[\w.-]+(/[\w.-]+)?"),
            ("datasets", r"[\w.-]+(/[\w.-]+)?"),
        )
        for name in ([matter[key]] if isinstance(matter.get(key, []), str) else matter.get(key, []))
        if not re.fullmatch(pattern, name)
    ]
    for model in matter.get("model-index", []):
        for result in model["results"]:
            whole = all(isinstance(metric["value"], int | float) for metric in result["metrics"])
            if not (model["name"] and result["task"]["type"] and result["dataset"]["type"] and whole):
                faults.append('"model-index" is not valid')
    return faults


@contextlib.contextmanager
def serving_hub() -> Iterator[Hub]:
    """A hub at `hub.url` while the block runs."""
    hub = Hub()

    class Handler(QuietHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            if "chunked" in self.headers.get("Transfer-Encoding", ""):
                body = b"".join(iter(self._chunk, b""))
            else:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            status, content = hub.answer(self.command, self.path.partition("?")[0], token, body)
            text = json.dumps(content).encode()
            self.send_response(status)
            if status >= 400 and isinstance(content, dict) and "error" in content:
                self.send_header("X-Error-Message", str(content["error"]))
            if status == 404:
                self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PUT = do_HEAD = answer

        def _chunk(self) -> bytes:
            size = int(self.rfile.readline(), 16)
            chunk = self.rfile.read(size)
            self.rfile.readline()
            return chunk

    with answering(Handler) as hub.url:
        yield hub
