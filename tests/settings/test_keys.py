import enum
import math
from dataclasses import dataclass, field

import pytest

from cctuning.settings.keys import (
    Choice,
    LibraryChoice,
    Range,
    help_lines,
    keys_of,
    list_of,
    number,
    one_of,
    required,
    setting,
)


@dataclass
class Oven:
    """A group of keys."""

    degrees: float = number(180.0, above=0, at_most=300, help="Celsius")
    fan: bool = setting(True, "turns")


@dataclass
class Bread:
    """A schema."""

    flour: str = required("what it is made of")
    shape: str | None = one_of("round", "long", help="seen from above")
    seeds: list[str] = list_of("none", "sesame", help="on top")
    oven: Oven = field(default_factory=Oven)


@dataclass
class Toast(Bread):
    """A schema that inherits."""

    slices: int = setting(2, "per person")
    uncommented: int = 0


def test_keys_have_dots_and_keep_the_order_of_the_fields():
    assert list(keys_of(Toast)) == [
        "flour",
        "shape",
        "seeds",
        "oven.degrees",
        "oven.fan",
        "slices",
        "uncommented",
    ]


def test_help_is_metadata_of_a_field_also_of_an_inherited_one():
    docs = {name: key.help for name, key in keys_of(Toast).items()}
    assert (docs["flour"], docs["seeds"], docs["oven.fan"], docs["slices"], docs["uncommented"]) == (
        "what it is made of",
        "on top",
        "turns",
        "per person",
        "",
    )


def test_defaults_and_types_as_they_are_shown():
    keys = keys_of(Toast)
    assert {name: (key.type_name, key.default) for name, key in keys.items()} == {
        "flour": ("str", "required"),
        "shape": ("str | None", "round"),
        "seeds": ("list[str]", "[none]"),
        "oven.degrees": ("float", "180.0"),
        "oven.fan": ("bool", "True"),
        "slices": ("int", "2"),
        "uncommented": ("int", "0"),
    }


def test_a_line_of_help():
    (line,) = [line for line in help_lines(keys_of(Toast)) if "oven.degrees" in line]
    assert " ".join(line.split()) == "oven.degrees float = 180.0 Celsius [above 0, at most 300]"


@pytest.mark.parametrize("value", [0.1, 300, 1])
def test_numbers_in_range(value):
    assert Range(above=0, at_most=300).problem(value) is None


@pytest.mark.parametrize("value", [0, -1, 300.1, math.inf, -math.inf, math.nan])
def test_numbers_out_of_range(value):
    assert "above 0, at most 300" in Range(above=0, at_most=300).problem(value)


def test_a_range_without_limits_wants_a_finite_number():
    assert Range().problem(-1e300) is None
    assert "finite" in Range().problem(math.inf)
    assert Range(at_least=1).problem(1) is None
    assert "at least 1" in Range(at_least=1).problem(0)


def test_choices(tmp_path):
    choice = Choice(("auto", "never"))
    assert choice.problem("auto") is None
    assert choice.problem(["auto", "never"]) is None
    assert choice.problem("nver") == "'nver' is not one of auto | never; did you mean 'never'?"
    assert choice.problem(["auto", "x"]).startswith("'x' is not one of")
    assert choice.problem(str(tmp_path))
    assert Choice(("auto",), or_path=True).problem(str(tmp_path)) is None
    assert "auto | PATH" in Choice(("auto",), or_path=True).problem(str(tmp_path / "gone"))


def test_values_of_a_library_are_asked_for_where_they_are_not_common():
    colours = LibraryChoice(("red",), f"{__name__}:Colour")
    assert colours.problem("red") is None
    assert colours.problem("blue") is None
    assert "did you mean 'blue'" in colours.problem("blu")
    assert LibraryChoice(("red",), "nowhere:Colour").problem("red") is None


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"
