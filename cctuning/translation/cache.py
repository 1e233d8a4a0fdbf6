"""Translates many texts, each distinct one once, and keeps what was translated when it is stopped."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from cctuning.data.batches import plan_batches
from cctuning.data.fields import is_blank
from cctuning.tools.growing_files import BrokenLineError, add_lines, recover_lines
from cctuning.tools.locks import only_user_of
from cctuning.tools.progress import Update
from cctuning.translation.checks import faults
from cctuning.translation.languages import find_language
from cctuning.translation.translator import (
    Translation,
    TranslationError,
    Translator,
    UnknownSourceError,
    Untranslated,
)

CHUNK = 64  # texts between two savings


class CacheKey(NamedTuple):
    """Key of a translation."""

    translator: str
    source: str
    target: str
    text: str  # its SHA-256

    @classmethod
    def of(cls, translator: str, text: str, source: str, target: str) -> CacheKey:
        """The key of one text."""
        return cls(translator, source, target, hashlib.sha256(text.encode()).hexdigest())


def translate_all(
    translator: Translator,
    texts: Sequence[str],
    *,
    sources: Sequence[str],
    target: str,
    cache: str | Path,
    retry: Translator | None = None,
    skip_unknown: bool = False,
    chunk: int = CHUNK,
    progress: Update | None = None,
) -> list[Translation]:
    """The translations of `texts` into `target`, in their order, with what is wrong with them.

    Each distinct text is translated once, those of like length together. Every `chunk` texts are added to the
    file `cache` when they are done; what is there already is not translated again, so a call that was
    interrupted goes on where it was, and its result is the same. A text in the target language already stays
    as it is. Blank texts are errors.

    Args:
        translator: what translates.
        texts: what is translated; no text may be blank.
        sources: the language of each text.
        target: the language to translate into.
        cache: a file of JSON lines, which is made where it is missing. One process at a time may use it.
        retry: translates again what comes out faulty; its translation counts where it has no fault.
        skip_unknown: texts in a language that the table or the translator lacks get that as their fault;
            otherwise it is an error, as it always is of `target`.
        chunk: texts that are translated between two savings.
        progress: is called with how many texts are done, of how many that are not in the cache.

    Raises `TranslationError` for an unknown language or a broken cache, `LockedError` where another process
    uses the cache, `ValueError` for a blank text, and `OSError`.
    """
    if len(texts) != len(sources):
        raise ValueError(f"{len(texts)} texts and {len(sources)} source languages")
    if blank := [number for number, text in enumerate(texts) if is_blank(text)]:
        raise ValueError(f"texts[{blank[0]}] is blank: there is nothing to translate")
    for language in dict.fromkeys([target, *([] if skip_unknown else sources)]):
        find_language(language)  # an error before a file is made
    with open_cache(cache) as known:
        results = _translate(translator, texts, sources, target, known, skip_unknown, chunk, progress)
        if retry is None:
            return results
        faulty = [number for number, result in enumerate(results) if result.faults]
        again = _translate(
            retry,
            [texts[number] for number in faulty],
            [sources[number] for number in faulty],
            target,
            known,
            skip_unknown,
            chunk,
            progress,
        )
    for number, result in zip(faulty, again, strict=True):
        if not result.faults:
            results[number] = result
    return results


def _translate(
    translator: Translator,
    texts: Sequence[str],
    sources: Sequence[str],
    target: str,
    known: Cache,
    skip_unknown: bool,
    chunk: int,
    progress: Update | None,
) -> list[Translation]:
    codes, unknown = _codes(sources)
    into = find_language(target).code
    missing: dict[str, dict[str, None]] = {}  # by source language, each text once
    for text, code in zip(texts, codes, strict=True):
        if code not in (into, *unknown) and CacheKey.of(translator.name, text, code, into) not in known:
            missing.setdefault(code, {})[text] = None
    done, total = 0, sum(map(len, missing.values()))
    for code in sorted(missing):
        waiting = list(missing[code])
        for places in plan_batches([len(text) for text in waiting], batch_size=chunk):
            part = [waiting[place] for place in places]
            try:
                results = translator.translate(part, source=code, target=into)
            except UnknownSourceError as error:
                if not skip_unknown:
                    raise
                unknown[code] = str(error)  # not kept in the file: another version may know it
                results = []
            known.add(translator.name, part[: len(results)], results, code, into)
            done += len(part)
            if progress:
                progress(done, total)
    return [
        _result(translator.name, text, code, into, known, unknown)
        for text, code in zip(texts, codes, strict=True)
    ]


def _codes(sources: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The table's code of each source language, and for those that it lacks the reason."""
    codes: dict[str, str] = {}
    unknown: dict[str, str] = {}
    for source in dict.fromkeys(sources):
        try:
            codes[source] = find_language(source).code
        except TranslationError as error:
            codes[source], unknown[source] = source, str(error)
    return [codes[source] for source in sources], unknown


def _result(
    translator: str, text: str, source: str, target: str, known: Cache, unknown: dict[str, str]
) -> Translation:
    if source == target:
        return Translation(text, (), "")
    key = CacheKey.of(translator, text, source, target)
    if key not in known:
        return Translation("", (unknown[source],), translator)
    result = known[key]
    if isinstance(result, Untranslated):
        return Translation("", (result.reason,), translator)
    return Translation(result, tuple(faults(text, result, source=source, target=target)), translator)


# --- The file -----------------------------------------------------------------------------------------------


class Cache:
    """Cache of translations: a file that is only ever added to, and what it holds."""

    def __init__(self, path: Path, results: dict[CacheKey, str | Untranslated]) -> None:
        self._path, self._results = path, results

    def __contains__(self, key: object) -> bool:
        return key in self._results

    def __getitem__(self, key: CacheKey) -> str | Untranslated:
        return self._results[key]

    def add(
        self,
        translator: str,
        texts: Sequence[str],
        results: Sequence[str | Untranslated],
        source: str,
        target: str,
    ) -> None:
        """Keeps the results, and has them on the disk before it returns."""
        lines = []
        for text, result in zip(texts, results, strict=True):
            key = CacheKey.of(translator, text, source, target)
            self._results[key] = result
            line = {"translator": translator, "source": source, "target": target, "sha256": key.text}
            line["text"] = text
            name = "reason" if isinstance(result, Untranslated) else "translation"
            line[name] = result.reason if isinstance(result, Untranslated) else result
            lines.append(line)
        add_lines(self._path, lines)


@contextmanager
def open_cache(path: str | Path) -> Iterator[Cache]:
    """The cache in the file `path`, for this process alone.

    A last line that a kill has cut is taken away. Raises `TranslationError` for a file that is no cache, and
    `LockedError` where another process uses it.
    """
    path = Path(path)
    with only_user_of(path):
        try:
            entries = recover_lines(path, _entry)
        except BrokenLineError as error:
            raise TranslationError(
                f"{error}: is no line of a translation cache: take it away, or name another file"
            ) from error
        yield Cache(path, dict(entries))


def _entry(values: Any) -> tuple[CacheKey, str | Untranslated]:
    key = CacheKey(*(str(values[name]) for name in ("translator", "source", "target", "sha256")))
    if "reason" in values:
        return key, Untranslated(str(values["reason"]))
    return key, str(values["translation"])
