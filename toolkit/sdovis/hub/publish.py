"""Publishing a release: dataset, model and Space, without overwriting others' work and without a pin that leads nowhere.

All three are sent to a branch and tagged first; then main of the dataset, of the model and of the Space are switched, one
commit each. At every moment each revision that main of a repository names exists. A tag is never moved (see `pins`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from sdovis.cards.facts import PLACEHOLDER
from sdovis.errors import BadInput, Conflict, HubFailure, Problem
from sdovis.hub import acceptance, pins
from sdovis.hub.collection import Collecting
from sdovis.hub.journal import NAME, Journal
from sdovis.hub.plan import Plan
from sdovis.hub.remote import Hub, Refusal
from sdovis.hub.repository import Publishing
from sdovis.release.assembly import DASHBOARD, KINDS, Release
from sdovis.release.request import Say


@dataclass(frozen=True)
class Published:
    """What was done, or with ``dry_run`` would be: one plan per repository, and the commits that now contain the release.

    ``pin`` is its tag on that Hub; ``sent`` names the repositories whose main got a commit; ``notes`` are things that the
    owner should know.
    """

    pin: str
    dry_run: bool
    plans: tuple[Plan, ...]
    commits: Mapping[str, str]
    sent: tuple[str, ...]
    notes: tuple[str, ...]
    collection: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """All of it in words."""
        return [line for plan in self.plans for line in plan.lines()] + [*self.collection, *self.notes]


def publish(
    release_dir: Path,
    *,
    namespace: str | None = None,
    private: bool = True,
    dry_run: bool = False,
    accept: Collection[str] = (),
    token: str | None = None,
    endpoint: str | None = None,
    say: Say = lambda line: None,
) -> Published:
    """Put the release on the Hub, tagged with its pin in all three repositories.

    All three are examined before anything is written. What is already there is not sent again; a call after an
    interruption continues from there. Sections of a README kept by hand on the Hub are carried over. Repositories stay
    private until everything is there. ``namespace``, if given, must be the one the release was made for; ``accept``
    lists newest commits (or their first characters) by others that may be built upon, and their files replaced.

    What the Hub would refuse is found before anything is created (`acceptance`), and a repository that was created in vain
    is removed again. Raises `BadInput` for a release that is incomplete, has no owner or would be refused, `Conflict` if
    somebody else has changed a repository since or is publishing to it, or if it is public and ``private`` is requested,
    and `HubFailure`.
    """
    release = Release.load(release_dir)
    _check_owner(release, namespace)
    hub = Hub(endpoint, token, say)
    acceptance.check(hub, release)
    journal = Journal(release_dir.parent / NAME)
    with nullcontext() if dry_run else journal.locked():
        # A page that reads its tables without a token shows nothing while they are private.
        kinds = tuple(kind for kind in release.repositories if kind != DASHBOARD or not private)
        work = [Publishing(hub, journal, release, kind, private, accept) for kind in kinds]
        pin, plans = _examined(work, release)
        commits = {plan.kind: plan.parent for plan in plans}
        sent: tuple[str, ...] = ()
        collecting = Collecting(hub, release, kinds, private)
        collection = tuple(collecting.lines())
        if not dry_run:
            if any(item.unfinished(plan) for item, plan in zip(work, plans, strict=True)):
                pin, commits = _sent(work, release, say)
                sent = tuple(plan.kind for plan in plans if commits[plan.kind] != plan.parent)
            for item, plan in zip(work, plans, strict=True):
                if plan.made_public:
                    item.make_public(say)
            collecting.complete(say)
    notes = (*_on_the_pin(release, pin, dry_run), *_notes(hub, release, private, plans[KINDS.index("space")], dry_run))
    return Published(pin, dry_run, plans, commits, sent, notes, collection)


def _examined(work: Sequence[Publishing], release: Release) -> tuple[str, tuple[Plan, ...]]:
    """The pin of the release on this Hub, and what main of each repository lacks. Nothing is written."""
    for item in work:
        item.look()
    pin = pins.choose(work[0].hub, release.pin, [(item.released, item.refs) for item in work])
    return pin, tuple(item.plan(pin) for item in work)


def _sent(work: Sequence[Publishing], release: Release, say: Say) -> tuple[str, dict[str, str]]:
    """Send what is missing: create, prepare, tag, show. Returns the pin and the newest commits of main."""
    first = work[0]
    with _withdrawn(work):
        first.create()
        first.lock()
    try:
        with _withdrawn(work):
            for item in work[1:]:
                item.create()
        # Another publisher may have been at work until a moment ago; from here on none is.
        pin, plans = _examined(work, release)
        _prepare(work, plans)
    except Conflict:
        with suppress(HubFailure):
            first.unlock()
        raise
    commits: dict[str, str] = {}
    for item, plan in zip(work, plans, strict=True):
        try:
            commits[item.kind] = item.show(plan, say)
        except (HubFailure, Conflict) as error:
            raise type(error)(f"{error}; {_halfway(pin, list(commits), [each.kind for each in work])}") from error
    for item in reversed(work):
        item.unlock()
    return pin, commits


@contextmanager
def _withdrawn(work: Sequence[Publishing]) -> Iterator[None]:
    """What was created in vain is removed again if the Hub refuses to create the rest."""
    try:
        yield
    except Refusal:
        for item in reversed(work):
            item.withdraw()
        raise


def _prepare(work: Sequence[Publishing], plans: Sequence[Plan]) -> None:
    """Everything but the last step, which is to be as short as can be. Raises `Conflict` if others have committed since."""
    try:
        for item, plan in zip(work, plans, strict=True):
            item.prepare(plan)
    except HubFailure as error:
        raise HubFailure(f"{error}; main of each is as it was; publish again to go on") from error
    for item, plan in zip(work, plans, strict=True):
        item.check_unchanged(plan)


def _halfway(pin: str, shown: Sequence[str], kinds: Sequence[str]) -> str:
    """What state things are in when main of only ``shown`` was switched, and how to mend it."""
    if not shown:
        return f"{pin} is prepared and tagged, but main of each is as it was; publish again to go on"
    now, then = (" and ".join(some) for some in (shown, [kind for kind in kinds if kind not in shown]))
    return (
        f"main of {now} is at {pin} already, main of {then} is as it was, and what it names is still there; "
        f"publish again to switch the rest ({then}, in this order)"
    )


def _check_owner(release: Release, namespace: str | None) -> None:
    owner = release.repositories["model"].id.split("/")[0]
    hint = 'set publish.namespace = "..." in the study, and run it again: cards and snippets name the repositories'
    if owner == PLACEHOLDER:
        raise BadInput(Problem("the release has no owner yet", hint, str(release.folder)))
    if namespace and namespace != owner:
        what = f"the release was made for {owner!r}, not for {namespace!r}"
        raise BadInput(Problem(what, hint, str(release.folder)))


def _on_the_pin(release: Release, pin: str, dry_run: bool) -> tuple[str, ...]:
    if pin == release.pin:
        return ()
    return (
        f"{release.pin} stays what it is on the Hub, the same corpus, model and scores with other words or another page: "
        f"this release {'would be' if dry_run else 'is'} {pin} there",
    )


def _notes(hub: Hub, release: Release, private: bool, space: Plan, dry_run: bool) -> Iterator[str]:
    name = release.repositories["space"].id
    if private and DASHBOARD in release.repositories:
        yield (
            f"the dashboard {release.repositories[DASHBOARD].id} is left out: its page reads the dataset without a token, "
            "so it would show nothing while that is private; publish with --public"
        )
    if private and not ((space.parent or not dry_run) and "HF_TOKEN" in _secrets(hub, name)):
        yield (
            f"the model is private: the Space {name} can open it only with a secret HF_TOKEN, a token with read access. "
            f"sdovis never sends yours; add one at {hub.endpoint}/spaces/{name}/settings"
        )


def _secrets(hub: Hub, space: str) -> set[str]:
    try:
        return hub.secrets(space)
    except HubFailure:  # all is published by now: a token without that permission only costs a needless note
        return set()
