"""Likelihood and complexity of images: measures, and a cell of a tiny run."""

import json
import math
import zlib

import numpy as np
import pytest
from stored_cells import printed_rows

from reproduction import cells
from reproduction.likelihood import (
    bits_per_dimension,
    compressed_sizes,
    dequantized,
    grey_images,
    likelihood,
    likelihood_cell,
    panels,
    print_complexity,
    print_likelihoods,
)
from reproduction.markdown_tables import Request
from reproduction.plots.complexity import complexity_figure

TINY = (
    "MLPEncoder.hidden_units = (4,)",
    "MLPDecoder.hidden_units = (4,)",
    "pretraining/Phase.epochs = 1",
    "training/Phase.epochs = 1",
    "training/Phase.steps_per_epoch = 1",
    "baseline/Phase.epochs = 1",
    "baseline/Phase.steps_per_epoch = 1",
    "Glow.num_steps = 1",
    "Glow.hidden_channels = 2",
    "latent/LangevinChain.num_steps = 1",
    "visible/LangevinChain.num_steps = 1",
)


def test_sizes_are_those_of_the_grey_levels():
    noise = np.random.default_rng(0).integers(0, 17, (8, 8, 1))
    images = np.stack([np.zeros((8, 8, 1)), noise / 16])
    flat, complex_ = compressed_sizes(images.astype(np.float32), 17)
    assert complex_ == len(zlib.compress(noise.astype(np.uint8).tobytes(), 9))
    assert flat < complex_ / 2


def test_there_is_a_grey_image_of_every_level():
    images = grey_images((2, 3, 1), 5)
    assert images.shape == (5, 2, 3, 1)
    np.testing.assert_array_equal(images.min((1, 2, 3)), np.arange(5) / 4)
    np.testing.assert_array_equal(images.max((1, 2, 3)), np.arange(5) / 4)


def test_noise_stays_within_its_level():
    images = grey_images((4, 4, 1), 17)
    noisy = dequantized(images, 17, 3, seed=0)
    assert noisy.shape == (51, 4, 4, 1)
    assert noisy.min() >= 0 and noisy.max() <= 1
    levels = np.concatenate([images * 16] * 3)
    np.testing.assert_array_equal(np.minimum(np.floor(noisy * 17), 16), levels)
    assert np.ptp(noisy[0]) > 0.02


def test_a_uniform_density_takes_all_bits_of_the_levels():
    assert bits_per_dimension(0.0, 64, 16) == 4.0
    # A density of 2 where the data are halves the levels.
    assert bits_per_dimension(64 * math.log(2), 64, 16) == pytest.approx(3.0)


@pytest.mark.parametrize(
    "method", [pytest.param(None, marks=pytest.mark.slow), "glow"]
)
def test_a_cell_of_a_tiny_run(method, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(cells, "RESULTS", tmp_path)
    monkeypatch.setattr(
        cells.Cell, "run_dir", property(lambda cell: tmp_path / "run")
    )
    monkeypatch.setattr("reproduction.likelihood._NUM_TEMPERATURES", 4)
    cell = likelihood_cell(method, 1, 0)
    cell = cells.Cell(
        cell.name, cell.gin_files, (*cell.bindings, *TINY), cell.measure
    )
    cells.run_cell(cell, {"commit": "c", "machine": "m", "threads": 1})
    result = json.loads(cell.stored.read_text())
    names = ["AE", "NAE"] if method is None else ["Glow"]
    images = result["images"]
    # Of 182 digits 1, 1,615 others, a fifth of them for the test.
    counts = {"test digits": 323, "digit 1": 182, "ConstantGray": 17}
    for name, count in counts.items():
        assert len(images[name]["sizes"]) == count
        for each in names:
            assert len(images[name][each]) == count
    for each in names:
        low, high = result["likelihood"][each]["bits"]["test digits"]
        assert 0 < low <= high < 20
    print_likelihoods({method: result}, "digit 1")
    rows, _ = printed_rows(capsys)
    for each in names:
        found = result["likelihood"][each]
        if each == "Glow":
            # The same score that the AUROC is of.
            mean = np.mean(images["test digits"]["Glow"])
            assert rows[each][0] == f"{mean:.2f}"
        else:
            few = "do not trust" in rows[each][-1]
            assert few == (found["sample_size"] < 1.5)
    print_complexity({method: result}, "digit 1")
    rows, _ = printed_rows(capsys)
    for each in names:
        auroc = result["auroc"][each]["digit 1"]
        assert float(rows[each][2]) == pytest.approx(auroc, abs=1e-3)
    assert rows["compressed size"][0] == "1.000"
    figure = complexity_figure(panels({method: result}))
    assert [axes.get_title() for axes in figure.axes][: len(names)] == names


def test_methods_are_chosen_by_name(tmp_path, monkeypatch):
    monkeypatch.setattr(cells, "RESULTS", tmp_path)
    request = Request("cpu", (0,), show=True, digits=(1,), methods=["vae"])
    with pytest.raises(ValueError, match="nae, igebm, glow, pixelcnn"):
        likelihood(request)
    request = Request("cpu", (0,), show=True, digits=(1,), methods=["glow"])
    with pytest.raises(SystemExit, match="no cell is stored"):
        likelihood(request)
