"""Near matches for names that people mistype."""

import difflib
import re
from collections.abc import Iterable
from pathlib import Path

from cctuning.settings.aliases import ALIASES


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The name in `known` that is most like `name`, upper and lower case apart; None where none is alike.

    In this order: what other programs call `name` (`lr` is our `learning_rate`), one whose last part, after
    a dot or slash, is `name` (`pooling` is near to `connection.pooling`), one that is spelled alike, one with
    `name` in it (`epochs` is near to `num_train_epochs`).
    """
    by_lower = {candidate.lower(): candidate for candidate in known}
    name = name.lower()
    matches = [candidate for candidate in by_lower if (name.replace("-", "_"), candidate) in ALIASES]
    matches += [candidate for candidate in by_lower if re.split("[./]", candidate)[-1] == name]
    matches += difflib.get_close_matches(name, by_lower, n=1)
    if len(name) > 2:
        matches += [candidate for candidate in by_lower if name in candidate]
    return by_lower[matches[0]] if matches else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` for an error message, or nothing where no known name is near."""
    match = nearest(name, known)
    return f"; did you mean '{match}'?" if match else ""


def missing_file(path: Path) -> str:
    """`PATH does not exist`, and the file beside it that is near, endings apart; or its folder does not."""
    if not path.parent.is_dir():
        return f"{path} does not exist, nor does its folder {path.parent}"
    files = sorted(path.parent.iterdir(), key=lambda entry: entry.suffix == path.suffix)
    by_stem = {entry.name.partition(".")[0]: entry.name for entry in files}  # of one stem that of its ending
    match = nearest(path.name.partition(".")[0], filter(None, by_stem))
    return f"{path} does not exist" + (f"; did you mean '{by_stem[match]}'?" if match else "")
