"""The search for the budget of colour images: cells, table, one trial."""

import dataclasses
import json

import numpy as np
import pytest
from image_set_stand_in import stand_in
from sklearn.metrics import roc_auc_score
from stored_cells import store
from tiny_runs import ROOT, UNTRAINED

from nae_tf.data import tfds_images
from nae_tf.runs.checkpoints import restore
from nae_tf.runs.configuration import parse_config
from nae_tf.training.experiment import Experiment
from reproduction import cells
from reproduction.markdown_tables import Request
from reproduction.search_color import search_color, trial_cell

RATE = "training/Adam.learning_rate = 5e-5"
NARROW = (
    "encoder = @MLPEncoder()",
    "decoder = @MLPDecoder()",
    *(
        f"{network}.{setting}"
        for network in ("MLPEncoder", "MLPDecoder")
        for setting in (
            "example_shape = (32, 32, 3)",
            "latent_dim = %latent_dim",
            "hidden_units = (2,)",
        )
    ),
    "latent_dim = 2",
    *UNTRAINED,
)


@pytest.fixture
def results_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(cells, "RESULTS", tmp_path / "results")


@pytest.fixture
def small_images(small_sets, monkeypatch):
    for name in ("cifar10", "mnist"):
        smaller = dataclasses.replace(
            tfds_images.IMAGE_SETS[name], validation_size=10
        )
        monkeypatch.setitem(tfds_images.IMAGE_SETS, name, smaller)
        small_sets(
            name, train=stand_in(name, 30, 0), test=stand_in(name, 10, 1)
        )


def test_the_table_has_what_a_trial_is_judged_by(results_folder, capsys):
    cell = trial_cell("cpu_color", "slow", "nae", 0, [RATE])
    store(cell)
    last = {"step": 600, "validation_error": 0.0223}
    last |= {"positive_energy": 0.02, "negative_energy": 0.03}
    results = json.loads(cell.stored.read_text()) | {
        "bindings": cell.bindings,
        "seed": 0,
        "selection": {
            "pretraining": {"validation_error": 0.0123},
            "training": last,
        },
        "selection_aurocs": {"AE": 0.5, "NAE": 0.9375},
    }
    cell.stored.write_text(json.dumps(results))
    search_color(Request("cpu_color", seeds=(0,), show=True), None, [])
    captured = capsys.readouterr()
    assert "other settings" not in captured.err
    row = [line for line in captured.out.splitlines() if "slow" in line]
    assert row == [
        f"| slow | nae-seed0 | {RATE} | 600 | 0.500 | 0.938 | 1.50 | 0.0123 | "
        "0.0223 | 1 |"
    ]


def test_a_trial_reads_no_outlier_of_the_table(
    results_folder, small_images, tmp_path, monkeypatch
):
    (tmp_path / "gin").symlink_to(ROOT / "gin")
    monkeypatch.setattr(cells, "REPOSITORY", tmp_path)
    cell = trial_cell("smoke", "narrow", "nae", 3, NARROW)
    origin = {"threads": 1, "commit": "c", "machine": "m"}
    results = cells.run_cell(cell, origin)
    assert not {"auroc", "aupr"} & set(results)
    files = [str(ROOT / file) for file in cell.gin_files]
    parse_config(files, cell.bindings)
    experiment = Experiment.from_config()
    assert not experiment.task.outliers
    model = experiment.build_model()
    restore(model, cell.run_dir / "checkpoints" / "training")
    images = [
        np.concatenate(list(part.batches(10).as_numpy_iterator()))
        for part in (
            experiment.task.validation,
            experiment.task.selection["mnist_padded"],
        )
    ]
    assert not images[1][:, :2].any()  # Zeros surround a digit.
    scores = np.concatenate([model.predict_outlier_score(x) for x in images])
    auroc = roc_auc_score(np.repeat([0, 1], 10), scores)
    assert results["selection_aurocs"]["NAE"] == pytest.approx(auroc)
