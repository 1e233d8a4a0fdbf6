"""Questions as their source has them, before they are put into a prompt."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cctuning.data.fields import stripped
from cctuning.evaluation.items.prompt_templates import PromptTemplate


@dataclass(frozen=True)
class HubSet:
    """One split of a data set on the hub: a language of a benchmark, as a rule."""

    repository: str
    split: str
    config: str | None = None
    # Of a set that the hub only has as a script, which `datasets` no longer runs: the Parquet files that the
    # hub made of it on this branch.
    revision: str | None = None
    data_files: str | None = None

    @property
    def name(self) -> str:
        """For messages and manifests."""
        parts = (self.repository, self.config, self.split, self.revision)
        return ":".join(part for part in parts if part)


def parquet_of_script(repository: str, config: str, split: str) -> HubSet:
    """A split of a set that is a script, in the Parquet files that the hub made of it."""
    return HubSet(
        repository, split, None, revision="refs/convert/parquet", data_files=f"{config}/{split}/*.parquet"
    )


@dataclass(frozen=True)
class RawQuestion:
    """One row of a source, in the fields that the benchmark's templates name."""

    id: int | str  # the row of the source, from 0, where it has no better one
    fields: Mapping[str, str]
    answers: tuple[str, ...]
    options: Mapping[str, str] | None = None  # None: no choice, or the template has the texts
    details: Mapping[str, Any] = field(default_factory=dict)

    def options_in(self, template: PromptTemplate) -> dict[str, str] | None:
        """The option texts by label, without blanks around them; None where it is no choice."""
        options = template.options or self.options
        return {label: stripped(text) for label, text in options.items()} if options else None


Rows = list[dict[str, Any]]
Read = Callable[[HubSet], Rows]
ReadQuestions = Callable[[Read, str], list[RawQuestion]]  # of a language, by a reader of hub sets
