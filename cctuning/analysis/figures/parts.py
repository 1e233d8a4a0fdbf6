"""Parts that the figures of a study share: languages and their mean, shares in %, and a title above."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from matplotlib.figure import Figure

from cctuning.stats.estimates import MEAN, POOLED

Content: TypeAlias = Mapping[str, Any]


def own_languages(estimates: Content) -> list[str]:
    """The languages of a quantity, without their means."""
    return [language for language in estimates if language not in (MEAN, POOLED)]


def percents(values: Any) -> Any:
    """Shares in %, None as NaN."""
    if isinstance(values, list):
        return [percents(value) for value in values]
    return math.nan if values is None else 100 * values


def shown_languages(estimates: Content) -> list[str]:
    """The same, and their mean last where there are several."""
    languages = own_languages(estimates)
    return [*languages, MEAN] if len(languages) > 1 else languages


def head(figure: Figure, title: str, handles: Sequence[Any], labels: Sequence[Any], *, columns: int) -> None:
    """The title of a figure, and below it what its signs are."""
    figure.legend(handles, labels, loc="outside upper center", ncols=columns, title=title)
