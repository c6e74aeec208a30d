"""Importing data sets, and the paper's figures and tables."""

import gzip
import hashlib
import json
import types

import numpy as np
from preparation import local_files, preparation_module

from reproduction import cells, learning_curve, mnist_tables, search_budget
from reproduction.figures import image_figures, plane_figures
from reproduction.markdown_tables import Request

FIGURES = plane_figures.FIGURES | image_figures.FIGURES


def imported(contents, damage):
    """Import a file of `contents` that has been damaged."""

    def call(tmp_path):
        files = local_files(tmp_path, {"images": contents})
        if damage is not None:
            (tmp_path / "raw" / "images.gz").write_bytes(damage(contents))
        files.download_and_extract("http://host/images.gz")

    return call


def changed_archive(tmp_path):
    url = "http://host/photos.zip"
    info = types.SimpleNamespace(
        filename="photos.zip", checksum=hashlib.sha256(b"photos").hexdigest()
    )
    files = local_files(tmp_path, {}, {url: info})
    (tmp_path / "raw" / "photos.zip").write_bytes(b"photoS")
    files.download(url)


def folder_that_does_not_exist(tmp_path):
    preparation_module().prepare("mnist", str(tmp_path), str(tmp_path / "none"))


def place_that_is_taken(tmp_path):
    (tmp_path / "mnist" / "3.0.1").mkdir(parents=True)
    preparation_module().prepare("mnist", str(tmp_path), str(tmp_path))


def of_digits(figure, *indices):
    """Draw a figure of runs on the digits, by their indices."""
    return lambda digits_runs: FIGURES[figure](
        [digits_runs[index] for index in indices]
    )


def of_the_plane(figure):
    return lambda plane_run: FIGURES[figure]([plane_run])


def search_without_a_name():
    search_budget.search(Request("cpu", seeds=(0,)), None, [])


def search_under_the_name_of_another(tmp_path, monkeypatch):
    monkeypatch.setattr(cells, "RESULTS", tmp_path)
    trial = search_budget.trial_cell("cpu", "slow", 9, 0, ["latent_dim=8"])
    trial.stored.parent.mkdir(parents=True)
    trial.stored.write_text(json.dumps({"bindings": trial.bindings}))
    request = Request("cpu", seeds=(0,), digits=(9,))
    search_budget.search(request, "slow", ["latent_dim=16"])


def curves_that_are_not_stored(tmp_path, monkeypatch):
    monkeypatch.setattr(cells, "RESULTS", tmp_path)
    request = Request("cpu", seeds=(0,), show=True)
    learning_curve.draw_learning_curves(
        mnist_tables.holdout_cells(request, ["nae"])
    )


CASES = {
    "unknown budget": (
        lambda: mnist_tables.holdout_cell("nae", 9, 0, "gpu"),
        "no budget 'gpu'; choose one of cpu, cpu_ablations, "
        "cpu_color, cpu_color_capped, cpu_color_long, cpu_long_latent_steps, "
        "cpu_medium, cpu_medium_capped, cpu_short, cpu_short_capped, paper, "
        "smoke",
    ),
    "unknown method": (
        lambda: mnist_tables.holdout_cell("naee", 9, 0, "cpu"),
        "no method 'naee'; choose one of nae, nae_cd",
    ),
    "search without a name": (search_without_a_name, "--variant"),
    "search under the name of another": (
        search_under_the_name_of_another,
        "slow/digit9-seed0 is stored with the bindings holdout_class = 9; "
        "seed = 0; latent_dim=8; call",
    ),
    "learning curve without cells": (
        curves_that_are_not_stored,
        "no such cell of table1 is stored",
    ),
    "changed file": (
        imported(b"original", lambda _: gzip.compress(b"originaL")),
        r"images\.gz is not the original",
    ),
    "truncated file": (
        imported(
            np.random.default_rng(0).bytes(5_000),
            lambda contents: gzip.compress(contents)[:-900],
        ),
        r"images\.gz cannot be decompressed",
    ),
    "missing file": (
        imported(b"", None),
        r"no file images\.gz or images",
        FileNotFoundError,
    ),
    "changed archive": (changed_archive, r"photos\.zip is not the original"),
    "folder that does not exist": (
        folder_that_does_not_exist,
        "no folder .*none",
        FileNotFoundError,
    ),
    "place that is taken": (
        place_that_is_taken,
        r"exists, but has the splits \[\]",
    ),
    **{
        f"{figure} of images": (of_digits(figure, 0), "shows a plane")
        for figure in ("figure2", "figure4")
    },
    **{
        f"{figure} of the plane": (of_the_plane(figure), "shows images")
        for figure in ("figure1", "figure6", "figure8", "figure9")
    },
    "figure1 of two runs": (
        of_digits("figure1", 0, 1),
        "expected one --run_dir, received 2",
    ),
    "figure9 without pictures": (
        of_digits("figure9", 1),
        "no images 'samples/on_manifold'",
    ),
    "figure12 of one run": (
        of_digits("figure12", 0),
        "name several --run_dir",
    ),
    "figure6 of one digit": (
        of_digits("figure6", 0, 0),
        "two runs hold out 'digit 4'",
    ),
}
