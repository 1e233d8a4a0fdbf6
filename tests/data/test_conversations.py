"""Rows in the layouts of other programs are the rows that our own columns would hold."""

import csv
import gzip

import pytest

from cctuning.data.conversations import Message
from cctuning.data.delimited import delimited_records
from cctuning.data.encoding import IGNORED, encode
from cctuning.data.formats import DataError
from cctuning.data.prompts import PromptFormat, choose_template
from cctuning.data.rows import BadRowsError, read_rows
from cctuning.data.templates import TEMPLATES
from cctuning.data.turns import rows_of_turns
from tests.json_lines import write_lines
from tests.tiny import tiny_tokenizer

TURNS = [
    ("system", "Sei kurz."),
    ("user", "Wer?"),
    ("assistant", "Ada."),
    ("user", "Wo?"),
    ("assistant", "Da."),
]
TEXTS_EN = ("Be brief.", "Who?", "Ada.", "Where?", "There.")
ENGLISH = [(role, text) for (role, _), text in zip(TURNS, TEXTS_EN, strict=True)]
HISTORY = tuple(Message(*turn) for turn in TURNS[:3])
HISTORY_EN = tuple(Message(*turn) for turn in ENGLISH[:3])
SHAREGPT_ROLES = {"system": "system", "user": "human", "assistant": "gpt"}


def write(path, *rows):
    return str(write_lines(path, rows))


def openai(turns):
    return [{"role": role, "content": content} for role, content in turns]


def sharegpt(turns):
    return [{"from": SHAREGPT_ROLES[role], "value": content} for role, content in turns]


LAYOUTS = {
    "messages": {"messages": openai(TURNS), "messages_en": openai(ENGLISH)},
    "without the last English response": {"messages": openai(TURNS), "messages_en": openai(ENGLISH[:-1])},
    "parts": {
        "messages": [{"role": role, "content": [{"type": "text", "text": text}]} for role, text in TURNS],
        "messages_en": openai(ENGLISH),
    },
    "conversations": {"conversations": sharegpt(TURNS), "conversations_en": sharegpt(ENGLISH)},
    "both": {"conversations": sharegpt(TURNS), "messages_en": openai(ENGLISH)},
    "a system column": {
        "conversations": sharegpt(TURNS[1:]),
        "conversations_en": sharegpt(ENGLISH[1:]),
        "system": "Sei kurz.",
        "system_en": "Be brief.",
    },
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_a_conversation_is_the_same_row_in_every_layout(layout, tmp_path):
    path = write(tmp_path / "rows.jsonl", {"id": "1", "language": "de", **layout})
    [row], problems = read_rows([path], conversations=True)
    assert not problems
    assert (row.history, row.instruction, row.output) == (HISTORY, "Wo?", "Da.")
    assert (row.history_en, row.instruction_en) == (HISTORY_EN, "Where?")
    assert row.output_en == ("There." if len(layout.get("messages_en", ENGLISH)) == 5 else None)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_a_conversation_is_refused_where_a_row_is_to_be_one_instruction(layout, tmp_path):
    path = write(tmp_path / "rows.jsonl", {"id": "1", "language": "de", **layout})
    with pytest.raises(BadRowsError, match="only training and the fit read"):
        read_rows([path])


def test_an_english_side_without_a_system_message_has_the_rows_own(tmp_path):
    path = write(tmp_path / "rows.jsonl", {"messages": openai(TURNS), "messages_en": openai(ENGLISH[1:])})
    [row], _ = read_rows([path], conversations=True)
    assert row.history_en == (HISTORY[0], *HISTORY_EN[1:])


def test_an_english_conversation_is_its_own_parallel(tmp_path):
    path = write(tmp_path / "rows.jsonl", {"language": "en", "messages": openai(ENGLISH)})
    [row], _ = read_rows([path], conversations=True)
    assert (row.history_en, row.instruction_en) == (HISTORY_EN, "Where?")


def test_an_alpaca_input_follows_the_instruction(tmp_path):
    row = {"instruction": "Übersetze.", "input": " Hund ", "output": "dog", "instruction_en": "Translate."}
    path = write(tmp_path / "rows.jsonl", {**row, "input_en": "Hund"}, {**row, "input": ""})
    rows, _ = read_rows([path])
    assert [row.instruction for row in rows] == ["Übersetze.\nHund", "Übersetze."]
    assert [row.instruction_en for row in rows] == ["Translate.\nHund", "Translate."]
    with pytest.raises(BadRowsError, match="row 1, input_en: is missing"):
        read_rows([write(tmp_path / "rows.jsonl", row, {**row, "input_en": "x"})])
    assert read_rows([str(tmp_path / "rows.jsonl")], english=False)[0][0].instruction_en == ""


FAULTS = {
    "no list": ("hello", "is text, must be a list of messages"),
    "no message": ([], "is empty"),
    "no object": (["hello"], "message 1 is text"),
    "a tool": ([{"role": "tool", "content": "x"}], "message 1 is of 'tool'"),
    "a call": ([{"role": "user", "content": "x", "tool_calls": [1]}], "message 1 has tool_calls"),
    "a weight": ([{"role": "user", "content": "x", "weight": 0}], "message 1 has a weight"),
    "no text": (openai([("user", "x"), ("assistant", " ")]), "message 2, content is empty"),
    "an image": ([{"role": "user", "content": [{"type": "image_url"}]}], "message 1, content is a list"),
    "begins with a response": (openai(TURNS[2:]), "message 1 is of the assistant, and must be of the user"),
    "two questions": (openai([TURNS[1], TURNS[1]]), "message 2 is of the user"),
    "a late system message": (openai([TURNS[1], TURNS[0]]), "message 2 is of the system"),
    "a system message alone": (openai(TURNS[:1]), "no message of the user"),
    "no response": (openai(TURNS[:4]), "the response is missing"),
}


@pytest.mark.parametrize(("messages", "said"), FAULTS.values(), ids=FAULTS)
def test_a_conversation_that_is_none_is_one_problem(messages, said, tmp_path):
    good = {"messages": openai(TURNS), "language": "en"}
    path = write(tmp_path / "rows.jsonl", good, {**good, "messages": messages})
    with pytest.raises(BadRowsError) as error:
        read_rows([path], conversations=True)
    (problem,) = error.value.problems
    assert (problem.number, problem.field) == (2, "messages") and said in problem.message


def test_sides_of_other_turns_are_a_problem(tmp_path):
    row = {"messages": openai(TURNS), "messages_en": openai(ENGLISH[3:])}
    with pytest.raises(
        BadRowsError, match=r"row 1, messages: system, user, assistant before .* and system in"
    ):
        read_rows([write(tmp_path / "rows.jsonl", row)], conversations=True)


def test_conversations_without_an_english_side_name_its_column(tmp_path):
    path = write(tmp_path / "rows.jsonl", {"messages": openai(TURNS)})
    with pytest.raises(DataError, match=r"no column 'messages_en'(.|\n)*english=FILE.*enabled=false"):
        read_rows([path], conversations=True)
    assert read_rows([path], conversations=True, english=False)[0][0].history == HISTORY


# --- An English side elsewhere ------------------------------------------------------------------------------


def test_the_english_side_of_another_file_is_found_by_id(tmp_path):
    rows = [
        {"id": name, "language": "de", "instruction": f"Was ist {name}?", "output": name} for name in "abc"
    ]
    rows[2] = {"id": "c", "language": "de", "messages": openai(TURNS)}
    english = [{"id": name, "instruction": f"What is {name}?"} for name in "ba"]
    english += [{"id": "c", "messages": openai(ENGLISH)}, {"id": "d", "instruction": "more"}]
    path, other = write(tmp_path / "rows.jsonl", *rows), write(tmp_path / "english.jsonl", *english)
    found, problems = read_rows([path], parallels=[other], conversations=True)
    assert not problems
    assert [row.instruction_en for row in found] == ["What is a?", "What is b?", "Where?"]
    assert [row.output_en for row in found] == [None, None, "There."] and found[2].history_en == HISTORY_EN


@pytest.mark.parametrize(
    ("row", "english", "said"),
    [
        ({"id": "z"}, {}, "row 1, id: 'z' is the id of no row"),
        ({"id": None}, {}, "row 1, id: 'rows:1' is the id of no row"),
        ({"instruction_en": "x"}, {}, "row 1, id: the row has an English side of its own"),
        ({}, {"language": "sw"}, "english.jsonl, row 1, language: is sw"),
        ({}, {"instruction": ""}, "english.jsonl, row 1, instruction: is empty"),
    ],
)
def test_an_english_side_that_does_not_fit(row, english, said, tmp_path):
    row = {"id": "a", "language": "de", "instruction": "Was?", "output": "a", "instruction_en": None, **row}
    path = write(tmp_path / "rows.jsonl", row)
    other = write(tmp_path / "english.jsonl", {"id": "a", "instruction": "What?", **english})
    with pytest.raises(BadRowsError, match=said):
        read_rows([path], parallels=[other])


# --- Tables -------------------------------------------------------------------------------------------------

CELLS = [
    {"instruction": 'Was, "heißt" das;\nund\two?', "instruction_en": "What,\tthen?", "output": "x"},
    {"instruction": "zwei", "instruction_en": "two", "output": "a;b"},
]


@pytest.mark.parametrize("name", ["rows.csv", "rows.tsv", "rows.csv.gz", "semicolons.csv"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_tables_as_python_writes_them(name, encoding, tmp_path):
    opening = gzip.open if name.endswith(".gz") else open
    sign = ";" if name == "semicolons.csv" else "\t" if ".tsv" in name else ","
    with opening(tmp_path / name, "wt", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, list(CELLS[0]), delimiter=sign)
        writer.writeheader()
        writer.writerows(CELLS)
    rows, _ = read_rows([str(tmp_path / name)])
    assert [{key: getattr(row, key) for key in CELLS[0]} for row in rows] == CELLS
    assert [row.number for row in rows] == [2, 4]  # the first row has two lines
    assert read_rows([str(tmp_path)])[0][0].instruction == rows[0].instruction


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a,b\n1,2,3\n", "has 3 cells, and the line of names has 2"),
        ("a,a\n1,2\n", "'a' twice"),
        ("a,,b\n1,2,3\n", "a column without a name"),
        ('a,b\n1,2\n"3,4\n', "line 3: "),
        ('a,b\n1,"2"3\n', "line 2: "),
        (b"a,b\n\xff,2\n", "no UTF-8 text"),
        (b"PK\x03\x04", "zip"),
    ],
)
def test_a_broken_table_is_told_with_its_line(content, said, tmp_path):
    (tmp_path / "a.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    try:
        told = "".join(record.fault or "" for record in delimited_records(tmp_path / "a.csv"))
    except DataError as error:
        told = str(error)
    assert said in told


def test_an_empty_cell_is_missing_and_an_empty_line_is_no_row(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n\n1,\n")
    [record] = delimited_records(tmp_path / "a.csv")
    assert (record.number, record.values) == (3, {"a": "1", "b": None})


# --- Tokens -------------------------------------------------------------------------------------------------


def rows_of(tmp_path, **more):
    path = write(tmp_path / "rows.jsonl", {"id": "1", **LAYOUTS["messages"], **more})
    return read_rows([path], conversations=True)[0]


@pytest.fixture(params=["llama3", "qwen", "plain"])
def prompts(request):
    tokenizer = tiny_tokenizer()
    tokens = ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|im_start|>", "<|im_end|>")
    tokenizer.add_special_tokens({"additional_special_tokens": list(tokens)})
    choose_template(tokenizer, request.param)
    return PromptFormat(tokenizer)


def test_a_prompt_is_what_transformers_makes_of_the_conversation(prompts, tmp_path):
    [example], problems = encode(rows_of(tmp_path), prompts, cutoff_len=999, english_cutoff_len=999)
    assert not problems

    def ids(turns):
        options = {"add_generation_prompt": True, "return_dict": False}
        return prompts.tokenizer.apply_chat_template(openai(turns), **options)

    assert example.input_ids[: example.prompt_length] == ids(TURNS[:-1])
    assert example.english_input_ids == ids(ENGLISH[:-1])
    assert example.labels == [IGNORED] * len(ids(TURNS[:-1])) + prompts.response_ids("Da.")


def test_each_response_is_the_last_of_a_row_of_its_own(prompts, tmp_path):
    turns = rows_of_turns(rows_of(tmp_path))
    assert [(row.id, row.instruction, row.output) for row in turns] == [
        ("1#1", "Wer?", "Ada."),
        ("1#2", "Wo?", "Da."),
    ]
    assert [(row.instruction_en, row.output_en) for row in turns] == [("Who?", "Ada."), ("Where?", "There.")]
    assert turns[0].history == HISTORY[:1] and turns[1].history_en == HISTORY_EN
    single = write(tmp_path / "rows.jsonl", {"language": "en", "instruction": "x", "output": "y", "id": 7})
    assert rows_of_turns(read_rows([single])[0])[0].id == "7"


def test_loss_on_all_responses_is_that_of_each_in_turn(prompts, tmp_path):
    rows, limits = rows_of(tmp_path), {"cutoff_len": 999, "english_cutoff_len": 999}
    [whole], problems = encode(rows, prompts, **limits, mask_history=False)
    assert not problems
    turns, _ = encode(rows_of_turns(rows), prompts, **limits)
    labelled = [
        (place, label) for turn in turns for place, label in enumerate(turn.labels) if label != IGNORED
    ]
    assert labelled == [(place, label) for place, label in enumerate(whole.labels) if label != IGNORED]
    assert all(whole.input_ids[: len(turn.input_ids)] == turn.input_ids for turn in turns)
    assert whole.label_count == sum(turn.label_count for turn in turns)


def test_an_earlier_response_that_is_written_otherwise_is_told(tmp_path):
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = TEMPLATES["plain"].replace(
        "{{ message['content'] + eos", "{{ (message['content'] if loop.last else '...') + eos"
    )
    prompts = PromptFormat(tokenizer)
    limits = {"cutoff_len": 999, "english_cutoff_len": 999}
    assert not encode(rows_of(tmp_path), prompts, **limits)[1]
    _, [problem] = encode(rows_of(tmp_path), prompts, **limits, mask_history=False)
    assert "connection.turns=all" in problem.message


def test_a_conversation_that_the_template_refuses_is_a_problem_of_its_row(tmp_path):
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = TEMPLATES["plain"].replace(
        "{{ message['content'] + '\n\n' }}", "{{ raise_exception('no system messages') }}"
    )
    _, [problem] = encode(rows_of(tmp_path), PromptFormat(tokenizer), cutoff_len=999, english_cutoff_len=999)
    assert problem.field == "history" and "no system messages" in problem.message


def test_special_tokens_of_earlier_turns_are_found(tmp_path):
    turns = [*TURNS[:2], ("assistant", "x</s>"), *TURNS[3:]]
    rows = rows_of(tmp_path, messages=openai(turns))
    _, [problem] = encode(rows, PromptFormat(tiny_tokenizer()), cutoff_len=999, english_cutoff_len=999)
    assert problem.field == "history" and "'</s>'" in problem.message
