"""Score many files by an exported model on the workers of Apache Beam.

    nae-tf beam --model=export/1 --input='parts/*' --output=scores.parquet

Writes a folder of files with the rows of nae-tf score: id, energy, p_value,
is_outlier. It starts from the beginning when it is given again; nae-tf score
goes on where it stopped.
"""

import contextlib
import os
import pathlib
import shlex
import shutil
import uuid

from absl import flags, logging

from nae_tf.base.setting_checks import check_number
from nae_tf.runs.command_line import run_command
from nae_tf.runs.disk import explain_write_errors
from nae_tf.runs.progress import print_status
from nae_tf.serving.input_flags import (
    define_model_flags,
    define_reading_flags,
    open_model,
)
from nae_tf.serving.pieces import Reading, make_plan
from nae_tf.serving.score_files import FaultsFile
from nae_tf.serving.shards import SUFFIXES, Job, finish

# DirectRunner, Beam's default, would try to download a program first.
_RUNNER = "FnApiRunner"


def define_flags():
    """Define the flags of scoring by many workers."""
    define_model_flags()
    flags.DEFINE_string(
        "input",
        None,
        "The examples: a folder of images, a file, or a pattern of files in "
        "quotes, such as 'table/*.parquet'.",
        required=True,
    )
    flags.DEFINE_string(
        "output",
        None,
        "The folder of scores, whose name ends in .csv or .parquet, the format "
        "of the files in it.",
        required=True,
    )
    flags.DEFINE_float(
        "false_alarm_rate",
        None,
        "The share of inliers that may be called outliers, in (0, 1). The "
        "default is that of the export.",
    )
    flags.DEFINE_float(
        "false_discovery_rate",
        None,
        "The share of inliers among those that are called outliers, in (0, 1), "
        "by Benjamini and Hochberg over all rows.",
    )
    flags.DEFINE_string(
        "runner",
        None,
        f"The runner of Beam that has the workers. The default is {_RUNNER}, "
        "on this machine.",
    )
    flags.DEFINE_string(
        "beam_options",
        None,
        "Further options of Beam, as one text in quotes.",
    )
    flags.DEFINE_integer(
        "threads",
        1,
        "The number of threads of each worker process.",
        lower_bound=1,
    )
    define_reading_flags()


def main():
    """Score what --input names by the model that --model names."""
    from nae_tf.serving import beam

    options = flags.FLAGS
    os.environ |= beam.thread_variables(options.threads)
    output = _checked_output(options)
    pipeline_options = _pipeline_options(options)
    reading = Reading(
        input=os.path.abspath(options.input),
        key=options.key,
        drop=tuple(options.drop),
        header=options.header,
        linked_files=options.linked_files,
        batch_size=options.batch_size,
        max_level=options.max_level,
    )
    plan = _plan(options, reading)
    with _temporary_folder(output) as folder:
        job = Job(
            str(folder),
            reading,
            output.suffix,
            options.false_alarm_rate,
            options.false_discovery_rate is not None,
        )
        unopened = FaultsFile(folder / "faults-unopened", False)
        for name, fault in plan.faults.items():
            unopened.write(name, fault)
        # Workers may be in other folders.
        path = os.path.abspath(options.model)
        transform = beam.ScorePieces(
            beam.ExportHandler(path, options.threads, options.trust_model),
            job,
            options.false_discovery_rate,
        )
        try:
            summary = beam.run_job(
                pipeline_options, plan.pieces, transform, folder
            )
        except Exception as error:
            raise _one_line(error) from error
        faults = finish(job, summary["shards"], output)
    _tell(summary, [*plan.faults, *summary["ended_early"]], faults, output)


def _plan(options, reading):
    """Return the plan; the model that it needs is let go."""
    model = open_model(options)
    if options.false_alarm_rate is not None:
        model.check_false_alarm_rate(options.false_alarm_rate)
    return make_plan(model, reading)


def _tell(summary, lost, faults, output):
    """Say what has no score; files that were not read to their end are lost.

    Raises:
        ValueError: if there are such files.
    """
    if summary["num_unscored"]:
        print_status(
            f"note: {summary['num_unscored']} examples have no score; "
            f"{str(faults)!r} says why."
        )
    if lost:
        raise ValueError(
            f"{len(lost)} files could not be read to their end, the first is "
            f"{lost[0]}; {str(faults)!r} says why. All other rows are in "
            f"{str(output)!r}."
        )


def _checked_output(options):
    """Return the output, after a look at what could spoil it."""
    if not options.input:
        raise ValueError("--input is empty; name a file or a folder.")
    output = pathlib.Path(options.output)
    if output.suffix not in SUFFIXES:
        raise ValueError(
            f"expected an --output named {' or '.join(SUFFIXES)}, a folder, "
            f"received {str(output)!r}."
        )
    if output.exists():
        raise FileExistsError(
            f"{str(output)!r} exists already; remove it or choose another "
            "--output."
        )
    if pathlib.Path(options.input).resolve() in output.resolve().parents:
        raise ValueError(
            f"--output={options.output} lies in the folder of examples "
            f"{options.input}; choose a place outside of it."
        )
    if options.false_discovery_rate is not None:
        if options.false_alarm_rate is not None:
            raise ValueError(
                "--false_alarm_rate and --false_discovery_rate both decide "
                "what an outlier is; give one of them."
            )
        check_number(
            "nae-tf beam",
            "--false_discovery_rate",
            options.false_discovery_rate,
            "(0, 1)",
        )
    return output


def _pipeline_options(options):
    """Return Beam's options; refuse those that it would leave out."""
    from apache_beam.options.pipeline_options import PipelineOptions

    runner = options.runner or _RUNNER
    arguments = [
        f"--runner={runner}",
        *shlex.split(options.beam_options or ""),
    ]
    found = PipelineOptions(arguments)
    # Flink and its kin tell which options they have when they are asked.
    if runner == _RUNNER:
        known = found.get_all_options()
        given = found.get_all_options(retain_unknown_options=True)
        if unknown := sorted(set(given) - set(known)):
            raise ValueError(
                f"--beam_options: Beam has no option {unknown[0]!r}; correct "
                "its name."
            )
    return found


@contextlib.contextmanager
def _temporary_folder(output):
    """Make the folder that becomes the output; remove it after a failure."""
    with explain_write_errors(f"cannot write {str(output)!r}"):
        output.parent.mkdir(parents=True, exist_ok=True)
        name = f".{output.name}.partial-{uuid.uuid4().hex[:8]}"
        folder = output.absolute().with_name(name)
        folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _one_line(error):
    """Return the end of what a worker has said, behind its traceback."""
    logging.debug("%s", error)
    lines = [line for line in str(error).splitlines() if line.strip()]
    reason = lines[-1].strip() if lines else type(error).__name__
    if "Channel closed" in reason:
        reason = "a worker has ended, perhaps for want of memory"
    return OSError(f"the pipeline failed, and wrote nothing: {reason}")


if __name__ == "__main__":
    run_command(main, define_flags)
