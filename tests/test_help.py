"""Help is what the docstrings and options say, word for word: a bracket that rich takes for markup is not lost unseen."""

from __future__ import annotations

import inspect
import re

import pytest
import typer
from sdovis.cli import app, run_command

GROUP = typer.main.get_command(app)
VERBS = sorted(GROUP.commands)  # type: ignore[attr-defined]


def _words(text: str) -> str:
    """``text`` on one line, without the frames around tables."""
    return " ".join(re.sub("[│╭╮╰╯─]", " ", text).split())


def _written(text: str) -> str:
    r"""What a reader is to see of a help text, in which \[ is how a bracket is written."""
    return _words(text.replace(r"\[", "["))


@pytest.fixture
def printed(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """What ``sdovis ... --help`` prints on a terminal so wide that no line of a help text is broken."""

    def of(*arguments: str) -> str:
        monkeypatch.setattr("typer.rich_utils.MAX_WIDTH", 2000)
        assert run_command([*arguments, "--help"]) == 0
        return _words(capfd.readouterr().out)

    return of


@pytest.mark.parametrize("verb", VERBS)
def test_a_verbs_help_says_every_word_of_its_docstring_and_of_its_options(verb: str, printed) -> None:
    command = GROUP.commands[verb]  # type: ignore[attr-defined]
    text = printed(verb)
    assert _written(inspect.getdoc(command.callback)) in text
    for parameter in command.params:
        shown = [*parameter.opts] if parameter.param_type_name == "option" else []
        for words in (*shown, parameter.metavar or "", getattr(parameter, "help", "") or ""):
            assert _written(words) in text, f"{verb} {parameter.name}"


def test_the_first_help_names_every_verb_with_the_beginning_of_its_docstring(printed) -> None:
    text = printed()
    for verb in VERBS:
        first = inspect.getdoc(GROUP.commands[verb].callback).split("\n\n")[0]  # type: ignore[attr-defined]
        assert f"{verb} {_written(first)}" in text
    assert _written(re.sub(r"\[/?bold\]", "", app.info.help)) in text
