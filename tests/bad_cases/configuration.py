"""Bindings, gin files, runs of another configuration, and clusters."""

import dataclasses
import json

import keras
import tensorflow as tf
from tiny_runs import DIGITS, TINY_DIGITS

from nae_tf import train
from nae_tf.runs import configuration, run_directory
from nae_tf.runs.checkpoints import CheckpointDirectory, Progress, restore
from nae_tf.training.distribution import make_strategy
from nae_tf.training.experiment import Experiment


def binding(text):
    return lambda: configuration.parse_config([], [text])


def experiment(*bindings):
    def call():
        configuration.parse_config([], list(bindings))
        Experiment.from_config()

    return call


def resume_with(config):
    """Go on with a run that was begun with another configuration."""

    def call(tmp_path):
        run = run_directory.RunDirectory(tmp_path)
        run.config.write_text(
            "# Parameters for A:\nA.x = 1\nA.long = \\\n    [1,\n     2]\n"
            "A.z = 3\n"
        )
        run.check_config(config)

    return call


def networks_for_other_data(tmp_path):
    shapes = [
        f"MLP{part}coder.example_shape=(9, 9, 1)" for part in ("En", "De")
    ]
    configuration.parse_config([DIGITS], TINY_DIGITS + shapes)
    train.train(
        run_directory.RunDirectory(tmp_path / "run"), Experiment.from_config()
    )


def patience_without_a_figure(tmp_path):
    bindings = ["training/Phase.patience=2"]
    configuration.parse_config([DIGITS], TINY_DIGITS + bindings)
    experiment = Experiment.from_config()
    blind = dataclasses.replace(
        experiment,
        task=dataclasses.replace(experiment.task, selection={}),
        pretraining=None,
    )
    train.train(run_directory.RunDirectory(tmp_path / "run"), blind)


def run_with_a_link(use):
    def call(tmp_path):
        run = run_directory.RunDirectory(tmp_path / "run")
        run.path.mkdir()
        run.config.write_text("seed = 1\n")
        (run.path / "inside").symlink_to(run.config)
        run.metrics.symlink_to(tmp_path / "diary.txt")
        use(run)

    return call


def model_that_is_not_pretrained(tmp_path):
    bindings = [
        "Experiment.model = @Autoencoder",
        "Autoencoder.encoder = %encoder",
        "Autoencoder.decoder = %decoder",
    ]
    configuration.parse_config([DIGITS], TINY_DIGITS + bindings)
    train.train(
        run_directory.RunDirectory(tmp_path / "run"), Experiment.from_config()
    )


def checkpoint_of_another_model(tmp_path):
    models = [
        keras.Sequential([keras.Input((units,)), keras.layers.Dense(2)])
        for units in (2, 3)
    ]
    directory = CheckpointDirectory(tmp_path)
    finished = Progress(finished=True)
    directory.save(tf.train.Checkpoint(model=models[0]), finished)
    restore(models[1], tmp_path)


def checkpoint_of_an_unfinished_training(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    CheckpointDirectory(tmp_path).save(
        tf.train.Checkpoint(model=model), Progress(epoch=3, step=17)
    )
    restore(model, tmp_path)


def run_in(name):
    """Train in a directory of that name."""

    def call(tmp_path):
        configuration.parse_config([DIGITS], TINY_DIGITS)
        run = run_directory.RunDirectory(tmp_path / name)
        train.train(run, Experiment.from_config())

    return call


def as_a_command_says_it(*bindings, builds_model=False):
    """Build an experiment; gin's part of the error is made short."""

    def call():
        configuration.parse_config([DIGITS], [*TINY_DIGITS, *bindings])
        try:
            experiment = Experiment.from_config()
            if builds_model:
                experiment.build_model()
        except (ValueError, TypeError) as error:
            raise ValueError(
                configuration.message_in_one_line(error)
            ) from error

    return call


def file_that_includes_itself(tmp_path):
    path = tmp_path / "a.gin"
    path.write_text(f"include '{path}'\n")
    configuration.parse_config([str(path)])


def strategy(config, num_replicas=None):
    """Choose one where TF_CONFIG is set."""

    def call(monkeypatch):
        monkeypatch.setenv("TF_CONFIG", config)
        make_strategy(num_replicas)

    return call


def a_keras_that_has_changed(monkeypatch):
    name = "_maybe_symbolic_build"
    [owner] = [each for each in keras.Model.__mro__ if name in vars(each)]
    monkeypatch.delattr(owner, name)
    strategy(json.dumps(ONE_WORKER))(monkeypatch)


ONE_WORKER = {
    "cluster": {"worker": ["localhost:1"]},
    "task": {"type": "worker", "index": 0},
}
CLUSTERS = {
    "no JSON": ("{", "expected TF_CONFIG as .*received '{'"),
    "no task": (json.dumps({"cluster": {"worker": []}}), "expected TF_CONFIG"),
    "parameter server": (
        json.dumps(ONE_WORKER | {"task": {"type": "ps", "index": 0}}),
        "type 'ps'.*'chief' and 'worker'",
    ),
    "one worker too many": (
        json.dumps(ONE_WORKER | {"task": {"type": "worker", "index": 1}}),
        "index 1, but there are only 1",
    ),
}

CASES = {
    "argument": (binding("NAE.seeed = 1"), "Did you mean 'seed'"),
    "network's argument": (binding("Conv28Encoder.widht = 8"), "widht"),
    "class": (binding("NEA.seed = 1"), "Did you mean 'NAE'"),
    "reference": (
        binding("NAE.sampler = @OnManifld()"),
        "Did you mean 'OnManifold'",
    ),
    "scoped argument": (
        binding("latent/LangevinChain.num_step = 1"),
        "Did you mean 'num_steps'",
    ),
    "syntax": (
        binding("NAE.seed = = 1"),
        "cannot read 'NAE.seed = = 1' in a binding",
    ),
    "open bracket": (
        binding("MLPEncoder.hidden_units = (64, 64"),
        r"cannot read MLPEncoder.*\(64, 64: .*close every bracket",
    ),
    "macro": (
        as_a_command_says_it("holdout_clas = 1"),
        "'holdout_clas' would have no effect.*Did you mean 'holdout_class'",
    ),
    "scope": (
        as_a_command_says_it("trainin/Phase.epochs = 3"),
        "no part is named 'trainin'. Did you mean 'training'",
    ),
    "macro without a value": (
        as_a_command_says_it("Experiment.seed = %nope"),
        "^%nope has no value; bind nope = value.$",
    ),
    "type": (
        as_a_command_says_it("digits_holdout.split_seed = '3'"),
        "^split_indices: expected an integer seed >= 0, received '3'",
    ),
    "a split without a seed": (
        as_a_command_says_it("digits_holdout.split_seed = None"),
        "expected a seed >= 0, received None",
    ),
    **{
        f"{name} of 24 digits": (
            as_a_command_says_it(f"{name} = {10**23}", builds_model=True),
            rf"an integer {name.rpartition('.')[2]} in \d \.\.\. 2147483647",
        )
        for name in (
            "training/Phase.epochs",
            "training/Phase.batch_size",
            "visible/LangevinChain.num_steps",
        )
    },
    "type of a setting": (
        as_a_command_says_it("CheckpointSchedule.max_share = '3'"),
        r"^CheckpointSchedule: expected max_share in \(0, 1\], received '3'",
    ),
    **{
        f"a link in a run to {name}": (
            run_with_a_link(use),
            r"run/metrics\.csv' is a link that leads out of it",
        )
        for name, use in [
            ("evaluate", lambda run: run.load_config()),
            ("resume", lambda run: run.begin(resume=True)),
        ]
    },
    "precision": (
        as_a_command_says_it("Experiment.precision = 'mixed_float16'"),
        "precision .*'mixed_bfloat16'.*received 'mixed_float16'",
    ),
    "pre-training of an autoencoder": (
        model_that_is_not_pretrained,
        r"^Autoencoder is not pre-trained: set Experiment\.pretraining = None",
    ),
    "task without brackets": (
        as_a_command_says_it("Experiment.task = @digits_holdout"),
        r"task = @name\(\) with brackets",
    ),
    "a latent space without brackets": (
        as_a_command_says_it("NAE.latent_space = @Sphere", builds_model=True),
        "NAE: expected latent_space Sphere",
    ),
    "a model that is none": (
        as_a_command_says_it("Experiment.model = @Sphere", builds_model=True),
        r"expected model = @Name of an outlier detector, received one of Sph",
    ),
    "model with brackets": (
        as_a_command_says_it("Experiment.model = @NAE()"),
        "model = @Name without brackets",
    ),
    "a file that includes itself": (
        file_that_includes_itself,
        "include each other in a circle",
    ),
    "gin file": (
        lambda: configuration.parse_config(["no.gin"]),
        r"no\.gin",
        FileNotFoundError,
    ),
    "incomplete experiment": (
        experiment("Experiment.seed = 1"),
        "not complete.*'task', 'model'",
    ),
    "interval of pictures": (
        as_a_command_says_it("Experiment.picture_interval=0"),
        "picture_interval >= 1, received 0",
    ),
    **{
        f"experiment's {name} {value}": (
            as_a_command_says_it(f"Experiment.{name}={value}"),
            f"Experiment: expected .*{name}.*received",
        )
        for name, value in [
            ("training", "@training/Phase"),
            ("pretraining", "3"),
            ("guard", "3"),
            ("checkpoints", "None"),
            ("jit_compile", "'no'"),
            ("evaluation_limit", "0"),
            ("evaluation_limit", "'64'"),
        ]
    },
    "networks for other data": (
        networks_for_other_data,
        r"\(9, 9, 1\).*\(8, 8, 1\)",
    ),
    "patience without a figure": (
        patience_without_a_figure,
        r"Phase\.patience",
    ),
    # --- Runs ---
    "another value": (
        resume_with("A.x = 2\nA.long = [1, 2]\nA.z = 3"),
        "A.x is 2, but .* has 1",
    ),
    "another long value": (
        resume_with("A.x = 1\nA.long = [1, 3]\nA.z = 3"),
        r"A.long is \[1, 3\], but",
    ),
    "a value less": (
        resume_with("A.x = 1\nA.long = [1, 2]"),
        "A.z is not set, but .* has 3",
    ),
    "a value more": (
        resume_with("A.x = 1\nA.long = [1, 2]\nA.z = 3\nA.w = 4"),
        ".* has not set",
    ),
    "a run that is none": (
        lambda tmp_path: run_directory.RunDirectory(tmp_path).load_config(),
        r"has no config\.gin",
        FileNotFoundError,
    ),
    "a checkpoint of another model": (
        checkpoint_of_another_model,
        "does not fit",
    ),
    "an unfinished training": (
        checkpoint_of_an_unfinished_training,
        "is not over.*epoch 3, step 17. Continue it with --resume",
    ),
    **{
        f"a run directory that is a pattern: {name}": (
            run_in(name),
            r"has one of \* \? \[ \] \\ in its name.*different --run_dir",
        )
        for name in ("rate[1e-3]", "rate\\1")
    },
    "a phase without checkpoint": (
        lambda tmp_path: restore(keras.Sequential(), tmp_path),
        "holds no checkpoint",
        FileNotFoundError,
    ),
    # --- Devices and machines ---
    "no replicas": (lambda: make_strategy(0), "--num_replicas between 1 and"),
    **{
        f"cluster: {name}": (strategy(config), message)
        for name, (config, message) in CLUSTERS.items()
    },
    "replicas of a cluster": (
        strategy(json.dumps(ONE_WORKER), num_replicas=2),
        "exclude each other",
    ),
    "a Keras that has changed": (
        a_keras_that_has_changed,
        r"pip install 'keras==3\.15",
        ImportError,
    ),
}
