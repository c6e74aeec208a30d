"""Draw the curves of a good and of a bad training, for a guide.

    python tools/first_hour_curves.py

Digits without the 9: the recipe, and the same with 30 times its learning rate.
The curves are stored in tools/results/first_hour.json, and drawn again from
there; docs/guides/first_hour.md shows them.
"""

import dataclasses
import json

import keras
import numpy as np
import tensorflow as tf

import compare_recipe
from nae_tf import NAE
from nae_tf.metrics import auroc
from nae_tf.runs.disk import write_atomically
from nae_tf.training import SelectionAuroc, Verdict
from reproduction import cells
from reproduction.plots.images import INLIER, OUTLIER

FILE = cells.RESULTS / "first_hour.json"
FIGURE = cells.RESULTS.parents[1] / "docs" / "figures" / "first_hour.png"
RUNS = {"the recipe": 1, "30 times its rate": 30}
CURVES = {
    "sample_distance": "distance of samples to data",
    "sample_gap": "energy gap, deviations of data",
    "selection_auroc": "AUROC, made outliers",
    "test_auroc": "AUROC, held-out digit 9 (test)",
}
_NUM_VALIDATION = 200


class TestAuroc(keras.callbacks.Callback):
    """Add the AUROC of the test to the logs; nothing is chosen by it."""

    def __init__(self, inliers, outliers):
        super().__init__()
        self.sets = inliers, outliers

    def on_epoch_end(self, epoch, logs=None):
        """Score the test."""
        logs["test_auroc"] = auroc(
            *(self.model.predict_outlier_score(x) for x in self.sets)
        )


def curves(factor: int, seed: int = 0) -> dict[str, list[float]]:
    """Train, and return the curves of NAE's training by name, and the steps."""
    train, inliers, outliers = compare_recipe.digits(9, seed)
    train = np.random.default_rng(seed).permutation(train)
    validation, train = train[:_NUM_VALIDATION], train[_NUM_VALIDATION:]
    keras.utils.set_random_seed(seed)
    encoder, decoder = compare_recipe.networks(train.shape[1:])
    model = NAE(encoder, decoder, seed=seed)
    verdict = Verdict(validation)
    model.pretrain(train, verbose=0, callbacks=[verdict])
    model.budget = dataclasses.replace(
        model.budget, learning_rate=factor * model.budget.learning_rate
    )
    callbacks = [
        SelectionAuroc(validation),
        TestAuroc(inliers, outliers),
        verdict,
    ]
    history = model.fit(
        train, steps="auto", epochs=20, verbose=0, callbacks=callbacks
    )
    found = {name: list(map(float, history.history[name])) for name in CURVES}
    steps = history.params["steps"] * np.arange(1, len(history.epoch) + 1)
    return found | {"step": steps.tolist()}


def draw(found: dict[str, dict[str, list[float]]]):
    """Draw a panel per figure with a curve per run."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.0, 2.9), layout="constrained")
    for axes, (name, title) in zip(
        figure.subplots(1, len(CURVES)), CURVES.items(), strict=True
    ):
        for (run, values), color in zip(
            found.items(), (INLIER, OUTLIER), strict=True
        ):
            axes.plot(values["step"], values[name], color=color, label=run)
        axes.set_title(title, fontsize=9)
        axes.set_xlabel("step of NAE's training", fontsize=8)
        axes.tick_params(labelsize=8)
        axes.legend(fontsize=7)
    return figure


def main():
    """Train what is not stored, and draw."""
    if not FILE.exists():
        origin = cells.current_origin()
        found = {name: curves(factor) for name, factor in RUNS.items()}
        result = {"runs": found, "seed": 0} | origin
        write_atomically(FILE, json.dumps(result, indent=2) + "\n")
    figure = draw(json.loads(FILE.read_text())["runs"])
    figure.savefig(FIGURE, dpi=110, metadata={"Software": None})
    print(FIGURE)


if __name__ == "__main__":
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    main()
