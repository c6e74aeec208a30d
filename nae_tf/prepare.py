"""Put an image data set where tensorflow-datasets, and so nae_tf, finds it.

    python -m nae_tf.prepare --dataset=mnist
    python -m nae_tf.prepare --dataset=fashion_mnist \
        --import_from=/usr/share/datasets/fashion-mnist

The first command downloads, the second takes raw files that are already here
(those of Debian's package dataset-fashion-mnist). Either way the files are
checked against the sums of the originals, and the data set appears under its
name when it is whole: an interrupted command can simply be given again. Files
that were downloaded completely are not downloaded again.
"""

import sys

from absl import app, flags

from nae_tf.data.preparation import prepare
from nae_tf.data.tfds_images import IMAGE_SETS

FLAGS = flags.FLAGS
flags.DEFINE_enum("dataset", None, sorted(IMAGE_SETS), "Data set to prepare.")
flags.DEFINE_string(
    "data_dir",
    None,
    "Folder of tensorflow-datasets; by default the environment variable "
    "NAE_TF_DATA_DIR, or else the default of tensorflow-datasets.",
)
flags.DEFINE_string(
    "import_from", None, "Folder of raw files to use instead of a download."
)


def main(argv):
    """Prepare the data set that the flags name."""
    if len(argv) > 1:
        raise app.UsageError(f"unexpected argument {argv[1]!r}")
    try:
        target = prepare(FLAGS.dataset, FLAGS.data_dir, FLAGS.import_from)
    except ModuleNotFoundError as error:
        sys.exit(
            f"prepare: {error}; it comes with `pip install 'nae-tf[datasets]'`."
        )
    except (
        ImportError,
        OSError,
        ValueError,
    ) as error:  # Also those of the network.
        sys.exit(f"prepare: {error}")
    print(f"{FLAGS.dataset} is in {target}")


if __name__ == "__main__":
    flags.mark_flag_as_required("dataset")
    app.run(main)
