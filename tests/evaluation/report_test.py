"""The page of a run, as text and in a browser, with awkward names in it."""

import base64
import functools
import html
import importlib.metadata
import json
import math
import operator
import re
import types
from xml.etree import ElementTree

import numpy as np
import pytest
import scipy.integrate
import tensorflow as tf
from evaluation_stand_in import MeanDetector, examples
from headless_browser import headless_browser

from nae_tf.data.task import Task
from nae_tf.evaluation import report
from nae_tf.evaluation.galleries import gallery
from nae_tf.evaluation.report import report_page
from nae_tf.evaluation.results import evaluate_method, results_of

NASTY = """</style><script>alert("1")</script>&amp; 'x' {{ 7*7 }} <img src=x>"""
CONFIG = "NAE.seed = 0  # </pre><script>alert(2)</script>"
LABELLED = re.compile(r'<data value="([^"]*)" data-path="([^"]*)">([^<]*)<')


def make_page(shape=(8, 8, 1), outliers=("near", NASTY), methods=("AE", "NAE")):
    """Results and the page of a task of random examples of a shape."""
    rng = np.random.default_rng(0)

    def draw(name, mean, count=40):
        return examples(name, rng.uniform(0, 1, [count, *shape]) * mean)

    inliers = draw("inliers <test>", 0.5)
    task = Task(
        "task " + NASTY,
        *[inliers] * 3,
        outliers={
            name: draw(name, 0.55 + index)
            for index, name in enumerate(outliers)
        },
    )
    evaluations = {
        name: evaluate_method(name, MeanDetector(10.0**-index), task)
        for index, name in enumerate(methods)
    }
    experiment = types.SimpleNamespace(task=task, seed=3)
    results = results_of(evaluations, experiment, 0.3)
    return results, report_page(results, evaluations, "run <1>", CONFIG)


def assert_shows(text, value):
    """A text is a value as rounded as its digits say."""
    if value is None:
        assert text == "∞"
        return
    percent = text.endswith("%")
    number = text.rstrip("%\N{NO-BREAK SPACE}").replace(",", "")
    value = 100 * value if percent else value
    if number[0] in "<>":
        limit = float(number[1:])
        assert 0 < value < limit if number[0] == "<" else limit < value < 1
        return
    mantissa, _, exponent = number.partition("e")
    digits = len(mantissa.partition(".")[2]) - int(exponent or 0)
    assert abs(float(number) - value) <= 0.5001 * 10.0**-digits, (text, value)


def assert_numbers_are_those_of(results, numbers):
    """Each (value, path, text) of a page is what the results hold there."""
    assert numbers
    for value, path, text in numbers:
        expected = functools.reduce(operator.getitem, json.loads(path), results)
        assert json.loads(value) == expected
        assert_shows(text, expected)


def metric_paths(results):
    return {
        json.dumps(
            ["methods", method, "outliers", name, "metrics", metric, end]
        )
        for method, evaluated in results["methods"].items()
        for name, outliers in evaluated["outliers"].items()
        for metric, estimate in outliers["metrics"].items()
        for end in estimate
    }


def numbers_in(page):
    """Value, path and text of every labelled number."""
    found = LABELLED.findall(page)
    return [tuple(map(html.unescape, number)) for number in found]


@pytest.mark.parametrize("value", [0.0, 1e-5, 0.0005, 0.87654, 0.9996, 1.0])
def test_only_zero_and_one_look_like_zero_and_one(value):
    results = {"metrics": {"auroc": {"value": value}}}
    markup = report.number_markup(results, ["metrics", "auroc", "value"])
    ((_, _, shown),) = numbers_in(str(markup))
    assert (shown in ("0.000", "1.000")) == (value in (0.0, 1.0))
    assert_shows(shown, value)


def test_every_number_and_every_metric_is_that_of_the_results():
    results, page = make_page()
    numbers = [
        tuple(map(html.unescape, found)) for found in LABELLED.findall(page)
    ]
    assert_numbers_are_those_of(results, numbers)
    assert metric_paths(results) <= {path for _, path, _ in numbers}
    assert "∞" in {text for *_, text in numbers}


def test_sets_may_have_the_names_of_keys():
    results, page = make_page(outliers=("metrics", "background_rejection"))
    assert_numbers_are_those_of(results, numbers_in(page))


def test_names_and_configuration_are_escaped():
    _, page = make_page()
    assert "<script" not in page and "<img src=x" not in page
    assert str(html.escape(CONFIG, quote=False)) in page


def test_the_page_refers_to_nothing_but_itself():
    _, page = make_page()
    urls = re.findall(r'\b(?:src|href|action|data)="([^"]*)"', page)
    assert urls and all(
        url == "data:," or url.startswith("data:image/png;base64,")
        for url in urls
    )
    assert "url(" not in page and "@import" not in page


def test_pictures_are_the_examples():
    results, page = make_page(methods=("NAE",))
    first = results["methods"]["NAE"]["inliers"]["lowest"][0]
    match = re.search(
        r'<img src="data:image/png;base64,([^"]*)" alt="inliers &lt;test&gt;, '
        rf'no. {first["index"]}"',
        page,
    )
    png = tf.io.decode_base64(
        match[1].replace("+", "-").replace("/", "_").rstrip("=")
    )
    image = tf.io.decode_png(png).numpy() / 255
    assert image.shape == (8, 8, 1)
    # The stand-in's score is the mean of the example.
    assert image.mean() == pytest.approx(first["score"], abs=2e-3)


def test_a_roc_curve_is_that_of_its_set():
    results, page = make_page(outliers=("near", "far"))
    charts = map(ElementTree.fromstring, re.findall("<svg.*?</svg>", page))
    by_title = {chart.get("aria-label"): chart for chart in charts}
    for name in ("near", "far"):
        chart = by_title[f"ROC curves, {name} and inliers <test>"]
        for method, kind in [("AE", "base"), ("NAE", "own")]:
            metrics = results["methods"][method]["outliers"][name]["metrics"]
            (path,) = chart.iterfind(f"path[@class='curve {kind}']")
            points = [point.split() for point in path.get("d")[1:].split("L")]
            x, y = (np.array(points, float) - np.array(points[0], float)).T
            area = scipy.integrate.trapezoid(y / y[-1], x / x[-1])
            assert area == pytest.approx(metrics["auroc"]["value"], abs=0.01)


def test_dots_and_bars_of_the_overview_stand_at_their_values():
    results, page = make_page(outliers=("near", "far"))
    labels = re.findall(
        r'<i class="label" style="left: ([\d.]+)%">([\d.]+)</i>', page
    )
    first = float(labels[0][1])
    assert first <= 0.5 and labels[-1] == ("100.00", "1.0")
    drawn = re.findall(
        r'<i class="bar" style="left: ([\d.]+)%; right: calc\(100% - '
        r'([\d.]+)%\)"></i><i class="dot" style="left: ([\d.]+)%"></i>',
        page,
    )
    expected = [
        [auroc[key] for key in ("low", "high", "value")]
        for name in ("near", "far")
        for method in ("AE", "NAE")
        for auroc in [
            results["methods"][method]["outliers"][name]["metrics"]["auroc"]
        ]
    ]
    for places, values in [
        *zip(drawn, expected, strict=True),
        *[([place], [float(value)]) for place, value in labels],
    ]:
        np.testing.assert_allclose(
            first + (1 - first) * np.array(places, float) / 100,
            values,
            atol=1e-4,
        )


def test_a_gallery_has_errors_of_one_scale_and_says_what_they_mean():
    def constant(name, *levels):
        return examples(
            name, np.multiply.outer(np.array(levels), np.ones([2, 2, 1]))
        )

    inliers = constant("test", 0.0, math.sqrt(0.5))
    task = Task("t", *[inliers] * 3, outliers={"far": constant("far", 1.0)})
    evaluation = evaluate_method("m", MeanDetector(), task)
    groups = {
        group.title: group
        for group in gallery("m", evaluation, "inliers").groups
    }

    def colours(title, row):
        return [
            tf.io.decode_png(
                base64.b64decode(picture.url.partition(",")[2])
            ).numpy()[0, 0]
            for picture in groups[title].examples[row].pictures
        ]

    # The stand-in reconstructs x as -x, with the squared error 4 x**2: here
    # nothing, half of the largest on the page, and the largest.
    _, _, none = colours("inliers, lowest scores", 0)
    _, _, half = colours("inliers, lowest scores", 1)
    x, reconstruction, largest = colours("far, highest scores", 0)
    assert (x, reconstruction) == (255, 0)
    np.testing.assert_array_equal(none, [12, 10, 30])
    np.testing.assert_array_equal(largest, [252, 253, 200])
    # Half way between the colours of 0.4 and 0.6.
    between = np.mean([[166, 44, 92], [229, 92, 48]], axis=0)
    np.testing.assert_allclose(half, between, atol=1)
    assert "false alarm" in groups["inliers, highest scores"].meaning
    assert "missed" in groups["far, lowest scores"].meaning


@pytest.mark.parametrize("shape", [(8, 8, 3), (6, 5, 2), (7,)])
def test_other_examples_than_grey_images_have_a_page(shape):
    results, page = make_page(shape, outliers=("near",))
    has_pictures = len(shape) == 3
    assert (page.count("<img") > 1) == has_pictures
    numbers = [
        tuple(map(html.unescape, found)) for found in LABELLED.findall(page)
    ]
    assert_numbers_are_those_of(results, numbers)


def test_histograms_of_all_methods_have_one_axis():
    # The scores of one method are ten times those of the other.
    _, page = make_page(outliers=("near",))
    texts = [
        re.findall(r"<text[^>]*>([^<]*)<", chart)
        for chart in re.findall(r"<svg.*?</svg>", page, re.DOTALL)[:2]
    ]
    axes = [
        [text for text in each if "%" not in text and "share" not in text]
        for each in texts
    ]
    assert axes[0] == axes[1] and len(axes[0]) > 2


def test_a_run_without_outliers_speaks_of_none():
    _, alone = make_page(outliers=())
    _, page = make_page()
    for words in ("user_data.outliers", "How NAE scores "):
        assert words in alone and words not in page
    for words in ("0 sets", "True positive rate", "overlap", "bootstrap"):
        assert words not in alone
    for words in ("True positive rate", "overlap", "Area under the ROC"):
        assert words in page


def test_a_run_without_outliers_has_a_page():
    results, page = make_page(outliers=())
    assert not metric_paths(results)
    assert page.count("<svg") == 2  # The inliers' scores by both methods.


# --- In a browser -------------------------------------------------------------


@pytest.fixture(scope="module")
def browser():
    with headless_browser() as browser:
        yield browser


@pytest.mark.parametrize("width", [390, 1440])
def test_a_browser_shows_the_page_from_disk(browser, tmp_path, width):
    results, text = make_page()
    file = tmp_path / "report.html"
    file.write_text(text, encoding="utf-8")
    messages, requests, backgrounds = [], [], []
    for scheme in ("light", "dark"):
        page = browser.new_page(
            viewport={"width": width, "height": 900}, color_scheme=scheme
        )
        page.on("console", lambda message: messages.append(message.text))
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.on("dialog", lambda dialog: messages.append(dialog.message))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(file.as_uri())
        for details in page.query_selector_all("details:not([open])"):
            details.evaluate("element => element.open = true")
        sizes = page.eval_on_selector_all(
            "img", "all => all.map(i => [i.complete, i.naturalWidth, i.alt])"
        )
        # Two methods, three sets, two ends, six examples, three pictures each.
        assert len(sizes) == 2 * (1 + 3 * 2 * 6 * 3)
        assert all(done and wide and alt for done, wide, alt in sizes)
        numbers = page.eval_on_selector_all(
            "data",
            "all => all.map(d => [d.value, d.dataset.path, d.innerText])",
        )
        assert_numbers_are_those_of(results, numbers)
        assert metric_paths(results) <= {path for _, path, _ in numbers}
        assert page.inner_text("pre") == CONFIG
        overflow = "document.documentElement.scrollWidth - innerWidth"
        assert page.evaluate(overflow) <= 0
        backgrounds.append(
            page.evaluate("getComputedStyle(document.body).backgroundColor")
        )
        page.close()
    assert messages == []
    local = [url for url in requests if not url.startswith("data:")]
    assert local == [file.as_uri()] * 2
    assert backgrounds[0] != backgrounds[1]


def test_a_checkout_that_is_not_installed_has_a_report(monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    _, page = make_page(methods=["AE"])
    assert "Written by nae_tf (not installed)" in page
