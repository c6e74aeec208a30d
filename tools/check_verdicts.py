"""Check the verdict on ten failing and ten good trainings.

    python tools/check_verdicts.py
    python tools/check_verdicts.py --show

The cases were chosen before the first of them ran, and the limits on other data
(docs/log.md). A case is stored in tools/results/verdicts and not trained again.
Outliers of the test are scored only to be shown: no verdict sees them.
"""

import argparse
import dataclasses
import json
import pathlib
import re
import time
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import compare_recipe
from nae_tf import NAE
from nae_tf.metrics import auroc
from nae_tf.runs.disk import write_atomically
from nae_tf.training import Verdict
from reproduction import cells

RATE_FACTOR = 30
FEW = 50
_MOST = 2_000


@dataclasses.dataclass(frozen=True)
class Case:
    """A training: the recipe on a task, with one thing wrong or nothing.

    Attributes:
        task: name of a task of compare_recipe.
        wrong: "" for the recipe as it is; "rate" for 30 times its learning
            rates, "latents" for as many latents as values, "few" for 50
            training examples.
        seed: seed of split, weights and chains.
    """

    task: str
    wrong: str = ""
    seed: int = 0

    @property
    def file(self) -> pathlib.Path:
        """File of the stored case."""
        name = self.task.replace(",", "").replace(" ", "_")
        name = f"{name}-{self.wrong or 'good'}-seed{self.seed}.json"
        return cells.RESULTS / "verdicts" / name


FAILING = (
    Case("digits, 8", "rate"),
    Case("digits, 9", "rate"),
    Case("small MNIST, 4", "rate"),
    Case("breast cancer, malignant", "rate"),
    Case("digits, 9", "latents"),
    Case("breast cancer, malignant", "latents"),
    Case("wine, cultivar 1", "latents"),
    Case("digits, 9", "few"),
    Case("breast cancer, malignant", "few"),
    Case("small MNIST, 7", "few"),
)
GOOD = tuple(
    Case(task, seed=seed)
    for task in (
        "digits, 8",
        "digits, 9",
        "breast cancer, malignant",
        "wine, cultivar 1",
        "wine, cultivar 3",
    )
    for seed in (0, 1)
)


def run_case(case: Case) -> dict:
    """Train a case; return the lines of its verdict and both AUROCs."""
    train, inliers, outliers = compare_recipe.TASKS[case.task](case.seed)
    train = np.random.default_rng(case.seed).permutation(train[:_MOST])
    count = min(max(len(train) // 5, 20), 200)
    validation, train = train[:count], train[count:]
    if case.wrong == "few":
        train = train[:FEW]
    keras.utils.set_random_seed(case.seed)
    latents = train[0].size if case.wrong == "latents" else None
    encoder, decoder = compare_recipe.networks(train.shape[1:], latents)
    model = NAE(encoder, decoder, seed=case.seed)
    if train.ndim == 2:
        model.standardize(train)
    verdict = Verdict(validation)
    quiet: dict[str, Any] = {"verbose": 0, "callbacks": [verdict]}

    def measured():
        return auroc(
            model.predict_outlier_score(inliers),
            model.predict_outlier_score(outliers),
        )

    autoencoder = model.autoencoder()
    if case.wrong == "rate":
        for phase in (autoencoder, model):
            phase.budget = dataclasses.replace(
                phase.budget,
                learning_rate=RATE_FACTOR * phase.budget.learning_rate,
            )
    autoencoder.fit(train, steps="auto", **quiet)
    before = measured()
    model.fit(train, steps="auto", **quiet)
    assert verdict.diagnostics is not None
    return {
        **dataclasses.asdict(case),
        "num_train": len(train),
        "num_validation": len(validation),
        "AE": before,
        "NAE": measured(),
        "diagnostics": dataclasses.asdict(verdict.diagnostics),
        "failures": verdict.failures,
    }


def show() -> str:
    """Return what is stored as two tables."""
    lines = []
    found = []
    for title, cases, is_right in (
        ("failing", FAILING, bool),
        ("good", GOOD, lambda failures: not failures),
    ):
        stored = [
            json.loads(case.file.read_text())
            for case in cases
            if case.file.exists()
        ]
        found += stored
        right = sum(is_right(cell["failures"]) for cell in stored)
        lines += [
            f"{title}: verdict right in {right} of {len(stored)}; "
            f"{len(cases) - len(stored)} missing",
            "",
            "| case | seed | AE | NAE | verdict |",
            "|" + " --- |" * 5,
        ]
        for cell in stored:
            words = [re.split("[:;(]", x)[0].strip() for x in cell["failures"]]
            lines.append(
                f"| {' '.join(filter(None, [cell['task'], cell['wrong']]))} "
                f"| {cell['seed']} "
                f"| {cell['AE']:.3f} | {cell['NAE']:.3f} "
                f"| {'; '.join(words) or 'no sign of failure'} |"
            )
        lines.append("")
    if found:
        lines.append(cells.provenance(found))
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None):
    """Train the missing cases, or print what is stored."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--show", action="store_true", help="Print, and stop.")
    if not parser.parse_args(arguments).show:
        origin = cells.current_origin()
        for case in (*FAILING, *GOOD):
            if not case.file.exists():
                case.file.parent.mkdir(parents=True, exist_ok=True)
                start = time.monotonic()
                cell = run_case(case) | origin
                cell["seconds"] = round(time.monotonic() - start, 1)
                write_atomically(case.file, json.dumps(cell, indent=2) + "\n")
    print(show())


if __name__ == "__main__":
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    main()
