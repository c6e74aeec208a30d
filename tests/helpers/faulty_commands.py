"""Commands whose system calls fail one by one, and are given again.

    python tests/helpers/faulty_commands.py FOLDER COMMAND:START:STEP ...

FOLDER/COMMAND has what a command of `COMMANDS` begins with. Of its calls that
write, every STEP-th from START on fails in a copy of its own: by "No space left
on device", by "Input/output error" and by a kill, in turns. What was there
before has to be there after it, and the same command given again has to leave
what a command without a fault leaves. Prints the number of faults by command,
as JSON.

This process imports TensorFlow, but does not start it, so that it can be
forked.
"""

import csv
import errno
import hashlib
import json
import os
import pathlib
import shutil
import signal
import socket
import sys

import forked_commands
import system_calls
from tiny_runs import DIGITS, NAE_TF

FAULTS = (errno.ENOSPC, errno.EIO, system_calls.KILL)
TRAINING = [
    *("train", f"--gin_file={DIGITS}", "--run_dir=run"),
    *(
        f"--gin_bindings={binding}"
        for binding in [
            "Experiment.pretraining=None",
            "Experiment.evaluation_limit=32",
            "MLPEncoder.hidden_units=(8,)",
            "MLPDecoder.hidden_units=(8,)",
            "OnManifold.replay_capacity=100",
            "visible/LangevinChain.num_steps=1",
            "latent/LangevinChain.num_steps=1",
            "training/Phase.epochs=2",
            "training/Phase.steps_per_epoch=3",
            "CheckpointSchedule.interval_seconds=0.0",
            "CheckpointSchedule.max_share=1.0",
        ]
    ),
    "--resume",
]
SCORING = ["--model=export/1", "--input=x.npy", "--batch_size=16"]
COMMANDS = {
    "score": ["score", *SCORING, "--output=scores.csv"],
    "parquet": ["score", *SCORING, "--output=scores.parquet"],
    "export": ["export", "--run_dir=run"],
    "recalibrate": ["recalibrate", *SCORING],
    "monitor": ["monitor", *SCORING, "--state=watch.json", "--page=watch.html"],
    "evaluate": ["evaluate", "--run_dir=run"],
    "replica": [*TRAINING, "--num_replicas=2"],
    # The one that fails is the first or the second of two.
    "chief": TRAINING,
    "worker": TRAINING,
}
WORKERS = {"chief": 0, "worker": 1}


class Child:
    """A fork that waits for a line before it carries out a command.

    Attributes:
        pid: its id, also that of its process group.
        stdin: where the line is written to.
        returncode: exit status, once it is known.
        errors: file of its standard error.
        temporary: folder of its temporary files.
        failed: a file that is there if the fault came.
    """

    def __init__(self, command, folder, scratch, fault=None, **environment):
        """Fork; `fault` is a position and what `system_calls.fail_at` takes."""
        # Faults may meet temporary files, but not what is said of them.
        self.temporary = scratch / "temporary"
        self.temporary.mkdir(parents=True)
        self.errors, self.failed = scratch / "2", scratch / "failed"
        self.returncode = None
        (scratch / "0").touch()
        receiving, sending = os.pipe()
        self.pid = os.fork()
        if self.pid:
            os.setpgid(self.pid, self.pid)
            os.close(receiving)
            self.stdin = os.fdopen(sending, "wb")
            return
        os.close(sending)
        os.read(receiving, 1)
        if fault is not None:
            system_calls.fail_at(*fault)
        status = forked_commands.carry_out(
            [*NAE_TF, *command],
            folder,
            {**os.environ, "TMPDIR": str(self.temporary), **environment},
            [scratch / name for name in "012"],
        )
        if fault is not None and system_calls.has_failed():
            self.failed.touch()
        os._exit(status)

    def wait(self) -> int:
        """Let it begin, and return its exit status."""
        self.start()
        _, status = os.waitpid(self.pid, 0)
        self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def start(self):
        """Let it begin."""
        self.stdin.write(b"\n")
        self.stdin.close()


def run(name, folder, scratch, fault=None) -> Child:
    """Carry out a command, by two processes if it is one of two workers."""
    command = COMMANDS[name]
    if name not in WORKERS:
        child = Child(command, folder, scratch, fault)
        return finished(child, folder, fault)
    index = WORKERS[name]
    first, second = clusters()
    other = Child(
        command,
        folder,
        scratch / "other",
        TF_CONFIG=(first, second)[1 - index],
    )
    child = Child(
        command,
        folder,
        scratch / "one",
        fault,
        TF_CONFIG=(first, second)[index],
    )
    other.start()
    # Workers but the first write into folders of their own.
    finished(child, folder if index == 0 else child.temporary, fault)
    _, status = os.waitpid(other.pid, 0)
    explained(other, os.waitstatus_to_exitcode(status))
    return child


def finished(child, folder, fault):
    """Wait for a process, traced if it has a fault."""
    if fault is None:
        explained(child, child.wait())
        assert child.returncode == 0, child.errors.read_text()
    else:
        explained(child, system_calls.with_faults(child, folder))
    return child


def explained(child, status):
    """A command ends well, by a kill, or with a line that says why."""
    text = child.errors.read_text()
    assert status in (0, 1, -signal.SIGKILL), (status, text)
    assert "Traceback" not in text, text
    if status == 1:
        last = text.rstrip().splitlines()[-1]
        assert last.startswith("error: "), text
        assert "[Errno" not in last, text


def clusters():
    """TF_CONFIG of two workers on this machine."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    workers = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    return [
        json.dumps(
            {
                "cluster": {"worker": workers},
                "task": {"type": "worker", "index": index},
            }
        )
        for index in range(2)
    ]


def contents(folder) -> dict[str, str]:
    """Digests of files by their paths, but for hidden ones.

    Of checkpoints there are the variables of the newest: when they are saved,
    and so their numbers, depends on the time that saving takes.
    """
    newest = {}
    for path in sorted(folder.rglob("checkpoints/*/[0-9]*")):
        newest[path.parent] = path
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if not path.is_file() or any(x.startswith(".") for x in name.parts):
            continue
        # Events have the time and the machine in their names.
        if path.name.startswith("events."):
            continue
        octets = path.read_bytes()
        if path.name == "metrics.csv":
            rows = list(csv.DictReader(octets.decode().splitlines()))
            octets = repr([{**row, "seconds": None} for row in rows]).encode()
        if "checkpoints" in name.parts:
            is_newest = path.parent in newest.values()
            if not is_newest or path.name == "manifest.json":
                continue
            name = name.parent.parent / "newest" / path.name
        found[str(name)] = hashlib.sha256(octets).hexdigest()
    return found


def faults_of(name, folder, positions) -> int:
    """Let calls of a command fail; return how many there were."""
    template = folder / name
    before = contents(template)
    ends = []
    for number in range(2):
        whole = shutil.copytree(template, folder / "whole" / str(number))
        run(name, whole, folder / "scratch" / f"{name}-{number}")
        ends.append(contents(whole))
        shutil.rmtree(whole)
    # Graphs of TensorFlow have names that differ from process to process.
    same = {key for key in ends[0] if ends[0][key] == ends[1].get(key)}
    assert same and ends[0].keys() == ends[1].keys()

    def is_whole(found):
        # Rows that could not be deleted behind the finished file may stay.
        names = {key for key in found if not key.endswith(".partial")}
        return names == ends[0].keys() and all(
            found[key] == ends[0][key] for key in same
        )

    count = 0
    for position in positions:
        fault = FAULTS[count % len(FAULTS)]
        place = shutil.copytree(template, folder / "copies" / name)
        scratch = folder / "scratch" / f"{name}-{position}"
        child = run(name, place, scratch / "fault", (position, fault))
        killed = child.returncode == -signal.SIGKILL
        has_failed = killed or child.failed.exists()
        after = contents(place)
        for key, digest in before.items():
            assert after.get(key) in (digest, ends[0][key]), (key, position)
        if not is_whole(after):
            run(name, place, scratch / "again")
            assert is_whole(contents(place)), position
        shutil.rmtree(place)
        shutil.rmtree(scratch)
        if not has_failed:
            return count
        count += 1
        print(name, position, fault, child.returncode, file=sys.stderr)
    return count


def main():
    folder = pathlib.Path(sys.argv[1]).resolve()
    counts = {}
    for text in sys.argv[2:]:
        name, start, step = text.split(":")
        positions = range(int(start), 100_000, int(step))
        counts[name] = faults_of(name, folder, positions)
    print(json.dumps(counts), flush=True)


if __name__ == "__main__":
    main()
