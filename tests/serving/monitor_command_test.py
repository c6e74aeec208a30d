"""nae-tf monitor, as a scheduler runs it."""

import json

import numpy as np
import pytest
from absl import flags
from tiny_runs import run_module

from nae_tf.evaluation import monitor_command
from nae_tf.serving import Calibration
from nae_tf.serving.monitor import Monitor
from nae_tf.serving.score_files import PartialFile
from nae_tf.serving.watched import open_scores, read_calibration


def vectors(seed, scale=1.0):
    random = np.random.default_rng(seed)
    return scale * random.normal(size=(60, 4)).astype(np.float32)


@pytest.fixture
def run(monkeypatch):
    """The command in this process; returns its exit status."""

    def run(model, path, state, **others):
        parsed = flags.FlagValues()
        with monkeypatch.context() as patch:
            patch.setattr(flags, "FLAGS", parsed)
            for name in (
                "DEFINE_bool",
                "DEFINE_string",
                "DEFINE_float",
                "DEFINE_integer",
                "DEFINE_list",
                "DEFINE_enum",
            ):
                define = getattr(flags, name)
                patch.setattr(
                    flags,
                    name,
                    lambda *a, define=define, **k: define(
                        *a, **k, flag_values=parsed
                    ),
                )
            monitor_command.define_flags()
            given = {"model": model, "input": path, "state": state} | others
            parsed(["", *(f"--{name}={given[name]}" for name in given)])
            try:
                monitor_command.main()
            except SystemExit as end:
                return end.code
            return 0

    return run


def write_scores(path, calibration, energies):
    with PartialFile(path) as file:
        p_values = calibration.p_values(np.nan_to_num(energies, nan=0.0))
        file.write(
            (
                str(number),
                str(energy),
                "nan" if np.isnan(energy) else str(p),
                "0",
            )
            for number, (energy, p) in enumerate(
                zip(energies, p_values, strict=True)
            )
        )
        file.finish()
    return path


@pytest.mark.parametrize("suffix", ["csv", "npz", "parquet"])
def test_files_of_scores_are_read_as_they_were_written(suffix, tmp_path):
    random = np.random.default_rng(0)
    calibration = Calibration(random.normal(size=99))
    energies = np.append(random.normal(size=30), np.nan)
    path = write_scores(tmp_path / f"x.{suffix}", calibration, energies)
    found = open_scores(str(path), calibration)
    np.testing.assert_array_equal(np.concatenate(list(found)), energies)
    other = Calibration(random.normal(2, size=99))
    with pytest.raises(ValueError, match="those of another model"):
        list(open_scores(str(path), other))


@pytest.mark.parametrize("suffix", ["csv", "npz", "parquet", "npy"])
def test_examples_are_no_scores(suffix, tmp_path):
    path = tmp_path / f"x.{suffix}"
    if suffix == "csv":
        path.write_text("a,b,c,d\n1,2,3,4\n")
    elif suffix == "npz":
        np.savez(path, x=vectors(0))
    elif suffix == "npy":
        np.save(path, vectors(0))
    else:
        import pyarrow
        from pyarrow import parquet

        parquet.write_table(pyarrow.table({"a": [1.0]}), path)
    assert open_scores(str(path), Calibration([1.0])) is None


def test_a_damaged_file_of_scores_is_refused(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("id,energy,p_value,is_outlier\n0,0.5\n")
    with pytest.raises(ValueError, match="before line 2: expected rows of id"):
        list(open_scores(str(path), Calibration([1.0])))


def test_a_watch_begins_goes_on_and_gives_an_alarm(
    run, exported_vectors, tmp_path, capsys
):
    calibration = read_calibration(exported_vectors)
    random = np.random.default_rng(1)
    state, page = tmp_path / "watch.json", tmp_path / "watch.html"
    expected = Monitor(calibration, 0.05)
    # As many of the calibration's scores as there are inliers.
    for day in range(2):
        energies = random.choice(calibration.scores, 70)
        path = write_scores(tmp_path / f"{day}.csv", calibration, energies)
        status = run(exported_vectors, path, state, level=0.05, page=page)
        assert status == 0
        assert capsys.readouterr().out.startswith(f"no alarm: {70 * day + 70} ")
        expected.update(energies)
    written = Monitor.from_json(state.read_text(), calibration)
    assert written.batches == expected.batches
    assert written.log10_wealth == expected.log10_wealth
    before = state.read_bytes()
    assert run(exported_vectors, path, state) == 0
    assert "not counted twice" in capsys.readouterr().err
    assert state.read_bytes() == before
    assert "No alarm after 140 examples" in page.read_text()
    high = calibration.scores.max() + random.random(40)
    path = write_scores(tmp_path / "2.csv", calibration, high)
    assert run(exported_vectors, path, state, page=page) == 2
    assert capsys.readouterr().out.startswith("alarm: the examples have")
    assert "Alarm:" in page.read_text()
    # It stays, for a scheduler that looks later.
    path = write_scores(tmp_path / "3.csv", calibration, calibration.scores)
    assert run(exported_vectors, path, state) == 2


def test_examples_are_scored_as_nae_tf_score_does(
    exported_vectors, run, tmp_path, capsys
):
    x = vectors(3)
    x[7, 1] = np.nan
    np.save(tmp_path / "x.npy", x)
    state = tmp_path / "watch.json"
    run(exported_vectors, tmp_path / "x.npy", state, batch_size=25)
    assert "example 7 has no score" in capsys.readouterr().err
    batches = json.loads(state.read_text())["batches"]
    assert [batch["size"] for batch in batches] == [24, 25, 10]
    output = tmp_path / "x.csv"
    scored = run_module(
        "score",
        f"--model={exported_vectors}",
        f"--input={tmp_path / 'x.npy'}",
        f"--output={output}",
        "--on_error=record",
        "--batch_size=25",
    )
    assert scored.returncode == 0, scored.stderr
    run(exported_vectors, output, state, batch_size=25)
    assert "not counted twice" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"state": "watch.txt"}, r"--state named \*\.json"),
        ({"page": "watch.pdf"}, r"--page named \*\.html"),
        ({"model": "nothing"}, "calibration.json' is missing"),
        ({"level": 0.2}, r"has the level 0\.01, not 0\.2"),
        ({"path": "empty.csv"}, "holds no examples"),
    ],
)
def test_mistakes_end_in_one_line_and_change_nothing(
    change, message, run, exported_vectors, tmp_path
):
    calibration = read_calibration(exported_vectors)
    state = tmp_path / "watch.json"
    write_scores(tmp_path / "x.csv", calibration, calibration.scores)
    write_scores(tmp_path / "empty.csv", calibration, np.zeros(0))
    state.write_text(Monitor(calibration).to_json())
    before = state.read_bytes()
    given = {
        "model": exported_vectors,
        "path": "x.csv",
        "state": state,
    } | change
    given["path"] = tmp_path / given["path"]
    if isinstance(given["state"], str):
        given["state"] = tmp_path / given["state"]
    if "page" in given:
        given["page"] = tmp_path / given["page"]
    with pytest.raises((ValueError, OSError), match=message):
        run(**given)
    assert state.read_bytes() == before
