"""Files of a user: images, folders of them, and TFRecord files."""

import numpy as np
import tensorflow as tf


def random_images(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def write_png(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(tf.io.encode_png(image).numpy())


def write_folder(folder, images):
    for index, image in enumerate(images):
        write_png(folder / f"{index:03}.png", image)
    return str(folder)


def write_tfrecord(path, records):
    """Write a record for every dictionary of bytes or lists of floats."""
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            features = {}
            for name, value in record.items():
                if isinstance(value, bytes):
                    feature = tf.train.Feature(
                        bytes_list=tf.train.BytesList(value=[value])
                    )
                else:
                    feature = tf.train.Feature(
                        float_list=tf.train.FloatList(value=value)
                    )
                features[name] = feature
            example = tf.train.Example(
                features=tf.train.Features(feature=features)
            )
            writer.write(example.SerializeToString())
