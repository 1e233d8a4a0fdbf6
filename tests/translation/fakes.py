"""Translators whose translations are known."""

from collections.abc import Callable, Sequence

from cctuning.translation import Untranslated


class FakeTranslator:
    """Turns each word around, or what `write` makes of a text; remembers what it was asked."""

    def __init__(
        self,
        write: Callable[[str], str | Untranslated] = lambda text: " ".join(
            word[::-1] for word in text.split()
        ),
        name: str = "fake",
        dies_after: int | None = None,
    ) -> None:
        self.name, self._write, self._dies_after = name, write, dies_after
        self.asked: list[tuple[str, str, str]] = []
        self.calls: list[list[str]] = []

    def translate(self, texts: Sequence[str], *, source: str, target: str) -> list[str | Untranslated]:
        if self._dies_after is not None and len(self.calls) >= self._dies_after:
            raise KeyboardInterrupt
        self.calls.append(list(texts))
        self.asked += [(text, source, target) for text in texts]
        return [self._write(text) for text in texts]
