"""Commands of the package in forks of a process that has imported TensorFlow.

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
import subprocess
import sys
import tempfile
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
    with tempfile.TemporaryDirectory() as scratch:
        streams = [pathlib.Path(scratch) / name for name in "ioe"]
        streams[0].write_text(stdin)
        request = {
            "arguments": list(map(str, arguments)),
            "folder": str(folder),
            "environment": dict(environment),
            "streams": list(map(str, streams)),
        }
        server = _server()
        print(json.dumps(request), file=server.stdin, flush=True)
        status = int(server.stdout.readline())
        return subprocess.CompletedProcess(
            arguments, status, *(path.read_text() for path in streams[1:])
        )


@functools.cache
def _server():
    server = subprocess.Popen(
        [sys.executable, __file__],
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
    import keras
    import tensorflow

    del keras, tensorflow
    for line in sys.stdin:
        request = json.loads(line)
        if process := os.fork():
            _, status = os.waitpid(process, 0)
            print(os.waitstatus_to_exitcode(status), flush=True)
            continue
        os._exit(carry_out(**request))


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
