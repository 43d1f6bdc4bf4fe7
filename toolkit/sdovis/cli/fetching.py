"""`sdovis fetch`: what a study needs, from the field's archives."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sdovis import study as studies
from sdovis.cli.program import Sets, app
from sdovis.errors import BadInput, Problem
from sdovis.printing import say

if TYPE_CHECKING:
    from sdovis.fetching.wanted import Period


_DAYS = {"first", "last"}
#: Which options mean something for a kind of file, and for a study: others would be ignored in silence.
_OPTIONS = {
    "srs": {*_DAYS, "by", "output"},
    "flares": {*_DAYS, "of", "output"},
    "images": {*_DAYS, "channel", "archive", "cadence_hours", "size_px", "protocol", "output"},
    "sharp": {*_DAYS, "harp", "segments", "cadence_hours", "protocol", "output"},
    "harps": {"output"},
    "": {"sets"},
}


@app.command()
def fetch(
    context: typer.Context,
    what: Annotated[
        str,
        typer.Argument(
            metavar="STUDY.toml|srs|flares|images|sharp|harps",
            help=r"A study with \[source.fetch], or a kind of file.",
            show_default=False,
        ),
    ],
    sets: Sets = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only print the plan: files and sizes, as the archives tell them.")
    ] = False,
    first: Annotated[
        datetime | None,
        typer.Option("--from", formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="First day.", show_default=False),
    ] = None,
    last: Annotated[
        datetime | None,
        typer.Option(
            "--to", formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="Last day, included.", show_default=False
        ),
    ] = None,
    channel: Annotated[
        str, typer.Option(help="images: the channel, such as hmi-magnetogram or aia-211-browse.", show_default=False)
    ] = "",
    archive: Annotated[
        str,
        typer.Option(
            help="images: jsoc, browse (NASA) or helioviewer; by default what holds the channel.", show_default=False
        ),
    ] = "",
    cadence_hours: Annotated[
        float, typer.Option("--cadence", min=0.01, max=240, help="images, sharp: hours from one to the next.")
    ] = 12.0,
    size_px: Annotated[
        int, typer.Option("--size", help="images of NASA: 512, 1024, 2048 or 4096 pixels a side.")
    ] = 1024,
    protocol: Annotated[
        str, typer.Option(help="JSOC: fits (needs JSOC_EMAIL), or as-is, with a table of keywords.")
    ] = "fits",
    harp: Annotated[int | None, typer.Option(min=1, help="sharp: the HARP's number.", show_default=False)] = None,
    segments: Annotated[str, typer.Option(help="sharp: segments, joined by commas.")] = "magnetogram",
    by: Annotated[str, typer.Option(help="srs: days (a text each) or years (archives).")] = "days",
    of: Annotated[
        str, typer.Option(help="flares: ncei (to 2016) or hek; by default what is complete.", show_default=False)
    ] = "",
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Folder to fill, without a study.")
    ] = Path(),
) -> None:
    """Load what a study asks for, or files of one kind, and record in fetched.json where each came from.

    srs: NOAA's region summaries; without --from, SWPC's solar_regions.json of today. flares: a list of GOES flares. images:
    full discs. sharp: cutouts of a HARP. harps: the table of HARPs and NOAA regions. What is there already is not loaded
    again: after an interruption run the same command. Exit code 3 if files could not be had; the others are kept.
    """
    from sdovis.fetching import fetch as fetching
    from sdovis.fetching import session

    by_kind = what in session.KINDS or not (what.endswith(".toml") or Path(what).is_file())
    _refuse_unused(context, what if by_kind else "")
    if by_kind:
        asked = session.Errand(
            kind=what, folder=output, period=_period(first, last), channel=channel, cadence_hours=cadence_hours,
            archive=_one_of("--archive", archive, ("", "jsoc", "browse", "helioviewer")),
            resolution_px=int(_one_of("--size", str(size_px), ("512", "1024", "2048", "4096"))),
            protocol=_one_of("--protocol", protocol, ("fits", "as-is")), harp=harp,
            segments=tuple(name.strip() for name in segments.split(",")), by=_one_of("--by", by, ("days", "years")),
            of=_one_of("--of", of, ("", "ncei", "hek")),
        )  # fmt: skip
        done, folder = session.by_kind(asked, say, dry_run=dry_run), output
    else:
        study = studies.load(Path(what), sets or ())
        done, folder = session.of_study(study, say, dry_run=dry_run), study.source.root
    if done.loaded is None:
        for line in fetching.lines(done.plan):
            typer.echo(line)
        return
    for line in fetching.said_absent([each for each in done.loaded.absent if each not in done.plan.absent]):
        say(f"note: {line}")
    made = f", made {', '.join(done.loaded.tables)}" if done.loaded.tables else ""
    typer.echo(
        f"{folder}: {done.loaded.files} files loaded, {fetching.shown(done.loaded.bytes)}{made}; fetched.json says from where"
    )


def _period(first: datetime | None, last: datetime | None) -> Period | None:
    from sdovis.fetching.wanted import Period

    if first is None and last is None:
        return None
    if first is None or last is None:
        raise BadInput(Problem("--from and --to go together", "add the other"))
    return Period(first.date(), last.date())


def _refuse_unused(context: typer.Context, kind: str) -> None:
    """Raise `BadInput` for options that mean nothing for a kind of file ('' for a study)."""
    used = {"what", "dry_run", *_OPTIONS.get(kind, {*()})}
    sources = {each: context.get_parameter_source(str(each.name)) for each in context.command.params}
    given = [each for each, source in sources.items() if source is not None and source.name == "COMMANDLINE"]
    if kind in _OPTIONS and (unused := [each.opts[0] for each in given if each.name not in used]):
        hint = "leave it out" if kind else "a study says it in [source.fetch]"
        raise BadInput(Problem(f"{unused[0]} means nothing for {kind or 'a study'}", hint))


def _one_of(option: str, given: str, choices: tuple[str, ...]) -> str:
    if given not in choices:
        raise BadInput(Problem(f"{option} {given!r} is unknown", f"choose one of {', '.join(filter(None, choices))}"))
    return given
