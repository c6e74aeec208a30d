"""The report of a run: one page that needs no other file.

The page has no script and loads nothing: styles are inline, charts are SVG,
images are data URLs. Every number on it is taken from the results by its path
in them, which is kept in an attribute of the number. Jinja escapes every name.
"""

import functools
import importlib.metadata
import json
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import markupsafe
import numpy as np

from nae_tf.evaluation.charts import histogram_chart, method_class, roc_chart
from nae_tf.evaluation.galleries import error_ramp, gallery
from nae_tf.evaluation.pages import render_page
from nae_tf.evaluation.results import MethodEvaluation


def report_page(
    results: Mapping,
    evaluations: Mapping[str, MethodEvaluation],
    run_name: str,
    config: str,
) -> str:
    """Return the page of a run as HTML.

    Args:
        results: contents of results.json.
        evaluations: evaluations by name of the method, from which `results`
            was made.
        run_name: name of the run.
        config: text of the gin configuration of the run.
    """
    methods = list(evaluations)
    ticks, place = _overview(results)
    return render_page(
        "report.html",
        results=results,
        methods=methods,
        own=methods[-1],
        labels=_metric_labels(results),
        long_labels=_long_metric_labels(results),
        number=functools.partial(number_markup, results),
        method_class=lambda name: method_class(methods.index(name), methods),
        legend_of_methods=_legend_of_methods(methods),
        legend_of_roc=_legend_of_methods(methods, chance=True),
        ticks=ticks,
        place=place,
        charts=_charts(results, evaluations),
        localized=_localized(results),
        galleries=[
            gallery(name, evaluation, results["inliers"]["name"])
            for name, evaluation in evaluations.items()
        ],
        ramp=error_ramp(),
        run_name=run_name,
        config=config,
        version=_version(),
    )


# --- Numbers ------------------------------------------------------------------


def _version():
    """Version of the installed package, for the page's last line."""
    try:
        return importlib.metadata.version("nae-tf")
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"  # A checkout on the path of modules.


def _metric_labels(results) -> dict[str, str]:
    tpr = _percent(results["signal_efficiency"])
    return {
        "auroc": "AUROC",
        "aupr_out": "AUPR-out",
        "aupr_in": "AUPR-in",
        "fpr_at_95_tpr": f"FPR at {_percent(0.95)} TPR",
        "background_rejection": f"Background rejection, 1/FPR at {tpr} TPR",
    }


def _long_metric_labels(results) -> dict[str, str]:
    """Return labels of metrics in words, with the short ones behind."""
    tpr = _percent(results["signal_efficiency"])
    return {
        "auroc": "Area under the ROC curve (AUROC)",
        "aupr_out": "Average precision of outliers (AUPR-out)",
        "aupr_in": "Average precision of inliers (AUPR-in)",
        "fpr_at_95_tpr": "False positive rate where "
        f"{_percent(0.95)} of outliers are detected (FPR at {_percent(0.95)} "
        "TPR)",
        "background_rejection": "Inliers per false alarm where "
        f"{tpr} of outliers are detected (1/FPR at {tpr} TPR)",
    }


def number_markup(
    results: Mapping, path: Sequence, format_name: str | None = None
) -> markupsafe.Markup:
    """Return the number at a path of the results as HTML, with the path.

    Args:
        results: contents of results.json.
        path: keys and indices that lead to a number or None.
        format_name: key of `_FORMATS`; None means the format for this path.

    Returns:
        A data element that shows the number rounded and keeps every digit.
    """
    value: Any = functools.reduce(operator.getitem, path, results)
    if format_name is None:
        format_name = _format_of(path)
    text = _FORMATS[format_name](value)
    return markupsafe.Markup(
        '<data value="{}" data-path="{}">{}</data>'
    ).format(json.dumps(value), json.dumps(path), text)


def _format_of(path) -> str:
    # By positions from the end, because sets may have any name.
    if "metrics" in path[-3:-2]:
        return "factor" if path[-2] == "background_rejection" else "rate"
    if path[-1] == "share":
        return "share"
    return "score" if path[-1] in ("score", "value") else "count"


def _rate(value: float) -> str:
    """Format a number in [0, 1]; only 0 and 1 themselves look like 0 and 1."""
    text = f"{value:.3f}"
    if text == "1.000" and value < 1:
        return ">0.999"
    if text == "0.000" and value > 0:
        return "<0.001"
    return text


def _factor(value: float | None) -> str:
    if value is None:
        return "∞"
    return f"{value:,.0f}" if value >= 99.95 else f"{value:#.3g}"


def _score(value: float | None) -> str:
    return "∞" if value is None else f"{value:#.3g}".rstrip(".")


def _percent(value: float) -> str:
    return f"{100 * value:g}\N{NO-BREAK SPACE}%"


def _share(value: float) -> str:
    """Format a share in [0, 1] as a whole number of percent."""
    return _percent(round(value, 2)) if value >= 0.005 else _percent(0)


_FORMATS = {
    "rate": _rate,
    "factor": _factor,
    "score": _score,
    "count": "{:,}".format,
    "percent": _percent,
    "share": _share,
}


def _localized(results) -> dict[str, dict[str, list[str]]]:
    """Return paths to metrics of pixels, by method by the title of a row."""
    rows: dict[str, dict[str, list[str]]] = {}
    for name, method in results["methods"].items():
        path = ["methods", name]
        for title, outliers in method["outliers"].items():
            if "localization" in outliers:
                row = rows.setdefault(title, {})
                row[name] = [*path, "outliers", title, "localization"]
    if len(rows) > 1:  # One set alone would be shown twice.
        rows["all together"] = {
            name: ["methods", name, "localization"]
            for name, method in results["methods"].items()
            if "localization" in method
        }
    return rows


# --- Charts -------------------------------------------------------------------


def _legend_of_methods(methods, chance=False):
    items = markupsafe.Markup().join(
        markupsafe.Markup('<li class="{}"><span>{}</span></li>').format(
            method_class(index, methods), name
        )
        for index, name in enumerate(methods)
    )
    if chance:
        items += markupsafe.Markup(
            '<li class="chance"><span>chance</span></li>'
        )
    return markupsafe.Markup('<ul class="legend">{}</ul>').format(items)


def _overview(results) -> tuple[list[float], Callable[[float], str]]:
    """Return the ticks of the AUROC axis, and a function from values to CSS."""
    lows = [
        outliers["metrics"]["auroc"]["low"]
        for method in results["methods"].values()
        for outliers in method["outliers"].values()
    ]
    # Chance, at 0.5, stays in sight.
    first = min(5, math.floor(10 * min(lows, default=1)))
    ticks = [tenth / 10 for tenth in range(first, 11)]

    def place(value):
        return f"{100 * (value - ticks[0]) / (1 - ticks[0]):.2f}%"

    return ticks, place


def _charts(results, evaluations: Mapping[str, MethodEvaluation]):
    """Return the charts of every outlier set.

    Each is its name, histograms by method, and ROC curves. A run without
    outlier sets gets the histograms of its inliers.
    """
    inlier_name = results["inliers"]["name"]
    charts = []
    for title in results["outliers"] or [None]:
        pairs = {
            name: (
                evaluation.inliers.scores,
                evaluation.outliers[title].scores if title else np.zeros(0),
            )
            for name, evaluation in evaluations.items()
        }
        sets = f"{title} and {inlier_name}" if title else inlier_name
        # One axis for all methods: AE and NAE score by the same energy.
        every = np.concatenate([x for pair in pairs.values() for x in pair])
        # ElementTree, which writes the charts, has escaped their texts.
        histograms = {
            name: markupsafe.Markup(  # nosec B704
                histogram_chart(f"Scores of {name} for {sets}", *pair, every)
            )
            for name, pair in pairs.items()
        }
        roc = None
        if title:
            chart = roc_chart(f"ROC curves, {sets}", pairs)
            roc = markupsafe.Markup(chart)  # nosec B704
        charts.append((title, histograms, roc))
    return charts
