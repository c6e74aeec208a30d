"""How much memory the contents of a file may take, whatever the file says.

A small file can describe a large array: by compression, by chunks that repeat a
fill value, by a hole on the disk. What cannot fit is refused before it is
unpacked, because a system out of memory ends other processes, too.
"""

import os
import pathlib

VARIABLE = "NAE_TF_MEMORY_LIMIT"
_LIMIT_OF_CONTAINER = pathlib.Path("/sys/fs/cgroup/memory.max")


def memory_limit() -> int:
    """Return the number of bytes that the contents of a file may take.

    It is the memory of the machine or of the container, or what the variable
    NAE_TF_MEMORY_LIMIT says in bytes.

    Raises:
        ValueError: if the variable is no number.
    """
    if text := os.environ.get(VARIABLE):
        if not text.isdecimal():
            raise ValueError(
                f"expected {VARIABLE} as a number of bytes, received {text!r}."
            )
        return int(text)
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    if _LIMIT_OF_CONTAINER.exists():
        text = _LIMIT_OF_CONTAINER.read_text().strip()
        limits += [int(text)] if text.isdecimal() else []
    return min(limits)


def check_memory(title, num_bytes: int):
    """Refuse contents that do not fit into memory.

    Args:
        title: name of the file, used in the error message.
        num_bytes: number of bytes of its contents, as far as it is known.

    Raises:
        ValueError: if they take more than `memory_limit`.
    """
    limit = memory_limit()
    if num_bytes > limit:
        raise ValueError(
            f"{title} unpacks to {num_bytes} bytes or more, and {limit} are "
            f"allowed; write a smaller file, or raise {VARIABLE}."
        )
