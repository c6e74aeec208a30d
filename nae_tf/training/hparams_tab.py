"""The configuration of a run in TensorBoard, and its HParams tab."""

import ast
import pathlib
import re
from collections.abc import Collection, Mapping, Sequence

import tensorflow as tf
from tensorboard.plugins.hparams import api as hparams_api

from nae_tf.data.task import Task
from nae_tf.runs.disk import explain_write_errors
from nae_tf.training.callbacks import ResumableCallback
from nae_tf.training.selection_auroc import SelectionAuroc, selection_key
from nae_tf.training.tensorboard import TensorBoardScalars

# Folder of the test's AUROCs, below that of the phase: the HParams tab looks
# for metrics of other event files there.
EVALUATION = "evaluation"


class TensorBoardConfiguration(ResumableCallback):
    """Write a run's configuration, as text and for the HParams tab.

    The tab shows what runs are varied by, as `varied` says, and two kinds of
    metrics: those of selection, and the AUROC of every method and set of
    outliers, which `write_aurocs` adds after the training.
    """

    def __init__(
        self,
        scalars: TensorBoardScalars,
        config: pathlib.Path,
        given: Collection[str],
        task: Task,
        methods: Sequence[str],
    ):
        """Prepare the configuration.

        Args:
            scalars: callback that has opened the event file of the phase.
            config: path of the run's gin configuration.
            given: names of parameters that the command line gave a value to.
            task: task of the run.
            methods: names of the methods that will be evaluated.
        """
        super().__init__()
        self.scalars = scalars
        self.config = config
        self.given = given
        self.task = task
        self.methods = methods
        self.written = False

    def get_state(self):
        """Return whether the configuration is written."""
        return {"written": self.written}

    def set_state(self, state):
        """Restore whether the configuration is written."""
        self.written = state["written"]

    def on_train_begin(self, logs=None):
        """Write the configuration once per run."""
        if self.written:
            return
        self.written = True
        config = self.config.read_text(encoding="utf-8")
        parameters = varied(hyperparameters(config), self.given)
        selected = [SelectionAuroc.MONITOR] if self.task.selection else []
        metrics = [
            *map(
                hparams_api.Metric,
                [*selected, *map(selection_key, self.task.selection)],
            ),
            *(
                hparams_api.Metric(
                    auroc_tag(method, outliers),
                    group=EVALUATION,
                    display_name=f"{method}: AUROC, {outliers}",
                )
                for method in self.methods
                for outliers in self.task.outliers
            ),
        ]
        # Markdown shows indented text as it is.
        text = "\n".join(f"    {line}" for line in config.splitlines())
        with (
            self.scalars.explain_errors(),
            self.scalars.writer.as_default(0),
        ):
            tf.summary.text("config", text)
            hparams_api.hparams_config(
                [hparams_api.HParam(name) for name in parameters],
                metrics,
            )
            hparams_api.hparams(parameters)
            self.scalars.writer.flush()


def auroc_tag(method: str, outliers: str) -> str:
    """Return the tag of a test AUROC."""
    return f"auroc/{method}/{outliers}"


def write_aurocs(directory: pathlib.Path, aurocs: Mapping[str, Mapping]):
    """Write the AUROC of every method and set, in the place of earlier ones.

    Args:
        directory: directory of the event files of all phases.
        aurocs: AUROC by set of outliers, by method.
    """
    folder = directory / "training" / EVALUATION
    with explain_write_errors(
        f"cannot write TensorBoard's events into {str(folder)!r}",
        "then evaluate the run",
    ):
        for earlier in folder.glob("events.*"):
            earlier.unlink()
        writer = tf.summary.create_file_writer(str(folder))
        with writer.as_default(0):
            for method, sets in aurocs.items():
                for outliers, value in sets.items():
                    tf.summary.scalar(auroc_tag(method, outliers), value)
        writer.close()


def varied(parameters: Mapping, given: Collection[str]) -> dict:
    """Return the parameters that runs are told apart by.

    They are macros, which presets have for what is to be varied, such as seed
    and latent_dim; the model; and what was given on the command line.

    Args:
        parameters: values by parameter.
        given: names of parameters of the command line.

    Example:
        >>> from nae_tf.training.hparams_tab import varied
        >>> varied({"seed": 1, "NAE.seed": 1, "Adam.beta_1": 0.9}, ["NAE.seed"])
        {'seed': 1, 'NAE.seed': 1}
    """
    return {
        name: value
        for name, value in parameters.items()
        if "." not in name or name in given or name == "Experiment.model"
    }


def hyperparameters(config: str) -> dict[str, bool | int | float | str]:
    """Return the bindings of a gin configuration that are single values.

    Args:
        config: text of an operative gin configuration. Bindings of several
            values, such as lists of outlier sets, are left out.

    Returns:
        Values by parameter. References and None become text, such as "@NAE".
    """
    parameters: dict[str, bool | int | float | str] = {}
    for line in config.splitlines():
        binding = re.fullmatch(r"([\w./]+) = ([^\[({\\].*)", line)
        if binding is None:
            continue
        name, text = binding[1], binding[2]
        try:
            value = ast.literal_eval(text)
        except (SyntaxError, ValueError):
            value = text
        parameters[name] = text if value is None else value
    return parameters
