"""The command `nae-tf`, which starts all commands of the package.

    nae-tf --help
    nae-tf train --gin_file=digits.gin

The second line is the same as `python -m nae_tf.train --gin_file=digits.gin`.
"""

import difflib
import importlib
import os
import sys
from importlib import metadata

COMMANDS = {
    "train": "Train a model by a gin file, and evaluate it.",
    "evaluate": "Evaluate a trained run again: results.json and report.html.",
    "sample": "Draw samples from a trained run, and measure them.",
    "export": "Export a trained run as a SavedModel with p-values.",
    "distil": "Distil a trained run into a small network for devices.",
    "score": "Score files by an exported model.",
    "beam": "Score many files by an exported model on Apache Beam.",
    "recalibrate": "Write an export anew with other held-out inliers.",
    "monitor": "Watch whether what is served is still like the calibration.",
    "serve": "Serve an export over HTTP and gRPC, by KServe.",
    "prepare": "Download or import an image data set.",
}
# Modules of commands that stand in a room.
_IN_ROOMS = {
    "beam": "serving.beam_command",
    "distil": "evaluation.distil_command",
    "recalibrate": "serving.recalibrate_command",
    "monitor": "evaluation.monitor_command",
    "serve": "serving.serve_command",
}


def module_of(command: str) -> str:
    """Return the module of a command, which has define_flags and main."""
    return f"nae_tf.{_IN_ROOMS.get(command, command)}"


def main():
    """Run the command that the command line names."""
    name, *arguments = sys.argv[1:] or ["--help"]
    if name in ("--help", "-h", "help"):
        try:
            print(_help(), flush=True)
        except BrokenPipeError:
            # Python flushes once more at its end, which would fail again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    elif name == "--version":
        print(f"nae-tf {metadata.version('nae-tf')}")
    elif name in COMMANDS:
        _run(name, arguments)
    else:
        nearest = difflib.get_close_matches(name, COMMANDS, 1, cutoff=0.0)
        sys.exit(
            f"error: there is no command {name!r}; did you mean "
            f"{nearest[0]!r}? `nae-tf --help` lists all commands."
        )


def _help() -> str:
    width = max(map(len, COMMANDS))
    commands = [f"  {name:{width}}  {COMMANDS[name]}" for name in COMMANDS]
    return "\n".join(
        [
            "usage: nae-tf <command> [flags]",
            "",
            *commands,
            "",
            "`nae-tf <command> --help` explains the flags of a command, "
            "`nae-tf --version`",
            "prints the version.",
        ]
    )


def _run(name: str, arguments: list[str]):
    """Run a command of the package, found by its name."""
    sys.argv = [f"nae-tf {name}", *arguments]
    # Its __init__ omits all names while the program is called "nae-tf".
    importlib.reload(sys.modules["nae_tf"])
    from nae_tf.runs.command_line import run_command

    # By name, because a room imports no command.
    command = importlib.import_module(module_of(name))
    # absl prints the documentation of the main module above the flags.
    sys.modules["__main__"].__doc__ = command.__doc__
    run_command(command.main, command.define_flags)
