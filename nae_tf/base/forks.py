"""A line instead of a hang where a process was forked."""

import os

# The process in which detectors have worked; a forked child inherits it.
_worked_in: list[int] = []


def refuse_forked(title: str):
    """Refuse to work in a process that was forked off one that has worked.

    TensorFlow's threads are not there, and it would wait for them for ever.

    Args:
        title: what is asked to work, used in the error message.

    Raises:
        RuntimeError: if this process was forked.
    """
    process = os.getpid()
    if not _worked_in:
        _worked_in.append(process)
    if process not in _worked_in:
        raise RuntimeError(
            f"{title}: this process was forked off one in which TensorFlow had "
            "worked, whose threads it lacks; start processes by "
            "multiprocessing.get_context('spawn')."
        )
