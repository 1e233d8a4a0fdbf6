"""The settings of a recipe that are not the defaults."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from cctuning.settings.keys import changed_values


def settings_table(recipe: Any, **resolved: Any) -> Table:
    """The keys of `recipe` whose values are not the defaults, and `resolved` in place of what it holds."""
    table = Table(title="settings that differ from the defaults", title_justify="left")
    table.add_column("key")
    table.add_column("value", overflow="fold")
    for key, value in (changed_values(recipe) | resolved).items():
        table.add_row(key, "null" if value is None else str(value))
    return table
