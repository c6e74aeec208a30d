"""No pipeline of ours has the thread whose end may take a minute."""

import numpy as np
import pytest

from nae_tf.base.step_budget import RECIPE, arguments_of_budget
from nae_tf.data import digits_holdout
from nae_tf.data.selection import sample
from nae_tf.training.exact_resume import ExactResume

ROWS = np.zeros([6, 2], np.float32)


def of_a_budget(_):
    batches, _, _ = arguments_of_budget("fit", ROWS, 2, RECIPE, (), {})
    return batches


PIPELINES = {
    "batches": lambda _: digits_holdout().test.batches(2),
    "training batches": lambda _: digits_holdout().train.training_batches(2, 0),
    "a sample": lambda _: sample(digits_holdout().train, 3).batches(2),
    "exact resume": lambda folder: ExactResume(folder).batches(ROWS),
    "a budget": of_a_budget,
}


@pytest.mark.parametrize("name", PIPELINES)
def test_a_pipeline_is_not_tuned(name, tmp_path):
    assert PIPELINES[name](tmp_path).options().autotune.enabled is False
