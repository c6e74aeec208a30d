"""Draw samples from a trained run, and measure how good they are.

    nae-tf sample --run_dir=runs/digits --num_samples=64

Runs fresh latent chains, eight times as long as in training (section D.3), and
then the visible chain; Glow and PixelCNN++ need none. Writes
<run_dir>/samples/samples.npz with all stages and samples.png, which shows them
side by side (Figure 7). With --features the samples are compared with test
data; quality.json has the result. Distances are comparable only in the same
features. They are the usual FID and KID if the features are those of Inception.
"""

import json

import numpy as np
from absl import flags

from nae_tf.evaluation.samples import (
    _STAGES,
    choose_features,
    draw_samples,
    format_quality,
    lengthen_latent_chain,
    measure_quality,
    write_arrays,
    write_picture,
)
from nae_tf.runs.checkpoints import restore
from nae_tf.runs.command_line import (
    accepts_changed_data,
    define_run_dir_flags,
    run_command,
)
from nae_tf.runs.disk import (
    explain_data_errors,
    write_atomically,
)
from nae_tf.runs.progress import progress_bar
from nae_tf.runs.run_directory import RunDirectory
from nae_tf.training.experiment import Experiment
from nae_tf.training.run_data import with_data_of_run


def define_flags():
    """Define the flags of drawing samples."""
    define_run_dir_flags("The folder of the run to draw samples from.")
    flags.DEFINE_integer(
        "num_samples", 64, "The number of samples to draw.", lower_bound=1
    )
    flags.DEFINE_integer(
        "seed", 0, "The seed that the samples are drawn with.", lower_bound=0
    )
    flags.DEFINE_integer(
        "generation_factor",
        None,
        "The length of the latent chain as a multiple of its length in "
        "training. The default is the setting of the run, normally 8.",
        lower_bound=1,
    )
    flags.DEFINE_string(
        "features",
        None,
        "The features by which samples are compared with test data. "
        "'classifier' trains a classifier on the run's data, 'values' takes "
        "the examples as they are, anything else is the path of a SavedModel "
        "that maps images to features. By default nothing is compared.",
    )
    flags.DEFINE_bool(
        "trust_model",
        False,
        "Whether the SavedModel of --features may have operations that no "
        "export needs, which can read and write files.",
    )


def main():
    """Sample the run that --run_dir names."""
    options = flags.FLAGS
    run = RunDirectory(options.run_dir)
    run.load_config(options.trust_config)
    experiment = Experiment.from_config()
    model = experiment.build_model()
    restore(model, run.checkpoints("training"))
    if options.generation_factor is not None:
        lengthen_latent_chain(model, options.generation_factor)
    if options.features is not None:
        experiment = with_data_of_run(
            run, experiment, accept_changes=accepts_changed_data()
        )
    task = experiment.task
    if options.features is not None:
        if options.num_samples < 2:
            raise ValueError(
                "--features compares distributions: expected --num_samples >= "
                f"2, received {options.num_samples}."
            )
        # First, so that earlier samples stay if there are no such features.
        with explain_data_errors(task.name):
            name_of_features, features = choose_features(
                options.features, task, options.trust_model
            )
    batches = []
    with progress_bar(options.num_samples, "sample") as bar:
        for batch in draw_samples(model, options.num_samples, options.seed):
            batches.append(batch)
            bar.update(len(batch["x"]))
    stages = {
        name: np.concatenate([batch[name] for batch in batches])
        for name in batches[0]
    }
    run.samples.mkdir(exist_ok=True)
    # The quality of earlier samples, if they were measured.
    (run.samples / "quality.json").unlink(missing_ok=True)
    print(write_arrays(run, stages))
    print(write_picture(run, stages))
    for name, title in _STAGES.items():
        if name in stages:
            energy = np.mean(model.predict_outlier_score(stages[name]))
            print(f"mean energy {energy:.6f}  {title}")
    if options.features is not None:
        with explain_data_errors(task.name):
            quality = measure_quality(
                stages["x"], task, features, experiment.evaluation_limit
            )
        write_atomically(
            run.samples / "quality.json",
            json.dumps({"features": name_of_features, **quality}, indent=2)
            + "\n",
        )
        print(f"\nfeatures: {name_of_features}\n{format_quality(quality)}")


if __name__ == "__main__":
    run_command(main, define_flags)
