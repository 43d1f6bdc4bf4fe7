"""Verbs of what goes out: cards, report, release, page; and `run`, which does everything."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sdovis import printing, stages
from sdovis import study as studies
from sdovis.cli.program import Sets, StudyFile, app
from sdovis.errors import BadInput
from sdovis.printing import say


@app.command()
def run(study_file: StudyFile, sets: Sets = None) -> None:
    """Run prepare, train, evaluate, explain, describe, card and report, in this order. Finished stages are not run again."""
    study = studies.load(study_file, sets or ())
    with stages.opened(study) as folders:
        scores, _ = stages.run(study, folders, say)
    printing.scores(scores.facts)
    printing.familiarity(scores.familiarity)
    printing.ending(folders)


@app.command()
def card(
    study_file: StudyFile,
    sets: Sets = None,
    write_templates: Annotated[
        Path | None,
        typer.Option(
            "--write-templates",
            metavar="FOLDER",
            help="Only write the built-in templates to FOLDER, to edit; then set publish.templates to it in the study.",
        ),
    ] = None,
) -> None:
    """Write both cards and the release folder from what the stages saved. Sections written by hand are kept."""
    study = studies.load(study_file, sets or ())
    if write_templates is not None:
        from sdovis.cards import templates

        for file in templates.write(write_templates):
            typer.echo(f"wrote {file}")
        return
    with stages.opened(study) as folders:
        stages.release(study, folders, say)
    typer.echo(f"{folders.cards}/model/README.md, {folders.cards}/dataset/README.md, {folders.release}/")


@app.command()
def report(study_file: StudyFile, sets: Sets = None) -> None:
    """Write the whole run on one page, report.html, which holds its pictures and can be sent as it is; and report.json.

    It says what the cards say, and how to make the run again. A comparison is part of it if it was written to the run's
    folder: sdovis compare RUN OTHER --output RUN/comparison.
    """
    study = studies.load(study_file, sets or ())
    with stages.opened(study) as folders:
        stages.report(study, folders, say)
    typer.echo(f"{folders.report}: report.html, report.json")


@app.command()
def verify(
    run: Annotated[Path | None, typer.Argument(help="Run folder, runs/NAME.", show_default=False)] = None,
    published: Annotated[
        str,
        typer.Option(metavar="NAMESPACE/NAME", help="Instead of a run: a published release, loaded from where it is."),
    ] = "",
    revision: Annotated[
        str, typer.Option(metavar="PIN", help="With --published: its pin, by default the one that the Space names.")
    ] = "",
    public_key: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Check the release's signatures with this key (PEM), by default with the key or the identity that the "
            "study names.",
        ),
    ] = None,
    space: Annotated[
        bool, typer.Option("--space/--no-space", help="With --published: ask the Space's page too.")
    ] = True,
) -> None:
    """Recompute every number on the cards and the report from the saved predictions and the corpus, and the release's bill
    of materials; check the release's signatures, if it has any.

    With --published nothing of the run is needed: dataset, model and page are loaded by their names as anybody would, the
    test images are classified again, and the scores compared with what was published. Exit code 2 if anything differs, 3
    if the network or the Hub fails.
    """
    if run is not None and published:
        raise BadInput("verify: give a run folder or --published NAMESPACE/NAME, not both")
    if published and public_key is not None:
        raise BadInput("verify: --public-key goes with a run folder")
    if published:
        from sdovis.hub.reproduction import reproduce

        found = reproduce(published, revision, space=space, say=say)
        if found.differences:
            raise BadInput(found.differences)
        for line in found.lines():
            typer.echo(line)
        return
    if run is None or revision or not space:
        what = (
            "--revision and --no-space go with --published"
            if run
            else "give a run folder, or --published NAMESPACE/NAME"
        )
        raise BadInput(f"verify: {what}")
    _verify_run(run, public_key)


def _verify_run(run: Path, public_key: Path | None) -> None:
    from sdovis.cards import verify as cards
    from sdovis.release import sbom, signing
    from sdovis.release.assembly import KINDS, NAMING
    from sdovis.report import verify as reports

    again = cards.again(run)
    mismatches = [*cards.verify(run, again), *reports.verify(run, again), *sbom.verify(run)]
    problems = [mismatch.problem for mismatch in mismatches]
    signer = signing.Key(public_key) if public_key else signing.signer(studies.load(run / "study.toml").publish)
    if signer is not None:
        problems += signing.verify(run / "release", KINDS, NAMING, signer)
    if problems:
        raise BadInput(problems)
    signed = ", and its signatures hold" if signer is not None else ""
    typer.echo(f"{run}: every number on the cards was recomputed and agrees{signed}")


@app.command()
def publish(
    run: Annotated[Path, typer.Argument(help="Run folder, runs/NAME, with its release.", show_default=False)],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be sent, but send nothing.")] = False,
    public: Annotated[
        bool, typer.Option("--public", help="Make the repositories public; otherwise they are private.")
    ] = False,
    accept: Annotated[
        list[str] | None,
        typer.Option(metavar="COMMIT", help="Build on this commit by someone else; may be repeated."),
    ] = None,
    to: Annotated[
        str,
        typer.Option(metavar="TARGET[:PLACE]", help="hub, folder:PATH, or one from a plug-in (see sdovis plugins)."),
    ] = "hub",
) -> None:
    """Send the release to the Hub or another target: dataset, then model, then Space. What is already there is skipped.

    On the Hub each repository gets one commit; all are prepared and tagged before the first is shown. A tag is never
    moved: other words under the same data are another release, r-HASH.2. HF_ENDPOINT, or --to hub:ADDRESS, names another
    Hub; the token comes from HF_TOKEN or `hf auth login`. With --to folder:PATH all three repositories go to
    PATH/STUDY/PIN at once.
    """
    from sdovis.release.request import Request, addressed
    from sdovis.release.targets import target

    name, place = addressed(to)
    asked = Request(run / "release", place, public=public, dry_run=dry_run, accept=tuple(accept or ()), say=say)
    for line in target(name)(asked):
        typer.echo(line)


@app.command()
def serve(
    model: Annotated[str, typer.Argument(help="Run folder, model folder or Hub id.", show_default=False)],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option(help="Port to listen on; by default the first free one from 7860.")
    ] = None,
) -> None:
    """Serve the Space's page for a model on this machine. Stop it with Ctrl-C."""
    from sdovis.webapp import launch

    launch(model, host, port)


@app.command()
def plugins() -> None:
    """List all registered plug-ins, from readers to publish targets, and the package that provides each."""
    printing.plugins()
