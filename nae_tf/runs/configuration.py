"""Gin files and bindings, parsed strictly, with errors of one line."""

import contextlib
import difflib
import inspect
import logging as python_logging
import os
import pathlib
import re
import tokenize
from collections.abc import Collection, Iterator, Sequence

import gin

from nae_tf.base.private import (
    gin_configurables,
    gin_references,
    gin_search_path,
)
from nae_tf.base.setting_checks import shown

_MACRO = "/gin.macro"
# Names that bindings of the command line gave a value to, like gin's own state.
_given: list[str] = []
# Text that gin appends to an error, before the name of the configurable.
_CALL = "\n  In call to configurable"
# Characters of a binding, or of gin's report, in a message.
_LONGEST = 1_000


def _presets_folder() -> pathlib.Path:
    """Return the folder of presets: in the package, in a clone beside it."""
    package = pathlib.Path(__file__).parents[1]
    installed = package / "presets"
    return installed if installed.is_dir() else package.parent / "gin"


PRESETS = _presets_folder()


def find_config(file: str) -> str:
    """Return the path of a gin file, which may be a preset.

    Args:
        file: path of a file or, if there is no such file, name of a preset,
            such as "digits.gin", "budgets/smoke.gin" or, as in a clone,
            "gin/digits.gin".

    Raises:
        FileNotFoundError: if there is neither; the message names the nearest
            presets.
    """
    if os.path.exists(file):
        return file
    preset = PRESETS / file.removeprefix("gin/")
    if preset.is_file():
        return str(preset)
    raise FileNotFoundError(_no_such_file(file))


def parse_config(files: Sequence[str], bindings: Sequence[str] = ()):
    """Parse gin files and bindings strictly; later ones win.

    Args:
        files: paths of gin files or names of presets.
        bindings: single bindings of the command line.

    Raises:
        FileNotFoundError: if a file, or one that it includes, does not exist.
        ValueError: if a name is unknown, with the nearest known one; if a
            binding has no effect, because nothing refers to its macro or scope;
            or if there is a syntax error.
    """
    paths = [find_config(file) for file in files]
    gin.clear_config()
    try:
        for path in paths:
            with _includes_from(os.path.dirname(os.path.abspath(path))):
                gin.parse_config_file(path)
        with _includes_from():
            gin.parse_config(list(bindings))
        gin.finalize()
    except OSError as error:
        # Text of gin about an included file, with the folders that it searched.
        missing = re.match(
            r'Unable to open file: (.*?)\. Searched .*?In file "(.*?)"',
            str(error),
            re.DOTALL,
        )
        if missing is None:
            raise
        raise FileNotFoundError(
            f"{missing[2]!r} includes {missing[1]!r}, but "
            f"{_no_such_file(missing[1])}"
        ) from error
    except RecursionError as error:
        raise ValueError(
            f"the gin files {', '.join(files)} include each other in a circle."
        ) from error
    except tokenize.TokenError as error:
        raise ValueError(
            f"gin cannot read {_cut(', '.join(bindings or files))}: "
            f"{error.args[0]}; close every bracket and every quote."
        ) from error
    except (ValueError, SyntaxError, AttributeError) as error:
        raise ValueError(_explain(error)) from error
    _refuse_without_effect(bindings)
    _given[:] = [binding.partition("=")[0].strip() for binding in bindings]


def given_names() -> list[str]:
    """Return the names of the bindings of the last `parse_config`.

    Example:
        >>> from nae_tf.runs.configuration import given_names, parse_config
        >>> parse_config(["digits.gin"], ["holdout_class = 3"])
        >>> given_names()
        ['holdout_class']
    """
    return list(_given)


def default_text(binding: str) -> str | None:
    """Return the default of a parameter as gin writes it.

    Args:
        binding: name of the parameter, such as "training/Phase.patience".

    Returns:
        The text, or None if there is no such parameter or it has no default.
    """
    owner, _, parameter = binding.rpartition("/")[2].rpartition(".")
    configurable = gin_configurables().get(owner.rpartition(".")[2])
    if configurable is None:
        return None
    parameters = inspect.signature(configurable).parameters
    if parameter not in parameters:
        return None
    default = parameters[parameter].default
    return None if default is inspect.Parameter.empty else repr(default)


def is_of_configuration(error: Exception) -> bool:
    """Return whether an error comes from a call that gin has made."""
    return _CALL in str(error)


def message_in_one_line(error: Exception) -> str:
    """Return an error's message in one line, with gin's addition shortened."""
    report, _, call = str(error).partition(_CALL)
    lines = [line.strip() for line in report.splitlines()]
    text = " ".join(filter(None, lines))
    if isinstance(error, (TypeError, AttributeError)) and call:
        name = re.match(r" '([^']*)'", call)
        scope = re.search(r"in scope '([^']*)'", call)
        owner = "/".join(found[1] for found in (scope, name) if found)
        return f"a parameter of {owner} has a value of a wrong type: {text}."
    return text


@contextlib.contextmanager
def _includes_from(*folders: str) -> Iterator[None]:
    """Search included files in folders, then here, then in the presets.

    gin logs an error for every folder without the file; the context drops it.
    """

    def is_news(record):
        return not str(record.msg).startswith("Path not found")

    search_path = gin_search_path()
    before = list(search_path)
    root = python_logging.getLogger()
    root.addFilter(is_news)
    try:
        search_path[:] = [*folders, *before, str(PRESETS)]
        yield
    finally:
        search_path[:] = before
        root.removeFilter(is_news)


def _no_such_file(file: str) -> str:
    """Return a sentence about a gin file that does not exist."""
    presets = [
        path.relative_to(PRESETS).as_posix() for path in PRESETS.rglob("*.gin")
    ]
    name = file.removeprefix("gin/")
    nearest = difflib.get_close_matches(name, sorted(presets), 3, cutoff=0.0)
    return (
        f"there is no gin file {file!r}, nor a preset of that name; the "
        f"nearest presets are {', '.join(map(repr, nearest))}."
    )


def _refuse_without_effect(bindings):
    """Refuse macros and scopes that nothing refers to, as they are misspelt."""
    references = gin_references()
    macros = {
        name.removesuffix(_MACRO)
        for name in references
        if name.endswith(_MACRO)
    }
    scopes = {
        scope
        for name in references
        if not name.endswith(_MACRO)
        for scope in name.split("/")[:-1]
    }
    text = "\n".join(bindings)
    for name in re.findall(r"^\s*([\w./]+)\s*=", text, re.MULTILINE):
        *inside, parameter = name.split("/")
        for scope in inside:
            _check_known(name, f"no part is named {scope!r}", scope, scopes)
        if "." not in parameter:
            _check_known(name, "nothing refers to it", parameter, macros)


def _check_known(binding, problem, name, known):
    if name not in known:
        raise ValueError(
            f"the binding {shown(binding)} would have no effect: {problem}."
            f"{_did_you_mean(name, known)}"
        )


def _did_you_mean(wrong: str, known: Collection[str]) -> str:
    nearest = difflib.get_close_matches(wrong, known, 1, cutoff=0.0)
    return f" Did you mean {nearest[0]!r}?" if nearest else ""


def _cut(text: str) -> str:
    """Cut what would fill a screen, and keep one line."""
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _explain(error: Exception) -> str:
    """Reduce gin's report to one line, with the nearest known name."""
    if isinstance(error, SyntaxError) and error.text:
        place = "a binding"
        if error.filename:
            place = f"{error.filename!r}, line {error.lineno}"
        reason = error.msg.splitlines()[-1].strip(" .")
        text = shown(error.text.strip())
        return (
            f"gin cannot read {text} in {place}: {reason}. "
            "Write name = value, and strings in quotes."
        )
    text = _cut(str(error))
    if match := re.match(r"No bindings specified for '(.*)/gin\.macro'", text):
        return f"%{match[1]} has no value; bind {match[1]} = value."
    known = gin_configurables()
    if match := re.search(
        r"No configurable matching (?:reference )?'@?([^'(]*)[()]*'", text
    ):
        wrong, names = match[1].split(".")[-1], list(known)
    elif match := re.search(
        r"Configurable '([^']*)' doesn't have a parameter named '([^']*)'", text
    ):
        owner, wrong = known[match[1].split(".")[-1]], match[2]
        names = list(inspect.signature(owner).parameters)
    else:
        return text
    return text + _did_you_mean(wrong, names)
