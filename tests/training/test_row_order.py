from cctuning.training.row_order import EpochOrder


def orders(epochs, **options):
    current = [0]
    order = EpochOrder(20, seed=3, epoch=lambda: current[0], **options)
    found = []
    for current[0] in epochs:
        found.append(list(order))
    return found


def test_every_epoch_has_each_row_once_and_an_order_of_its_own():
    found = orders(range(3))
    assert all(sorted(order) == list(range(20)) for order in found)
    assert found[0] != found[1] != found[2]


def test_the_order_depends_on_seed_and_epoch_and_not_on_what_was_drawn_before():
    assert orders([2]) == orders([0, 1, 2])[2:]
    assert list(EpochOrder(20, seed=4, epoch=lambda: 0)) != orders([0])[0]


def test_grouped_rows_of_a_step_are_of_like_length():
    lengths = [10 + 7 * number % 20 for number in range(20)]
    [order] = orders([1], lengths=lengths, group=5)
    assert sorted(order) == list(range(20))
    spans = [
        max(step) - min(step)
        for step in ([lengths[row] for row in order[start : start + 5]] for start in range(0, 20, 5))
    ]
    assert sum(spans) < sum(
        max(step) - min(step) for step in (lengths[start : start + 5] for start in range(0, 20, 5))
    )
    assert max(lengths) == lengths[order[0]]  # the longest first: what does not fit in memory fails at once
