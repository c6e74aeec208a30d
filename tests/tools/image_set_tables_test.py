"""Tables of one image set against others: from stored results, and settings."""

import dataclasses
import json

import gin
import pytest
from stored_cells import printed_rows, store

from reproduction import cells, paper_numbers
from reproduction.image_set_tables import FASHION_MNIST, TABLE2, TABLE4
from reproduction.markdown_tables import Request

DASH = "\N{EN DASH}"


@pytest.fixture(autouse=True)
def results_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(cells, "RESULTS", tmp_path)


def values(table, *numbers):
    read = [name for name in table.outliers if name not in table.missing]
    return dict(zip(read, numbers, strict=True))


def store_with_aupr(cell, auroc, aupr):
    store(cell, **auroc)
    results = json.loads(cell.stored.read_text()) | {"aupr": aupr}
    cell.stored.write_text(json.dumps(results))


def test_an_empty_table_is_shown(capsys):
    TABLE4.show(Request("cpu", seeds=(0,), show=True))
    rows, last = printed_rows(capsys)
    assert rows["`vqvae`"] == [*DASH * 6]
    assert rows["NAE-OMI of the paper"][1] == "0.999"
    assert last[-1].startswith("0 of 19 cells are stored.")


def test_table_4_has_a_column_for_every_outlier_set(capsys):
    found = values(TABLE4, 0.1, 0.2, 0.3, 0.4, 0.5)
    store(TABLE4.cell("ae", 0, "cpu"), Autoencoder=found)
    TABLE4.show(Request("cpu", seeds=(0,), show=True, methods=["ae"]))
    rows, _ = printed_rows(capsys)
    assert rows["outliers"][:-1] == list(found)
    assert rows["`ae`"] == [
        *(f"{value:.3f}" for value in found.values()),
        "**0.300**",
    ]


def test_table_2_leaves_the_column_of_celeba_to_the_paper(capsys):
    for seed, shift in enumerate((0.0, 0.2)):
        store_with_aupr(
            TABLE2.cell("nae", seed, "cpu_color"),
            {
                "AE": values(TABLE2, 0.1, 0.6, 0.2, 1.0),
                "NAE": values(TABLE2, 0.7 + shift, 0.8, 0.8, 1.0),
            },
            {
                "AE": values(TABLE2, 0.15, 0.55, 0.25, 1.0),
                "NAE": values(TABLE2, 0.5, 0.9, 0.7, 1.0),
            },
        )
    request = Request("cpu_color", seeds=(0, 1), show=True, methods=["nae"])
    TABLE2.show(request)
    printed = capsys.readouterr().out
    auroc, aupr = (
        {
            row[0]: row[1:]
            for row in (
                line.strip("| ").split(" | ") for line in block.splitlines()
            )
        }
        for block in printed.split("\nThe same by AUPR")
    )
    assert auroc["outliers"] == [*TABLE2.outliers, "mean"]
    # Standard error of two values: half their difference.
    assert auroc["NAE-OMI"] == [
        "0.800 ± 0.100",
        "0.800 ± 0.000",
        "0.800 ± 0.000",
        DASH,
        "1.000 ± 0.000",
        "**0.850**",
    ]
    assert auroc["AE, NAE's pre-training"][-1] == "**0.475**"
    paper = paper_numbers.TABLE2["NAE-OMI"]
    *shown_of_paper, mean = auroc["NAE-OMI of the paper"]
    assert shown_of_paper == [f"{value:.3f}" for value in paper]
    assert float(mean) == pytest.approx((sum(paper) - paper[3]) / 4, abs=6e-4)
    assert aupr["NAE-OMI"][:4] == [
        "0.500 ± 0.000",
        "0.900 ± 0.000",
        "0.700 ± 0.000",
        DASH,
    ]
    assert "NAE-OMI of the paper" not in aupr
    assert "celeba: only the paper's numbers" in printed


def test_cells_without_aupr_have_no_table_of_it(capsys):
    found = values(FASHION_MNIST, 0.1, 0.2, 0.3, 0.4)
    store(FASHION_MNIST.cell("ae", 0, "cpu"), Autoencoder=found)
    FASHION_MNIST.show(Request("cpu", seeds=(0,), show=True, methods=["ae"]))
    shown = capsys.readouterr().out
    assert "**0.250**" in shown
    assert "AUPR" not in shown


@pytest.mark.parametrize("table", [TABLE2, TABLE4, FASHION_MNIST])
def test_the_columns_are_those_of_the_preset(table):
    cell = table.cell("nae", 3, "cpu")
    read = [name for name in table.outliers if name not in table.missing]
    for bindings, columns in [((), table.outliers), (cell.bindings, read)]:
        cells.configure(dataclasses.replace(cell, bindings=bindings))
        outliers = gin.query_parameter("out_of_distribution.outliers")
        assert outliers == list(columns)
    assert gin.query_parameter("seed/macro.value") == 3
