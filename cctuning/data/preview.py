"""Output of `dry_run=true` for a run: rows and lengths per language, and how an example is tokenised."""

import statistics
from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich.console import Group
from rich.panel import Panel
from rich.text import Text

from cctuning.data.encoding import Example, languages_of
from cctuning.data.rows import Problem, rejected_text
from cctuning.reporting.tables import RecordTable

_PROMPT, _RESPONSE, _START = "grey62", "bold green", "bold black on yellow"


def rows_table(examples: Sequence[Example], problems: Sequence[Problem]) -> Group:
    """Rows, token lengths and cut responses of each language; below, what was found wrong."""
    head = ["language", "rows", "prompt", "English prompt", "response", "responses cut"]
    rows = []
    for language in languages_of(examples):
        of_language = [example for example in examples if example.row.language == language]
        with_response = [example for example in of_language if example.has_response]
        rows.append(
            [
                language,
                f"{len(of_language):,}",
                lengths([example.prompt_length for example in of_language]),
                lengths([len(example.english_input_ids) for example in of_language]),
                lengths([len(example.input_ids) - example.prompt_length for example in with_response]),
                sum(example.truncated > 0 for example in of_language),
            ]
        )
    count = len(examples)
    title = f"{count:,} row{'s' * (count != 1)} (tokens: median/95th percentile/longest)"
    table = RecordTable(head, rows).screen(title=title)
    counts = Counter(problem.part for problem in problems)
    parts = ", ".join(f"{count:,} in {part}" for part, count in counts.most_common())
    shown = [Text(f"  {problem}", style="red") for problem in problems[:5]]
    left_out = f"{rejected_text(problems)} left out: {parts}" if problems else "no row left out"
    return Group(table, Text(left_out), *shown)


def lengths(values: Sequence[int]) -> str:
    """The median, 95th percentile and maximum of some lengths; "-" without any."""
    if not values:
        return "-"
    ordered = sorted(values)
    return f"{statistics.median_low(ordered)}/{ordered[int(0.95 * (len(ordered) - 1))]}/{ordered[-1]}"


def example_panel(example: Example, tokenizer: Any) -> Panel:
    """One example as the model reads it: what carries a label, and the response start in both languages."""
    row = example.row
    legend = Text.assemble(
        ("prompt, no label", _PROMPT),
        "   ",
        ("[response start]", _START),
        "   ",
        ("response, labels", _RESPONSE),
    )
    prompt, response = example.input_ids[: example.prompt_length], example.input_ids[example.prompt_length :]
    main = Text("")
    done = 0
    for start, stop in example.earlier:  # responses that are trained in the prompt
        main += _styled(tokenizer, prompt[done:start], _PROMPT) + _styled(
            tokenizer, prompt[start:stop], _RESPONSE
        )
        done = stop
    main += marked_prompt(tokenizer, prompt[done:]) + _styled(tokenizer, response, _RESPONSE)
    shown = [legend, Text(f"\n{row.language}:", style="bold"), main]
    lengths = f"{len(prompt)} + {len(response)} tokens"
    if example.english_input_ids:
        english = marked_prompt(tokenizer, example.english_input_ids)
        shown += [Text("\nEnglish:", style="bold"), english]
        lengths += f", English {len(example.english_input_ids)}"
    # The title as it is: a name may look like markup.
    return Panel(Group(*shown), title=Text(f"{row.file} row {row.number}"), subtitle=lengths)


def _styled(tokenizer: Any, ids: Sequence[int], style: str) -> Text:
    return Text("").join(Text(piece, style=style) for piece in token_pieces(tokenizer, ids))


def marked_prompt(tokenizer: Any, prompt: Sequence[int]) -> Text:
    """The prompt with its last token, the response start, in brackets too: a log shows no colours."""
    *before, last = token_pieces(tokenizer, prompt)
    start = last.rstrip("\n")
    marked = [Text(piece, style=_PROMPT) for piece in before]
    return Text("").join([*marked, Text(f"[{start}]", style=_START), Text(last.removeprefix(start))])


def token_pieces(tokenizer: Any, ids: Sequence[int]) -> list[str]:
    """The text of each token; tokens that are parts of one character are shown together."""
    pieces: list[str] = []
    # The tokens of the last piece: some tokenizers drop the blank that a text begins with.
    before: list[int] = []
    pending: list[int] = []
    for token in ids:
        pending.append(token)
        text = _text_after(tokenizer, before, pending)
        if "\N{REPLACEMENT CHARACTER}" not in text:
            pieces.append(text.replace("\n", "⏎\n"))
            before, pending = pending, []
    return pieces + ([_text_after(tokenizer, before, pending)] if pending else [])


def _text_after(tokenizer: Any, before: list[int], ids: list[int]) -> str:
    return str(tokenizer.decode(before + ids)).removeprefix(str(tokenizer.decode(before)))
