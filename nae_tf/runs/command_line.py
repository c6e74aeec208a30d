"""Common parts of the commands: flags and errors of one line."""

import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable

from absl import app, flags, logging

from nae_tf.runs.configuration import is_of_configuration, message_in_one_line
from nae_tf.runs.progress import (
    define_progress_flags,
    error_line,
    use_progress_flags,
    warning_line,
)


def define_run_dir_flags(help_text: str):
    """Define the flags of a command that reads a run and its data.

    They are --run_dir, --trust_config and --changed_data.

    Args:
        help_text: help of --run_dir.
    """
    flags.DEFINE_string("run_dir", None, help_text, required=True)
    flags.DEFINE_bool(
        "trust_config",
        False,
        "Let the run's config.gin import modules, which runs their code.",
    )
    flags.DEFINE_enum(
        "changed_data",
        "refuse",
        ["refuse", "accept"],
        "What to do if the data are not those of the training. Accepted ones "
        "are divided as they were then: no example that was trained on is "
        "validated, calibrated or tested with.",
    )


def accepts_changed_data() -> bool:
    """Return whether --changed_data accepts other data than the training's."""
    return flags.FLAGS.changed_data == "accept"


def run_command(
    main: Callable[[], None], define_flags: Callable[[], None] | None = None
):
    """Run an entry point; expected errors end in one line and exit status 1.

    Every command has --quiet and --nocolor; --verbosity=1 shows the full
    traceback of an error. Ctrl-C ends in one line, too, unless the command
    handles it itself. If the reader of a pipe closes it, nothing is printed. In
    both cases the exit status is 128 plus the number of the signal, as in a
    shell.

    Args:
        main: function without arguments that reads the flags.
        define_flags: function that defines the flags of the command.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            # The process that started the command has closed it, as daemons do.
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
    before = set(flags.FLAGS)
    if define_flags is not None:
        define_flags()
    define_progress_flags()
    for name in set(flags.FLAGS) - before:
        # --help lists the flags of the main module and these key flags.
        flags.FLAGS.register_key_flag_for_module(sys.argv[0], flags.FLAGS[name])

    def run_main(argv):
        use_progress_flags()
        warnings.formatwarning = warning_line
        if not flags.FLAGS["verbosity"].present:
            # At INFO level TensorFlow reports much that no user needs.
            logging.set_verbosity(logging.WARNING)
        try:
            if argv[1:]:
                raise ValueError(
                    f"unexpected argument {argv[1]!r}: give one value after "
                    "each flag, and repeat the flag for more."
                )
            main()
            sys.stdout.flush()
        except BrokenPipeError:
            # Python flushes once more at its end, which would fail again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(128 + signal.SIGPIPE)
        except KeyboardInterrupt:
            logging.debug("%s", traceback.format_exc())
            print(error_line("interrupted."), file=sys.stderr)
            sys.exit(128 + signal.SIGINT)
        except (ValueError, OSError, ImportError) as error:
            _end(error)
        except (TypeError, AttributeError, RuntimeError) as error:
            # In the configuration this is a value of a wrong type. Elsewhere it
            # is a defect of this package, whose traceback is needed.
            if not is_of_configuration(error):
                raise
            _end(error)

    app.run(run_main)


def _end(error: Exception):
    logging.debug("%s", traceback.format_exc())
    sys.exit(error_line(message_in_one_line(error)))
