"""The search by held-out classes: its cells, its table, one trial."""

import json

import pytest
from stored_cells import TINY, store
from tiny_runs import ROOT

from nae_tf.baselines import ProjectionDiffusion
from nae_tf.runs.configuration import parse_config
from nae_tf.training.experiment import Experiment
from reproduction import cells
from reproduction.markdown_tables import Request
from reproduction.search_by_classes import search_by_classes, trial_cell

REQUEST = Request("cpu", seeds=(0,), show=True, digits=(5, 7))
RATE = "training/Adam.learning_rate = 5e-5"


@pytest.fixture
def results_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(cells, "RESULTS", tmp_path)
    return tmp_path


def test_the_table_has_what_a_trial_is_judged_by(results_folder, capsys):
    cell = trial_cell("cpu", "mpdr", "slow", (5, 7), (1, 9), 0, [RATE])
    names = [f"mnist {digit}, validation" for digit in (5, 7)]
    store(
        cell,
        AE=dict(zip(names, (0.5, 0.6), strict=True)),
        NAE=dict(zip(names, (0.875, 0.9375), strict=True)),
    )
    last = {"step": 900, "validation_error": 0.0123}
    last |= {"positive_energy": 0.02, "negative_energy": 0.03}
    results = json.loads(cell.stored.read_text()) | {
        "bindings": cell.bindings,
        "seed": 0,
        "selection": {"training": last},
    }
    cell.stored.write_text(json.dumps(results))
    search_by_classes(REQUEST, None, (1, 9), [])
    captured = capsys.readouterr()
    assert "other settings" not in captured.err
    row = [line for line in captured.out.splitlines() if "slow" in line]
    assert row == [
        "| slow | mpdr-judged5-7-seed0 | 900 | 0.500, 0.600 | 0.875, 0.938 | "
        "0.906 | 1.50 | 0.0123 | 1 |"
    ]


def test_a_variant_has_one_set_of_bindings(results_folder):
    cell = trial_cell("cpu", "nae", "slow", (5, 7), (1, 9), 0, [RATE])
    cell.stored.parent.mkdir(parents=True)
    cell.stored.write_text(json.dumps({"bindings": cell.bindings}))
    request = Request("cpu", seeds=(0,), digits=(5, 7))
    with pytest.raises(ValueError, match="with the bindings judged_classes"):
        search_by_classes(request, "slow", (1, 9), [])
    with pytest.raises(ValueError, match="name the variant"):
        search_by_classes(request, None, (1, 9), [])


def test_a_trial_sees_no_test_image(tiny_mnist):
    cell = trial_cell("smoke", "mpdr", "tiny", (5, 7), (1, 9), 0, TINY)
    parse_config([str(ROOT / file) for file in cell.gin_files], cell.bindings)
    experiment = Experiment.from_config()
    task = experiment.task
    assert task.name == "mnist without 1, 5, 7, 9"
    assert task.test is task.validation
    assert list(task.outliers) == [
        "mnist 5, validation",
        "mnist 7, validation",
    ]
    assert type(experiment.build_model().sampler) is ProjectionDiffusion
