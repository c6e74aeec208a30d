"""Files scored by the workers of Apache Beam, `pip install 'nae-tf[beam]'`.

Nobody but the command and those who write pipelines of their own imports this
file, because it needs Beam.
"""

import dataclasses
import functools
import json
import pathlib

from nae_tf.runs.disk import write_atomically
from nae_tf.serving.beam_handler import (
    ExportHandler,
    export_detector,
    thread_variables,
)
from nae_tf.serving.selection import selection_limit
from nae_tf.serving.shards import Job, add_up, score_piece, select_rows

# Behind the import that says what to do if there is no Beam.
import apache_beam as beam  # isort: skip
from apache_beam.metrics import Metrics  # isort: skip
from apache_beam.utils.shared import Shared  # isort: skip

__all__ = [
    "ExportHandler",
    "ScorePieces",
    "export_detector",
    "run_job",
    "thread_variables",
]


class ScorePieces(beam.PTransform):
    """Pieces of files in, their rows in files of a temporary folder out.

    Pieces name their examples and do not hold them, so that nothing large
    travels between workers. The result is one `Summary` of all rows.
    """

    def __init__(
        self,
        handler: ExportHandler,
        job: Job,
        false_discovery_rate: float | None = None,
    ):
        """Set what is done with every piece.

        Args:
            handler: handler of the export.
            job: where and how.
            false_discovery_rate: share of inliers among the selected outliers
                of all rows, in [0, 1] (Benjamini & Hochberg); None to keep the
                decisions of the model.
        """
        super().__init__()
        self._handler = handler
        self._job = job
        self._rate = false_discovery_rate

    def expand(self, pieces):
        """Score pieces; select among the rows of all."""
        # Without it, a runner may leave all pieces to one worker.
        summaries = (
            pieces
            | "Spread" >> beam.Reshuffle()
            | "Score" >> beam.ParDo(_ScorePiece(self._handler, self._job))
        )
        total = summaries | "Add up" >> beam.CombineGlobally(add_up)
        if self._rate is None:
            return total
        limit = total | "Find limit" >> beam.Map(_limit, self._rate)
        selected = (
            summaries
            | "List files" >> beam.FlatMap(_shards)
            | "Spread files" >> beam.Reshuffle()
            | "Select"
            >> beam.Map(select_rows, self._job, beam.pvalue.AsSingleton(limit))
            | "List selected" >> beam.combiners.ToList()
        )
        return total | "Name selected" >> beam.Map(
            _with_shards, beam.pvalue.AsSingleton(selected)
        )


class _ScorePiece(beam.DoFn):
    """Score pieces by one model per process.

    `RunInference` would choose sizes of batches by the clock, and the last
    digits of energies with them.
    """

    def __init__(self, handler, job):
        self._handler = handler
        self._job = job
        self._shared = Shared()
        self._rows = Metrics.counter("nae_tf", "rows")
        self._unscored = Metrics.counter("nae_tf", "rows_without_score")

    def setup(self):
        self._handler.set_environment_vars()
        self._model = self._shared.acquire(self._handler.load_model)

    def process(self, piece):
        summary = score_piece(self._model, self._job, piece)
        self._rows.inc(summary.num_rows)
        self._unscored.inc(summary.num_unscored)
        yield summary


def _limit(summary, rate):
    return selection_limit(summary.p_values, rate)


def _shards(summary):
    return summary.shards


def _with_shards(summary, shards):
    return dataclasses.replace(summary, shards=tuple(sorted(shards)))


def run_job(options, pieces, transform: ScorePieces, folder) -> dict:
    """Run a pipeline to its end.

    Args:
        options: `PipelineOptions` of Beam.
        pieces: pieces to score.
        transform: what is done with them.
        folder: temporary folder of the job.

    Returns:
        The `Summary` as a dictionary, but for the p-values.
    """
    path = pathlib.Path(folder, "summary.json")
    with beam.Pipeline(options=options) as pipeline:
        _ = (
            pipeline
            | "Pieces" >> beam.Create(pieces, reshuffle=False)
            | "Score pieces" >> transform
            | "Keep summary" >> beam.Map(functools.partial(_keep, path))
        )
    summary = json.loads(path.read_text())
    path.unlink()
    return summary


def _keep(path, summary):
    fields = dataclasses.asdict(summary)
    del fields["p_values"]
    write_atomically(path, json.dumps(fields))
