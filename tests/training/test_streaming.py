"""Rows that are read as training comes to them: their order, what is told of bad ones, exact resumption."""

import json
import shutil

import pytest
from safetensors.torch import load_file

from cctuning.commands.schemas import TrainRecipe
from cctuning.data.encoding import encode
from cctuning.data.formats import DataError
from cctuning.data.prompts import PromptFormat
from cctuning.data.rows import read_rows, stream_rows
from cctuning.training.checkpoints import CheckpointError
from cctuning.training.row_order import EpochOrder
from cctuning.training.streaming import StreamedExamples
from tests.json_lines import read_lines
from tests.processes import start_two
from tests.scripts import ON_CPU, call, succeed, write_base, write_rows
from tests.tiny import tiny_tokenizer

PROMPTS = PromptFormat(tiny_tokenizer())
BAD = '{"id": "bad", "instruction": "", "instruction_en": "What?", "output": "x", "language": "sw"}'


def encoded(rows):
    return encode(rows, PROMPTS, cutoff_len=1024, english_cutoff_len=1024)


def stream(file, *, buffer_size, length=60, seed=3, reject=lambda problems: None, encoded=encoded):
    rows, _ = read_rows([str(file)], on_bad_row="skip", first=buffer_size)
    return StreamedExamples(
        lambda: stream_rows([str(file)], unique=buffer_size),
        encoded,
        first=encoded(rows)[0],
        length=length,
        buffer_size=buffer_size,
        seed=seed,
        reject=reject,
    )


def tokens(examples, numbers):
    return [tuple(examples[number]["input_ids"]) for number in numbers]


@pytest.fixture
def file(tmp_path):
    """Twelve good rows, and a bad one in eighth place."""
    path = write_rows(tmp_path / "rows.jsonl", 12)
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([*lines[:7], BAD, *lines[7:]]), encoding="utf-8")
    return path


@pytest.mark.parametrize("buffer_size", [13, 1000])
def test_a_block_of_all_rows_is_the_order_of_rows_in_memory(file, buffer_size):
    examples, _ = encoded(read_rows([str(file)], on_bad_row="skip")[0])
    orders = [EpochOrder(12, seed=3 + epoch, epoch=lambda: 0) for epoch in range(3)]
    expected = [tuple(examples[place].input_ids) for order in orders for place in order]
    assert tokens(stream(file, buffer_size=buffer_size), range(36)) == expected


def test_every_pass_has_every_row_and_mixes_those_of_a_block(file):
    examples, _ = encoded(read_rows([str(file)], on_bad_row="skip")[0])
    in_order = [tuple(example.input_ids) for example in examples]
    passes = [tokens(stream(file, buffer_size=5), range(start, start + 12)) for start in (0, 12)]
    for seen in passes:
        assert [set(seen[i:j]) for i, j in ((0, 5), (5, 9), (9, 12))] == [
            set(in_order[i:j]) for i, j in ((0, 5), (5, 9), (9, 12))
        ]
    assert passes[0] != passes[1] != in_order


def test_an_example_depends_on_its_number_alone(file):
    made = stream(file, buffer_size=5)
    rising = tokens(made, range(30))
    assert tokens(made, [29, 3, 17]) == [rising[29], rising[3], rising[17]]
    assert tokens(stream(file, buffer_size=5), range(1, 30, 2)) == rising[1::2]  # of one of two processes


def test_examples_that_were_asked_for_are_known_by_file_and_row(file):
    made = stream(file, buffer_size=5)
    tokens(made, [0])
    number = int(made.served[0].removeprefix(f"{file} row ").partition(" ")[0])
    row = json.loads(file.read_text(encoding="utf-8").splitlines()[number - 1])
    assert made.served[0] == f"{file} row {number} (id {row['id']})"
    assert PROMPTS.tokenizer.decode(made[0]["input_ids"]).count(row["output"]) == 1


@pytest.mark.parametrize(("buffer_size", "told"), [(5, [8]), (13, [])])
def test_bad_rows_behind_the_first_block_are_told_once_with_file_and_row(file, buffer_size, told):
    problems = []
    made = stream(file, buffer_size=buffer_size, reject=problems.extend)
    tokens(made, [*range(30), 0, 29])
    assert [problem.number for problem in problems] == told and made.rejected == 1
    _, expected = read_rows([str(file)], on_bad_row="skip")
    assert list(map(str, problems)) == list(map(str, expected))[: len(told)]


def test_ids_are_compared_among_the_first_rows(tmp_path):
    file = write_rows(tmp_path / "rows.jsonl", 8)
    first = file.read_text(encoding="utf-8").splitlines()[0]
    file.write_text(file.read_text(encoding="utf-8") + first, encoding="utf-8")
    bad = [found for found in stream_rows([str(file)], unique=9) if isinstance(found, list)]
    _, expected = read_rows([str(file)], on_bad_row="skip")
    assert [str(problem) for [problem] in bad] == list(map(str, expected)) != []
    assert not any(isinstance(found, list) for found in stream_rows([str(file)], unique=8))


def test_a_column_that_the_first_rows_lack_is_an_error_about_the_file(file):
    text = file.read_text(encoding="utf-8").replace('"output"', '"answer"')
    file.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match="has no column 'output'"):
        read_rows([str(file)], on_bad_row="skip", first=4)


def test_other_rows_than_a_checkpoint_s_are_found_when_they_are_read(file):
    made = stream(file, buffer_size=5)
    tokens(made, range(8))
    state = made.state(8)
    assert state["count"] == 9  # of two blocks, one with a bad row
    for known in (state, {"count": 9, "sha256": "of an older version"}):
        again = stream(file, buffer_size=5)
        again.expect(known)
        tokens(again, range(30))
    lines = file.read_text(encoding="utf-8").splitlines()
    for place, error in ((12, None), (8, CheckpointError)):
        row = {**json.loads(lines[place]), "output": "another answer"}
        file.write_text("\n".join([*lines[:place], json.dumps(row), *lines[place + 1 :]]), encoding="utf-8")
        changed = stream(file, buffer_size=5)
        changed.expect(state)
        if error is None:
            tokens(changed, range(30))
        else:
            with pytest.raises(error, match="first 9 rows are not those"):
                tokens(changed, [8])


@pytest.mark.parametrize("number", [1, 4, 8, 9, 12, 19, 30])
def test_rows_before_a_checkpoint_are_passed_without_being_tokenised(file, number):
    """The rest is the same, to what is told of rows that only the tokenizer refuses, in whichever pass."""
    lines = file.read_text(encoding="utf-8").splitlines()
    refused = json.dumps({**json.loads(lines[2]), "instruction": "Is this <|im_end|>?", "language": "xx"})
    file.write_text("\n".join([*lines[:2], refused, *lines[3:]]), encoding="utf-8")
    told, tokenised = {"whole": [], "rest": []}, []

    def counting(rows):
        tokenised.extend(rows)
        return encoded(rows)

    whole = stream(file, buffer_size=3, reject=told["whole"].extend)
    expected = tokens(whole, range(number, 36))
    before = stream(file, buffer_size=3)
    tokens(before, range(number))
    state = json.loads(json.dumps(before.state(number)))
    rest = stream(file, buffer_size=3, reject=told["rest"].extend, encoded=counting)
    rest[0]
    rest.expect(state)
    tokenised.clear()
    assert tokens(rest, [number]) == expected[:1]
    blocks = 1 + (number == state["count"])  # that of the last example, and that of the next one
    assert len(tokenised) <= 3 * blocks + (len(state["blocks"]) > 1)  # and the row that was refused
    assert tokens(rest, range(number + 1, 36)) == expected[1:]
    assert rest.state(36) == whole.state(36)
    assert [str(problem) for problem in told["rest"]] == [str(problem) for problem in told["whole"]] != []
    assert (rest.rejected, rest.seen) == (whole.rejected, whole.seen) and rest.rejected == 2


def test_another_tokenizer_than_a_checkpoint_s_is_found(file):
    made = stream(file, buffer_size=3)
    tokens(made, range(8))
    other = PromptFormat(tiny_tokenizer("qwen"))
    again = stream(
        file,
        buffer_size=3,
        encoded=lambda rows: encode(rows, other, cutoff_len=1024, english_cutoff_len=1024),
    )
    again.expect(made.state(8))
    with pytest.raises(CheckpointError, match="rows are not those"):
        again[8]


def test_sources_without_a_row_are_an_error_and_no_loop(file):
    made = stream(file, buffer_size=5)
    file.write_text(BAD, encoding="utf-8")
    with pytest.raises(DataError):
        made[0]


REFUSED = [
    {"max_steps": None}, {"max_rows": 3}, {"eval_share": 0.1, "eval_steps": 2}, {"group_by_length": True},
    {"english": ["a"]}, {"dataloader_num_workers": 1}, {"save_strategy": "epoch"}, {"eval_data": ["a"]},
]  # fmt: skip


@pytest.mark.parametrize("changes", REFUSED, ids=[next(iter(changes)) for changes in REFUSED])
def test_what_needs_all_rows_is_refused_by_name(changes):
    good = {"streaming": True, "max_steps": 4, "save_strategy": "no"}
    TrainRecipe("m", ["d"], **good)
    [key] = [key for key in changes if key != "eval_steps"]
    with pytest.raises(ValueError, match="streaming=True") as error:
        TrainRecipe("m", ["d"], **{**good, **changes})
    assert key in str(error.value) or (key == "eval_data" and "eval_steps" in str(error.value))


# --- Runs ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return write_base(tmp_path_factory.mktemp("models") / "base")


@pytest.fixture
def arguments(base, file, tmp_path):
    def of(name, **changes):
        settings = {
            "model_name_or_path": base, "data": file, "output_dir": tmp_path / name, **ON_CPU, "max_steps": 6,
            "learning_rate": "1e-2", "logging_steps": 1, "save_strategy": "steps", "save_steps": 2,
            "save_total_limit": "null", "on_bad_row": "skip", "cutoff_len": 256, "english_cutoff_len": 256,
        }  # fmt: skip
        return [f"{key}={value}" for key, value in (settings | changes).items()]

    return of


def weights(folder):
    files = [folder / "model.safetensors", *folder.glob("connection/*.safetensors")]
    return {name: tensor.tolist() for path in files for name, tensor in load_file(path).items()}


def metrics(folder):
    lines = read_lines(folder / "metrics.jsonl")
    return [{name: value for name, value in line.items() if name != "epoch"} for line in lines]


def rejected(folder):
    lines = (folder / "rejects.jsonl").read_text(encoding="utf-8").splitlines()
    return [(json.loads(line)["file"], json.loads(line)["number"]) for line in lines]


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"max_steps": 3},
        {"connection.enabled": "false"},
        {"max_steps": 3, "connection.centred": "true", "connection.alignment": 0.5},
    ],
    ids=["pass", "passes", "rows without a response"],
)
def test_a_block_of_all_rows_trains_as_rows_in_memory_do(arguments, tmp_path, changes, file):
    """Twelve rows in steps of four; before a second pass rows in memory draw a seed, and so other noise."""
    if "connection.alignment" in changes:
        lines = file.read_text(encoding="utf-8").splitlines()
        silent = [json.dumps({**json.loads(lines[place]), "output": None}) for place in (0, 4)]
        file.write_text("\n".join([*silent, *lines[1:4], *lines[5:]]), encoding="utf-8")
    for name, streaming in {"memory": "false", "stream": "true"}.items():
        succeed("train", *arguments(name, streaming=streaming, **changes))
    assert weights(tmp_path / "stream") == weights(tmp_path / "memory")
    assert metrics(tmp_path / "stream") == metrics(tmp_path / "memory")
    assert rejected(tmp_path / "stream") == rejected(tmp_path / "memory")


@pytest.mark.slow
def test_a_run_that_was_cut_off_goes_on_exactly_and_counts_no_reject_twice(arguments, tmp_path, file):
    changes = {"streaming": "true", "buffer_size": 3}
    assert call("train", *arguments("whole", **changes)).status == 0
    report = json.loads((tmp_path / "whole/training_report.json").read_text())
    assert (report["rows"], report["rows_left_out"]) == (24, 1)
    for step in (2, 4):
        cut = shutil.copytree(tmp_path / "whole", tmp_path / f"cut-{step}")
        for later in range(step + 2, 7, 2):
            shutil.rmtree(cut / f"checkpoint-{later}")
        (cut / "training_report.json").unlink()
        ended = call("train", *arguments(cut.name, **changes))
        assert ended.status == 0 and f"Continuing from {cut / f'checkpoint-{step}'}" in ended.out, ended.err
        assert weights(cut) == weights(tmp_path / "whole")
        assert metrics(cut) == metrics(tmp_path / "whole")
        assert rejected(cut) == [(str(file), 8)]

    file.write_text(file.read_text(encoding="utf-8").replace('"output": "', '"output": "another '))
    shutil.rmtree(tmp_path / "cut-4/checkpoint-6")
    (tmp_path / "cut-4/training_report.json").unlink()
    ended = call("train", *arguments("cut-4", **changes))
    assert ended.status == 1 and "rows are not those that the checkpoint was made with" in ended.err


@pytest.mark.slow
def test_a_bad_row_behind_the_first_block_ends_a_run_that_may_skip_none(arguments, tmp_path, file):
    ended = call("train", *arguments("run", streaming="true", buffer_size=3, on_bad_row="error"))
    assert ended.status == 1 and f"{file}, row 8, instruction: " in ended.err
    assert not (tmp_path / "run/training_report.json").exists()


@pytest.mark.slow
def test_two_processes_take_the_rows_of_one(arguments, tmp_path):
    changes = {"streaming": "true", "buffer_size": 5, "connection.enabled": "false"}
    assert call("train", *arguments("one", **changes)).status == 0
    ended = [one.wait() for one in start_two("train.py", *arguments("two", **changes), folder=tmp_path)]
    assert [one.status for one in ended] == [0, 0], ended[0].err
    for one, two in zip(metrics(tmp_path / "one"), metrics(tmp_path / "two"), strict=True):
        assert one == pytest.approx(two, rel=1e-4)
    assert rejected(tmp_path / "two") == rejected(tmp_path / "one") != []
