"""Cells of tables: tiny settings, stored results, printed rows."""

import json

from reproduction import cells

TINY = (
    "Conv28Encoder.width = 2",
    "Conv28Encoder.hidden_units = 4",
    "Conv28Decoder.width = 2",
    "latent_dim = 2",
)


def store(cell, **auroc):
    cell.stored.parent.mkdir(parents=True, exist_ok=True)
    origin = {"seconds": 60, "threads": 2, "commit": "c", "machine": "m"}
    origin["settings"] = cells.configure(cell)
    cell.stored.write_text(json.dumps({"auroc": auroc} | origin))


def printed_rows(capsys):
    """Printed tables by their first column, and what follows them."""
    lines = capsys.readouterr().out.splitlines()
    table = [line.strip("| ").split(" | ") for line in lines if "|" in line]
    return {row[0]: row[1:] for row in table}, lines[-2:]
