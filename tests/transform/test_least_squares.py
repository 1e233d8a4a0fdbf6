"""The fit against `np.linalg.lstsq`, and against ridge and cross-validation written out in numpy."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cctuning.transform import LeastSquares
from cctuning.transform.least_squares import RELATIVE_RIDGES

FOLDS = 5


def pairs(count: int, layers: int, d: int, *, noise: float = 0.3, seed: int = 0, dtype=torch.float64):
    """F and F_en (count, layers, d) with a linear relation and noise."""
    generator = torch.Generator().manual_seed(seed)
    F = torch.randn(count, layers, d, generator=generator, dtype=torch.float64)
    matrix = torch.randn(d, d, generator=generator, dtype=torch.float64) / d**0.5
    F_en = F @ matrix + noise * torch.randn(count, layers, d, generator=generator, dtype=torch.float64)
    return F.to(dtype), F_en.to(dtype)


def rows(F):
    return F.reshape(-1, F.shape[-1]).double().numpy()


def naive_ridge(A, B, ridge):
    return np.linalg.solve(A.T @ A + ridge * np.eye(A.shape[1]), A.T @ B)


@pytest.mark.parametrize("ridge", [0.0, 3.0])
@pytest.mark.parametrize("rank", [1, 4, 11, 12])
@pytest.mark.parametrize("mean", [False, True])
def test_a_lower_rank_is_the_best_of_that_rank(ridge, rank, mean):
    """The same by a singular value decomposition of what the full matrix predicts, penalty rows included."""
    d = 12
    F, F_en = pairs(30, 3, d, noise=2.0)
    A, B = rows(F), rows(F_en)
    A, B = (A - A.mean(0), B - B.mean(0)) if mean else (A, B)
    penalised = np.vstack([A, ridge**0.5 * np.eye(d)])
    targets = np.vstack([B, np.zeros((d, d))])
    full = np.linalg.lstsq(penalised, targets, rcond=None)[0]
    U, sizes, V = np.linalg.svd(penalised @ full, full_matrices=False)
    predicted = (U[:, :rank] * sizes[:rank]) @ V[:rank]
    expected = np.linalg.lstsq(penalised, predicted, rcond=None)[0]
    found = fitted(F, F_en, mean=mean).solve(ridge, rank=rank)[:d]
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-9)
    assert np.linalg.matrix_rank(found.numpy(), tol=1e-8) == rank


@pytest.mark.parametrize("rank", [0, -1, 8])
def test_a_rank_that_no_matrix_has_is_refused(rank):
    with pytest.raises(ValueError, match=f"rank={rank}"):
        fitted(*pairs(30, 3, 7)).solve(1.0, rank=rank)


def naive_affine(A, B, ridge):
    """W and behind it mean(B) - mean(A) W, by rows that the ridge adds to those less their means."""
    d = A.shape[1]
    rows = np.vstack([A - A.mean(0), ridge**0.5 * np.eye(d)])
    W = np.linalg.lstsq(rows, np.vstack([B - B.mean(0), np.zeros((d, d))]), rcond=None)[0]
    return np.vstack([W, B.mean(0) - A.mean(0) @ W])


@pytest.mark.parametrize("ridge", [0.0, 1e-3, 250.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_means_that_the_ridge_does_not_shrink(data, ridge, dtype):
    """Means of a hundred times what is left, one dimension constant: as of real outputs."""
    F, F_en = ((100 * (part[0, 0] + 1) + part).to(dtype) for part in data)
    F[..., 3] = 7.1
    expected = naive_affine(rows(F), rows(F_en), ridge)
    found = fitted(F, F_en, mean=True).solve(ridge).numpy()
    np.testing.assert_allclose(found[:-1], expected[:-1], atol=1e-8)
    np.testing.assert_allclose(found[-1], expected[-1], atol=1e-5)  # in units of means of hundreds


def test_with_means_a_ridge_without_end_gives_the_mean():
    F, F_en = pairs(30, 3, 8)
    found = fitted(F + 5, F_en + 3, mean=True).solve(1e15)
    np.testing.assert_allclose(found[8], rows(F_en + 3).mean(0), rtol=1e-9)
    assert found[:8].abs().max() < 1e-9


def test_with_means_cross_validation_takes_those_of_the_other_folds(monkeypatch):
    F, F_en = pairs(40, 3, 12, noise=1.0)
    F, F_en = F + torch.arange(12.0), F_en - 4
    fit = fitted(F, F_en, mean=True)
    choice = fit.choose_ridge()
    errors = []
    for ridge in choice.ridges:
        errors.append(0.0)
        for fold in range(FOLDS):
            out = torch.arange(40) % FOLDS == fold
            affine = naive_affine(rows(F[~out]), rows(F_en[~out]), ridge)
            errors[-1] += ((rows(F[out]) @ affine[:12] + affine[12] - rows(F_en[out])) ** 2).sum() / F.numel()
    np.testing.assert_allclose(choice.errors, errors, rtol=1e-9)
    size = float((rows(F) - rows(F).mean(0)).var(0).sum()) * len(rows(F)) / 12
    assert fit.mean_eigenvalue == pytest.approx(size)
    assert fit.squared_error(fit.solve(0.0)) == pytest.approx(
        float(((rows(F) @ naive_affine(rows(F), rows(F_en), 0.0)[:12]) - rows(F_en)).var(0).sum()) * 120
    )
    with pytest.raises(ValueError, match="mean=False"):
        fit.merge(fitted(F, F_en))


def naive_cross_validation(F, F_en, ridges, numbers=None):
    """Held-out mean squared error per element of each ridge, one fit after the other."""
    numbers = np.arange(len(F)) if numbers is None else np.asarray(numbers)
    errors = []
    for ridge in ridges:
        error = 0.0
        for fold in range(FOLDS):
            out = torch.from_numpy(numbers % FOLDS == fold)
            weights = naive_ridge(rows(F[~out]), rows(F_en[~out]), ridge)
            error += ((rows(F[out]) @ weights - rows(F_en[out])) ** 2).sum()
        errors.append(error / F.numel())
    return np.array(errors)


def fitted(F, F_en, *, batch: int | None = None, **kwargs) -> LeastSquares:
    fit = LeastSquares(F.shape[-1], folds=FOLDS, **kwargs)
    for start in range(0, len(F), batch or len(F)):
        part = slice(start, start + (batch or len(F)))
        fit.update(F[part], F_en[part])
    return fit


@pytest.fixture(params=[7, 256, 300], ids=lambda d: f"d{d}")
def data(request):
    """Sizes below, at and above one block of the symmetric sums."""
    return pairs(3 * request.param, 2, request.param)


def test_without_a_ridge_it_is_plain_least_squares(data):
    F, F_en = data
    expected = np.linalg.lstsq(rows(F), rows(F_en), rcond=None)[0]
    torch.testing.assert_close(
        fitted(F, F_en).solve(ridge=0.0), torch.from_numpy(expected), atol=1e-10, rtol=1e-8
    )


@pytest.mark.parametrize("ridge", [1e-3, 1.0, 250.0])
def test_a_given_ridge_is_the_textbook_penalty(data, ridge):
    F, F_en = data
    expected = torch.from_numpy(naive_ridge(rows(F), rows(F_en), ridge))
    torch.testing.assert_close(fitted(F, F_en).solve(ridge), expected, atol=1e-10, rtol=1e-8)


def test_cross_validation_equals_one_fit_per_fold_and_ridge():
    F, F_en = pairs(40, 3, 12, noise=1.0)
    choice = fitted(F, F_en).choose_ridge()
    expected = naive_cross_validation(F, F_en, choice.ridges)
    np.testing.assert_allclose(choice.errors, expected, rtol=1e-9)
    everywhere = RELATIVE_RIDGES * float(F.square().sum()) / 12
    best = naive_cross_validation(F, F_en, everywhere).argmin()
    assert choice.ridge == pytest.approx(everywhere[best])
    assert min(choice.ridges) < choice.ridge < max(choice.ridges)


@pytest.mark.parametrize("seed", range(5))
def test_cross_validation_with_fewer_rows_than_d(seed):
    F, F_en = pairs(10, 2, 64, noise=1.0, seed=seed)
    choice = fitted(F, F_en).choose_ridge()
    np.testing.assert_allclose(choice.errors, naive_cross_validation(F, F_en, choice.ridges), rtol=1e-7)
    everywhere = RELATIVE_RIDGES[8:] * float(F.square().sum()) / 64
    assert choice.ridge == pytest.approx(everywhere[naive_cross_validation(F, F_en, everywhere).argmin()])


def test_the_ridge_by_default_is_the_chosen_one():
    F, F_en = pairs(40, 3, 12, noise=1.0)
    fit = fitted(F, F_en)
    torch.testing.assert_close(fit.solve(), fit.solve(fit.choose_ridge().ridge), atol=0, rtol=0)


def test_the_chosen_ridge_beats_plain_least_squares_where_rows_are_as_many_as_dimensions():
    F, F_en = pairs(300, 2, 48, noise=1.0)
    few, rest = slice(0, 24), slice(24, None)
    fit = fitted(F[few], F_en[few])
    truth = fitted(F[rest], F_en[rest])
    with pytest.warns(UserWarning, match="rows"):
        assert truth.squared_error(fit.solve()) < 0.5 * truth.squared_error(fit.solve(0.0))


def test_the_choice_does_not_depend_on_the_units_of_the_inputs():
    F, F_en = pairs(40, 3, 12, noise=1.0)
    small, large = fitted(F, F_en), fitted(1024 * F, 1024 * F_en)
    torch.testing.assert_close(small.solve(), large.solve(), atol=1e-12, rtol=1e-10)


def test_an_exact_relation_is_found():
    F, F_en = pairs(60, 2, 16, noise=0.0)
    expected = torch.from_numpy(np.linalg.lstsq(rows(F), rows(F_en), rcond=None)[0])
    torch.testing.assert_close(fitted(F, F_en).solve(), expected, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("batch", [1, 7, 64])
def test_batches_do_not_change_a_bit_of_the_result(batch, monkeypatch):
    monkeypatch.setattr("cctuning.transform.least_squares._CHUNK_ROWS", 50)
    F, F_en = pairs(103, 4, 12, dtype=torch.float32)
    expected, split = fitted(F, F_en), fitted(F, F_en, batch=batch)
    assert torch.equal(split.solve(0.5), expected.solve(0.5))
    assert split.choose_ridge() == expected.choose_ridge()


@given(
    sizes=st.lists(st.integers(0, 9), min_size=1, max_size=6).filter(lambda sizes: sum(sizes) >= FOLDS),
    layers=st.integers(1, 3),
    seed=st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_any_split_into_batches_gives_the_same_choice(sizes, layers, seed):
    F, F_en = pairs(sum(sizes), layers, 5, seed=seed)
    split = LeastSquares(5, folds=FOLDS)
    start = 0
    for size in sizes:
        split.update(F[start : start + size], F_en[start : start + size])
        start += size
    assert split.choose_ridge() == fitted(F, F_en).choose_ridge()
    assert (split.pairs, split.rows) == (len(F), len(F) * layers)


@given(order=st.permutations(range(15)))
@settings(max_examples=20, deadline=None)
def test_numbered_pairs_may_come_in_any_order(order):
    F, F_en = pairs(15, 2, 4, noise=1.0)
    shuffled = LeastSquares(4, folds=FOLDS)
    shuffled.update(F[list(order)], F_en[list(order)], numbers=list(order))
    expected = fitted(F, F_en).choose_ridge()
    np.testing.assert_allclose(shuffled.choose_ridge().errors, expected.errors, rtol=1e-9)


def test_pairs_of_one_number_are_in_one_fold():
    F, F_en = pairs(40, 3, 12, noise=1.0)
    numbers = [index // 4 for index in range(40)]
    fit = LeastSquares(12, folds=FOLDS)
    fit.update(F, F_en, numbers)
    choice = fit.choose_ridge()
    expected = naive_cross_validation(F, F_en, choice.ridges, numbers)
    np.testing.assert_allclose(choice.errors, expected, rtol=1e-9)


def test_merged_fits_are_the_fit_on_all_pairs():
    F, F_en = pairs(40, 3, 12)
    merged = LeastSquares(12, folds=FOLDS)
    for part in (range(0, 40, 2), range(1, 40, 2)):
        other = LeastSquares(12, folds=FOLDS)
        other.update(F[list(part)], F_en[list(part)], numbers=list(part))
        merged.merge(other)
    assert merged.pairs == 40
    torch.testing.assert_close(merged.solve(), fitted(F, F_en).solve(), atol=1e-10, rtol=1e-8)


def test_pairs_may_follow_a_solution():
    F, F_en = pairs(40, 3, 12)
    fit = fitted(F[:20], F_en[:20])
    fit.solve()
    fit.update(F[20:], F_en[20:])
    torch.testing.assert_close(fit.solve(), fitted(F, F_en).solve(), atol=1e-10, rtol=1e-8)


def test_the_callers_tensors_may_be_reused():
    F, F_en = pairs(10, 3, 4)
    expected = fitted(F, F_en).solve(1.0)
    fit = LeastSquares(4)
    fit.update(F, F_en)
    F.zero_()
    F_en.zero_()
    assert torch.equal(fit.solve(1.0), expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_rows_of_low_precision_are_what_they_are(dtype):
    F, F_en = pairs(60, 2, 16, dtype=dtype)
    expected = fitted(F.double(), F_en.double()).solve(0.1)
    torch.testing.assert_close(fitted(F, F_en).solve(0.1), expected, atol=1e-7, rtol=1e-6)


def test_random_directions_choose_a_ridge_as_good_as_the_best(monkeypatch):
    F, F_en = pairs(120, 2, 64, noise=1.0)
    exact = fitted(F, F_en).choose_ridge()
    monkeypatch.setattr("cctuning.transform.least_squares.DIRECTIONS", 16)
    scored = fitted(F, F_en).choose_ridge()
    shared = sorted({*scored.ridges} & {*exact.ridges})
    errors = [dict(zip(choice.ridges, choice.errors, strict=True)) for choice in (scored, exact)]
    np.testing.assert_allclose(
        [errors[0][ridge] for ridge in shared], [errors[1][ridge] for ridge in shared], rtol=0.1
    )
    assert errors[1][scored.ridge] < 1.001 * errors[1][exact.ridge]


def test_outlier_dimensions_do_not_spoil_plain_least_squares():
    """Some dimensions of real feed-forward outputs are a thousand times the others."""
    F, F_en = pairs(60, 2, 16)
    F[..., 3] *= 1e6
    F[..., 5] *= 1e-6
    A, B = rows(F), rows(F_en)
    weights = fitted(F, F_en).solve(0.0).numpy()
    best = np.linalg.lstsq(A, B, rcond=None)[0]
    np.testing.assert_allclose(A @ weights, A @ best, atol=1e-6)


@pytest.mark.parametrize("case", ["dead dimension", "equal dimensions", "fewer rows than d"])
@pytest.mark.filterwarnings("ignore:.*rows")
def test_plain_least_squares_is_of_minimum_norm_where_singular(case):
    F, F_en = pairs(5 if case == "fewer rows than d" else 30, 2, 16)
    if case == "dead dimension":
        F[..., 3] = 0
    elif case == "equal dimensions":
        F[..., 3] = F[..., 4]
    expected = torch.from_numpy(np.linalg.lstsq(rows(F), rows(F_en), rcond=None)[0])
    torch.testing.assert_close(fitted(F, F_en).solve(0.0), expected, atol=1e-8, rtol=1e-6)


def test_errors_of_other_pairs():
    F, F_en = pairs(40, 3, 12, noise=1.0)
    weights = fitted(F[:30], F_en[:30]).solve(0.1)
    expected = float(((F[30:] @ weights - F_en[30:]) ** 2).sum())
    assert fitted(F[30:], F_en[30:]).squared_error(weights) == pytest.approx(expected, rel=1e-9)


def test_few_rows_are_warned_of():
    F, F_en = pairs(9, 2, 10)
    with pytest.warns(UserWarning, match=r"18 rows \(9 pairs of 2 layers\).*d=10: use at least 10 pairs"):
        fitted(F, F_en).solve()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted(*pairs(10, 2, 10)).solve()


@pytest.mark.parametrize(
    ("F", "F_en", "message"),
    [
        (torch.zeros(2, 4), torch.zeros(2, 4), r"F has shape \(2, 4\), expected \(pairs, layers, d=4\)"),
        (torch.zeros(2, 3, 5), torch.zeros(2, 3, 5), r"F has shape \(2, 3, 5\)"),
        (torch.zeros(2, 3, 4), torch.zeros(2, 2, 4), "one shape"),
        (torch.zeros(2, 0, 4), torch.zeros(2, 0, 4), "expected"),
    ],
)
def test_wrong_shapes_are_errors(F, F_en, message):
    with pytest.raises(ValueError, match=message):
        LeastSquares(4).update(F, F_en)


def test_another_number_of_layers_is_an_error():
    fit = LeastSquares(4)
    fit.update(*pairs(2, 3, 4))
    with pytest.raises(ValueError, match="F has 2 layers, the pairs before it had 3"):
        fit.update(*pairs(2, 2, 4))


def test_integers_are_an_error():
    with pytest.raises(TypeError, match=r"F_en has dtype torch.int64"):
        LeastSquares(4).update(torch.zeros(2, 3, 4), torch.zeros(2, 3, 4, dtype=torch.long))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("side", ["F", "F_en"])
def test_values_that_are_not_finite_are_named_and_leave_the_fit_as_it_was(value, side):
    F, F_en = pairs(10, 3, 4)
    fit = fitted(F, F_en)
    expected = fit.solve()
    bad = {"F": F.clone(), "F_en": F_en.clone()}
    bad[side][7, 2, 1] = value
    with pytest.raises(ValueError, match=rf"{side} is not finite in pair 17, layer 2"):
        fit.update(**bad)
    assert torch.equal(fit.solve(), expected)


@pytest.mark.parametrize("ridge", [-1.0, float("nan"), float("inf")])
def test_ridges_that_make_no_sense_are_errors(ridge):
    with pytest.raises(ValueError, match="ridge="):
        fitted(*pairs(10, 3, 4)).solve(ridge)


def test_too_few_pairs_for_the_folds():
    fit = fitted(*pairs(4, 3, 4))
    with pytest.raises(ValueError, match="4 pairs leave 1 of 5 folds empty"):
        fit.solve()
    assert fit.solve(1.0).shape == (4, 4)


def test_no_pairs():
    with pytest.raises(ValueError, match="no pairs yet"):
        LeastSquares(4).solve()
    with pytest.raises(ValueError, match="at least 1"):
        LeastSquares(0)


def test_numbers_must_match_the_pairs():
    with pytest.raises(ValueError, match="one number for each of 10 pairs"):
        LeastSquares(4).update(*pairs(10, 3, 4), numbers=[1, 2])


@pytest.mark.parametrize("other", [LeastSquares(5), LeastSquares(4, folds=3), fitted(*pairs(5, 2, 4))])
def test_fits_of_other_sizes_do_not_merge(other):
    with pytest.raises(ValueError, match="cannot merge"):
        fitted(*pairs(5, 3, 4)).merge(other)


def test_inputs_that_are_all_zero_give_a_zero_matrix():
    F_en = torch.ones(10, 3, 4)
    assert torch.equal(fitted(torch.zeros(10, 3, 4), F_en).solve(), torch.zeros(4, 4, dtype=torch.float64))
