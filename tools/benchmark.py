"""Measure speed.

    python tools/benchmark.py data --gin_file=gin/mnist.gin

`data` compares what the input pipeline delivers with what training consumes:
examples per second of the loader alone, of a pre-training step and of a step of
the model itself, in turn, with the median and the range over the repeats. Run
it on a machine that does nothing else. Prints a table, and JSON with --json.
"""

import json
import statistics
import time

import tensorflow as tf
from absl import app, flags

from nae_tf.experiment import Experiment
from nae_tf.runtime import parse_config

FLAGS = flags.FLAGS
flags.DEFINE_multi_string("gin_file", ["gin/mnist.gin"], "Configuration.")
flags.DEFINE_multi_string("gin_bindings", [], "Bindings.")
flags.DEFINE_integer("repeats", 5, "Measurements of each kind.")
flags.DEFINE_float("seconds", 2.0, "Shortest time of one measurement.")
flags.DEFINE_bool("json", False, "Print JSON instead of a table.")


def rate(batches, batch_size: int, consume) -> float:
    """Examples per second that `consume` takes from an iterator of batches."""
    start = time.perf_counter()
    count = 0
    while (elapsed := time.perf_counter() - start) < FLAGS.seconds:
        consume(batches)
        count += batch_size
    return count / elapsed


def data() -> dict[str, list[float]]:
    """Examples per second: loader, pre-training step, training step."""
    parse_config(FLAGS.gin_file, FLAGS.gin_bindings)
    experiment = Experiment.from_config()
    model = experiment.build_model()
    consumers = {"loader": (experiment.training, lambda batches: next(batches))}
    if experiment.pretraining is not None:
        autoencoder = model.autoencoder()
        consumers["pretraining step"] = (
            experiment.pretraining,
            compiled_step(autoencoder, experiment.pretraining),
        )
    consumers["training step"] = (
        experiment.training,
        compiled_step(model, experiment.training),
    )
    measured = {}
    for name, (phase, consume) in consumers.items():
        batches = iter(
            experiment.task.train.training_batches(
                phase.batch_size,
                experiment.seed,
                dequantize=phase.dequantize,
                flip=phase.flip,
            )
        )
        consume(batches)  # Traces, and fills the pipeline.
        measured[name] = (batches, phase.batch_size, consume)
    rates: dict[str, list[float]] = {name: [] for name in measured}
    for _ in range(FLAGS.repeats):
        for name, arguments in measured.items():
            rates[name].append(rate(*arguments))
    return rates


def compiled_step(model, phase):
    """Return a function that trains `model` on the next batch."""
    model.compile(phase.optimizer())
    step = tf.function(model.train_step)
    return lambda batches: step((next(batches),))


def main(argv):
    """Run the sub-command that the command line names."""
    if argv[1:] != ["data"]:
        raise app.UsageError("expected the sub-command: data.")
    rates = data()
    if FLAGS.json:
        print(json.dumps(rates, indent=2))
        return
    loader = statistics.median(rates["loader"])
    print(f"{'examples per second':20}  {'median':>10}  {'range':>19}  loader")
    for name, values in rates.items():
        median = statistics.median(values)
        span = f"{min(values):.0f} to {max(values):.0f}"
        print(f"{name:20}  {median:10.0f}  {span:>19}  {loader / median:.0f}x")


if __name__ == "__main__":
    app.run(main)
