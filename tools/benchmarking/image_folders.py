"""Measure the reading of folders of images beside Keras's own loader.

    python tools/benchmarking/image_folders.py [--number=3000] [--size=256]
    python tools/benchmarking/image_folders.py --mode=memory --number=100000

Writes PNG files of smooth patterns to a folder of its own. In the mode speed,
contenders take turns in processes of their own: an epoch of
`keras.utils.image_dataset_from_directory`, an epoch of a training from a folder
that does not fit in memory, the check of all files before a training, and
batches as `nae-tf score` reads them. Shown are the median of images per second,
the range over the turns, and the time of cores, on which other programs of the
machine have less influence. The mode memory trains an autoencoder for an epoch
and scores the whole folder by its export, each in a process of its own; shown
is the most memory that the process held. --json=FILE keeps all measurements.
"""

import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np
from absl import app, flags

FLAGS = flags.FLAGS
flags.DEFINE_enum("mode", "speed", ["speed", "memory"], "What is measured.")
flags.DEFINE_integer("number", 3_000, "Number of images.")
flags.DEFINE_integer("size", 256, "Height and width of the images, pixels.")
flags.DEFINE_integer("channels", 1, "1 for grey, 3 for colours.")
flags.DEFINE_integer("batch_size", 32, "Images per batch.")
flags.DEFINE_integer("repeats", 5, "Number of turns that count.")
flags.DEFINE_string("json", None, "File of all single measurements.")
flags.DEFINE_string("contender", None, "Measured once, in this process.")
flags.DEFINE_string("folder", None, "Images that --contender reads.")
_DISTINCT = 64

# Reads, trains on or scores images, and returns their number.
Work = Callable[[], int]


def write_images(folder: pathlib.Path):
    """Write smooth patterns; of many images, some have the same pixels."""
    from PIL import Image

    generator = np.random.default_rng(0)
    axis = np.linspace(0, 1, FLAGS.size)
    encoded = []
    for number in range(_DISTINCT):
        waves = generator.uniform(2, 20, (FLAGS.channels, 2))
        pattern = [np.add.outer(a * axis, b * axis) for a, b in waves]
        waving = np.sin(np.stack(pattern, axis=-1))
        pixels = (127.5 + 127.5 * waving).astype(np.uint8)
        image = Image.fromarray(
            pixels[..., 0] if pixels.shape[-1] == 1 else pixels
        )
        path = folder / f"{number}.png"
        image.save(path)
        encoded.append(path.read_bytes())
        path.unlink()
    folder = folder / "good"
    folder.mkdir()
    for number in range(FLAGS.number):
        (folder / f"{number:06}.png").write_bytes(encoded[number % _DISTINCT])


def _files():
    """The folder, as a training reads it that does not fit in memory."""
    from nae_tf.data import read_files, sources

    sources.MAX_BYTES_IN_MEMORY = 0
    return read_files(f"{FLAGS.folder}/good")


def _count(batches) -> int:
    return sum(len(batch) for batch in batches)


def epoch_of_keras() -> Work:
    """An epoch of Keras's loader, shuffled as it is by default."""
    import keras

    batches = keras.utils.image_dataset_from_directory(
        FLAGS.folder,
        labels=None,
        color_mode="grayscale" if FLAGS.channels == 1 else "rgb",
        batch_size=FLAGS.batch_size,
        image_size=(FLAGS.size, FLAGS.size),
    )
    return lambda: _count(batches)


def epoch_of_training() -> Work:
    """An epoch of our training batches."""
    files = _files()
    examples = files.select("all", np.arange(files.size))
    steps = files.size // FLAGS.batch_size
    batches = examples.training_batches(FLAGS.batch_size, seed=0).take(steps)
    return lambda: _count(batches)


def check_before_training() -> Work:
    """All files are found and decoded once."""
    import nae_tf.data  # noqa: F401  Importing is not what is measured.

    return lambda: _files().size


def batches_of_score() -> Work:
    """The batches of `nae-tf score`."""
    from nae_tf.data.readers.stream import open_stream

    shape = (FLAGS.size, FLAGS.size, FLAGS.channels)

    def read():
        stream = open_stream(f"{FLAGS.folder}/good", shape, FLAGS.batch_size)
        return _count(batch.load() for batch in stream.batches)

    return read


def _autoencoder():
    """A convolutional autoencoder that is small beside its images."""
    import keras
    from keras import layers

    from nae_tf import Autoencoder

    small = FLAGS.size // 16
    encoder = keras.Sequential(
        [
            keras.Input((FLAGS.size, FLAGS.size, FLAGS.channels)),
            layers.Conv2D(8, 16, strides=16, activation="relu"),
            layers.Flatten(),
            layers.Dense(16),
        ]
    )
    decoder = keras.Sequential(
        [
            keras.Input((16,)),
            layers.Dense(small**2 * 8, activation="relu"),
            layers.Reshape((small, small, 8)),
            layers.Conv2DTranspose(
                FLAGS.channels, 16, strides=16, activation="sigmoid"
            ),
        ]
    )
    model = Autoencoder(encoder, decoder)
    model.compile(keras.optimizers.Adam(1e-3))
    return model


def memory_of_training() -> Work:
    """An epoch of training, with the check before it."""
    from nae_tf.data import read_files

    model = _autoencoder()

    def train():
        files = read_files(f"{FLAGS.folder}/good")
        examples = files.select("all", np.arange(files.size))
        model.fit(
            examples.training_batches(FLAGS.batch_size, seed=0),
            steps_per_epoch=files.size // FLAGS.batch_size,
            verbose=0,
        )
        return files.size

    return train


def memory_of_scoring() -> Work:
    """Scores of all images by an export, as the command computes them."""
    from nae_tf.data.readers.stream import open_stream
    from nae_tf.serving import Calibration, ExportedModel, export_model
    from nae_tf.serving.scoring import score_batches

    calibration = Calibration(np.linspace(0, 1, 99))
    with tempfile.TemporaryDirectory() as folder:
        model = ExportedModel(export_model(_autoencoder(), calibration, folder))

    def score():
        stream = open_stream(
            f"{FLAGS.folder}/good", model.example_shape, FLAGS.batch_size
        )
        return sum(len(rows) for rows in score_batches(model, stream, []))

    return score


MODES = {
    "speed": {
        "keras": epoch_of_keras,
        "training": epoch_of_training,
        "check": check_before_training,
        "score": batches_of_score,
    },
    "memory": {"training": memory_of_training, "scoring": memory_of_scoring},
}


def measure(work: Work) -> dict[str, float]:
    """Return what some work on images takes."""
    start, used = time.perf_counter(), time.process_time()
    number = work()
    seconds = time.perf_counter() - start
    cores = time.process_time() - used
    if FLAGS.number - number >= FLAGS.batch_size:
        raise ValueError(f"expected {FLAGS.number} images, received {number}.")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "images": number,
        "seconds": seconds,
        "core_seconds": cores,
        "peak_bytes": 1024 * peak,
    }


def measured(contender: str, folder) -> dict[str, float]:
    """Let a contender take its turn in a process of its own."""
    settings = ("mode", "number", "size", "channels", "batch_size")
    command = [sys.executable, __file__, f"--contender={contender}"]
    command += [f"--{name}={FLAGS[name].value}" for name in settings]
    output = subprocess.check_output(
        [*command, f"--folder={folder}"], text=True
    )
    return json.loads(output.splitlines()[-1])


def main(_):
    """Measure one contender, or let all take turns."""
    contenders = MODES[FLAGS.mode]
    if FLAGS.contender is not None:
        print(json.dumps(measure(contenders[FLAGS.contender]())))
        return
    results: dict[str, list] = {name: [] for name in contenders}
    with tempfile.TemporaryDirectory() as folder:
        write_images(pathlib.Path(folder))
        repeats = FLAGS.repeats if FLAGS.mode == "speed" else 0
        for turn in range(repeats + 1):
            for name, turns in results.items():
                found = measured(name, folder)
                if turn or not repeats:  # The first reads into the cache.
                    turns.append(found)
    for name, turns in results.items():
        rates = [turn["images"] / turn["seconds"] for turn in turns]
        cores = statistics.median(
            turn["core_seconds"] / turn["images"] for turn in turns
        )
        peak = max(turn["peak_bytes"] for turn in turns)
        print(
            f"{name:9} {statistics.median(rates):.0f} images per second "
            f"({min(rates):.0f} to {max(rates):.0f}), {1e6 * cores:.0f} "
            f"microseconds of a core per image, {peak >> 20} MiB at most"
        )
    if FLAGS.json:
        settings = {
            name: FLAGS[name].value
            for name in ("mode", "number", "size", "channels", "batch_size")
        }
        text = json.dumps(
            {"cores": os.cpu_count(), **settings, "turns": results}, indent=1
        )
        pathlib.Path(FLAGS.json).write_text(text + "\n")


if __name__ == "__main__":
    app.run(main)
