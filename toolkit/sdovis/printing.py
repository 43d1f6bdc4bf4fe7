"""What the verbs print: progress and problems to stderr, final tables and lines to stdout."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import typer

from sdovis import plugins as registry
from sdovis.errors import BadInput, SdovisError

if TYPE_CHECKING:
    from rich.table import Table

    from sdovis.corpus.audit_foreign import ForeignAudit
    from sdovis.evaluation.comparison import Comparison
    from sdovis.evaluation.elsewhere import Elsewhere
    from sdovis.evaluation.explanation import Explanation
    from sdovis.evaluation.facts import ScoreFacts
    from sdovis.evaluation.parity import ParityFacts
    from sdovis.evaluation.strangers import FamiliarityFacts
    from sdovis.learning.clock import Clock
    from sdovis.learning.record import TrainingRecord
    from sdovis.learning.search import Found
    from sdovis.stages import Folders
    from sdovis.statistics.bootstrap import Estimate

#: The most problems printed; a flipped column would otherwise fill the screen with thousands.
MAX_PROBLEMS = 200


def say(line: str) -> None:
    """One line of progress. Only the main process of a launch speaks."""
    if is_main_process():
        typer.echo(line, err=True)


def is_main_process() -> bool:
    """Whether this is rank 0, or the only process."""
    return os.environ.get("RANK", "0") == "0"


def problems(error: SdovisError) -> None:
    """Print one line per problem, then how many there are."""
    found = error.problems if isinstance(error, BadInput) else (error,)
    for problem in found[:MAX_PROBLEMS]:
        typer.echo(f"error: {problem}", err=True)
    if len(found) > 1:
        rest = f", of which the first {MAX_PROBLEMS} are shown" if len(found) > MAX_PROBLEMS else ""
        typer.echo(f"{len(found)} problems{rest}", err=True)


def plugins() -> None:
    """Everything that is registered, with the package that provides it."""
    table = _table("kind", "name", "object", "from")
    for group, *entry in registry.table():
        table.add_row(group.rpartition(".")[2], *entry)
    _show(table)


def scores(facts: ScoreFacts, images: str = "test part") -> None:
    """Scores of the model and its baselines on ``images``."""
    level = f"{facts.bootstrap.confidence:.0%}"
    title = f"{images}: {facts.rows} images of {facts.regions} regions; {level} intervals by region"
    table = _table("", "balanced accuracy", "macro-F1", "model minus this, balanced accuracy", title=title)
    for name, of in {"this model": facts.overall, **facts.baselines}.items():
        difference = facts.difference_to.get(name, {}).get("balanced-accuracy")
        table.add_row(name, _cell(of.get("balanced-accuracy")), _cell(of.get("macro-f1")), _cell(difference))
    _show(table)
    _beyond(facts)


def _beyond(facts: ScoreFacts) -> None:
    """What the study asked for beyond scores: a threshold, abstaining, other shares of the classes."""
    if (decision := facts.decision) is not None:
        typer.echo(
            f"threshold of {decision.positive} for the best {decision.score} on validation: {decision.threshold:.3f}; "
            f"{decision.score} {_cell(decision.test)}, {_cell(decision.at_half)} without it"
        )
    if facts.selective is not None and (left := facts.selective.abstention) is not None:
        at = "no threshold on validation reaches it" if left.threshold is None else f"threshold {left.threshold:.3f}"
        what = (
            f"; answered {_cell(left.coverage)}, of these wrong {_cell(left.risk)}"
            if left.threshold is not None
            else ""
        )
        typer.echo(f"{left.rule} {left.asked:g}: {at}{what}")
    if (shift := facts.shift) is not None:
        shares = ", ".join(f"{name} {share:.3g}" for name, share in shift.shares.items())
        typer.echo(f"with the shares {shares}{' (estimated)' if shift.estimated else ''}:")
        for name, score in shift.model.items():
            typer.echo(f"  {name} {_cell(score)}, {_cell(shift.as_it_is[name])} with probabilities as they are")


def familiarity(found: FamiliarityFacts | None) -> None:
    """How many images were called unfamiliar, and how many strange pictures were noticed; nothing if the model cannot tell."""
    if found is None:
        return
    strange = (
        f"; of pictures that no model of the Sun should answer, {found.noticed:.0%} were noticed" if found.cases else ""
    )
    typer.echo(f"  {found.alarms} of {found.rows} images were called unlike the training images{strange}")


def elsewhere(found: Elsewhere) -> None:
    """Scores on another source, and which of its rows were left out."""
    source = found.source
    scores(found.facts, f"{source.name}, {source.first[:10]} to {source.last[:10]}")
    for reason, count in {**source.dropped, **source.rejects_by_reason}.items():
        typer.echo(f"  {count:6d} rows left out: {reason}")
    if source.missing_classes:
        typer.echo(f"  no row is {' or '.join(source.missing_classes)}: means over classes leave it out")
    if source.shared_with_test:
        typer.echo(f"  {source.shared_with_test} of the regions are also in the test part")
    familiarity(found.familiarity)


def comparison(found: Comparison) -> None:
    """Each run's score, each pair's difference, and the sentence for a paper."""
    level = f"{found.bootstrap.confidence:.0%}"
    title = f"{found.on or 'test part'}: {found.rows} images of {found.regions} regions; {level} intervals by region"
    scores = _table("", found.quantity, title=title)
    for name, entry in found.scores.items():
        scores.add_row(name, _cell(entry))
    _show(scores)
    pairs = _table("", "difference", "p", "p (Holm)", title="paired differences")
    for pair in found.pairs:
        chances = ("-" if p is None else f"{p:.2g}" for p in (pair.p_value, pair.p_holm))
        pairs.add_row(f"{pair.a} - {pair.b}", _cell(pair.difference), *chances)
    _show(pairs)
    for sentence in found.sentences:
        typer.echo(sentence)


def explanation(found: Explanation) -> None:
    """How each kind of map did against random ones, which of them the page shows, and the most confident mistakes."""
    counts = ", ".join(f"{n} {part}" for part, n in found.images.items())
    table = _table(
        "map", "gain, validation", "gain, test", "correlation, weights drawn anew", title=f"images: {counts}"
    )
    for name, each in found.maps.items():
        table.add_row(name, *map(_cell, (each.validation.gain, each.test.gain, each.untrained)))
    _show(table)
    typer.echo(f"the page shows {found.chosen or 'no map: none is shown to be better than maps drawn at random'}")
    for wrong in found.mistakes:
        region = "no region" if wrong.noaa_ar is None else f"AR {wrong.noaa_ar}"
        said = f"{wrong.label}, called {wrong.predicted} with {wrong.probability:.2f}"
        typer.echo(f"  {region:9} {wrong.observed[:10]}  {said}")


def parity(found: ParityFacts) -> None:
    """Exported files against torch."""
    title = f"test part: {found.rows} images of {found.regions} regions"
    table = _table("engine", "largest difference", "same class", "balanced accuracy", "minus torch's", title=title)
    table.add_row("torch", "", "", _cell(found.torch), "")
    for name, of in found.engines.items():
        alike = f"{of.same_class} of {found.rows}"
        table.add_row(name, f"{of.largest_difference:.2g}", alike, _cell(of.balanced_accuracy), _cell(of.difference))
    _show(table)


def _cell(entry: Estimate | None) -> str:
    if entry is None or entry.estimate is None or entry.low is None or entry.high is None:
        return "-"
    return f"{entry.estimate:.3f} [{entry.low:.3f}, {entry.high:.3f}]"


def seeds(record: TrainingRecord) -> None:
    """Validation scores over the seeds, and which seed became the model."""
    for name, over in record.seeds["over_seeds"].items():
        deviation = "" if over["sd"] is None else f" ± {over['sd']:.3f}"
        typer.echo(f"validation {name}: {over['mean']:.3f}{deviation} ({over['low']:.3f} to {over['high']:.3f})")
    count = len(record.seeds["validation"])
    by = record.seeds["chosen_by"]
    if averaged := record.seeds.get("averaged"):
        mean = record.seeds["average"][by]
        typer.echo(
            f"{count} seeds; the weights of {', '.join(map(str, averaged))} were averaged: validation {by} {mean:.3f}"
        )
    else:
        typer.echo(f"{count} seeds; {record.seeds['chosen']} is best by {by} and became the model")


def search(found: Found) -> None:
    """The best trial and its settings."""
    best = found.best
    typer.echo(f"best of {len(found.trials)}: trial {best.number}, validation {found.score} {best.score:.3f}")
    for name, value in best.settings.items():
        typer.echo(f"  {name} = {value}")


def profile(clock: Clock) -> None:
    """Where a training spent its time."""
    table = _table("section", "seconds", title="where the time went")
    for name, seconds in clock.table().items():
        table.add_row(name, f"{seconds:.2f}")
    _show(table)


def audit(found: ForeignAudit) -> None:
    """The parts of a split made elsewhere, and the notes on them."""
    parts = found.facts["parts"]
    classes = found.facts.get("classes", [])
    table = _table("part", "rows", "groups", "largest group", "first", "last", title=found.facts["dataset"])
    counts = _table("part", *classes, title="rows by class")
    for name, part in parts.items():
        largest = f"{part['largest_group']} {part['largest_group_share']:.0%}" if part["groups"] else "-"
        times = (part.get(key, "-")[:10] for key in ("first", "last"))
        table.add_row(name, str(part["rows"]), str(part["groups"]), largest, *times)
        counts.add_row(name, *(str(part.get("rows_by_class", {}).get(each, 0)) for each in classes))
    _show(table)
    if classes:
        _show(counts)
    for note in found.notes:
        typer.echo(f"- {note}")


def ending(folders: Folders) -> None:
    """Where to look and what to do next. Plain lines: a table would cut the paths that people copy."""
    made = {
        "dataset": f"{folders.corpus}  (open with datasets.load_dataset; rejects.csv lists the rows left out)",
        "model": f"{folders.model}  (open with transformers.pipeline)",
        "scores": f"{folders.scores}/scores.json, {folders.scores}/figures/",
        "summary": f"{folders.summary}/summary.xlsx, {folders.summary}/figures/",
        "cards": f"{folders.cards}/model/README.md, {folders.cards}/dataset/README.md",
        "report": f"{folders.report}/report.html  (the whole run on one page), report.json",
        "release": f"{folders.release}/  (dataset, model and Space as they would be on the Hub)",
    }
    for name, where in made.items():
        typer.echo(f"{name:8} {where}")
    typer.echo(f"next:    sdovis serve {folders.run}  (the page),  sdovis publish {folders.run} --dry-run")


# Imported only when something is printed: importing rich takes as long as the rest of the command line.


def _table(*columns: str, title: str | None = None) -> Table:
    from rich.table import Table

    return Table(*columns, title=title)


def _show(table: Table) -> None:
    from rich.console import Console

    Console().print(table)
