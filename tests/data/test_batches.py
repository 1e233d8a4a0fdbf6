from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st

from cctuning.data.batches import map_in_batches, plan_batches

LENGTHS = st.lists(st.integers(1, 50), max_size=40)


@given(LENGTHS, st.none() | st.integers(1, 8), st.none() | st.integers(1, 200))
def test_batches_hold_every_row_once_and_no_more_than_fits(lengths, batch_size, batch_tokens):
    batches = plan_batches(lengths, batch_size=batch_size, batch_tokens=batch_tokens)
    assert sorted(place for batch in batches for place in batch) == list(range(len(lengths)))
    for batch in batches:
        padded = len(batch) * max(lengths[place] for place in batch)
        assert batch_size is None or len(batch) <= batch_size
        assert batch_tokens is None or len(batch) == 1 or padded <= batch_tokens


@given(LENGTHS, st.none() | st.integers(1, 8), st.none() | st.integers(1, 200))
def test_the_longest_come_first_and_no_batch_ends_early(lengths, batch_size, batch_tokens):
    batches = plan_batches(lengths, batch_size=batch_size, batch_tokens=batch_tokens)
    in_order = [lengths[place] for batch in batches for place in batch]
    assert in_order == sorted(lengths, reverse=True)
    for batch in batches[:-1]:
        full = batch_size is not None and len(batch) == batch_size
        too_many = batch_tokens is not None and (len(batch) + 1) * lengths[batch[0]] > batch_tokens
        assert full or too_many


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 2)), max_size=30))
def test_rows_of_one_length_and_tie_are_neighbours(rows):
    [places] = plan_batches([row[0] for row in rows], ties=[row[1] for row in rows]) or [[]]
    groups = [row for row, _ in groupby(rows[place] for place in places)]
    assert len(groups) == len(set(rows))


@given(LENGTHS, st.integers(1, 8))
def test_results_are_in_the_order_of_the_items(lengths, batch_size):
    given_sizes = []

    def run(items):
        given_sizes.append(len(items))
        return (f"{item}!" for item in items)

    items = list(range(len(lengths)))
    assert map_in_batches(run, items, lengths, batch_size=batch_size) == [f"{item}!" for item in items]
    assert sum(given_sizes) == len(items) and all(0 < size <= batch_size for size in given_sizes)
