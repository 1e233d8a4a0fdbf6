"""The settings of a recipe that are not the defaults."""

from typing import Any

from rich.table import Table

from cctuning.reporting.tables import RecordTable
from cctuning.settings.keys import changed_values


def settings_table(recipe: Any, **resolved: Any) -> Table:
    """The keys of `recipe` whose values are not the defaults, and `resolved` in place of what it holds."""
    values = changed_values(recipe) | resolved
    rows = [[key, "null" if value is None else str(value)] for key, value in values.items()]
    title = "settings that differ from the defaults"
    return RecordTable(["key", "value"], rows).screen(text=(0, 1), title=title, title_justify="left")
