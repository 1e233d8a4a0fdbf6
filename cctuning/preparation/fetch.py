"""A file from the network, downloaded once, with its checksum beside it; also where Git LFS keeps it."""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from cctuning.preparation.download import DownloadError, download
from cctuning.tools.files import sha256, write_whole

Download = Callable[[str, Path], None]

_POINTER = re.compile(rb"version https://git-lfs\.github\.com/spec/v1\n(?:.*\n)*?oid sha256:([0-9a-f]{64})\n")
_LONGEST_POINTER = 1024  # bytes, as Git LFS defines it
_RAW, _MEDIA = "https://raw.githubusercontent.com/", "https://media.githubusercontent.com/media/"


def fetch(
    url: str,
    folder: Path,
    *,
    expected: str | None = None,
    expected_by: str = "expected is",
    media_url: str | None = None,
    download: Download = download,
) -> tuple[Path, bool]:
    """The file of an address, in `folder`, and whether it was already there.

    It is kept in a subfolder named after the address, with its SHA-256 in `<name>.sha256`, which
    `sha256sum -c` reads. A later call compares them and downloads again only what is missing or damaged. What
    an address gives may be a pointer of Git LFS; then the file comes from `media_url`, and has to have the
    pointer's checksum.

    Args:
        url: http or https.
        folder: where files of all addresses are kept.
        expected: the SHA-256 that the file must have, where it is known.
        expected_by: what names it, for the message.
        media_url: where Git LFS serves the file; None: known for raw.githubusercontent.com.
        download: replaced in tests.

    Raises `DownloadError`, also where the file is not the expected one: it is removed.
    """
    path = folder / hashlib.sha256(url.encode()).hexdigest()[:8] / (Path(urlsplit(url).path).name or "file")
    noted = _noted(path)
    if path.is_file() and noted is not None and sha256(path) == noted:
        if expected not in (None, noted):
            raise _another(
                url, noted, f"{expected_by} {expected}", f"remove {path.parent} to download it again"
            )
        return path, True
    download(url, path)
    if (pointed := _pointed(path)) is not None:
        path.unlink()
        url = _media_url(url, media_url)
        download(url, path)
        _check(url, path, pointed, "the pointer of Git LFS names")
    if expected is not None:
        _check(url, path, expected, expected_by)
    if noted is not None:
        _check(url, path, noted, f"an earlier download left in {_checksum_file(path)}")
    write_whole(_checksum_file(path), f"{sha256(path)}  {path.name}\n")
    return path, False


def _check(url: str, path: Path, expected: str, who: str) -> None:
    if (checksum := sha256(path)) != expected:
        path.unlink()
        raise _another(url, checksum, f"{who} {expected}", "the file there is another one, or came damaged")


def _another(url: str, checksum: str, expected: str, hint: str) -> DownloadError:
    return DownloadError(f"{url} has the SHA-256 {checksum}, but {expected}: {hint}")


def _checksum_file(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _noted(path: Path) -> str | None:
    """The checksum that stands beside a file."""
    try:
        match = re.match(r"[0-9a-f]{64}\b", _checksum_file(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return None
    return match[0] if match else None


def _pointed(path: Path) -> str | None:
    """The SHA-256 that a pointer of Git LFS names; None where the file is none."""
    with path.open("rb") as file:
        match = _POINTER.match(file.read(_LONGEST_POINTER))
    return match[1].decode() if match else None


def _media_url(url: str, media_url: str | None) -> str:
    if media_url is not None:
        return media_url
    if not url.startswith(_RAW):
        raise DownloadError(f"{url} is a pointer of Git LFS: say with --media-url where the file itself is")
    return _MEDIA + url.removeprefix(_RAW)
