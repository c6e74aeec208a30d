"""NAEDetector with its ensemble: p-values, selection, missing values, ..."""

import concurrent.futures
import pickle
import random

import joblib
import keras
import numpy as np
import pandas as pd
import pytest
import scipy.stats
from memory import added_memory
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import roc_auc_score

from nae_tf import NAEDetector
from nae_tf.tables import Displaced, Projected, TableNAE, training
from nae_tf.tables.settings import nae_steps

ROUNDING = 2.0**-23  # Of scores, which have the precision of float32.


def quick(**settings):
    settings = {
        "pretraining_steps": 20,
        "steps": 10,
        "random_state": 0,
    } | settings
    return NAEDetector(**settings)


def normals(rows, columns=3, seed=0):
    """Normal features, of which neighbours correlate."""
    x = np.random.default_rng(seed).normal(size=(rows, columns))
    return x + 0.5 * np.roll(x, 1, axis=1)


@pytest.fixture(scope="module")
def fitted():
    return quick(contamination=0.1).fit(normals(100))


@pytest.fixture(scope="module")
def wide():
    return quick().fit(normals(60, 70))


@pytest.fixture(scope="module")
def masking():
    x = normals(100)
    x[np.random.default_rng(5).random(x.shape) < 0.1] = np.nan
    return quick(missing_values="mask").fit(x[~np.isnan(x).all(1)])


# --- What it is made of -------------------------------------------------------


def test_scores_are_minus_the_mean_energy_of_the_model(fitted):
    x = normals(20, seed=1)
    assert isinstance(fitted.model_, TableNAE)
    energies = fitted.model_.member_energies(fitted.features_.transform(x))
    np.testing.assert_allclose(
        fitted.score_samples(x), -energies.mean((0, 1)), rtol=ROUNDING
    )
    # In units of rows that were left out.
    np.testing.assert_allclose(fitted.left_out_energies_.mean(), 1, rtol=1e-6)


def test_columns_of_wide_tables_have_their_part_of_the_energy(wide):
    x = normals(20, 70, seed=1)
    columns = wide.features_.transform(x)
    energies = wide.model_.member_energies(columns).mean((0, 1))
    rest = wide.features_.energies(x, np.zeros((4, 20))).mean(0)
    part = columns.shape[1] / 70
    assert 0.1 < part < 0.9
    np.testing.assert_allclose(
        wide.score_samples(x), -(part * energies + rest), rtol=ROUNDING
    )


def test_an_error_of_a_few_features_among_many_is_found(wide):
    inliers = normals(50, 70, seed=1)
    outliers = inliers.copy()
    outliers[:, :5] += 6
    scores = wide.score_samples(np.concatenate([inliers, outliers]))
    assert roc_auc_score(np.repeat([1, 0], 50), scores) > 0.9


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pd.Categorical([1, 3]), "column 'a' holds categories; encode it"),
        (pd.period_range("2020", periods=2, freq="D"), "received dates"),
    ],
)
def test_names_that_are_numbers_are_refused(fitted, column, message):
    x = pd.DataFrame({"a": column, "b": [1.5, 2.5], "c": [0.5, 1.5]})
    with pytest.raises(ValueError, match=message):
        fitted.score_samples(x)


def test_a_number_for_missing_is_named(fitted):
    x = normals(60, seed=1)
    x[[3, 9], 1] = -999
    message = "NAEDetector: 2 of 60 values of column 1 are -999, .*NaN, and set"
    with pytest.warns(UserWarning, match=message):
        fitted.score_samples(x)


# --- P-values and selection ---------------------------------------------------


def test_p_values_compare_with_rows_left_out(fitted):
    x = normals(30, seed=1) * np.linspace(0.5, 2, 30)[:, None]
    columns = fitted.features_.transform(x)
    energies = fitted.model_.member_energies(columns).mean(0)
    expected = [
        (1 + np.sum(fitted.left_out_energies_ >= energy[fitted.fold_])) / 101
        for energy in energies.T
    ]
    np.testing.assert_allclose(fitted.p_values(x), expected)


def test_p_values_of_new_inliers_are_about_uniform(fitted):
    p_values = fitted.p_values(normals(2_000, seed=2))
    for share in (0.1, 0.3, 0.5):
        # The 100 rows that all are compared with have the larger error.
        error = np.sqrt(share * (1 - share) * (1 / 100 + 1 / 2_000))
        assert abs(np.mean(p_values <= share) - share) < 4 * error


def test_selection_is_by_the_largest_p_value_below_its_line(
    fitted, monkeypatch
):
    p_values = np.array([0.9, 0.001, 0.029, 0.011, 0.049, 0.2, 0.045])
    monkeypatch.setattr(fitted, "p_values", lambda x: p_values)
    # Sorted: .001 .011 .029 .045 .049 .2 .9, lines k 0.07 / 7 = 0.01 k. The
    # fourth is above its line, but the fifth is not.
    np.testing.assert_array_equal(
        fitted.select(None, 0.07),
        [False, True, True, True, True, False, True],
    )
    # Lines 0.004 k: only .001 is below.
    np.testing.assert_array_equal(
        fitted.select(None, 0.028), [False, True, *[False] * 5]
    )


def test_the_selected_hold_few_inliers(fitted):
    far = normals(50, seed=3) + 20
    x = np.concatenate([normals(450, seed=4), far])
    selected = fitted.select(x, 0.2)
    assert selected.dtype == bool
    assert selected[450:].all()
    assert selected[:450].sum() < 0.5 * selected.sum()


@pytest.mark.parametrize("rate", [0, 1, -0.1, "0.1", None])
def test_a_false_discovery_rate_out_of_range_is_refused(fitted, rate):
    with pytest.raises(ValueError, match=r"false_discovery_rate in \(0, 1\)"):
        fitted.select(normals(3), rate)


def test_there_are_no_p_values_where_no_row_was_left_out():
    detector = quick(steps=1).fit(normals(5))
    assert detector.score_samples(normals(3)).shape == (3,)
    with pytest.raises(ValueError, match=r"at least 8 training examples.*own"):
        detector.p_values(normals(3))
    with pytest.raises(NotFittedError):
        quick().p_values(normals(3))


# --- Explanations and missing values ------------------------------------------


@pytest.mark.parametrize("which", ["fitted", "wide", "masking"])
def test_shares_of_features_sum_to_the_energy(which, request):
    detector = request.getfixturevalue(which)
    x = normals(20, detector.n_features_in_, seed=1)
    if which == "masking":
        x[::2, 1] = np.nan
    shares = detector.explain(x)
    assert shares.shape == x.shape
    assert np.all(shares >= 0)
    np.testing.assert_allclose(
        shares.sum(axis=1), -detector.score_samples(x), rtol=ROUNDING
    )


@pytest.mark.parametrize("which", ["fitted", "wide"])
def test_the_feature_in_error_has_the_largest_share(which, request):
    detector = request.getfixturevalue(which)
    x = normals(20, detector.n_features_in_, seed=1)
    x[:, 2] += 30
    np.testing.assert_array_equal(detector.explain(x).argmax(axis=1), 2)


@pytest.mark.parametrize("columns", [3, 70])
def test_the_energy_of_a_row_is_a_mean_over_known_features(
    columns, masking, wide
):
    detector = masking
    if columns == 70:
        detector = pickle.loads(pickle.dumps(wide))
        detector.set_params(missing_values="mask")
    x = normals(6, columns, seed=1)
    x[:3, 1] = np.nan
    x[1, 2] = np.nan
    missing = np.isnan(x)
    # With the means in their place; no feature's own share depends on it.
    filled = np.where(missing, detector.scaler_.mean_, x)
    residual_shares = detector.explain(filled)
    if columns == 3:  # The mean has no normal score of 0.
        residual_shares = by_hand_of_zeros(detector, x)
    known = np.where(missing, 0, residual_shares).sum(1)
    expected = known * columns / (~missing).sum(1)
    np.testing.assert_allclose(
        detector.score_samples(x), -expected, rtol=ROUNDING
    )
    shares = detector.explain(x)
    np.testing.assert_array_equal(shares[missing], 0)


def by_hand_of_zeros(detector, x):
    """Shares of rows whose missing values have columns of 0."""
    columns = detector.features_.transform(np.nan_to_num(x))
    missing = np.isnan(x)
    columns[np.concatenate([missing, missing], 1)] = 0
    first, second = (
        np.mean(np.square(r), 0)
        for r in detector.model_.scaled_residuals(columns)
    )
    return (first + second[:, :3] + second[:, 3:]) / 2


def test_outliers_are_found_by_the_features_that_are_known(masking):
    inliers = normals(50, seed=1)
    outliers = inliers + np.array([8, 0, -8])
    x = np.concatenate([inliers, outliers])
    x[::2, 1] = np.nan
    is_inlier = np.repeat([1, 0], 50)
    assert roc_auc_score(is_inlier, masking.score_samples(x)) > 0.95
    assert roc_auc_score(is_inlier, masking.p_values(x)) > 0.95
    # A row scores as without the others, whether they have missing values.
    np.testing.assert_allclose(
        masking.score_samples(x[1::2]), masking.score_samples(x)[1::2]
    )


def test_p_values_of_missing_values_compare_energies_of_known_features(masking):
    x = normals(40, seed=1)
    x[::2, 1] = np.nan
    p_values, scores = masking.p_values(x), masking.score_samples(x)
    assert scipy.stats.spearmanr(p_values, scores).statistic > 0.9
    np.testing.assert_allclose(
        masking.p_values([[50.0, np.nan, np.nan]]), 1 / (1 + len(masking.fold_))
    )


def test_missing_values_are_refused_unless_they_are_masked(fitted):
    x = normals(3)
    x[1, 1] = np.nan
    for use in (fitted.score_samples, fitted.p_values, quick().fit):
        with pytest.raises(ValueError, match="contains NaN"):
            use(x)


def test_rows_and_features_without_any_value_are_refused(masking):
    x = normals(20)
    x[[4, 7]] = np.nan
    for use in (masking.score_samples, masking.explain, clone(masking).fit):
        with pytest.raises(
            ValueError, match=r"none in row 4 .*one of 2; remove these rows\.$"
        ):
            use(x)
    x = normals(20)
    x[:, 1] = np.nan
    with pytest.raises(ValueError, match=r"none of feature 1 .*leave these"):
        clone(masking).fit(x)
    # In a new table it is as good as any missing value.
    assert np.all(np.isfinite(masking.score_samples(x)))


# --- Kinds of data ------------------------------------------------------------


def read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


@pytest.mark.parametrize(
    "convert",
    [
        lambda x: x.astype(np.float32),
        lambda x: x.astype(np.int16),
        lambda x: x.astype(">f8"),
        np.asfortranarray,
        read_only,
        lambda x: np.repeat(x, 2, axis=0)[::2],
        lambda x: x.tolist(),
    ],
    ids=[
        "float32",
        "int",
        "big-endian",
        "Fortran",
        "read-only",
        "view",
        "list",
    ],
)
def test_whatever_holds_the_numbers_the_scores_are_the_same(convert):
    x = np.rint(4 * normals(40))  # Every type holds these.
    expected = quick(steps=2).fit(x).score_samples(x)
    found = quick(steps=2).fit(convert(x)).score_samples(convert(x))
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_a_frame_needs_its_columns_in_the_order_of_the_fit():
    frame = pd.DataFrame(normals(40), columns=["a", "b", "c"])
    detector = quick(steps=2).fit(frame)
    np.testing.assert_array_equal(detector.feature_names_in_, ["a", "b", "c"])
    with pytest.raises(ValueError, match="feature names should match"):
        detector.score_samples(frame[["c", "b", "a"]])


def test_a_column_of_text_is_named():
    frame = pd.DataFrame(normals(40), columns=["a", "b", "c"])
    frame["b"] = ["red", "blue"] * 20
    with pytest.raises(ValueError, match="column 'b' holds text; enc") as found:
        quick().fit(frame)
    assert "\n" not in str(found.value)
    with pytest.raises(ValueError, match="Expected 2D array") as found:
        quick().fit(normals(40)[0])
    assert "\n" not in str(found.value)


def test_more_axes_than_two_are_refused_in_one_line(fitted):
    for use in (quick().fit, fitted.score_samples):
        with pytest.raises(ValueError, match="an axis of channels") as found:
            use(np.zeros((5, 3, 2)))
        assert "\n" not in str(found.value)


@pytest.mark.parametrize(
    ("rows", "columns"), [(5, 3), (50, 1), (30, 1_500), (9, 100)]
)
def test_tables_of_any_size_tell_far_from_near(rows, columns):
    detector = quick().fit(normals(rows, columns))
    near, far = detector.score_samples(
        np.concatenate([normals(1, columns, 1), np.full((1, columns), 50.0)])
    )
    assert far < near < 0


def test_a_constant_feature_that_changes_is_outlying():
    x = np.insert(normals(60), 1, 0.1, axis=1)
    detector = quick().fit(x)
    changed = x.copy()
    changed[:, 1] = 9.0
    assert np.all(detector.score_samples(changed) < detector.score_samples(x))
    assert np.all(detector.explain(changed).argmax(axis=1) == 1)


def test_huge_values_are_outliers_and_features_of_any_scale_do(fitted):
    x = normals(4, seed=1)
    x[:2, 0] = 1e30, 1e300
    with np.errstate(over="raise", invalid="raise"):
        scores, p_values = fitted.score_samples(x), fitted.p_values(x)
        fitted.explain(x)
    assert np.all(scores[:2] < -1e50)
    assert np.all(p_values[:2] == 1 / 101)
    np.testing.assert_allclose(
        scores[2:], fitted.score_samples(x[2:]), rtol=1e-9
    )
    scaled = normals(100) * [1e30, 1.0, 1e-30]
    np.testing.assert_allclose(
        quick().fit(scaled).score_samples(scaled),
        fitted.score_samples(normals(100)),
        rtol=1e-3,
    )


@pytest.mark.parametrize("which", ["fitted", "wide", "masking"])
def test_a_row_alone_scores_as_in_a_batch(which, request):
    detector = request.getfixturevalue(which)
    x = normals(1_030, detector.n_features_in_, seed=1)
    together = detector.score_samples(x)
    for row in (0, 500, 1_023, 1_024, 1_029):
        np.testing.assert_array_equal(
            detector.score_samples(x[row : row + 1]),
            together[row : row + 1],
        )


@pytest.mark.parametrize("columns", [4, 70])
def test_rows_that_repeat_have_one_score_one_p_value_and_one_decision(columns):
    generator = np.random.default_rng(0)
    kinds = generator.integers(0, 2, (12, columns)).astype(float)
    # An odd number: the last rows of a batch are summed in another way.
    kind = generator.integers(0, 12, 303)
    detector = quick(contamination=0.1).fit(kinds[kind])
    for method in ("score_samples", "p_values", "predict"):
        found = getattr(detector, method)(kinds[kind])
        for number, row in enumerate(kinds):
            alone = getattr(detector, method)(row[None])
            np.testing.assert_array_equal(found[kind == number], alone.item())


# --- Seeds, threads and graphs ------------------------------------------------


def test_threads_side_by_side_fit_what_one_fits(fitted):
    state = random.getstate(), np.random.get_state()[1].copy()
    x = normals(100)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        detectors = list(pool.map(lambda _: quick().fit(x), range(4)))
    for detector in detectors:
        np.testing.assert_array_equal(
            detector.score_samples(x), fitted.score_samples(x)
        )
    assert random.getstate() == state[0]
    np.testing.assert_array_equal(np.random.get_state()[1], state[1])


def test_the_seed_decides(fitted):
    x = normals(100)
    other = quick(random_state=1).fit(x)
    assert not np.allclose(other.score_samples(x), fitted.score_samples(x))


def test_fits_of_any_width_share_their_graphs(fitted, wide):
    graphs = [
        training._compiled(kind) for kind in (None, Projected(), Displaced())
    ]
    traces = [graph.experimental_get_tracing_count() for graph in graphs]
    quick().fit(normals(33, 5)).score_samples(normals(7, 5))
    quick().fit(normals(44, 80)).score_samples(normals(7, 80))
    assert traces == [
        graph.experimental_get_tracing_count() for graph in graphs
    ]


def test_fits_leave_no_memory_behind(fitted):
    x = normals(100)
    quick().fit(x)
    with added_memory() as added:
        for seed in range(10):
            quick(random_state=seed).fit(x)
    # A graph of its own would leave 20 MiB behind, in every fit.
    assert added[0] < 2**26


def test_variables_of_every_fit_have_the_same_names():
    # TensorFlow keeps 35 KiB for each name that a variable was made with: .6
    # MiB of a fit that has names of its own, too little to show in ten fits.
    x = normals(100)
    first, second = (
        [v.value.name for v in quick().fit(x).model_.variables]
        for _ in range(2)
    )
    assert first == second
    assert len(set(first)) == len(first)


@pytest.mark.parametrize("policy", ["float64", "mixed_float16"])
def test_keras_s_policy_does_not_reach_the_ensemble(policy, fitted):
    keras.config.set_dtype_policy(policy)
    x = normals(100)
    np.testing.assert_allclose(
        quick().fit(x).score_samples(x), fitted.score_samples(x), rtol=1e-6
    )


# --- Going on, storing, telling -----------------------------------------------


def test_a_warm_start_goes_on_without_pre_training():
    x = normals(60)
    detector = quick(warm_start=True).fit(x)
    model, fold = detector.model_, detector.fold_
    weights, scores = model.get_weights(), detector.score_samples(x)
    # Of no step, nothing changes; not even for another seed.
    detector.set_params(steps=0, random_state=7).fit(x)
    assert detector.model_ is model
    np.testing.assert_allclose(detector.score_samples(x), scores, rtol=1e-9)
    np.testing.assert_array_equal(detector.fold_, fold)
    detector.set_params(steps=10).fit(x)
    moved = np.abs(model.get_weights()[0] - weights[0]).max()
    assert 1e-5 < moved < 0.1
    assert detector.fit(normals(50, seed=1)).fold_.shape == (50,)


def test_a_warm_start_needs_the_features_of_before():
    detector = quick(warm_start=True, steps=1).fit(normals(30))
    before = detector.score_samples(normals(3))
    with pytest.raises(ValueError, match="4 features, but NAEDetector is exp"):
        detector.fit(normals(30, 4))
    np.testing.assert_array_equal(detector.score_samples(normals(3)), before)


def test_without_a_warm_start_a_fit_forgets_the_last(fitted):
    detector = quick().fit(normals(50, 5, seed=9))
    detector.fit(normals(100))
    np.testing.assert_array_equal(
        detector.score_samples(normals(9)), fitted.score_samples(normals(9))
    )


def test_networks_and_ensemble_take_turns(fitted):
    none = {"pretraining_steps": 0, "steps": 0}
    x = normals(100)
    detector = quick(warm_start=True).fit(x)
    detector.set_params(networks="MLP", warm_start=False, **none).fit(x)
    assert detector.score_samples(x).shape == (100,)
    with pytest.raises(ValueError, match="networks=None"):
        detector.p_values(x)
    detector.set_params(networks=None, warm_start=True)
    detector.set_params(pretraining_steps=20, steps=10).fit(x)
    np.testing.assert_array_equal(
        detector.score_samples(x), fitted.score_samples(x)
    )


@pytest.mark.parametrize("which", ["fitted", "wide", "masking"])
@pytest.mark.parametrize("store", ["pickle", "joblib"])
def test_a_stored_ensemble_scores_as_before(which, store, request, tmp_path):
    detector = request.getfixturevalue(which)
    if store == "pickle":
        again = pickle.loads(pickle.dumps(detector))
    else:
        joblib.dump(detector, tmp_path / "detector.joblib")
        again = joblib.load(tmp_path / "detector.joblib")
    x = normals(20, detector.n_features_in_, seed=1)
    for method in ("score_samples", "p_values", "predict", "explain"):
        np.testing.assert_array_equal(
            getattr(again, method)(x), getattr(detector, method)(x)
        )


def test_a_clone_of_a_fitted_ensemble_fits_the_same(fitted):
    again = clone(fitted)
    assert not hasattr(again, "features_")
    x = normals(100)
    np.testing.assert_array_equal(
        again.fit(x).score_samples(x), fitted.score_samples(x)
    )
    assert again.offset_ == fitted.offset_


def test_it_prints_only_if_asked(capsys):
    quick(steps=1).fit(normals(20))
    assert capsys.readouterr().out == ""
    quick(steps=1, verbose=True).fit(normals(20))
    first, last = capsys.readouterr().out.splitlines()
    assert first == (
        "NAEDetector: 20 examples of 3 features, 8 autoencoders of 20 and 1 "
        "steps"
    )
    assert last.startswith("NAEDetector: trained in ")


@pytest.mark.parametrize(
    ("settings", "steps"),
    [
        ({}, 15),  # 20 rows are one batch: 15 passes.
        ({"batch_size": 10}, 30),
        ({"steps": 40}, 40),
    ],
)
def test_small_tables_have_fewer_steps(capsys, settings, steps):
    detector = NAEDetector(pretraining_steps=0, verbose=1, **settings)
    detector.fit(normals(20))
    assert f" 0 and {steps} steps" in capsys.readouterr().out


@pytest.mark.parametrize("verbose", [-1, "1", None, 0.5])
def test_verbose_is_a_level(verbose):
    with pytest.raises(ValueError, match="integer verbose >= 0, received"):
        quick(verbose=verbose).fit(normals(20))


def test_the_budget_does_not_grow_with_the_rows():
    rows = (5_000, 100_000, 10_000_000)
    assert {nae_steps(NAEDetector(), False, n, 64) for n in rows} == {200}
    assert {nae_steps(NAEDetector(), True, n, 64) for n in rows} == {200}


def test_few_images_are_passed_over_fifteen_times():
    # Batches of all sixty: a step is a pass.
    assert nae_steps(NAEDetector(), True, 60, 60) == 15
    assert nae_steps(NAEDetector(steps=70), True, 60, 60) == 70
