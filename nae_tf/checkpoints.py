"""Checkpoints of a phase: weights, optimizer and replay buffer."""

import pathlib

import tensorflow as tf


def checkpoint_manager(model, directory: pathlib.Path):
    """Return the manager that keeps a phase's newest checkpoint.

    TensorFlow writes a checkpoint under temporary names and points to it when
    it is whole, so an interrupted write leaves the one before in place.
    """
    return tf.train.CheckpointManager(
        tf.train.Checkpoint(model=model),
        str(directory),
        max_to_keep=1,
        checkpoint_name="epoch",
    )


def restore(model, directory: pathlib.Path):
    """Load a phase's checkpoint into a model of the same configuration.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it belongs to another model.
    """
    path = tf.train.latest_checkpoint(str(directory))
    if path is None:
        raise FileNotFoundError(
            f"{str(directory)!r} holds no checkpoint; the training did not get "
            "that far. Train the run again."
        )
    status = tf.train.Checkpoint(model=model).restore(path)
    try:
        status.assert_existing_objects_matched().expect_partial()
    except (AssertionError, ValueError) as error:
        raise ValueError(
            f"the checkpoint {path!r} does not fit the model of the run's "
            f"config.gin: {str(error).splitlines()[0]}"
        ) from error
