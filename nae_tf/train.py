"""Train a model.

    nae-tf train --gin_file=digits.gin

Pre-trains the autoencoder, trains the model from its best weights, and prints
the AUROC of both on test data. Everything goes into --run_dir. A training that
was killed continues with --resume; SIGTERM saves and exits with status 75.
"""

import pathlib

import gin
from absl import flags

from nae_tf.evaluation.evaluate import evaluate, format_table
from nae_tf.runs.command_line import run_command
from nae_tf.runs.configuration import parse_config
from nae_tf.runs.disk import (
    explain_data_errors,
    explain_file_errors,
    write_atomically,
)
from nae_tf.runs.progress import print_status
from nae_tf.runs.run_directory import RunDirectory, default_run_dir
from nae_tf.training.distribution import make_strategy, shared_run
from nae_tf.training.experiment import Experiment
from nae_tf.training.interruption import Interruption, InterruptionOfEvaluation
from nae_tf.training.phase_training import PhaseTraining
from nae_tf.training.run_data import (
    of_kind,
    read_schema,
    record_data,
    with_data_of_run,
    with_samples,
)

_BATCH_SIZE = 1024


def train(
    run: RunDirectory, experiment: Experiment, resume: bool = False
) -> dict:
    """Carry out an experiment in a run directory.

    Args:
        run: directory for all files of the run.
        experiment: experiment built from the parsed gin configuration.
        resume: whether to continue a run of the same experiment in the
            directory. If there is none, it begins.

    Returns:
        The results, as `evaluate` returns them.

    Raises:
        FileExistsError: if the directory holds a run already, and `resume` is
            False.
        OSError: if another process trains there, or a file cannot be written.
        ValueError: if the run to resume has another configuration or other
            data, or TensorFlow cannot read the name of the directory.
        DivergenceError: if the training diverged, as `DivergenceGuard` defines
            it.
        SystemExit: if SIGTERM or SIGINT came; the progress is saved.
    """
    if set("*?[]\\") & set(run.path.as_posix()):
        raise ValueError(
            f"the run directory {str(run.path)!r} has one of * ? [ ] \\ in its "
            "name, which TensorFlow takes for a pattern when it reads a "
            "checkpoint; choose a different --run_dir."
        )
    with explain_file_errors(
        f"cannot make the run directory {str(run.path)!r}",
        "Fix permissions and files on this path, or choose a different "
        "--run_dir.",
    ):
        run.path.mkdir(parents=True, exist_ok=True)
    with run.lock(), Interruption() as interruption:
        resuming = run.begin(resume)
        for phase in prepare(run, experiment, resuming, interruption):
            phase.train()
            interruption.agree()
            interruption.end_training()
    with InterruptionOfEvaluation():
        return evaluate(run, experiment)


def prepare(
    run: RunDirectory,
    experiment: Experiment,
    resuming: bool,
    interruption: Interruption,
) -> list[PhaseTraining]:
    """Build the phases of a run; check or record its configuration and data.

    Args:
        run: directory of the run.
        experiment: experiment built from the parsed gin configuration.
        resuming: whether the directory holds a run to continue.
        interruption: handler of signals, which the phases share.

    Returns:
        The phases, in order.

    Raises:
        OSError: if the data cannot be read, or a file cannot be written.
        ValueError: if the run to resume has another configuration or other
            data, or the experiment pre-trains a model that cannot be
            pre-trained.
    """
    # A run that was killed before its first checkpoint has learnt nothing yet.
    trained = resuming and run.checkpoints("").exists()
    if trained and (schema := read_schema(run)) is not None:
        of_kind(schema, experiment.task)
    model = experiment.build_model()
    phases = [("training", model, experiment.training)]
    if experiment.pretraining is not None:
        if not hasattr(model, "autoencoder"):
            raise ValueError(
                f"{type(model).__name__} is not pre-trained: set "
                "Experiment.pretraining = None."
            )
        pretrained = model.autoencoder()
        phases.insert(0, ("pretraining", pretrained, experiment.pretraining))
    for _, phase_model, phase in phases:
        phase_model.compile(
            phase.optimizer(), jit_compile=experiment.jit_compile
        )
    # By now gin knows every parameter that the run uses, defaults included.
    config = gin.operative_config_str()
    if resuming:
        run.check_config(config)
    recorded = experiment
    experiment = (
        with_data_of_run(run, experiment, resuming=True)
        if trained
        else with_samples(experiment)
    )
    if experiment.standardize:
        task = experiment.task
        with explain_data_errors(task.name):
            model.standardize(task.train.batches(_BATCH_SIZE))
    trainings = [
        PhaseTraining(run, experiment, *phase, interruption) for phase in phases
    ]
    if not resuming:
        write_atomically(run.config, config)
    if not trained:
        record_data(run, recorded.task)
    for line in recorded.task.counts():
        print_status(line)
    return trainings


def define_flags():
    """Define the flags of a training."""
    flags.DEFINE_multi_string(
        "gin_file",
        None,
        "The path of a gin file, or the name of a preset. Repeat it for more "
        "files: settings of a later one win.",
        required=True,
    )
    flags.DEFINE_multi_string(
        "gin_bindings",
        [],
        "One setting, such as NAE.seed=1, which wins over the files. Repeat it "
        "for more settings.",
    )
    flags.DEFINE_string(
        "run_dir",
        None,
        "The folder that the run is written to. The default is runs/<name of "
        "the first gin file>, or runs/<name of the folder or file> for data of "
        "yours.",
    )
    flags.DEFINE_bool(
        "resume",
        False,
        "Continue the run in --run_dir where it was interrupted, or begin it "
        "if there is none.",
    )
    flags.DEFINE_integer(
        "num_replicas",
        None,
        "The number of devices to train on: GPUs, or parts of the CPU if "
        "there is no GPU. The default is all GPUs. For several machines set "
        "TF_CONFIG.",
    )


def main():
    """Train what --gin_file and --gin_bindings describe."""
    # First of all, because TensorFlow sets up its devices at the first use.
    strategy = make_strategy(flags.FLAGS.num_replicas)
    gin_files, resume = flags.FLAGS.gin_file, flags.FLAGS.resume
    parse_config(gin_files, flags.FLAGS.gin_bindings)
    with strategy.scope():
        experiment = Experiment.from_config()
        run_dir = flags.FLAGS.run_dir or default_run_dir(
            gin_files[0], experiment.task.files, resume
        )
        with shared_run(pathlib.Path(run_dir)) as path:
            run = RunDirectory(path)
            results = train(run, experiment, resume)
            print(
                f"\n{format_table(results)}\n\nreport: {run.report}\n"
                f"run directory: {run.path}"
            )
            # Last, where it is seen.
            print(*results["verdict"], sep="\n")


if __name__ == "__main__":
    run_command(main, define_flags)
