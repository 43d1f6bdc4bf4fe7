"""One run of `sdovis fetch`: an order becomes a plan, which is shown, and then, unless it was only asked for, loaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from sdovis import disk
from sdovis.errors import BadInput, Conflict, HubFailure, Problem, nearest
from sdovis.fetching import browse, fetch, goes, helioviewer, jsoc, noaa, orders
from sdovis.fetching.archives import Addresses
from sdovis.fetching.courier import Courier
from sdovis.fetching.faults import Failed, Missing
from sdovis.fetching.fetch import Loaded, Say
from sdovis.fetching.wanted import FetchPlan, Order, Period
from sdovis.study import Study

LOCK = ".fetching.lock"
#: What may be asked for by kind, without a study.
KINDS = ("srs", "flares", "images", "sharp", "harps")
#: What a study sets, and a command does not.
REQUESTS_PER_SECOND, MAX_GAP_MINUTES = 4.0, 60.0


@dataclass(frozen=True)
class Errand:
    """What a command asks for by kind, as its options say."""

    kind: str
    folder: Path
    period: Period | None = None
    channel: str = ""
    archive: str = ""
    cadence_hours: float = 12.0
    resolution_px: int = 1024
    protocol: str = "fits"
    harp: int | None = None
    segments: tuple[str, ...] = ("magnetogram",)
    by: str = "days"
    of: str = ""


@dataclass(frozen=True)
class Outcome:
    """The plan, and what was loaded; None if the plan was all that was asked for."""

    plan: FetchPlan
    loaded: Loaded | None


def of_study(study: Study, say: Say, *, dry_run: bool = False) -> Outcome:
    """Load what the study's ``[source.fetch]`` asks for, into the folders of its reader. Raises as `by_kind`."""
    wish = orders.wish(study)
    return _run(
        lambda courier: orders.order(study, courier), study.source.root, Addresses(wish.addresses),
        wish.requests_per_second, say, dry_run=dry_run,
    )  # fmt: skip


def by_kind(asked: Errand, say: Say, *, dry_run: bool = False) -> Outcome:
    """Load what was asked for by kind. Raises `BadInput` for what makes no sense, `HubFailure` if files could not be had,
    `DiskFailure` if the disk has no room, `Conflict` if another process fills the folder."""
    addresses = Addresses({})
    return _run(_orders(asked, addresses), asked.folder, addresses, REQUESTS_PER_SECOND, say, dry_run=dry_run)


def _orders(asked: Errand, addresses: Addresses) -> Callable[[Courier], Order]:
    """The order, once an archive can be asked. Raises `BadInput` before."""
    if asked.kind not in KINDS:
        raise BadInput(
            Problem(f"{asked.kind!r} is neither a study file nor one of {', '.join(KINDS)}", nearest(asked.kind, KINDS))
        )
    if asked.kind == "harps":
        return lambda courier: jsoc.harps(addresses, Path(jsoc.HARPS).name)
    if asked.kind == "srs" and asked.period is None:
        return lambda courier: noaa.regions(addresses)
    period = asked.period
    if period is None:
        raise BadInput(
            Problem(f"which days? {asked.kind} needs --from and --to", "write --from 2012-01-01 --to 2012-01-31")
        )
    if asked.kind == "srs":
        return lambda courier: noaa.summaries(addresses, period, "srs", by=asked.by)
    if asked.kind == "flares":
        return lambda courier: goes.flares(addresses, period, "goes_flares.csv", of=asked.of)
    if asked.kind == "sharp":
        if asked.harp is None:
            raise BadInput(Problem("which HARP?", "add --harp 377; sdovis fetch harps has the NOAA regions of each"))
        records = jsoc.sharp(asked.harp, period, asked.cadence_hours, asked.segments)
        return lambda courier: _jsoc(courier, addresses, records, asked, "sharp")
    if not asked.channel:
        raise BadInput(Problem("which channel?", "add --channel hmi-magnetogram; sdovis plugins lists them"))
    archive = asked.archive or ("browse" if asked.channel.endswith("-browse") else "jsoc")
    shape = {"cadence_hours": asked.cadence_hours, "max_gap_minutes": MAX_GAP_MINUTES}
    if archive == "browse":
        browse.product_of(asked.channel)
        return lambda courier: browse.images(
            courier, addresses, period, asked.channel, "images", side=asked.resolution_px, **shape
        )
    if archive == "helioviewer":
        helioviewer.source_of(asked.channel)
        return lambda courier: helioviewer.images(courier, addresses, period, asked.channel, "images", **shape)
    records = jsoc.full_disc(asked.channel, period, asked.cadence_hours)
    return lambda courier: _jsoc(courier, addresses, records, asked, "images")


def _jsoc(courier: Courier, addresses: Addresses, records: jsoc.RecordSet, asked: Errand, folder: str) -> Order:
    return jsoc.images(courier, addresses, records, folder, protocol=asked.protocol, keywords=f"{folder}_keywords.csv")


def _run(
    order: Callable[[Courier], Order], folder: Path, addresses: Addresses, rate: float, say: Say, *, dry_run: bool
) -> Outcome:
    with Courier(rate, say) as courier:
        try:
            asked = order(courier)
        except (Failed, Missing) as error:
            raise HubFailure(f"the plan cannot be made: {error}; run the same command again") from None
        if dry_run:
            plan = fetch.plan(courier, asked, folder)
            if plan.failed or plan.untold:
                raise fetch.failure([*plan.failed, *plan.untold], say)
            return Outcome(plan, None)
        with _alone(folder):
            plan = fetch.plan(courier, asked, folder)
            for line in fetch.lines(plan):
                say(line)
            return Outcome(plan, fetch.load(courier, plan, folder, addresses, say))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Raises `Conflict` if another process fills the folder."""
    disk.make(folder)
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise Conflict(f"{folder}: another sdovis fetch is filling it; wait until it has ended") from None
    try:
        yield
    finally:
        lock.release()
