"""One repository being published: prepared on a branch and tagged first, then shown on main."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress

from sdovis.cards.card import merge
from sdovis.errors import BadInput, Conflict, HubFailure, SdovisError
from sdovis.hub.journal import Entry, Journal
from sdovis.hub.pins import Files, same_card
from sdovis.hub.plan import Plan, differences
from sdovis.hub.remote import Change, Hub, Refs, State, Stored
from sdovis.release.assembly import README, Release
from sdovis.release.request import Say

#: Where a release is prepared. In the dataset it also tells other publishers to keep away.
BRANCH = "sdovis-next"
#: The file on that branch of the dataset that says so; never on main, and in no release.
LOCK = "sdovis-publishing"


class Publishing:
    """One repository being published."""

    def __init__(
        self, hub: Hub, journal: Journal, release: Release, kind: str, private: bool, accept: Collection[str]
    ) -> None:
        self.hub, self.journal, self.kind = hub, journal, kind
        self.private, self.accept = private, accept
        self.id = release.repositories[kind].id
        self.released = self.files = Files.of(release, kind)
        self.state: State | None = None
        self.refs = Refs({}, {})
        self._held: Entry | None = None
        self._created = ""

    # --- looking ----------------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Read the repository as it is. Raises `Conflict` if it is public although private was requested."""
        self.state = self.hub.state(self.kind, self.id)
        if self.state and self.private and not self.state.private:
            raise Conflict(
                f"the {self.kind} {self.id} is public, but private was requested: nothing was sent; make it private on the "
                "Hub (Settings), or publish with --public"
            )
        self.refs = self.hub.refs(self.kind, self.id) if self.state else Refs({}, {})

    def plan(self, pin: str) -> Plan:
        """What main lacks. Raises `Conflict` if its contents were put there by somebody else."""
        self.files, self._held = self.released.under(pin), None
        state, stored = self.state, self.state.files if self.state else {}
        added, changed, deleted = differences(self.files.wanted, {})
        if state:
            if README in stored:
                self._carry_over(self.hub.content(self.kind, self.id, README, state.commit).decode("utf-8", "replace"))
            added, changed, deleted = self.files.changes(self.hub, state.commit, stored)
            if added or changed or deleted:
                self._check_ours(state)
        return Plan(
            self.kind,
            self.id,
            state.commit if state else "",
            self.private,
            not self.private and (state is None or state.private),
            {path: self.files.wanted[path].size for path in added},
            {path: self.files.wanted[path].size for path in changed},
            tuple(deleted),
        )

    def _carry_over(self, theirs: str) -> None:
        try:
            self.files = self.files.with_contents({README: merge(self.files.card, theirs).encode()})
        except BadInput as error:
            raise Conflict(f"the {self.kind} {self.id}: on the Hub, {error}") from error

    def _check_ours(self, state: State) -> None:
        if self._accepted(state.commit):
            return
        entries = self.journal.entries(self.hub.endpoint, self.kind, self.id)
        self._held = next((entry for entry in entries if self._is(state, entry)), None)
        if self._held:
            return
        title, author, untouched = self.hub.newest(self.kind, self.id)
        if untouched:
            return
        what = f"the {self.kind} {self.id}: its newest commit {state.commit[:12]} ({title!r} by {author}) is not ours"
        if entries:
            paths = [path for part in differences(entries[0].files, state.files) for path in part]
            what += f" and changed {', '.join(paths[:5])}{' ...' if len(paths) > 5 else ''}"
        raise Conflict(f"{what}; nothing was sent. Look at it, then publish with --accept {state.commit[:12]}")

    def _accepted(self, commit: str) -> bool:
        return any(commit.startswith(given) for given in self.accept if len(given) >= 7)

    def _is(self, state: State, entry: Entry) -> bool:
        """Whether the repository contains what we once sent, except for the kept sections of its README."""
        added, changed, deleted = differences(entry.files, state.files)
        if added or deleted or changed not in ([], [README]):
            return False
        theirs = self.hub.content(self.kind, self.id, README, state.commit).decode() if changed else entry.readme
        return same_card(entry.readme, theirs)

    def unfinished(self, plan: Plan) -> bool:
        """Whether anything is left to do: on main, a tag, or a branch of ours that was not removed."""
        left = BRANCH in self.refs.branches and self._begun_by_us()
        return not plan.empty or self.files.pin not in self.refs.tags or left

    # --- writing ----------------------------------------------------------------------------------------------------

    def create(self) -> None:
        """Create the repository, private, if there is none."""
        if self.state is None:
            self.hub.create(self.kind, self.id)
            created = self.hub.state(self.kind, self.id)
            if created is None:
                raise HubFailure(f"the {self.kind} {self.id} was created but cannot be found; try again")
            if not created.private:
                raise Conflict(
                    f"the {self.kind} {self.id} was created as private but is public: nothing was sent to it"
                )
            self.state = created
            self._created = created.commit

    def withdraw(self) -> None:
        """Remove the repository if it was created a moment ago and holds nothing but what the Hub put there.

        The branch that keeps other publishers away is ours, and empty but for that.
        """
        with suppress(HubFailure, Conflict):
            now, refs = self.hub.state(self.kind, self.id), self.hub.refs(self.kind, self.id)
            untouched = now is not None and now.private and now.commit == self._created and not refs.tags
            if untouched and refs.branches.keys() <= {"main", BRANCH} and self._only_locked(refs):
                self.hub.remove(self.kind, self.id)

    def _only_locked(self, refs: Refs) -> bool:
        head = refs.branches.get(BRANCH)
        if head in (None, self._created) or self.state is None:
            return True
        files = self.hub.files(self.kind, self.id, head)
        return self._begun_by_us() and files.keys() - {LOCK} <= self.state.files.keys()

    def lock(self) -> None:
        """Begin on the branch, if nobody else has. Raises `Conflict` if somebody has.

        Of two that begin at the same time, one commits first, and the other is told so by the Hub.
        """
        main = self.hub.head(self.kind, self.id)
        head = self.hub.refs(self.kind, self.id).branches.get(BRANCH)
        if head is None:
            self.hub.branch(self.kind, self.id, BRANCH, main)
            head = main
        elif head != main and self._begun_by_us():
            return
        elif head != main and not self._accepted(head):
            raise self._busy()
        change = Change(head, f"sdovis publish by {self._us}", {LOCK: f"{self._us}\n".encode()}, ())
        try:
            self.hub.commit(self.kind, self.id, change, branch=BRANCH)
        except (HubFailure, Conflict):
            now = self.hub.refs(self.kind, self.id).branches.get(BRANCH)
            if now is None or (now != head and not self._begun_by_us()):
                raise self._busy() from None
            if now == head:
                raise

    @property
    def _us(self) -> str:
        return self.journal.publisher

    def _begun_by_us(self) -> bool:
        return self._us in self.hub.newest(self.kind, self.id, BRANCH)[0]

    def _busy(self) -> Conflict:
        what = f"somebody else is publishing to {self.id}, or was interrupted (branch {BRANCH} of the {self.kind})"
        head = self.hub.refs(self.kind, self.id).branches.get(BRANCH)
        if head is None:
            return Conflict(
                f"somebody else has just published to {self.id}; nothing was sent. Look at it, then publish again"
            )
        title, author, _ = self.hub.newest(self.kind, self.id, BRANCH)
        hint = f"wait for it; if nobody is at it any more, publish with --accept {head[:12]}"
        return Conflict(f"{what}: its newest commit is {title!r} by {author}; nothing was sent; {hint}")

    def unlock(self) -> None:
        """Remove the branch. What is tagged stays."""
        self.hub.unbranch(self.kind, self.id, BRANCH)

    def prepare(self, plan: Plan) -> None:
        """Send the release to the branch, and tag it with its pin; main, and with it all that is read, stays as it is."""
        if self.files.pin not in self.refs.tags:
            commit = plan.parent if plan.empty else self._on_branch(plan)
            self.hub.tag(self.kind, self.id, self.files.pin, commit)
            # The client says nothing of a tag that was there already.
            if self.hub.refs(self.kind, self.id).tags.get(self.files.pin) != commit:
                raise Conflict(
                    f"the {self.kind} {self.id}: somebody else has just tagged {self.files.pin}; look at it, then publish again"
                )

    def check_unchanged(self, plan: Plan) -> None:
        """Raise `Conflict` if main is no longer what the plan is based on."""
        if self.hub.head(self.kind, self.id) != plan.parent:
            raise Conflict(f"the {self.kind} {self.id}: somebody else has committed; look at it, then publish again")

    def _on_branch(self, plan: Plan) -> str:
        head = self.refs.branches.get(BRANCH)
        if head is None:
            self.hub.branch(self.kind, self.id, BRANCH, plan.parent)
            head = plan.parent
        there = self.hub.files(self.kind, self.id, head)
        title = f"sdovis release {self.files.pin}, prepared by {self._us}"
        return self._commit(title, head, there, branch=BRANCH)

    def show(self, plan: Plan, say: Say) -> str:
        """Let main hold what was prepared. Returns the commit of main that does."""
        key, commit = (self.hub.endpoint, self.kind, self.id), plan.parent
        if not plan.empty:
            say(plan.lines()[0])
            if self._held:  # of an earlier try; what is being sent now takes its place in the journal
                self.journal.published(*key, self._held)
            self.journal.sending(*key, self._entry(""))
            stored = self.state.files if self.state else {}
            commit = self._commit(f"sdovis release {self.files.pin}", plan.parent, stored)
        self.journal.published(*key, self._entry(commit))
        return commit

    def _commit(self, title: str, parent: str, stored: Mapping[str, Stored], *, branch: str = "main") -> str:
        added, changed, deleted = differences(self.files.wanted, stored)
        if not (added or changed or deleted):
            return parent
        write = {path: self.files.sources[path] for path in [*added, *changed]}
        try:
            return self.hub.commit(self.kind, self.id, Change(parent, title, write, deleted), branch=branch)
        except (HubFailure, Conflict) as error:
            return self._after_all(parent, branch, error)

    def _after_all(self, parent: str, branch: str, error: SdovisError) -> str:
        """The branch's newest commit if it is ours after all (only the answer was lost); otherwise raises ``error``."""
        try:
            now = self.hub.head(self.kind, self.id, branch)
            if now != parent and not any(differences(self.files.wanted, self.hub.files(self.kind, self.id, now))):
                return now
        except HubFailure:
            raise error from None
        raise error

    def _entry(self, commit: str) -> Entry:
        return Entry(self.files.pin, commit, self.files.wanted, self.files.card)

    def make_public(self, say: Callable[[str], None]) -> None:
        """Make the repository visible to everybody. Raises `HubFailure` if it is still not public afterwards."""
        say(f"making the {self.kind} {self.id} public")
        self.hub.make_public(self.kind, self.id)
        state = self.hub.state(self.kind, self.id)
        if state is None or state.private:
            raise HubFailure(f"the {self.kind} {self.id} is still private, although the Hub reported no error")
