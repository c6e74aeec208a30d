"""The recipe for Ray Data in the guide, as it stands there."""

import os
import re
import subprocess
import sys

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet
from tiny_runs import ROOT

from nae_tf import ExportedModel

pytest.importorskip("ray")


@pytest.mark.slow
def test_the_recipe_scores_every_row(exported_vectors, tmp_path):
    guide = (ROOT / "docs" / "guides" / "beam.md").read_text()
    section = guide.partition("\n## Ray Data\n")[2]
    [code] = re.findall(r"^```python\n(.*?)^```$", section, re.M | re.S)
    (tmp_path / "recipe.py").write_text(code)
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "1").symlink_to(exported_vectors)
    (tmp_path / "parts").mkdir()
    x = np.random.default_rng(0).normal(size=(600, 4)).astype(np.float32)
    x[5, 0] = np.nan
    for number in range(3):
        rows = slice(200 * number, 200 * (number + 1))
        columns = {name: x[rows, i] for i, name in enumerate("abcd")}
        columns["number"] = np.arange(600)[rows]
        path = tmp_path / "parts" / f"{number}.parquet"
        parquet.write_table(pyarrow.table(columns), path)
    path = f"{ROOT}:{os.environ.get('PYTHONPATH', '')}"
    done = subprocess.run(
        [sys.executable, "recipe.py"],
        cwd=tmp_path,
        env=os.environ
        | {"PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    scores = parquet.read_table(tmp_path / "scores").sort_by("number")
    assert scores["number"].to_pylist() == list(range(600))
    expected = ExportedModel(exported_vectors).outputs(x)
    for name in ("energy", "p_value", "is_outlier"):
        np.testing.assert_allclose(
            np.array(scores[name].to_pylist(), float),
            np.asarray(expected[name], float),
            rtol=1e-5,
        )
    assert np.isnan(scores["energy"][5].as_py())
