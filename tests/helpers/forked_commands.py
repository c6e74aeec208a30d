"""Commands of the package in forks of a process that has imported it.

The import takes longer than most commands of the tests. A fork of a process
that has imported TensorFlow, but not started it, need not import it again.
"""

import atexit
import contextlib
import functools
import json
import os
import pathlib
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback


def run(
    arguments, folder, environment, stdin=""
) -> subprocess.CompletedProcess:
    """Run Python with arguments in a folder, and return what it printed.

    Args:
        arguments: what follows `python`: "-m" and a module, "-c" and code, or
            the path of a script, and the arguments of any.
        folder: working directory.
        environment: all environment variables.
        stdin: text of the standard input.
    """
    command = Command(arguments, folder, environment, stdin)
    output, errors = command.communicate()
    return subprocess.CompletedProcess(
        arguments, command.returncode, output, errors
    )


class Command:
    """A command that runs beside others; of `subprocess.Popen` what tests use.

    Attributes:
        pid: id of its process.
        returncode: its exit status; None before `communicate`.
    """

    def __init__(self, arguments, folder, environment, stdin=""):
        """Start it; the arguments are those of `run`."""
        self.returncode = None
        self._scratch = tempfile.TemporaryDirectory()
        self._streams = [
            pathlib.Path(self._scratch.name) / name for name in "ioe"
        ]
        self._streams[0].write_text(stdin)
        self.pid = _ask(
            arguments=list(map(str, arguments)),
            folder=str(folder),
            environment=dict(environment),
            streams=list(map(str, self._streams)),
        )

    def send_signal(self, number):
        """Send it a signal; until `communicate` its id is its own."""
        os.kill(self.pid, number)

    def communicate(self, timeout=None) -> tuple[str, str]:
        """Wait for its end, and return what it printed.

        Args:
            timeout: seconds after which it is killed; None waits without end.

        Raises:
            TimeoutError: if it had to be killed.
        """
        end = time.monotonic() + (timeout or 0)
        while (status := _ask(pid=self.pid, waits=timeout is None)) is None:
            if time.monotonic() > end:
                self.send_signal(signal.SIGKILL)
                _ask(pid=self.pid, waits=True)
                raise TimeoutError(f"no end after {timeout} seconds")
            time.sleep(0.05)
        self.returncode = status
        output, errors = (path.read_text() for path in self._streams[1:])
        self._scratch.cleanup()
        return output, errors


_ONE_AT_A_TIME = threading.Lock()


def _ask(**request):
    """Send the process that forks a request, and return its answer."""
    with _ONE_AT_A_TIME:
        server = _server()
        print(json.dumps(request), file=server.stdin, flush=True)
        return json.loads(server.stdout.readline())


@functools.cache
def _server():
    root = pathlib.Path(__file__).resolve().parents[2]
    server = subprocess.Popen(
        [sys.executable, __file__],
        env=os.environ | {"PYTHONPATH": str(root)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(_end, server)
    return server


def _end(server):
    server.stdin.close()
    server.wait()
    server.stdout.close()


def _serve():
    import nae_tf

    del nae_tf
    for line in sys.stdin:
        request = json.loads(line)
        if "pid" in request:
            answer = _status(**request)
        elif not (answer := os.fork()):
            os._exit(carry_out(**request))
        print(json.dumps(answer), flush=True)


def _status(pid, waits):
    """Return the exit status of a fork, or None if it goes on."""
    ended, status = os.waitpid(pid, 0 if waits else os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def carry_out(arguments, folder, environment, streams) -> int:
    """Run Python as `run` does, in this process; return the exit status."""
    for number, path in enumerate(streams):
        writing = os.O_CREAT | os.O_WRONLY
        os.dup2(os.open(path, writing if number else os.O_RDONLY), number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None  # TMPDIR may be another than that of the parent.
    sys.path[0] = str(folder)
    sys.path[1:1] = environment.get("PYTHONPATH", "").split(os.pathsep)
    try:
        _run_python(*arguments)
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(bool(end.code))
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        status = 1
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    return status


def _run_python(kind, *others):
    if kind == "-m":
        sys.argv = list(others)
        runpy.run_module(others[0], run_name="__main__", alter_sys=True)
    elif kind == "-c":
        code, *arguments = others
        sys.argv = ["-c", *arguments]
        exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})
    else:
        sys.argv = [kind, *others]
        sys.path[0] = os.path.dirname(kind)
        runpy.run_path(kind, run_name="__main__")


if __name__ == "__main__":
    _serve()
