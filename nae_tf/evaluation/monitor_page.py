"""The page of a watch: its course, and what each batch looked like."""

import math

import markupsafe
import numpy as np

from nae_tf.evaluation.charts import course_chart, share_chart
from nae_tf.evaluation.pages import render_page
from nae_tf.serving.monitor import Monitor

_ROWS = 50


def monitor_page(monitor: Monitor, name: str) -> str:
    """Return the page of a watch as HTML.

    Args:
        monitor: watch with at least one batch.
        name: name of what is watched.
    """
    return render_page(
        "monitor.html",
        name=name,
        monitor=monitor,
        alarm_wealth=-math.log10(monitor.level),
        rate=monitor.calibration.false_alarm_rate,
        num_calibration=len(monitor.calibration.scores),
        charts=_charts(monitor),
        batches=monitor.batches[: -_ROWS - 1 : -1],
    )


def _charts(monitor):
    """Captions and charts."""
    batches = monitor.batches
    ends = [batch.start + batch.size for batch in batches]
    first = batches[0].start
    is_begun = first == 0  # Earlier batches are no longer kept.
    deciles = np.sum([batch.deciles for batch in batches], axis=0)
    charts = {
        "Evidence of a change, as a power of ten. The dashed line is the "
        "alarm.": course_chart(
            "Evidence of a change over the number of examples",
            [0, *ends] if is_begun else ends,
            [0.0, *(batch.log10_wealth for batch in batches)]
            if is_begun
            else [batch.log10_wealth for batch in batches],
            -math.log10(monitor.level),
            "evidence, power of ten",
        ),
        "Examples called outliers in each batch. The dashed line is the rate "
        "of false alarms.": course_chart(
            "Share of examples called outliers over the number of examples",
            ends,
            [batch.flagged for batch in batches],
            monitor.calibration.false_alarm_rate,
            "called outliers",
            percent=True,
        ),
        "p-values of all batches. All tenths are alike while nothing "
        "changes.": share_chart(
            "Shares of p-values in tenths",
            deciles / max(deciles.sum(), 1),
            "p-value, low is outlying",
        ),
    }
    # ElementTree, which writes the charts, has escaped their texts.
    return {
        caption: markupsafe.Markup(chart)  # nosec B704
        for caption, chart in charts.items()
    }
