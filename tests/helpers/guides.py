"""Snippets of the guides, to be run as readers do."""

import pathlib
import re
import shlex

GUIDES = pathlib.Path(__file__).resolve().parents[2] / "docs" / "guides"


def snippet(page, text):
    """Return the one Python snippet of a guide that has some text."""
    blocks = re.findall(
        r"```python\n(.*?)```", (GUIDES / page).read_text(), re.DOTALL
    )
    [found] = [code for code in blocks if text in code]
    return found


def with_epochs(code, count):
    """Return a snippet that trains for so many epochs."""
    shorter, replaced = re.subn(r"epochs=\d+", f"epochs={count}", code)
    assert replaced
    return shorter


def commands(page):
    """Return the commands of a guide's shell blocks, split into words."""
    blocks = re.findall(
        r"^```bash\n(.*?)^```", (GUIDES / page).read_text(), re.M | re.S
    )
    return [
        shlex.split(line)
        for block in blocks
        for line in block.replace("\\\n", " ").splitlines()
    ]
