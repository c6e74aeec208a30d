"""Figure 11: reconstructions of an autoencoder between two blobs of data."""

import numpy as np
import tensorflow as tf

from nae_tf.data.task import Task
from nae_tf.metrics.detection import auroc
from nae_tf.runs.configuration import parse_config
from nae_tf.training.experiment import Experiment
from reproduction.cells import REPOSITORY
from reproduction.figures.files import draw
from reproduction.plots.densities import Reconstructions, manifold_figure


def figure11():
    """Train AE, then NAE with its decoder fixed, on two blobs; draw them."""
    files = ("gin/two_blobs.gin", "gin/chain_starts/budget.gin")
    parse_config([str(REPOSITORY / file) for file in files])
    experiment = Experiment.from_config()
    assert experiment.pretraining is not None
    model = experiment.build_model()
    methods = {}
    for title, detector, phase in [
        ("AE", model.autoencoder(), experiment.pretraining),
        ("NAE, decoder fixed", model, experiment.training),
    ]:
        model.decoder.trainable = detector is not model
        detector.compile(phase.optimizer())
        detector.fit(
            experiment.task.train.training_batches(
                phase.batch_size, experiment.seed
            ),
            epochs=phase.epochs,
            steps_per_epoch=phase.steps(experiment.task.train),
            shuffle=False,
            verbose=0,
        )
        methods[title] = reconstruct(detector, experiment.task)
        scores = [
            detector.predict_outlier_score(examples.batches(8_192))
            for examples in (
                experiment.task.test,
                experiment.task.outliers["between"],
            )
        ]
        print(f"{title}: AUROC of the points between {auroc(*scores):.3f}")
    draw(manifold_figure(methods), "figure11")


def reconstruct(detector, task: Task) -> Reconstructions:
    """Return a detector's reconstructions of some points, and its manifold."""
    inliers, outliers = (
        next(examples.batches(count).as_numpy_iterator())
        for examples, count in [(task.test, 60), (task.outliers["between"], 12)]
    )
    # The range of the latents of inliers, and a little more.
    latents = detector.encode(tf.constant(inliers)).numpy()
    margin = 0.2 * np.ptp(latents)
    line = np.linspace(latents.min() - margin, latents.max() + margin, 400)
    return Reconstructions(
        inliers,
        outliers,
        detector(inliers).numpy(),
        detector(outliers).numpy(),
        detector.decode(tf.constant(line[:, None], tf.float32)).numpy(),
    )
