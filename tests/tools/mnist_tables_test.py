"""The tables of MNIST: from stored results, and trained on a few images."""

import dataclasses
import json

import numpy as np
import pytest
from stored_cells import TINY, printed_rows, store
from tiny_runs import ROOT

from nae_tf.baselines import MixtureOfSamplers, ProjectionDiffusion
from nae_tf.runs.configuration import parse_config
from nae_tf.samplers import (
    ContrastiveDivergence,
    OnManifold,
    PersistentContrastiveDivergence,
)
from nae_tf.training.experiment import Experiment
from reproduction import cells, mnist_tables, paper_numbers
from reproduction.markdown_tables import Request, mean_and_error


@pytest.fixture
def results_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(cells, "RESULTS", tmp_path)
    return tmp_path


def test_an_incomplete_table_is_shown(results_folder, capsys):
    for seed, values in enumerate([(0.5, 0.9), (0.6, 0.92)]):
        store(
            mnist_tables.holdout_cell("nae", 9, seed, "cpu"),
            AE={"mnist 9": values[0]},
            NAE={"mnist 9": values[1]},
        )
    for digit in range(10):
        store(
            mnist_tables.holdout_cell("dae", digit, 0, "cpu"),
            DAE={f"mnist {digit}": digit / 10},
        )
    request = Request("cpu", seeds=(0, 1), show=True, methods=["nae", "dae"])
    mnist_tables.table1(request)
    rows, last = printed_rows(capsys)
    # Standard error of two values: half their difference.
    assert rows["NAE-OMI"] == [*"–" * 9, "0.910 ± 0.010", "–"]  # noqa: RUF001
    assert rows["AE, NAE's pre-training"][9] == "0.550 ± 0.050"
    assert rows["`dae`"] == [*(f"{d / 10:.3f}" for d in range(10)), "**0.450**"]
    assert rows["NAE-OMI of the paper"][-2:] == ["0.934", "0.955"]
    assert rows["DAE of the paper"][0] == "0.769"
    assert "`vae`" not in rows
    assert last[0].startswith("12 of 40 cells are stored.")
    assert last[1].startswith("12 trainings, 60 s each on 2 thread(s) of m")


def test_cells_of_other_settings_are_named(results_folder, capsys):
    cell = mnist_tables.holdout_cell("ae", 9, 0, "cpu")
    store(cell, Autoencoder={"mnist 9": 0.5})
    request = Request("cpu", seeds=(0,), show=True, methods=["ae"])
    mnist_tables.table1(request)
    assert "other settings" not in capsys.readouterr().err
    faster = ("baseline/Adam.learning_rate = 0.1",)
    other = dataclasses.replace(cell, bindings=(*cell.bindings, *faster))
    results = cell.results() | {"settings": cells.configure(other)}
    cell.stored.write_text(json.dumps(results))
    mnist_tables.table1(request)
    captured = capsys.readouterr()
    assert f"other settings than the gin files have now: {cell.name}." in (
        captured.err
    )
    assert "0.500" in captured.out


def test_cells_without_a_record_of_settings_are_counted(results_folder, capsys):
    cell = mnist_tables.holdout_cell("ae", 9, 0, "cpu")
    store(cell, Autoencoder={"mnist 9": 0.5})
    results = cell.results()
    del results["settings"]
    cell.stored.write_text(json.dumps(results))
    mnist_tables.table1(Request("cpu", seeds=(0,), show=True, methods=["ae"]))
    told = capsys.readouterr().err
    assert "1 of the cells are older than the record of settings" in told
    assert "other settings" not in told


def test_the_paper_averages_are_those_it_prints():
    averages = {
        "NAE-OMI": 0.955,
        "NAE-CD": 0.679,
        "NAE-PCD": 0.682,
        "AE": 0.677,
        "DAE": 0.731,
        "VAE(R)": 0.839,
        "VAE(L)": 0.813,
        "WAE": 0.805,
        "DAGMM": 0.423,
        "VQVAE": 0.736,
        "GANomaly": 0.553,
        "IGEBM": 0.672,
        "Glow": 0.505,
        "PixelCNN++": 0.545,
    }
    assert averages.keys() == paper_numbers.TABLE1.keys()
    for name, average in averages.items():
        mean = np.mean(paper_numbers.TABLE1[name])
        assert mean == pytest.approx(average, abs=6e-4)


def test_every_method_file_has_a_row():
    files = {path.stem for path in (ROOT / "gin" / "methods").glob("*.gin")}
    assert set(mnist_tables.METHODS) == files | {"nae", "nae_cd", "nae_pcd"}
    papers = [row.paper for row in mnist_tables.ROWS if row.paper]
    assert set(papers) == set(paper_numbers.TABLE1)


def test_a_mean_needs_a_value():
    assert mean_and_error([]) == "–"  # noqa: RUF001
    assert mean_and_error([0.5]) == "0.500"


@pytest.mark.slow
@pytest.mark.parametrize("method", ["nae", "ae"])
def test_a_cell_trains(method, tiny_mnist, tmp_path, monkeypatch):
    monkeypatch.setattr(cells, "RESULTS", tmp_path / "results")
    (tmp_path / "gin").symlink_to(ROOT / "gin")
    monkeypatch.setattr(cells, "REPOSITORY", tmp_path)
    cell = mnist_tables.holdout_cell(method, 9, 3, "smoke")
    bindings = (*cell.bindings, *TINY)
    cell = dataclasses.replace(cell, bindings=bindings)
    origin = {"threads": 1, "commit": "c", "machine": "m"}
    results = cells.run_cell(cell, origin)
    assert cell.stored == (
        tmp_path / f"results/table1/smoke/{method}/digit9-seed3.json"
    )
    assert results["seed"] == 3
    assert results["task"] == "mnist without 9"
    models = ["Autoencoder"] if method == "ae" else ["AE", "NAE"]
    assert list(results["auroc"]) == models
    for row in mnist_tables.ROWS:
        if row.method == method:
            assert 0 <= row.values(results)["mnist 9"] <= 1
    # There is one epoch: the curve's points are the phases' ends.
    phases = ["training"] if method == "ae" else ["pretraining", "training"]
    assert [point["phase"] for point in results["curve"]] == phases
    for point, auroc in zip(
        results["curve"], results["auroc"].values(), strict=True
    ):
        assert point["auroc"] == pytest.approx(auroc)
        kept = results["selection"][point["phase"]]
        assert point["validation_error"] == kept["validation_error"] > 0
    assert 0 <= results["selection"]["training"]["selection_auroc"] <= 1
    seconds = [point["seconds"] for point in results["curve"]]
    assert seconds[0] > 0 and seconds == sorted(seconds)


@pytest.mark.parametrize(
    ("method", "sampler"),
    [
        ("nae", OnManifold),
        ("nae_cd", ContrastiveDivergence),
        ("nae_pcd", PersistentContrastiveDivergence),
        ("mpdr", ProjectionDiffusion),
        ("mixture", MixtureOfSamplers),
    ],
)
def test_methods_of_nae_differ_in_their_chain_starts(
    method, sampler, tiny_mnist
):
    cell = mnist_tables.holdout_cell(method, 9, 3, "cpu")
    files = [str(ROOT / file) for file in cell.gin_files]
    parse_config(files, (*cell.bindings, *TINY))
    experiment = Experiment.from_config()
    assert type(experiment.build_model().sampler) is sampler
    assert experiment.training.batch_size == 64  # As the budget says.
