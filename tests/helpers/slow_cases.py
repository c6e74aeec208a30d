"""Cases of a test that are left to the slow tests."""

import pytest


def slow_unless(chosen, names):
    """Parameters of a test: names, of which all but the chosen are slow."""
    return [
        name if name in chosen else pytest.param(name, marks=pytest.mark.slow)
        for name in names
    ]
