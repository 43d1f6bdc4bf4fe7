"""Verbs of the data: a study is drafted and checked, rows and images become a corpus."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from sdovis import printing, stages
from sdovis import study as studies
from sdovis.cli.program import Scheduler, Sets, StudyFile, Workers, app, refuse_both
from sdovis.errors import BadInput, Problem
from sdovis.printing import say


@app.command()
def init(
    workbook: Annotated[Path, typer.Argument(help="Workbook to start from, .xlsx or .csv.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="Study file to write; must not exist.")] = Path(
        "study.toml"
    ),
) -> None:
    """Draft a commented study file for a workbook. Columns, classes and images are guessed: review them."""
    from sdovis.corpus.init import init as write

    write(workbook, output)
    typer.echo(f"wrote {output}; review it, then run: sdovis check {output}")


@app.command()
def check(
    study_file: StudyFile,
    sets: Sets = None,
    upgrade: Annotated[
        bool, typer.Option("--upgrade", help="Instead of checking, rewrite an older study file in the newest format.")
    ] = False,
) -> None:
    """Find every mistake in the study, workbook, images and split, without writing anything.

    Prints how many rows are accepted and why the others are rejected. With --upgrade, comments are kept.
    """
    if upgrade:
        from sdovis.study.upgrade import upgrade as rewrite

        if sets:
            raise BadInput(Problem("--upgrade rewrites the file and takes no overrides", "leave out --set"))
        changes = rewrite(study_file)
        for line in changes:
            typer.echo(f"{study_file}: {line}")
        if not changes:
            typer.echo(f"{study_file}: already in the newest format; nothing was changed")
        return
    from sdovis.corpus.units import lacking, said_of_missing

    study = studies.load(study_file, sets or ())
    for line in stages.to_be_fetched(study):
        say(f"note: {line}")
    found = stages.check(study)
    for notice in found.notices:
        say(f"note: {notice}")
    typer.echo(f"{study.name}: {len(found.rows)} rows accepted, {len(found.rejects)} rejected")
    for reason, count in found.rejects["reason"].value_counts().head(10).items():
        typer.echo(f"  {count:6d}  {reason}")
    if warning := said_of_missing(int(lacking(found.rows, found.scheme).sum()), len(found.rows)):
        typer.echo(f"  {warning}")


@app.command()
def schema() -> None:
    """Print the JSON schema of the study file, for editors that validate and complete as you type."""
    typer.echo(json.dumps(studies.json_schema(), indent=1, default=str))


@app.command()
def simulate(
    directory: Annotated[Path, typer.Argument(help="Folder to write to; must not already hold a simulation.")],
    regions: Annotated[int, typer.Option(min=12, help="Number of active regions, each observed several times.")] = 620,
    seed: Annotated[int, typer.Option(min=0, help="Random seed; the same seed gives the same bytes.")] = 0,
    full_disc: Annotated[
        bool,
        typer.Option("--full-disc", help="Simulate full discs instead: radial field, line-of-sight field, continuum."),
    ] = False,
    discs: Annotated[int, typer.Option(min=1, help="With --full-disc: number of discs, one every two days.")] = 120,
    size_px: Annotated[
        int, typer.Option("--size", min=256, max=4096, help="With --full-disc: pixels per side (HMI has 4096).")
    ] = 1024,
) -> None:
    """Write simulated, labelled HMI-like magnetograms as FITS files, and the workbook that goes with them."""
    if full_disc:
        from sdovis.simulation.days import simulate_discs

        workbook = simulate_discs(directory, discs=discs, seed=seed, size_px=size_px)
    else:
        from sdovis.simulation.passages import simulate as write

        workbook = write(directory, regions=regions, seed=seed)
    typer.echo(f"wrote {workbook} and {directory / 'images'}")


@app.command()
def prepare(
    study_file: StudyFile,
    sets: Sets = None,
    xlsx: Annotated[
        Path | None,
        typer.Option("--xlsx", metavar="FILE", help="Also write the corpus rows to a new workbook (.xlsx)."),
    ] = None,
    workers: Workers = None,
    scheduler: Scheduler = "",
) -> None:
    """Join rows and images, split them, and write the corpus. If interrupted, run it again to continue."""
    from sdovis.corpus.units import said_of_missing

    refuse_both(workers, scheduler)
    study = studies.load(study_file, sets or ())
    with stages.opened(study) as folders:
        corpus = stages.prepare(study, folders, say, workers=workers, scheduler=scheduler)
    if xlsx is not None:
        from sdovis.corpus.export import export

        export(corpus, study, xlsx)
        typer.echo(f"wrote {xlsx}")
    counts = ", ".join(f"{name} {n}" for name, n in corpus.rows["split"].value_counts(sort=False).items())
    typer.echo(f"{folders.corpus}: {counts}; {corpus.facts.rejects} rejected (rejects.csv)")
    if warning := said_of_missing(corpus.facts.rows_without_region, corpus.facts.rows):
        typer.echo(warning)


@app.command()
def audit(
    dataset: Annotated[str, typer.Argument(help="Dataset folder, Parquet file or Hub id.", show_default=False)],
    group: Annotated[
        str,
        typer.Option("--group", metavar="COLUMN", help="Column of the independent unit, such as the active region."),
    ],
    label: Annotated[
        str, typer.Option("--label", metavar="COLUMN", help="Column of the class.", show_default=False)
    ] = "",
    time: Annotated[
        str, typer.Option("--time", metavar="COLUMN", help="Column of the time of observation.", show_default=False)
    ] = "",
    image: Annotated[
        str,
        typer.Option("--image", metavar="COLUMN", help="Column of the image; by default guessed.", show_default=False),
    ] = "",
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Also write the findings to FILE.")
    ] = None,
) -> None:
    """Audit a split made elsewhere: what leaks between parts, and which shortcuts reveal the class.

    Exit code 2 if anything leaks. Give --label and --time too: without them there is less to check.
    """
    from sdovis.corpus.audit_foreign import DatasetColumns, audit_foreign

    found = audit_foreign(dataset, DatasetColumns(group, label, time, image))
    if json_file is not None:
        found.save(json_file)
    printing.audit(found)
    if found.leaks:
        raise BadInput(found.leaks)
    typer.echo(f"{dataset}: clean")


@app.command()
def describe(
    study_file: StudyFile,
    sets: Sets = None,
    others: Annotated[
        list[Path] | None,
        typer.Option("--with", metavar="RUN", help="Another run folder to compare timings with; may be repeated."),
    ] = None,
) -> None:
    """Describe the corpus in JSON, a workbook and figures: counts, distributions, rank tests by region, timings."""
    study = studies.load(study_file, sets or ())
    with stages.opened(study) as folders:
        stages.describe(study, folders, say, others or ())
    typer.echo(f"{folders.summary}: summary.xlsx, summary.json, figures/")
