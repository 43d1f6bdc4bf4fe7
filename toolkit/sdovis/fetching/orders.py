"""What a study asks for, in files: the tables and images that its reader will look for, under the names it will look for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from sdovis.errors import BadInput, Problem
from sdovis.fetching import browse, goes, helioviewer, jsoc, ledger, noaa
from sdovis.fetching.archives import ARCHIVES, Addresses
from sdovis.fetching.faults import Failed
from sdovis.fetching.ledger import Fetched, FetchedFile
from sdovis.fetching.wanted import Absent, Order, Period
from sdovis.images.timestamps import SUFFIXES, name_pattern, taken_at, time_in_name
from sdovis.readers.srs_settings import SrsSettings
from sdovis.study import Study
from sdovis.study.fetch import FetchEntries
from sdovis.sun.archives import read_archive

if TYPE_CHECKING:
    from sdovis.fetching.courier import Courier

#: JSOC's cadence is exact but for the seconds between TAI and UTC and for records that it lacks.
JSOC_GAP = timedelta(minutes=30)


def wish(study: Study) -> FetchEntries:
    """The study's ``[source.fetch]``, checked against the rest of the study. Raises `BadInput` with every problem."""
    found, settings = study.source.fetch, study.source.settings
    if found is None:
        hint = (
            "write [source.fetch] with from = 2012-01-01, to = 2012-12-31, or name what to fetch: sdovis fetch srs ..."
        )
        raise BadInput(Problem("the study does not say what is to be fetched", hint, study.name))
    problems = []
    if not isinstance(settings, SrsSettings):
        what = f"source.fetch fills the folders of the reader 'srs', and the study reads with {study.source.reader!r}"
        raise BadInput(
            Problem(what, 'set source.reader = "srs", or fetch files by kind: sdovis fetch images ...', study.name)
        )
    named = (found.channel,) if isinstance(found.channel, str) else found.channel
    if found.channel and tuple(named) != study.images.channels:
        what = f"source.fetch.channel = {', '.join(named)} is not images.channel = {', '.join(study.images.channels)}"
        problems.append(Problem(what, "leave it out", study.name))
    if Path(settings.summaries).suffix:
        what = f"source.srs.summaries = {settings.summaries!r} looks like a file, and fetch fills a folder"
        problems.append(Problem(what, 'name a folder, such as "srs"', study.name))
    if settings.flares and Path(settings.flares).suffix != ".csv":
        problems.append(Problem(f"source.srs.flares = {settings.flares!r} is not a .csv file", "rename it", study.name))
    folders = (settings.summaries, settings.flares, settings.harps, study.source.images, study.source.keywords)
    problems += [
        Problem(f"{name!r} lies outside source.root, and fetch fills that", "move it there", study.name)
        for name in folders
        if Path(name).is_absolute() or ".." in Path(name).parts
    ]
    for channel in study.images.channels:
        try:
            if (archive := archive_of(found, channel)) == "jsoc":
                jsoc.full_disc(channel, _period(found), found.cadence_hours)
            else:
                (browse.product_of if archive == "browse" else helioviewer.source_of)(channel)
        except BadInput as error:
            problems += error.problems
    if len(_patterns(settings)) != len(study.images.channels):
        what = f"source.srs.files has {len(_patterns(settings))} pattern(s) for {len(study.images.channels)} channel(s)"
        problems.append(Problem(what, "write one for each channel", study.name))
    as_is = found.protocol == "as-is" and any(archive_of(found, c) == "jsoc" for c in study.images.channels)
    if as_is and Path(study.source.keywords).suffix != ".csv":
        hint = 'set source.keywords = "keywords.csv"; sdovis fetch writes it'
        problems.append(
            Problem("files as-is have no keywords, and the study names no .csv table for them", hint, study.name)
        )
    if as_is and len(study.images.channels) > 1:
        problems.append(
            Problem("as-is has one table of keywords, for one channel", 'set protocol = "fits"', study.name)
        )
    if problems:
        raise BadInput(problems)
    return found


def archive_of(found: FetchEntries, channel: str) -> str:
    """The archive of a channel's images: the study's, or the one that holds such images."""
    return found.archive or ("browse" if channel.endswith("-browse") else "jsoc")


def order(study: Study, courier: Courier) -> Order:
    """Everything that the study asks for. Raises `BadInput` as `wish`."""
    found, settings = wish(study), study.source.settings
    addresses, period = Addresses(found.addresses), _period(found)
    asked = noaa.summaries(addresses, period, settings.summaries, by=found.summaries)
    if settings.flares:
        asked += goes.flares(addresses, _flare_period(found, settings), settings.flares, of=found.flares)
    if settings.harps:
        asked += jsoc.harps(addresses, settings.harps)
    folder = Path(study.source.images).as_posix()
    for channel, pattern in zip(study.images.channels, _patterns(settings), strict=True):
        try:
            images = _images(study, found, channel, courier, addresses, folder)
        except Failed as error:  # what other archives have can still be loaded
            asked += Order(failed=(f"images of {channel}: {error}",))
            continue
        _refuse_names_that_are_not_read(images, pattern, study)
        asked += images
    return asked


def _images(
    study: Study, found: FetchEntries, channel: str, courier: Courier, addresses: Addresses, folder: str
) -> Order:
    period, cadence = _period(found), found.cadence_hours
    match archive_of(found, channel):
        case "browse":
            return browse.images(
                courier, addresses, period, channel, folder, cadence_hours=cadence,
                max_gap_minutes=found.max_gap_minutes, side=found.resolution_px,
            )  # fmt: skip
        case "helioviewer":
            return helioviewer.images(
                courier,
                addresses,
                period,
                channel,
                folder,
                cadence_hours=cadence,
                max_gap_minutes=found.max_gap_minutes,
            )
    asked = jsoc.full_disc(channel, period, cadence)
    images = jsoc.images(courier, addresses, asked, folder, protocol=found.protocol, keywords=study.source.keywords)
    taken = [time for file in images.files if (time := time_in_name(Path(file.path).name)) is not None]
    near = browse.nearest_of(period.moments(cadence), sorted(taken), JSOC_GAP)
    lacking = (moment for moment, time in near.items() if time is None)
    return images + Order(absent=tuple(Absent("jsoc", f"{channel} of {moment:%Y-%m-%d %H:%M}") for moment in lacking))


def _refuse_names_that_are_not_read(images: Order, pattern: str, study: Study) -> None:
    """Raise `BadInput` if the reader would not take the files: nobody would learn of it after they were loaded."""
    wanted = name_pattern(pattern)
    for file in images.files:
        name = Path(file.path).name
        if file.kind == "image" and not (wanted.fullmatch(name) or wanted.fullmatch(file.path)):
            what = f"source.srs.files = {pattern!r} does not take {name}, which would be fetched"
            raise BadInput(Problem(what, "change the pattern", study.name))


def _patterns(settings: SrsSettings) -> Sequence[str]:
    """The patterns of the names of images, for one channel after the other."""
    return (settings.files,) if isinstance(settings.files, str) else settings.files


def _period(found: FetchEntries) -> Period:
    return Period(found.since, found.to)


def _flare_period(found: FetchEntries, settings: SrsSettings) -> Period:
    """Until the last flare that may count after the last image."""
    return _period(found).longer(1 + int((settings.flare_hours or 0.0) // 24))


def missing(study: Study) -> list[str]:
    """What of the study's ``[source.fetch]`` is not there, in sentences, by what is in its folders: no archive is asked.

    What an archive did not have when it was asked does not count. Raises `BadInput` as `wish`.
    """
    found, settings, root = wish(study), study.source.settings, study.source.root
    said = [*_missing_summaries(study, found, settings)]
    for name, of in (
        (settings.flares, "the flare list"),
        (settings.harps, "the table of HARPs"),
        (study.source.keywords, "the table of keywords"),
    ):
        if name and not (root / name).is_file():
            said.append(f"{of}, {name}")
    said += _missing_images(study, found, settings)
    return said


def _missing_summaries(study: Study, found: FetchEntries, settings: SrsSettings) -> Iterator[str]:
    try:
        issued = {summary.issued.date() for summary in read_archive(study.source.root / settings.summaries).summaries}
    except BadInput:
        issued = set()
    known = _known_absent(study, "srs")
    lacking = [
        day for day in _period(found).longer(1).days if day not in issued and noaa.summary_name(day) not in known
    ]
    if lacking:
        yield f"{len(lacking)} region summaries (the first of {lacking[0]})"


def _missing_images(study: Study, found: FetchEntries, settings: SrsSettings) -> Iterator[str]:
    moments = _period(found).moments(found.cadence_hours)
    for channel, pattern in zip(study.images.channels, _patterns(settings), strict=True):
        archive, wanted = archive_of(found, channel), name_pattern(pattern)
        gap = JSOC_GAP if archive == "jsoc" else timedelta(minutes=found.max_gap_minutes)
        paths = study.image_root.rglob("*") if study.image_root.is_dir() else ()
        names = (path for path in paths if path.name.lower().endswith(SUFFIXES) and not path.name.startswith("."))
        taken = sorted(time for path in names if wanted.fullmatch(path.name) and (time := taken_at(path, wanted)))
        near = browse.nearest_of(moments, taken, gap)
        known = " ".join(_known_absent(study, archive))
        lacking = [moment for moment, time in near.items() if time is None and f"{moment:%Y-%m-%d %H:%M}" not in known]
        if lacking:
            yield f"{len(lacking)} images of {channel} (the first of {lacking[0]:%Y-%m-%d %H:%M})"


def _known_absent(study: Study, archive: str) -> set[str]:
    """What ``fetched.json`` says the archive does not have."""
    title = f"{ARCHIVES[archive].title}: "
    return {each.removeprefix(title) for each in Fetched.load(study.source.root).absent if each.startswith(title)}


def fetched_for(study: Study) -> dict[str, FetchedFile]:
    """The fetched files, by their paths in ``source.root``, that a study's rows and images come from."""
    source, settings = study.source, study.source.settings
    tables = (settings.flares, settings.sharp, settings.harps) if isinstance(settings, SrsSettings) else ()
    return ledger.used(source.root, (source.rows_from, source.images, source.keywords, *tables))
