"""The page of a watch."""

from xml.etree import ElementTree

import numpy as np
import pytest
from headless_browser import headless_browser

from nae_tf.evaluation.charts import course_chart, share_chart
from nae_tf.evaluation.monitor_page import monitor_page
from nae_tf.serving import Calibration, Monitor


def watch(shift):
    random = np.random.default_rng(0)
    monitor = Monitor(Calibration(random.normal(size=300)), 0.01)
    for _ in range(3):
        monitor.update(random.normal(shift, size=100))
    return monitor


def test_the_page_says_whether_there_was_an_alarm():
    quiet = monitor_page(watch(0.0), "<export>/1")
    assert "No alarm after 300 examples" in quiet
    assert "&lt;export&gt;/1" in quiet and "<export>" not in quiet
    monitor = watch(2.0)
    loud = monitor_page(monitor, "export/1")
    assert f"evident at example {monitor.alarm_at} of 300" in loud
    assert f">{monitor.log10_wealth:.1f}<" in loud


def test_a_page_of_nothing_but_unscored_examples():
    monitor = Monitor(Calibration([1.0, 2.0]))
    monitor.update([np.nan])
    assert "No alarm after 0 examples" in monitor_page(monitor, "export/1")


def points(svg, name):
    [path] = [
        element
        for element in ElementTree.fromstring(svg).iter()
        if element.get("class") == name
    ]
    pairs = path.get("d").removeprefix("M").split("L")
    return np.array([pair.split() for pair in pairs], float)


def test_the_course_and_its_limit_are_drawn_to_scale():
    svg = course_chart("t", [0, 100, 200], [0.0, -1.0, 3.0], 2.0, "evidence")
    x, y = points(svg, "curve own").T
    _, limit = points(svg, "chance").T
    assert (x[1] - x[0]) == pytest.approx((x[2] - x[1]), abs=0.11)
    unit = y[0] - limit[0]  # Two units, upwards.
    assert y[1] - y[0] == pytest.approx(unit / 2, abs=0.2)
    assert y[0] - y[2] == pytest.approx(unit * 1.5, abs=0.2)
    course_chart("t", [0], [0.0], 0.05, "share", percent=True)


def test_shares_are_bars_over_their_parts():
    x, y = points(share_chart("t", [0.5, 0.25, 0.25], "p"), "area inlier").T
    np.testing.assert_allclose(y[1] - y[0], 2 * (y[3] - y[0]), atol=0.2)
    assert x[2] - x[1] == pytest.approx((x[-1] - x[0]) / 3, abs=0.2)


def test_the_page_fits_a_phone(tmp_path):
    path = tmp_path / "watch.html"
    path.write_text(monitor_page(watch(2.0), "runs/digits/export/1"))
    with headless_browser() as browser:
        page = browser.new_page(viewport={"width": 390, "height": 800})
        errors = []
        page.on("console", lambda message: errors.append(message.text))
        page.goto(path.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert not errors
