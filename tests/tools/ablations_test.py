"""Tables 6 to 8, the search, and learning curves, from stored results."""

import json
import re

import gin
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from stored_cells import TINY, printed_rows, store
from tiny_runs import ROOT

from nae_tf.latent_space import Euclidean, Sphere
from nae_tf.runs.checkpoints import restore
from nae_tf.runs.configuration import parse_config
from nae_tf.runs.run_directory import RunDirectory
from nae_tf.training.experiment import Experiment
from reproduction import (
    ablations,
    cells,
    image_set_tables,
    learning_curve,
    markdown_tables,
    mnist_tables,
    paper_numbers,
    search_budget,
    trials,
)
from reproduction.markdown_tables import Request


@pytest.fixture(autouse=True)
def results_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(cells, "RESULTS", tmp_path)
    return tmp_path


REQUEST = Request("cpu", seeds=(0, 1), show=True)


def store_ablation(table, setting, bindings, seed, autoencoder, nae):
    store(
        ablations.ablation_cell(table, setting, seed, "cpu", bindings),
        AE={"mnist 9": autoencoder},
        NAE={"mnist 9": nae},
    )


def test_table_6_scales_the_paper_s_epochs(capsys):
    store_ablation("table1", "", (), 0, 0.5, 0.9)
    for seed in (0, 1):
        bindings = ("pretraining/Phase.epochs = 10",)
        store_ablation(
            "table6", "pretraining10", bindings, seed, 0.6, 0.7 + seed / 10
        )
    ablations.table6(REQUEST)
    rows, last = printed_rows(capsys)
    dash = "\N{EN DASH}"
    # The budget has 20 epochs where the paper has 100.
    assert {row: line[0] for row, line in rows.items() if row.isdigit()} == {
        "0": "0",
        "10": "2",
        "50": "10",
        "100": "20",
        "150": "30",
        "200": "40",
    }
    assert rows["0"][1:] == [dash, dash, "0.486", "0.552"]
    assert rows["50"][1:3] == ["0.600 ± 0.000", "0.750 ± 0.050"]
    assert rows["100"][1:] == ["0.500", "0.900", "0.532", "0.937"]
    assert last[0].startswith("3 of 12 cells")


def test_tables_7_and_8_share_the_cell_of_the_paper_s_settings(capsys):
    store_ablation("table1", "", (), 0, 0.5, 0.9)
    ablations.table7(REQUEST)
    rows, _ = printed_rows(capsys)
    assert rows["1"] == ["10", "yes", "yes", "0.900", "0.957"]
    assert rows["6"][:3] == ["10", "yes", "no"]
    ablations.table8(REQUEST)
    rows, _ = printed_rows(capsys)
    assert rows["32"] == ["0.500", "0.900", "0.525", "0.926"]
    assert rows["256"][2:] == ["0.556", "0.732"]


@pytest.mark.parametrize(
    ("number", "steps", "replay", "space"),
    [
        ("1", 10, True, Sphere),
        ("2", 0, False, Sphere),
        ("3", 50, True, Sphere),
        ("4", 10, False, Sphere),
        ("5", 50, False, Sphere),
        ("6", 10, True, Euclidean),
    ],
)
def test_settings_of_table_7(number, steps, replay, space, tiny_mnist):
    _, bindings = ablations.SAMPLING[number]
    cell = ablations.ablation_cell("table7", "", 0, "cpu", bindings)
    files = [str(ROOT / file) for file in cell.gin_files]
    parse_config(files, (*cell.bindings, *TINY))
    model = Experiment.from_config().build_model()
    assert model.sampler.latent_chain.num_steps == steps
    assert (model.replay_buffer is not None) == replay
    assert isinstance(model.latent_space, space)


@pytest.mark.parametrize(
    ("table", "cell", "parameter", "value"),
    [
        (
            mnist_tables.table1,
            "table1/cpu/vae/digit3-seed1",
            "holdout_class/macro.value",
            3,
        ),
        (
            image_set_tables.TABLE4.show,
            "table4/cpu/vae/seed1",
            "out_of_distribution.inlier",
            "mnist",
        ),
        (
            ablations.table6,
            "table6/cpu/pretraining2-seed1",
            "pretraining/Phase.epochs",
            2,
        ),
        (
            ablations.table7,
            "table7/cpu/setting5-seed1",
            "holdout_class/macro.value",
            9,
        ),
        (
            ablations.table8,
            "table8/cpu/latent64-seed1",
            "latent_dim/macro.value",
            64,
        ),
    ],
)
def test_a_table_trains_what_its_cells_are_called(
    table, cell, parameter, value, monkeypatch
):
    trained = []
    monkeypatch.setattr(
        markdown_tables,
        "run_missing",
        lambda wanted, jobs: trained.extend(wanted),
    )
    table(Request("cpu", seeds=(0, 1)))
    (wanted,) = [each for each in trained if each.name == cell]
    cells.configure(wanted)
    assert gin.query_parameter(parameter) == value
    assert gin.query_parameter("seed/macro.value") == 1


def test_the_paper_s_rows_are_all_there():
    assert list(ablations.SAMPLING) == list(paper_numbers.TABLE7)


# --- Search -------------------------------------------------------------------


def test_a_trial_prints_what_may_be_chosen_by(monkeypatch, capsys):
    trained = []

    def train(cells, jobs):
        for cell in cells:
            assert not cell.keeps_test_metrics
            trained.append(cell)
            store(cell)
            phase = {"step": 2000, "selection_auroc": 0.99987}
            results = json.loads(cell.stored.read_text()) | {
                "bindings": cell.bindings,
                "seed": 0,
                "selection": {
                    "pretraining": {"validation_error": 0.0071},
                    "training": phase | {"validation_error": 0.0123},
                },
                "chimera": {"AE": 0.8765, "NAE": 0.9432},
            }
            cell.stored.write_text(json.dumps(results))

    monkeypatch.setattr(trials, "run_missing", train)
    request = Request("cpu", seeds=(0,), digits=(9,))
    binding = "training/Adam.learning_rate = 5e-5"
    search_budget.search(request, "slow", [binding])
    (cell,) = trained
    assert binding in cell.bindings
    rows, _ = printed_rows(capsys)
    assert rows["slow"] == [
        "digit9-seed0",
        binding,
        "2000",
        "0.9999",
        "0.9432",
        "0.8765",
        "0.0123",
        "0.0071",
        "1",
    ]


def test_a_trial_of_another_budget_is_named(capsys):
    phase = {"step": 1, "selection_auroc": 1.0, "validation_error": 0.1}
    for variant, settings in [("today", None), ("long_ago", "other")]:
        cell = search_budget.trial_cell("cpu", variant, 9, 3, ["latent_dim=8"])
        store(cell)
        results = json.loads(cell.stored.read_text()) | {
            "bindings": cell.bindings,
            "seed": 3,
            "selection": {"pretraining": phase, "training": phase},
            "chimera": {"AE": 0.5, "NAE": 0.5},
        }
        results["settings"] = settings or results["settings"]
        cell.stored.write_text(json.dumps(results))
    search_budget.search(Request("cpu", seeds=(3,), show=True), None, [])
    message = capsys.readouterr().err
    assert "1 of the cells had other settings" in message
    assert "search/cpu/long_ago/digit9-seed3. Remove" in message


@pytest.mark.slow
def test_trials_are_told_apart_by_chimeras(tiny_mnist, tmp_path, monkeypatch):
    (tmp_path / "gin").symlink_to(ROOT / "gin")
    monkeypatch.setattr(cells, "REPOSITORY", tmp_path)
    cell = search_budget.trial_cell("smoke", "tiny", 9, 0, TINY)
    origin = {"threads": 1, "commit": "c", "machine": "m"}
    results = cells.run_cell(cell, origin)
    # By hand, from the stored weights.
    parse_config([str(ROOT / file) for file in cell.gin_files], cell.bindings)
    experiment = Experiment.from_config()
    nae = experiment.build_model()
    images = np.concatenate(
        list(experiment.task.validation.batches(50).as_numpy_iterator())
    )
    upper, lower = np.split(images, 2, axis=1)
    partners = [*lower[-1:], *lower[:-1]]
    chimeras = np.concatenate([upper, partners], axis=1)
    truth = np.repeat([0, 1], len(images))
    for phase, model, name in [
        ("pretraining", nae.autoencoder(), "AE"),
        ("training", nae, "NAE"),
    ]:
        restore(model, RunDirectory(cell.run_dir).checkpoints(phase))
        errors = [
            np.mean((x - model(x).numpy()) ** 2, axis=(1, 2, 3))
            for x in (images, chimeras)
        ]
        expected = roc_auc_score(truth, np.concatenate(errors))
        assert results["chimera"][name] == pytest.approx(expected, abs=5e-3)
    assert "auroc" not in results


# --- Learning curves ----------------------------------------------------------


def point(phase, minutes, auroc, **selection):
    return {
        "phase": phase,
        "seconds": 60 * minutes,
        "auroc": {"mnist 9": auroc},
    } | selection


def test_a_learning_curve_shows_every_snapshot(monkeypatch):
    drawn = []
    monkeypatch.setattr(
        learning_curve, "draw", lambda figure, name: drawn.append(figure)
    )
    request = Request("cpu", seeds=(0,), show=True, digits=(1, 9))
    wanted = mnist_tables.holdout_cells(request, ["nae"])
    cell = wanted["nae", 9, 0]
    store(cell)
    curve = [
        point("pretraining", 5, 0.5),
        point("training", 10, 0.6, selection_auroc=0.9),
        point("training", 15, 0.8, selection_auroc=1.0),
    ]
    cell.stored.write_text(json.dumps(cell.results() | {"curve": curve}))
    learning_curve.draw_learning_curves(wanted)
    (figure,) = drawn
    (axes,) = figure.axes
    assert re.search("9", axes.get_title())
    selection, held_out, end = axes.lines
    assert held_out.get_xydata().tolist() == [[5, 0.5], [10, 0.6], [15, 0.8]]
    assert selection.get_xydata().tolist() == [[10, 0.9], [15, 1.0]]
    assert set(end.get_xdata()) == {5}


def test_the_minutes_to_an_auroc_are_those_of_a_snapshot(capsys):
    request = Request("cpu", seeds=(0, 1), show=True, digits=(9,))
    wanted = mnist_tables.holdout_cells(request, ["nae"])
    cell = wanted["nae", 9, 1]
    store(cell)
    curve = [
        point("training", *each) for each in [(5, 0.5), (8, 0.85), (9, 0.8)]
    ]
    cell.stored.write_text(json.dumps(cell.results() | {"curve": curve}))
    learning_curve.print_minutes(wanted)
    rows, _ = printed_rows(capsys)
    dash = "\N{EN DASH}"
    assert rows["nae"] == ["9", "1", "8.0", dash, "9.0", "0.800"]
