"""A template is rendered strictly: nothing undefined, nothing printed that does not say how, nothing called in."""

from __future__ import annotations

import pytest
from sdovis.cards.render import Template, problems, render
from sdovis.errors import BadInput, SdovisError


def own(text: str) -> Template:
    return Template(text, "mine/model.md.j2", own=True)


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("{{ facts.nothing }}", "facts.nothing|nothing is undefined"),
        ("{{ facts.licence_of_images.name }}", "licence_of_images"),
        ("{{ none }}", "without saying how"),
        ("{{ 0.5 }}", "without saying how"),
        ("{{ facts.rows.__class__.__mro__ }}", "unsafe"),
    ],
)
def test_a_template_that_prints_nothing_or_anything_is_refused(facts, template, told):
    with pytest.raises(BadInput, match=told):
        render(own(template), facts)
    # A mistake in a template of ours is a defect of ours, and not the scientist's to mend.
    with pytest.raises(Exception, match=told) as error:
        render(Template(template, "sdovis.modelcard/README.md.j2", own=False), facts)
    assert not isinstance(error.value, BadInput)
    assert isinstance(error.value, SdovisError) or error.type.__module__.startswith("jinja2")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{{ facts.scores.rowz|count }}", "rowz is undefined; did you mean 'rows'?"),
        ("{{ facts.split.parts.tset.rows }}", "tset is undefined; did you mean 'test'?"),
        ("{{ facts.headline.model }}", "prints Estimate("),
        ("{{ facts.scores.rowz|number }}", "rowz is undefined; did you mean 'rows'?"),
        ("{{ facts.name|percent }}", "the filter percent cannot print 'crafted'"),
        ("{{ facts.training|count }}", "the filter count cannot print TrainingRecord("),
        ("{{ facts.rows // 0 }}", "ZeroDivisionError: "),
        ("{{ facts.__class__ }}", "access to attribute '__class__' of 'Facts' object is unsafe."),
    ],
)
def test_a_mistake_that_the_facts_show_is_one_line_with_file_and_line(facts, line, told):
    with pytest.raises(BadInput) as error:
        render(own(f"# {{{{ facts.title }}}}\n\n{line}\n"), facts)
    (problem,) = error.value.problems
    assert str(problem).startswith("mine/model.md.j2, line 3: ")
    assert told in str(problem)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{{ fact.title }}", "fact is undefined; did you mean 'facts'?"),
        ("{{ facts.titel }}", "facts.titel is undefined; did you mean 'title'?"),
        ("{{ sentences.splitt }}", "sentences.splitt is undefined; did you mean 'split'?"),
        ("{{ tables.part }}", "tables.part is undefined; did you mean 'parts'?"),
        ("{{ facts.rows|cuont }}", "No filter named 'cuont'"),
        ("{% for x in facts.notes %}", "Unexpected end of template"),
        ("{% include 'other.md' %}", "includes another file"),
    ],
)
def test_a_mistake_is_found_before_there_are_facts(line, told):
    (problem,) = problems(own(f"# Title\n\n{line}"))
    assert str(problem).startswith("mine/model.md.j2, line 3: ")
    assert told in str(problem)


def test_all_mistakes_that_show_are_told_at_once():
    found = list(problems(own("{{ facts.titel }}\n{{ sentences.nothing }}\n{{ who }}\n")))
    assert sorted(problem.file for problem in found) == [f"mine/model.md.j2, line {n}" for n in (1, 2, 3)]


def test_names_that_a_template_sets_itself_are_known_to_it(facts):
    template = own(
        "{% set where = facts.repositories %}{% for note in facts.notes %}{{ note }}{% endfor %}{{ where.model }}"
    )
    assert list(problems(template)) == []
    assert render(template, facts) == "your-name/crafted\n"


def test_a_sentence_that_is_empty_leaves_no_gap(facts):
    assert render(own("\n\na\n\n{{ sentences.flares }}\n\nb\n\n\n"), facts) == "a\n\nb\n"
