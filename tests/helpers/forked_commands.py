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


def run(arguments, folder, environment) -> subprocess.CompletedProcess:
    """Run Python with arguments in a folder, and return what it printed.

    Args:
        arguments: what follows `python`: "-m" and a module, or "-c" and code,
            and the arguments of either.
        folder: working directory.
        environment: all environment variables.
    """
    with tempfile.TemporaryDirectory() as scratch:
        outputs = [str(pathlib.Path(scratch) / name) for name in "oe"]
        request = {
            "arguments": list(map(str, arguments)),
            "folder": str(folder),
            "environment": dict(environment),
            "outputs": outputs,
        }
        server = _server()
        print(json.dumps(request), file=server.stdin, flush=True)
        status = int(server.stdout.readline())
        return subprocess.CompletedProcess(
            arguments, status, *(pathlib.Path(x).read_text() for x in outputs)
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
        os._exit(_carry_out(**request))


def _carry_out(arguments, folder, environment, outputs) -> int:
    for stream, output in zip((sys.stdout, sys.stderr), outputs, strict=True):
        file = os.open(output, os.O_CREAT | os.O_WRONLY)
        os.dup2(file, stream.fileno())
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[0] = str(folder)
    sys.path[1:1] = environment.get("PYTHONPATH", "").split(os.pathsep)
    kind, what, *others = arguments
    sys.argv = ["-c" if kind == "-c" else what, *others]
    try:
        if kind == "-m":
            runpy.run_module(what, run_name="__main__", alter_sys=True)
        else:
            exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})
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


if __name__ == "__main__":
    _serve()
