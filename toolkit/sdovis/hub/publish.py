"""Publishing a release: dataset, then model, then Space, one commit each, without overwriting others' work."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from sdovis.cards.card import merge
from sdovis.cards.facts import PLACEHOLDER
from sdovis.errors import BadInput, Conflict, HubFailure, Problem, SdovisError
from sdovis.hub.journal import NAME, Entry, Journal
from sdovis.hub.plan import Contents, Plan, differences
from sdovis.hub.remote import Hub, State, Stored
from sdovis.release.assembly import KINDS, README, Release, differ_in_kept_sections_only
from sdovis.release.request import Say


@dataclass(frozen=True)
class Published:
    """What was done, or with ``dry_run`` would be: one plan per repository, and the commits that now contain the release.

    ``sent`` names the repositories that got a commit; ``notes`` are things that only the owner can do.
    """

    pin: str
    dry_run: bool
    plans: tuple[Plan, ...]
    commits: Mapping[str, str]
    sent: tuple[str, ...]
    notes: tuple[str, ...]

    def lines(self) -> list[str]:
        """All of it in words."""
        return [line for plan in self.plans for line in plan.lines()] + list(self.notes)


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

    Raises `BadInput` for a release that is incomplete or has no owner, `Conflict` if somebody else has changed a
    repository since, or if it is public and ``private`` is requested, and `HubFailure`.
    """
    release = Release.load(release_dir)
    _check_owner(release, namespace)
    hub = Hub(endpoint, token)
    hub.account()
    journal = Journal(release_dir.parent / NAME)
    work = [_Work(hub, journal, release, kind, private, accept) for kind in KINDS]
    plans = tuple([item.plan(item.state()) for item in work])
    commits, sent = {item.kind: plan.parent for item, plan in zip(work, plans, strict=True)}, []
    if not dry_run:
        for item, plan in zip(work, plans, strict=True):
            commits[item.kind], changed = item.carry_out(plan, say)
            sent += [item.kind] if changed else []
        for item, plan in zip(work, plans, strict=True):
            if plan.made_public:
                item.make_public(say)
    return Published(
        release.pin, dry_run, plans, commits, tuple(sent), _notes(hub, release, private, plans[-1], dry_run)
    )


def _check_owner(release: Release, namespace: str | None) -> None:
    owner = release.repositories["model"].id.split("/")[0]
    hint = 'set publish.namespace = "..." in the study, and run it again: cards and snippets name the repositories'
    if owner == PLACEHOLDER:
        raise BadInput(Problem("the release has no owner yet", hint, str(release.folder)))
    if namespace and namespace != owner:
        what = f"the release was made for {owner!r}, not for {namespace!r}"
        raise BadInput(Problem(what, hint, str(release.folder)))


def _notes(hub: Hub, release: Release, private: bool, space: Plan, dry_run: bool) -> tuple[str, ...]:
    name = release.repositories["space"].id
    if not private or ((space.parent or not dry_run) and "HF_TOKEN" in _secrets(hub, name)):
        return ()
    return (
        f"the model is private: the Space {name} can open it only with a secret HF_TOKEN, a token with read access. "
        f"sdovis never sends yours; add one at {hub.endpoint}/spaces/{name}/settings",
    )


def _secrets(hub: Hub, space: str) -> set[str]:
    try:
        return hub.secrets(space)
    except HubFailure:  # all is published by now: a token without that permission only costs a needless note
        return set()


class _Work:
    """One repository being published."""

    def __init__(
        self, hub: Hub, journal: Journal, release: Release, kind: str, private: bool, accept: Collection[str]
    ) -> None:
        self.hub, self.journal, self.kind = hub, journal, kind
        self.private, self.accept, self.pin = private, accept, release.pin
        self.id = release.repositories[kind].id
        self.sources: dict[str, Path | bytes] = {
            name: release.path(kind, name) for name in release.repositories[kind].files
        }
        self.wanted = {name: Contents.of(source) for name, source in self.sources.items()}
        self.card = release.path(kind, README).read_text(encoding="utf-8")
        self.readme = self.card

    def state(self) -> State | None:
        """The repository now. Raises `Conflict` if it is public although private was requested."""
        found = self.hub.state(self.kind, self.id)
        if found and self.private and not found.private:
            raise Conflict(
                f"the {self.kind} {self.id} is public, but private was requested: nothing was sent; make it private on the "
                "Hub (Settings), or publish with --public"
            )
        return found

    def plan(self, state: State | None) -> Plan:
        """What is missing there. Raises `Conflict` if its contents were put there by somebody else."""
        stored = state.files if state else {}
        if state and README in stored:
            self._carry_over(self.hub.text(self.kind, self.id, README, state.commit))
        added, changed, deleted = differences(self.wanted, stored)
        if state and (added or changed or deleted):
            self._check_ours(state)
        return Plan(
            self.kind,
            self.id,
            state.commit if state else "",
            self.private,
            not self.private and (state is None or state.private),
            {path: self.wanted[path].size for path in added},
            {path: self.wanted[path].size for path in changed},
            tuple(deleted),
        )

    def _carry_over(self, theirs: str) -> None:
        try:
            self.readme = merge(self.card, theirs)
        except BadInput as error:
            raise Conflict(f"the {self.kind} {self.id}: on the Hub, {error}") from error
        self.sources[README] = self.readme.encode()
        self.wanted[README] = Contents.of(self.readme.encode())

    def _check_ours(self, state: State) -> None:
        if any(state.commit.startswith(commit) for commit in self.accept if len(commit) >= 7):
            return
        entries = self.journal.entries(self.hub.endpoint, self.kind, self.id)
        if any(self._holds(state, entry) for entry in entries):
            return
        title, author, untouched = self.hub.newest(self.kind, self.id)
        if untouched:
            return
        what = f"the {self.kind} {self.id}: its newest commit {state.commit[:12]} ({title!r} by {author}) is not ours"
        if entries:
            paths = [path for part in differences(entries[0].files, state.files) for path in part]
            what += f" and changed {', '.join(paths[:5])}{' ...' if len(paths) > 5 else ''}"
        raise Conflict(f"{what}; nothing was sent. Look at it, then publish with --accept {state.commit[:12]}")

    def _holds(self, state: State, entry: Entry) -> bool:
        """Whether the repository contains what we once sent, except for the kept sections of its README."""
        added, changed, deleted = differences(entry.files, state.files)
        if added or deleted or changed not in ([], [README]):
            return False
        theirs = self.hub.text(self.kind, self.id, README, state.commit) if changed else entry.readme
        return differ_in_kept_sections_only(entry.readme, theirs)

    def carry_out(self, plan: Plan, say: Say) -> tuple[str, bool]:
        """Create, commit and tag as needed. Returns the commit that contains the release, and whether it is new."""
        if not plan.parent:
            plan = self._created()
        commit = plan.parent
        if not plan.empty:
            say(plan.lines()[0])
            self.journal.sending(self.hub.endpoint, self.kind, self.id, self._entry(""))
            commit = self._commit(plan)
        self.journal.published(self.hub.endpoint, self.kind, self.id, self._entry(commit))
        self._tag(commit)
        return commit, not plan.empty

    def _created(self) -> Plan:
        self.hub.create(self.kind, self.id)
        state = self.hub.state(self.kind, self.id)
        if state is None:
            raise HubFailure(f"the {self.kind} {self.id} was created but cannot be found; try again")
        if not state.private:
            raise Conflict(f"the {self.kind} {self.id} was created as private but is public: nothing was sent to it")
        return self.plan(state)

    def _commit(self, plan: Plan) -> str:
        write = {path: self.sources[path] for path in [*plan.added, *plan.changed]}
        title = f"sdovis release {self.pin}"
        try:
            return self.hub.commit(
                self.kind, self.id, parent=plan.parent, title=title, write=write, delete=plan.deleted
            )
        except (HubFailure, Conflict) as error:
            return self._after_all(plan, error)

    def _after_all(self, plan: Plan, error: SdovisError) -> str:
        """The newest commit if it is ours after all (only the answer was lost); otherwise raises ``error``."""
        try:
            now = self.hub.state(self.kind, self.id)
        except HubFailure:
            raise error from None
        if now is None or now.commit == plan.parent or any(differences(self.wanted, now.files)):
            raise error
        return now.commit

    def _entry(self, commit: str) -> Entry:
        return Entry(self.pin, commit, self.wanted, self.readme)

    def _tag(self, commit: str) -> None:
        tagged = self.hub.files_at(self.kind, self.id, self.pin)
        if tagged is None:
            self.hub.tag(self.kind, self.id, self.pin, commit, instead=False)
        elif tagged[0] != commit and not self._is_the_release(*tagged):
            # The pin identifies corpus, model and scores: under the same pin only words or the Space's code can differ.
            self.hub.tag(self.kind, self.id, self.pin, commit, instead=True)

    def _is_the_release(self, commit: str, stored: Mapping[str, Stored]) -> bool:
        card = Entry(self.pin, commit, {**self.wanted, README: Contents.of(self.card.encode())}, self.card)
        return self._holds(State(commit, self.private, stored), card)

    def make_public(self, say: Say) -> None:
        """Make the repository visible to everybody. Raises `HubFailure` if it is still not public afterwards."""
        say(f"making the {self.kind} {self.id} public")
        self.hub.make_public(self.kind, self.id)
        state = self.hub.state(self.kind, self.id)
        if state is None or state.private:
            raise HubFailure(f"the {self.kind} {self.id} is still private, although the Hub reported no error")
