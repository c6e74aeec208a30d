"""Every bad input, and bad weather, ends in one line: cause and remedy.

One test of one table, whose parts by subject are the modules of `bad_cases`.
"""

import inspect
import re

import pytest
from bad_cases import (
    array_files,
    configuration,
    data_sets,
    exports,
    image_files,
    models,
    samplers,
    scored_files,
    scores,
    table_files,
    tools,
    training,
    weather,
)

SUBJECTS = [
    samplers,
    models,
    training,
    scores,
    data_sets,
    array_files,
    scored_files,
    table_files,
    image_files,
    configuration,
    exports,
    tools,
    weather,
]
CASES = {
    f"{subject.__name__.removeprefix('bad_cases.')}: {name}": case
    for subject in SUBJECTS
    for name, case in subject.CASES.items()
}


def arguments_of(call, request):
    """Fixtures by the names of a function's arguments."""
    return {
        name: request.getfixturevalue(name)
        for name, parameter in inspect.signature(call).parameters.items()
        if parameter.default is parameter.empty
    }


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_bad_input_ends_in_one_line(case, request):
    call, message, error = (*case, ValueError)[:3]
    arguments = arguments_of(call, request)
    with pytest.raises(error) as caught:
        call(**arguments)
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 600
    assert re.search(message, text), text
