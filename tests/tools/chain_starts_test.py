"""The two-dimensional experiments, on tiny budgets."""

import dataclasses
import json
import pathlib
import shutil

import keras
import numpy as np
import pytest
from stored_cells import store
from tiny_models import vector_networks

from nae_tf import NAE
from nae_tf.baselines import VAE
from nae_tf.runs import configuration
from reproduction import (
    chain_starts,
    markdown_tables,
    two_blobs,
)
from reproduction.density_grid import Grid

ROOT = pathlib.Path(__file__).resolve().parents[2]

TINY = (
    "FCRes2Encoder.units=8",
    "FCRes2Encoder.hidden_units=8",
    "FCRes2Encoder.num_blocks=1",
    "FCRes2Decoder.units=8",
    "FCRes2Decoder.hidden_units=8",
    "FCRes2Decoder.num_blocks=1",
    "latent/LangevinChain.num_steps=2",
    "visible/LangevinChain.num_steps=2",
    *(
        f"{phase}/Phase.{setting}"
        for phase in ("pretraining", "training", "baseline")
        for setting in ("epochs=1", "steps_per_epoch=2")
    ),
)


def vector_nae_of_the_plane():
    keras.utils.set_random_seed(0)
    return NAE(*vector_networks(units=2))


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """Cells below tmp_path, with tiny networks and budgets."""
    from reproduction import cells

    monkeypatch.setattr(cells, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(cells, "REPOSITORY", tmp_path)
    for folder in ("gin", ".git"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    monkeypatch.setattr(two_blobs, "REPOSITORY", tmp_path)
    monkeypatch.setattr(chain_starts, "GRID", Grid(-5.0, 5.0, 20))
    monkeypatch.setattr(chain_starts, "_NUM_SAMPLES", 60)

    def train_here(missing, jobs):
        for cell in missing:
            if cell.stored.exists():
                continue
            cell = dataclasses.replace(cell, bindings=(*cell.bindings, *TINY))
            cells.run_cell(cell, {"threads": 1, "commit": "c", "machine": "m"})

    monkeypatch.setattr(markdown_tables, "run_missing", train_here)
    return tmp_path


def test_the_table_of_figure_3_has_a_row_for_each_start_and_move(tiny, capsys):
    for row, moves in enumerate(chain_starts.MOVES):
        for column, start in enumerate(chain_starts.CHAIN_STARTS):
            for seed in range(2):
                cell = chain_starts.chain_start_cell(start, moves, seed)
                store(cell)
                density = {
                    "total_variation": 0.1 * row + 0.01 * column,
                    "kl_divergence": 1.0 + seed,
                    "squared_mmd": 0.004,
                }
                results = json.loads(cell.stored.read_text())
                cell.stored.write_text(
                    json.dumps(results | {"density": density})
                )
    chain_starts.figure3(num_seeds=2, jobs=1, show=True)
    found = [
        [part.strip() for part in line.strip("|").split("|")]
        for line in capsys.readouterr().out.splitlines()[2:14]
    ]
    assert found == [
        [
            start,
            moves,
            f"{0.1 * row + 0.01 * column:.3f} ± 0.000",
            f"1.500 ± {0.5**0.5:.3f}",
            "4.000 ± 0.000",
        ]
        for row, moves in enumerate(
            ["notebook moves", "small moves", "large moves"]
        )
        for column, start in enumerate(
            ["CD", "PCD, no restart", "PCD, restart", "OMI"]
        )
    ]


@pytest.mark.slow
def test_figure_3_measures_every_chain_start_and_draws(
    tiny, capsys, monkeypatch
):
    starts, drawn = ("OMI",), chain_starts._DRAWN_MOVES
    for name, some in [("CHAIN_STARTS", starts), ("MOVES", drawn)]:
        whole = getattr(chain_starts, name)
        monkeypatch.setattr(chain_starts, name, {x: whole[x] for x in some})
    chain_starts.figure3(num_seeds=1, jobs=1, show=False)
    table = capsys.readouterr().out.splitlines()[:4]
    assert (tiny / "docs" / "figures" / "figure3.png").exists()
    ways = [(start, moves) for moves in chain_starts.MOVES for start in starts]
    for (start, moves), row in zip(ways, table[2:], strict=True):
        cell = chain_starts.chain_start_cell(start, moves, 0)
        density = cell.results()["density"]
        assert row.startswith(
            f"| {start} | {moves} | {density['total_variation']:.3f} |"
        )
        # The distances by hand, from the trained model.
        model, data = chain_starts.load_cell(cell)
        grid = chain_starts.GRID
        energy = np.sum((grid.points() - model(grid.points())) ** 2, 1) / 2
        values = np.exp(-energy / float(model.temperature))
        values = values.reshape(20, 20) / (values.sum() * 0.25)
        truth = chain_starts.true_density()
        distance = 0.5 * np.abs(values - truth).sum() * 0.25
        assert density["total_variation"] == pytest.approx(distance, rel=1e-4)
        assert len(data) == 60
    # Stored results need no run; a picture does.
    shutil.rmtree(tiny / "runs")
    (tiny / "docs" / "figures" / "figure3.png").unlink()
    chain_starts.figure3(num_seeds=1, jobs=1, show=True)
    assert table == capsys.readouterr().out.splitlines()[:4]
    assert not (tiny / "docs" / "figures" / "figure3.png").exists()
    with pytest.raises(FileNotFoundError, match=r"remove .* to train it"):
        chain_starts.figure3(num_seeds=1, jobs=1, show=False)


def test_an_autoencoder_is_a_normal_distribution_around_its_reconstruction():
    autoencoder = vector_nae_of_the_plane().autoencoder()
    data = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
    density = chain_starts.model_density(autoencoder, data)
    x = chain_starts.GRID.points()
    errors = np.sum((x - autoencoder(x)) ** 2, axis=1)
    variance = np.mean((data - autoencoder(data)) ** 2)
    expected = np.exp(-errors / (2 * variance))
    expected /= expected.sum() * chain_starts.GRID.cell_area
    np.testing.assert_allclose(density.ravel(), expected, rtol=1e-3)


def test_the_density_of_a_vae_is_its_own_likelihood():
    keras.utils.set_random_seed(0)
    _, decoder = vector_networks(units=2)
    latent_dim = decoder.input_shape[-1]
    # Importance samples from the prior, so that their weights are even.
    dense = keras.layers.Dense(2 * latent_dim, kernel_initializer="zeros")
    encoder = keras.Sequential([keras.Input((2,)), dense])
    vae = VAE(encoder, decoder, score="likelihood", num_samples=1_000)
    log_density = chain_starts.model_log_density(vae, np.zeros((4, 2)))
    # The marginal likelihood by plain Monte Carlo from the prior.
    z = np.random.default_rng(0).normal(size=(4_000, latent_dim))
    means = decoder(z.astype(np.float32)).numpy()
    x = chain_starts.GRID.points()
    near = np.flatnonzero(np.abs(x).max(axis=1) < 2.0)[::200]
    squares = np.sum((x[near, None] - means) ** 2, axis=2)
    expected = np.mean(np.exp(-squares / 2) / (2 * np.pi), axis=1)
    np.testing.assert_allclose(np.exp(log_density[near]), expected, rtol=0.1)


@pytest.mark.slow
def test_figure_5_is_drawn(tiny, capsys):
    chain_starts.figure5(jobs=1, show=False)
    rows = capsys.readouterr().out.splitlines()[2:8]
    assert [row.split(" | ")[:2] for row in rows] == [
        ["| AE", "1"],
        ["| VAE", "1"],
        ["| NAE", "1"],
        ["| AE", "3"],
        ["| VAE", "3"],
        ["| NAE", "3"],
    ]
    assert (tiny / "docs" / "figures" / "figure5.png").exists()


def test_figure_11_is_drawn(tiny, capsys, monkeypatch):
    parse = configuration.parse_config
    monkeypatch.setattr(
        two_blobs, "parse_config", lambda files: parse(files, TINY)
    )
    two_blobs.figure11()
    assert "NAE, decoder fixed: AUROC" in capsys.readouterr().out
    assert (tiny / "docs" / "figures" / "figure11.png").exists()
