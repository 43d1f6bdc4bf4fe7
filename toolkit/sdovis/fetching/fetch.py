"""Plans, then loads: file by file, each verified before it gets its name, and what failed is said at the end, all of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from tqdm import tqdm

from sdovis import disk
from sdovis.errors import BadInput, DiskFailure, HubFailure
from sdovis.fetching import jsoc, ledger
from sdovis.fetching.archives import ARCHIVES, Addresses
from sdovis.fetching.courier import Courier
from sdovis.fetching.faults import Failed, Missing
from sdovis.fetching.ledger import FetchedFile, Ledger
from sdovis.fetching.opening import KINDS
from sdovis.fetching.wanted import Absent, FetchPlan, Order, WantedFile

Say = Callable[[str], None]


@dataclass(frozen=True)
class Loaded:
    """What a run did: files loaded in this run with their bytes, those that are absent, tables made."""

    files: int
    bytes: int
    absent: tuple[Absent, ...]
    tables: tuple[str, ...]


def plan(courier: Courier, order: Order, folder: Path) -> FetchPlan:
    """What of ``order`` is not in ``folder`` yet, with the sizes that the archives tell. Loads nothing."""
    book = Ledger(folder)
    files, absent, kept, there, untold = [], list(order.absent), [], 0, []
    for file in order.files:
        if book.has(file.path):
            there += 1
        elif (folder / file.path).exists():
            kept.append(file.path)
        elif file.export or file.kind in ("events", "keywords"):  # made when asked for: no size is known before
            files.append(file)
        else:
            try:
                files.append(replace(file, size=courier.size(file.url)))
            except Missing:
                absent.append(Absent(file.archive, Path(file.path).name))
            except Failed as error:
                files.append(file)
                untold.append(f"{file.path}: {error}")
    asked = tuple(sorted({file.archive for file in order.files} | {each.archive for each in order.absent}))
    return FetchPlan(asked, tuple(files), there, tuple(kept), tuple(absent), order.tables, order.failed, tuple(untold))


def lines(found: FetchPlan) -> Iterator[str]:
    """A plan in lines: by archive, then in all."""
    for name, group in groupby(sorted(found.files, key=lambda file: file.archive), key=lambda file: file.archive):
        files = [*group]
        unknown = sum(file.size is None for file in files)
        sizes = shown(sum(file.size or 0 for file in files)) if unknown < len(files) else ""
        untold = f"{unknown} whose size the archive tells only when it sends them" if unknown else ""
        yield f"{ARCHIVES[name].title}: {len(files)} files, {' and '.join(filter(None, [sizes, untold]))}"
    if found.there:
        yield f"{found.there} files were fetched before"
    if found.kept:
        yield f"{len(found.kept)} files are there and were not fetched: they are left as they are ({found.kept[0]} ...)"
    if found.absent:
        yield from said_absent(found.absent)
    more = f", and {found.unknown} of unknown size" if found.unknown else ""
    yield f"to load: {len(found.files)} files, {shown(found.bytes)}{more}"


def said_absent(absent: Sequence[Absent]) -> Iterator[str]:
    """What archives do not have, an example of each."""
    for name, group in groupby(sorted(absent, key=lambda each: each.archive), key=lambda each: each.archive):
        named = [each.what for each in group]
        rest = f" and {len(named) - 1} more" if len(named) > 1 else ""
        yield f"{ARCHIVES[name].title} does not have {named[0]}{rest}"


def shown(size: int) -> str:
    """A size for people."""
    amount, unit = float(size), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if amount < 1000 or unit == "TB":
            break
        amount /= 1000
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"


def load(courier: Courier, found: FetchPlan, folder: Path, addresses: Addresses, say: Say) -> Loaded:
    """Load what a plan says into ``folder``, make its tables, and record it in ``fetched.json``.

    Raises `DiskFailure` before anything is loaded if the disk has no room for it. Of files that cannot be had the others are
    loaded all the same; then it says which and why, and raises `HubFailure`. `BadInput` if JSOC's e-mail is needed and absent.
    """
    if found.files:
        disk.make(folder)
        _refuse_a_full_disk(found.bytes, folder)
    book = Ledger(folder)
    failures = [*found.failed]
    absent, count, size = list(found.absent), 0, 0
    try:
        with tqdm(total=found.bytes, desc="fetch", unit="B", unit_scale=True, leave=False, disable=None) as bar:

            def coming(part: int) -> None:
                bar.update(size + part - bar.n)

            courier.coming = coming
            for file in _with_addresses(courier, found.files, folder, addresses, say, failures):
                try:
                    size += _load_one(courier, file, folder, addresses, book)
                    count += 1
                except Missing:  # it was there when the plan was made
                    absent.append(Absent(file.archive, Path(file.path).name))
                except Failed as error:
                    failures.append(f"{file.path}: {error}")
        tables = _made(found, folder, book, say)
    finally:
        book.close(found.asked, absent)
    if failures:
        raise failure(failures, say)
    jsoc.done(folder)
    return Loaded(count, size, tuple(absent), tables)


def _with_addresses(
    courier: Courier, files: Sequence[WantedFile], folder: Path, addresses: Addresses, say: Say, failures: list[str]
) -> Iterator[WantedFile]:
    """The files one after another; those that JSOC must export when it has."""
    for asked, group in groupby(files, key=lambda file: file.export):
        if not asked:
            yield from group
            continue
        try:
            yield from jsoc.exported(courier, addresses.of("jsoc"), [*group], folder, say)
        except Failed as error:
            failures.append(str(error))


def _load_one(courier: Courier, file: WantedFile, folder: Path, addresses: Addresses, book: Ledger) -> int:
    """Load, verify and record one file; its size. Raises `Missing` or `Failed`."""
    place, opener = folder / file.path, KINDS[file.kind]
    part = courier.load(file.url, place, opener.most, lambda path: opener.open(path, place.name))
    if file.size is not None and part.size != file.size and courier.size(file.url) != part.size:
        part.drop()
        raise Failed(f"has {part.size} bytes, and the archive says {file.size}")
    own = addresses.is_own(file.archive)
    book.write_down(file.path, ledger.entry(part.file, file.archive, file.url, own_address=own, record=file.record))
    size = part.size
    part.moved(place)
    return size


def _made(found: FetchPlan, folder: Path, book: Ledger, say: Say) -> tuple[str, ...]:
    """Make the tables whose files are all there."""
    made = []
    for table in found.tables:
        sources = [folder / path for path in table.sources]
        if not all(path.is_file() for path in sources):
            continue
        place, known = folder / table.path, book.found.files
        if table.path in known and _newer(known[table.path], [known.get(path) for path in table.sources], place):
            continue
        if place.exists() and table.path not in book.found.files:
            say(f"{table.path} is there and was not made by sdovis fetch: it is left as it is")
            continue
        try:
            remarks = table.make(sources, place)
        except BadInput as error:
            raise HubFailure(f"{table.path} cannot be made: {error}") from None
        for remark in remarks:
            say(remark)
        if (source := known.get(table.sources[0])) is not None:
            book.write_down(
                table.path, ledger.entry(place, source.archive, "", own_address=True, made_from=table.sources)
            )
        made.append(table.path)
    return tuple(made)


def _newer(table: FetchedFile, sources: Sequence[FetchedFile | None], place: Path) -> bool:
    """Whether a table is there, and none of its files has come since."""
    return place.is_file() and all(source is not None and source.fetched <= table.fetched for source in sources)


def failure(failures: Sequence[str], say: Say) -> HubFailure:
    """Say every failure, and give the error that ends the run."""
    for line in failures:
        say(line)
    return HubFailure(f"{len(failures)} things could not be fetched; run the same command again: it goes on from here")


def _refuse_a_full_disk(needed: int, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DiskFailure(f"{folder}: the plan needs {shown(needed)}, and the disk has {shown(free)} left; make room")
