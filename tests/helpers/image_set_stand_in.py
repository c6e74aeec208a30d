"""Random examples in the format of real image sets."""

import numpy as np
import tensorflow as tf

from nae_tf.data import tfds_files, tfds_images


def stand_in(name, count, seed):
    """Random examples in the format of a real set, labels 0, 1, ..."""
    rng = np.random.default_rng(seed)
    tfds_name = tfds_images.IMAGE_SETS[name].tfds_name
    features = tfds_files.import_tfds().builder(tfds_name).info.features
    blank = tf.nest.map_structure(
        lambda info: b"" if info.tf_dtype == tf.string else 0,
        {
            key: features[key].get_tensor_info()
            for key in features
            if key != "image"
        },
    )
    # ImageNet32 does not declare its 32x32 pixels.
    shape = [side or 32 for side in features["image"].shape]
    examples = []
    for index in range(count):
        image = rng.integers(0, 256, shape, dtype=np.uint8)
        label = {"label": index % 10} if "label" in blank else {}
        examples.append({**blank, **label, "image": image})
    return examples


def write_set(folder, name, **splits):
    """Write a real builder's files, which hold a few examples by split."""
    tfds = tfds_files.import_tfds()
    builder = tfds.builder(
        tfds_images.IMAGE_SETS[name].tfds_name, data_dir=str(folder)
    )
    writer = tfds.core.SequentialWriter(
        tfds.core.DatasetInfo(builder=builder, features=builder.info.features),
        max_examples_per_shard=7,
    )
    builder.data_path.mkdir(parents=True)
    writer.initialize_splits(list(splits), fail_if_exists=False)
    writer.add_examples(splits)
    writer.close_all()
