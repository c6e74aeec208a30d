"""Prepare an image data set for tensorflow-datasets, and so for nae_tf.

    nae-tf prepare --dataset=mnist
    nae-tf prepare --dataset=fashion_mnist \
        --import_from=/usr/share/datasets/fashion-mnist

The first command downloads. The second takes raw files from a folder, here
those of Debian's package dataset-fashion-mnist. Both check the files against
the checksums of the originals. The data set appears under its name when it is
complete, so an interrupted command can simply be given again. Files that were
downloaded completely are not downloaded again.
"""

from absl import flags

from nae_tf.data.preparation import prepare
from nae_tf.data.tfds_images import IMAGE_SETS
from nae_tf.runs.command_line import run_command


def define_flags():
    """Define the flags of a preparation."""
    flags.DEFINE_enum(
        "dataset",
        None,
        sorted(IMAGE_SETS),
        "The data set to prepare.",
        required=True,
    )
    flags.DEFINE_string(
        "data_dir",
        None,
        "The folder of data sets. The default is the environment variable "
        "NAE_TF_DATA_DIR, or else the default of tensorflow-datasets.",
    )
    flags.DEFINE_string(
        "import_from",
        None,
        "The folder of raw files that are used instead of a download.",
    )


def main():
    """Prepare the data set that the flags name."""
    options = flags.FLAGS
    try:
        target = prepare(options.dataset, options.data_dir, options.import_from)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{error}; it comes with `pip install 'nae-tf[datasets]'`."
        ) from error
    print(f"{options.dataset} is in {target}")


if __name__ == "__main__":
    run_command(main, define_flags)
