"""The twenty cases of the verdict: what is stored, and what is printed."""

import json

import pytest

import check_verdicts
from nae_tf.metrics import TrainingDiagnostics
from reproduction import cells

CASES = (*check_verdicts.FAILING, *check_verdicts.GOOD)
STORED = [case for case in CASES if case.file.exists()]


def test_there_are_ten_of_each_kind_and_none_twice():
    assert len(check_verdicts.FAILING) == len(check_verdicts.GOOD) == 10
    assert len({case.file for case in CASES}) == 20
    assert all(case.wrong for case in check_verdicts.FAILING)
    assert not any(case.wrong for case in check_verdicts.GOOD)


@pytest.mark.parametrize("case", STORED, ids=lambda case: case.file.stem)
def test_stored_verdicts_are_those_of_the_present_limits(case):
    cell = json.loads(case.file.read_text())
    found = TrainingDiagnostics(**cell["diagnostics"]).failures()
    assert found == cell["failures"]
    assert (cell["task"], cell["wrong"], cell["seed"]) == (
        case.task,
        case.wrong,
        case.seed,
    )


def test_the_table_counts_what_was_judged_rightly(
    tmp_path, monkeypatch, capsys
):
    def run_case(case):
        named = case.wrong == "few" or case.task == "digits, 9"
        return {
            "task": case.task,
            "wrong": case.wrong,
            "seed": case.seed,
            "AE": 0.9,
            "NAE": 0.8,
            "failures": ["it is no good: try again"] * named,
        }

    monkeypatch.setattr(cells, "RESULTS", tmp_path)
    monkeypatch.setattr(check_verdicts, "run_case", run_case)
    check_verdicts.main([])
    shown = capsys.readouterr().out
    # Digits 9 three times, few examples of two more; digits 9 twice.
    assert "failing: verdict right in 5 of 10; 0 missing" in shown
    assert "good: verdict right in 8 of 10; 0 missing" in shown
    row = (
        "| wine, cultivar 1 latents | 0 | 0.900 | 0.800 | no sign of failure |"
    )
    assert row in shown
    check_verdicts.main(["--show"])
    assert capsys.readouterr().out == shown
