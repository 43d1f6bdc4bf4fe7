"""A Hub on 127.0.0.1 for tests: the real HTTP interface, spoken to the unmodified ``huggingface_hub`` client.

In memory, content addressed, standard library (YAML apart). It keeps the Hub's rules that a publisher meets: ``private``
of an existing repository is ignored, ``parentCommit`` is checked (412), an LFS file must have been uploaded before it is
committed, a private repository does not exist for whoever has no token.

    with LoopbackHub() as hub:
        HfApi(endpoint=hub.endpoint, token=hub.token).create_repo("org/name")
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import yaml

from loopback.repositories import Blob, Commit, Repository, git_oid
from loopback.wire import Loopback, Refused, Reply, Route, Wire

#: Of those that the Hub lists, what the tests use.
LICENCES = ("mit", "cc-by-4.0", "cc0-1.0", "unknown", "other")
KINDS = ("model", "dataset", "space")
LFS_SUFFIXES = (".parquet", ".safetensors", ".bin", ".pt", ".png", ".jpg", ".fits", ".npz", ".gz", ".zip")
GITATTRIBUTES = b"*.parquet filter=lfs diff=lfs merge=lfs -text\n*.safetensors filter=lfs diff=lfs merge=lfs -text\n"
SPACE_README = b"---\ntitle: Space\nsdk: gradio\napp_file: app.py\npinned: false\n---\n"


class LoopbackHub(Loopback):
    """The server; a context manager. ``token`` belongs to ``user``, who may write to ``namespaces``."""

    def __init__(self, token: str = "hf_loopback", user: str = "ada", namespaces: tuple[str, ...] = ("org",)) -> None:
        self.token, self.user, self.namespaces = token, user, (user, *namespaces)
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.objects: dict[str, bytes] = {}
        self.page_size = 1000
        self.born_public = False
        #: What the token may do, and its owner in each organisation; the kinds that may not be created, for a reason.
        self.token_role, self.org_role = "write", "admin"
        self.not_created: dict[str, tuple[int, str]] = {}
        #: Space -> where its page is served.
        self.hosts: dict[str, str] = {}
        self.collections: dict[str, dict[str, Any]] = {}
        # Large files lie on another host, as on the real Hub: the client must not send its token there.
        super().__init__(_Handler, ports=2)
        self.endpoint, self.storage = self.endpoints

    def repository(self, kind: str, name: str) -> Repository:
        return self.repositories[kind, name]

    def dangling(self) -> list[str]:
        """The pins that main or a tag of a repository names, and that a repository lacks which should carry them.

        What main names must be in all three; what a tag names, in its own and in those that are published before it.
        """
        # The three of a release have one name; a dashboard has its own, and no pin leads to it.
        carried = {kind: of.tags.keys() for (kind, name), of in self.repositories.items()
                   if ("dataset", name) in self.repositories}  # fmt: skip
        order, found = ("dataset", "model", "space"), []
        for (kind, _), repository in self.repositories.items():
            earlier = ("dataset",) if kind == "dataset" else ("dataset", "model")
            for where, commit in {"main": repository.head.id, **repository.tags}.items():
                read = repository.at(commit)
                assert read, f"{kind}: {where} is at a commit that does not exist"
                named = {
                    pin for path in ("README.md", "space.json") if path in read.tree for pin in pins(read.tree[path])
                }
                needed = order if where == "main" else earlier
                found += [f"{kind} at {where} names {p}, the {k} lacks it" for p in named for k in needed
                          if p not in carried.get(k, ())]  # fmt: skip
        return found

    def writes(self) -> list[tuple[str, str]]:
        """The requests so far that change something (checks that are POSTs left out)."""
        harmless = re.compile(r"/(preupload|paths-info)/|/api/validate-yaml$")
        return [(m, p) for m, p in self.requests if m not in ("GET", "HEAD") and not harmless.search(p)]

    def files(self, kind: str, name: str, revision: str = "main") -> dict[str, bytes]:
        commit = self.repository(kind, name).at(revision)
        assert commit, f"no revision {revision}"
        return {path: blob.content for path, blob in commit.tree.items()}

    def commit_as(self, author: str, kind: str, name: str, changes: Mapping[str, bytes | None], title: str) -> str:
        """A commit that somebody else makes; None deletes a file."""
        with self.lock:
            repository = self.repository(kind, name)
            tree = {p: b for p, b in repository.head.tree.items() if changes.get(p, b"") is not None}
            tree |= {p: self.store(p, content) for p, content in changes.items() if content is not None}
            return repository.add(tree, title, author).id

    def create(self, kind: str, name: str, *, private: bool, author: str = "") -> Repository:
        """A new repository with the Hub's own first commit."""
        repository = self.repositories[kind, name] = Repository(kind, name, private)
        first = {".gitattributes": Blob(GITATTRIBUTES)}
        first |= {"README.md": Blob(SPACE_README)} if kind == "space" else {}
        repository.add(first, "initial commit", author or self.user)
        return repository

    def store(self, path: str, content: bytes) -> Blob:
        if not is_lfs(path, content[:512], len(content)):
            return Blob(content)
        digest = hashlib.sha256(content).hexdigest()
        self.objects[digest] = content
        return Blob(content, digest)


def pins(blob: Blob) -> set[str]:
    """The pins that a text names."""
    return set(re.findall(r"\br-[0-9a-f]{12}(?:\.\d+)?", blob.content.decode("utf-8", "replace")))


def is_lfs(path: str, sample: bytes, size: int) -> bool:
    return bool(size) and (path.endswith(LFS_SUFFIXES) or size > 10_000_000 or b"\0" in sample)


def front_matter(readme: bytes) -> tuple[dict[str, Any], str]:
    """The card's metadata, and what is wrong with it."""
    found = re.match(r"---\r?\n(.*?)\r?\n---\s*(\n|$)", readme.decode("utf-8", "replace"), re.DOTALL)
    try:
        data = yaml.safe_load(found[1]) if found else {}
    except yaml.YAMLError as error:
        return {}, str(error)
    return (data, "") if isinstance(data, dict) else ({}, "the metadata is not a mapping")


_REPO = r"/api/(?P<kind>model|dataset|space)s/(?P<id>[^/]+/[^/]+)"
_GIT = r"/(?:(?P<kind>dataset|space)s/)?(?P<id>[^/]+/[^/]+)"
_ROUTES: list[Route] = [
    (method, re.compile(pattern + "$"), name)
    for method, pattern, name in [
        ("GET", "/api/whoami-v2", "whoami"),
        ("POST", "/api/validate-yaml", "validate_yaml"),
        ("POST", "/api/repos/create", "create_repository"),
        ("DELETE", "/api/repos/delete", "delete_repository"),
        ("GET", _REPO, "info"),
        ("GET", _REPO + "/revision/(?P<rev>.+)", "info"),
        ("GET", _REPO + "/tree/(?P<rev>[^/]+)(?:/(?P<path>.*))?", "tree"),
        ("POST", _REPO + "/paths-info/(?P<rev>.+)", "paths_info"),
        ("GET", _REPO + "/refs", "refs"),
        ("GET", _REPO + "/commits/(?P<rev>.+)", "commits"),
        ("POST", _REPO + "/preupload/(?P<rev>.+)", "preupload"),
        ("POST", _REPO + "/commit/(?P<rev>.+)", "commit"),
        ("POST", _REPO + "/tag/(?P<rev>.+)", "tag"),
        ("DELETE", _REPO + "/tag/(?P<rev>.+)", "untag"),
        ("POST", _REPO + "/branch/(?P<rev>.+)", "branch"),
        ("DELETE", _REPO + "/branch/(?P<rev>.+)", "unbranch"),
        ("PUT", _REPO + "/settings", "settings"),
        ("GET", _REPO + "/runtime", "runtime"),
        ("GET", _REPO + "/(?P<what>secrets|variables)", "space_values"),
        ("POST", _REPO + "/(?P<what>secrets|variables)", "set_space_value"),
        ("DELETE", _REPO + "/(?P<what>secrets|variables)", "delete_space_value"),
        ("GET", "/api/collections", "collections"),
        ("POST", "/api/collections", "create_collection"),
        ("GET", "/api/collections/(?P<slug>[^/]+/[^/]+)", "collection"),
        ("POST", "/api/collections/(?P<slug>[^/]+/[^/]+)/items", "add_to_collection"),
        ("POST", _GIT + r"\.git/info/lfs/objects/batch", "lfs_batch"),
        ("PUT", "/lfs/(?P<oid>[0-9a-f]{64})", "lfs_put"),
        ("POST", "/lfs/verify", "lfs_verify"),
        ("GET", "/lfs/(?P<oid>[0-9a-f]{64})", "lfs_get"),
        ("GET", _GIT + "/resolve/(?P<rev>[^/]+)/(?P<path>.+)", "resolve"),
    ]
]


class _Handler(Wire):
    routes = _ROUTES

    @property
    def hub(self) -> LoopbackHub:
        found: LoopbackHub = self.served
        return found

    def _answer(self, method: str, raw_path: str) -> Reply:
        if raw_path.startswith("/lfs/") and raw_path != "/lfs/verify" and self.headers.get("Authorization"):
            raise Refused(400, "a token does not belong here")
        return super()._answer(method, raw_path)

    @property
    def _known(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {self.hub.token}"

    def _repository(self, kind: str | None, id: str, *, write: bool = False) -> Repository:
        found = self.hub.repositories.get((kind or "model", id))
        if not self._known and (found is None or found.private or write):
            raise Refused(401, "Invalid username or password.", "RepoNotFound")
        if found is None:
            raise Refused(404, "Repository not found", "RepoNotFound")
        if write and id.split("/")[0] not in self.hub.namespaces:
            raise Refused(403, "You don't have the rights to write to this repository")
        return found

    @staticmethod
    def _at(repository: Repository, revision: str | None) -> Commit:
        commit = repository.at(revision or "main")
        if commit is None:
            raise Refused(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return commit

    # -- account, repositories -----------------------------------------------------------------------------------

    def _whoami(self) -> Reply:
        if not self._known:
            raise Refused(401, "Invalid credentials in Authorization header")
        orgs = [{"type": "org", "name": name, "roleInOrg": self.hub.org_role} for name in self.hub.namespaces[1:]]
        token = {"type": "access_token", "accessToken": {"displayName": "test", "role": self.hub.token_role}}
        return 200, {"type": "user", "name": self.hub.user, "orgs": orgs, "auth": token}, {}

    def _validate_yaml(self) -> Reply:
        said, wrong = front_matter(self._json()["content"].encode())
        licences = said.get("license", [])
        for licence in [licences] if isinstance(licences, str) else licences:
            if licence not in LICENCES:
                wrong = wrong or f'"license" must be one of the licences that the Hub lists, not {licence!r}'
        return (400 if wrong else 200), {"errors": [{"message": wrong}] if wrong else [], "warnings": []}, {}

    def _named(self) -> tuple[str, str]:
        given = self._json()
        return given.get("type") or "model", f"{given.get('organization') or self.hub.user}/{given['name']}"

    def _create_repository(self) -> Reply:
        kind, name = self._named()
        if not self._known:
            raise Refused(401, "Invalid username or password.")
        if name.split("/")[0] not in self.hub.namespaces:
            raise Refused(403, f"You don't have the rights to create a {kind} under this namespace")
        if (kind, name) not in self.hub.repositories and kind in self.hub.not_created:
            raise Refused(*self.hub.not_created[kind])
        prefix = "" if kind == "model" else f"{kind}s/"
        answer = {"url": f"{self.hub.endpoint}/{prefix}{name}", "name": name}
        if (kind, name) in self.hub.repositories:
            return 409, {**answer, "error": f"You already created this {kind} repo"}, {}
        given = self._json()
        if kind == "space" and not given.get("sdk"):
            raise Refused(400, "sdk is required")
        private = given.get("visibility") == "private" or given.get("private") is True
        self.hub.create(kind, name, private=private and not self.hub.born_public).sdk = given.get("sdk", "")
        return 200, answer, {}

    def _delete_repository(self) -> Reply:
        kind, name = self._named()
        self._repository(kind, name, write=True)
        del self.hub.repositories[kind, name]
        return 200, {}, {}

    def _settings(self, kind: str, id: str) -> Reply:
        repository = self._repository(kind, id, write=True)
        given = self._json()
        if "visibility" in given or "private" in given:
            repository.private = given.get("visibility") == "private" or given.get("private") is True
        return 200, {"private": repository.private}, {}

    def _runtime(self, kind: str, id: str) -> Reply:
        self._repository(kind, id)
        hardware = {"current": "cpu-basic", "requested": "cpu-basic"}
        return 200, {"stage": "RUNNING" if id in self.hub.hosts else "STOPPED", "hardware": hardware}, {}

    def _space_values(self, kind: str, id: str, what: str) -> Reply:
        values = getattr(self._repository(kind, id, write=True), what)
        hidden = ("value",) if what == "secrets" else ()
        return 200, {key: {k: v for k, v in entry.items() if k not in hidden} for key, entry in values.items()}, {}

    def _set_space_value(self, kind: str, id: str, what: str) -> Reply:
        given = self._json()
        entry = {**given, "updatedAt": "2026-01-01T00:00:00.000Z"}
        getattr(self._repository(kind, id, write=True), what)[given["key"]] = entry
        return self._space_values(kind, id, what)

    def _delete_space_value(self, kind: str, id: str, what: str) -> Reply:
        getattr(self._repository(kind, id, write=True), what).pop(self._json()["key"], None)
        return self._space_values(kind, id, what)

    # -- collections ---------------------------------------------------------------------------------------------

    def _described(self, slug: str) -> dict[str, Any]:
        return {"slug": slug, **self.hub.collections[slug]}

    def _collections(self) -> Reply:
        owners = self.query.get("owner", [])
        found = [
            self._described(slug) for slug, each in self.hub.collections.items() if each["owner"]["name"] in owners
        ]
        shown = [each for each in found if self._known or not each["private"]]
        # A list has no positions, and not all items.
        return (
            200,
            [{k: v for k, v in each.items() if k != "position"} | {"items": each["items"][:4]} for each in shown],
            {},
        )

    def _create_collection(self) -> Reply:
        given = self._json()
        owner, title = given["namespace"], given["title"]
        if not self._known or owner not in self.hub.namespaces:
            raise Refused(403, "You don't have the rights to create a collection in this namespace")
        bare = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
        slug = f"{owner}/{bare}-{git_oid('collection', title.encode())[:24]}"
        if slug in self.hub.collections:
            return 409, {"error": "This collection already exists", "slug": slug}, {}
        self.hub.collections[slug] = {
            "title": title, "owner": {"name": owner, "type": "org"}, "items": [], "private": given["private"],
            "lastUpdated": "2026-01-01T00:00:00.000Z", "position": 0, "theme": "blue", "upvotes": 0,
            "description": given.get("description", ""), "shareUrl": f"{self.hub.endpoint}/collections/{slug}",
        }  # fmt: skip
        return 200, self._described(slug), {}

    def _of_collection(self, slug: str) -> dict[str, Any]:
        if slug not in self.hub.collections or not self._known:
            raise Refused(404, "Collection not found")
        return self.hub.collections[slug]

    def _collection(self, slug: str) -> Reply:
        self._of_collection(slug)
        return 200, self._described(slug), {}

    def _add_to_collection(self, slug: str) -> Reply:
        items, given = self._of_collection(slug)["items"], self._json()["item"]
        self._repository(given["type"], given["id"])
        if any((item["type"], item["id"]) == (given["type"], given["id"]) for item in items):
            raise Refused(409, "Item already in this collection")
        items.append({"_id": git_oid("item", f"{given}".encode())[:24], "position": len(items), **given})
        return 200, self._described(slug), {}

    # -- reading -------------------------------------------------------------------------------------------------

    def _info(self, kind: str, id: str, rev: str | None = None) -> Reply:
        repository = self._repository(kind, id)
        commit = self._at(repository, rev)
        card, _ = front_matter(commit.tree["README.md"].content) if "README.md" in commit.tree else ({}, "")
        siblings: list[dict[str, Any]] = [{"rfilename": path} for path in sorted(commit.tree)]
        if "blobs" in self.query:
            for entry in siblings:
                blob = commit.tree[entry["rfilename"]]
                entry |= {"size": len(blob.content), "blobId": blob.oid}
                if blob.lfs:
                    size, pointer = len(blob.content), len(blob.pointer)
                    entry["lfs"] = {"sha256": blob.lfs, "size": size, "pointerSize": pointer}
        return 200, {
            "_id": git_oid("blob", id.encode())[:24], "id": id, "author": id.split("/")[0], "sha": commit.id,
            "lastModified": commit.date, "createdAt": repository.commits[0].date, "private": repository.private,
            "gated": False, "disabled": False, "tags": card.get("tags", []), "downloads": 0, "likes": 0,
            "siblings": siblings, "cardData": card,
            **{k: card[k] for k in ("pipeline_tag", "library_name") if kind == "model" and k in card},
            **({"modelId": id} if kind == "model" else {}), **({"sdk": repository.sdk} if kind == "space" else {}),
            **({"host": self.hub.hosts[id]} if kind == "space" and id in self.hub.hosts else {}),
        }, {}  # fmt: skip

    def _tree(self, kind: str, id: str, rev: str, path: str | None = None) -> Reply:
        commit = self._at(self._repository(kind, id), rev)
        inside = f"{path.strip('/')}/" if path else ""
        deep = self.query.get("recursive", ["false"])[0].lower() in ("true", "1")
        entries: dict[str, dict[str, Any]] = {}
        for name, blob in sorted(commit.tree.items()):
            if not name.startswith(inside):
                continue
            parts = name[len(inside) :].split("/")
            for depth in range(1, len(parts) if deep else min(len(parts), 2)):
                folder = inside + "/".join(parts[:depth])
                entries[folder] = {
                    "type": "directory",
                    "oid": git_oid("tree", folder.encode()),
                    "size": 0,
                    "path": folder,
                }
            if deep or len(parts) == 1:
                entries[name] = blob.described(name)
        if inside and not entries:
            raise Refused(404, f"{path} does not exist on {rev!r}", "EntryNotFound")
        start = int(self.query.get("cursor", ["0"])[0])
        page = [self._expanded(e, commit) for e in list(entries.values())[start : start + self.hub.page_size]]
        headers = {}
        if start + self.hub.page_size < len(entries):
            query = {k: v[0] for k, v in self.query.items()} | {"cursor": str(start + self.hub.page_size)}
            headers["Link"] = f'<{self.hub.endpoint}{urlsplit(self.path).path}?{urlencode(query)}>; rel="next"'
        return 200, page, headers

    def _expanded(self, entry: dict[str, Any], commit: Commit) -> dict[str, Any]:
        if self.query.get("expand", ["false"])[0].lower() not in ("true", "1"):
            return entry
        return {**entry, "lastCommit": {"id": commit.id, "title": commit.title, "date": commit.date}}

    def _paths_info(self, kind: str, id: str, rev: str) -> Reply:
        commit = self._at(self._repository(kind, id), rev)
        if "json" in (self.headers.get("Content-Type") or ""):
            wanted = self._json()["paths"]
        else:
            wanted = parse_qs(self.body.decode()).get("paths", [])
        found = []
        for path in wanted:
            if path in commit.tree:
                found.append(self._expanded(commit.tree[path].described(path), commit))
            elif any(name.startswith(f"{path}/") for name in commit.tree):
                found.append({"type": "directory", "oid": git_oid("tree", path.encode()), "size": 0, "path": path})
        return 200, found, {}

    def _refs(self, kind: str, id: str) -> Reply:
        repository = self._repository(kind, id)
        branches = {"main": repository.head.id, **repository.branches}
        return (
            200,
            {
                "branches": [{"name": n, "ref": f"refs/heads/{n}", "targetCommit": c} for n, c in branches.items()],
                "tags": [{"name": n, "ref": f"refs/tags/{n}", "targetCommit": c} for n, c in repository.tags.items()],
                "converts": [],
                "pullRequests": [],
            },
            {},
        )

    def _commits(self, kind: str, id: str, rev: str) -> Reply:
        repository = self._repository(kind, id)
        found = repository.until(self._at(repository, rev))
        return 200, [
            {"id": c.id, "title": c.title, "message": c.message, "date": c.date, "authors": [{"user": c.author}]}
            for c in found
        ], {"X-Total-Count": str(len(found))}  # fmt: skip

    def _resolve(self, kind: str | None, id: str, rev: str, path: str) -> Reply:
        commit = self._at(self._repository(kind, id), rev)
        headers = {"X-Repo-Commit": commit.id, "Accept-Ranges": "bytes"}
        if path not in commit.tree:
            raise Refused(404, "Entry not found", "EntryNotFound")
        blob = commit.tree[path]
        if blob.lfs:
            linked = {"X-Linked-Etag": f'"{blob.lfs}"', "X-Linked-Size": str(len(blob.content))}
            return 302, b"", {**headers, **linked, "Location": f"{self.hub.storage}/lfs/{blob.lfs}"}
        return self._bytes(blob.content, {**headers, "ETag": f'"{blob.oid}"'})

    def _lfs_get(self, oid: str) -> Reply:
        if oid not in self.hub.objects:
            raise Refused(404, "no such object")
        return self._bytes(self.hub.objects[oid], {"ETag": f'"{oid}"', "Accept-Ranges": "bytes"})

    def _bytes(self, content: bytes, headers: dict[str, str]) -> Reply:
        headers = {"Content-Type": "application/octet-stream", **headers}
        wanted = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if not wanted or not content:
            return 200, content, headers
        first = int(wanted[1]) if wanted[1] else max(len(content) - int(wanted[2]), 0)
        last = min(int(wanted[2]) if wanted[1] and wanted[2] else len(content) - 1, len(content) - 1)
        if first > last:
            return 416, b"", {"Content-Range": f"bytes */{len(content)}"}
        return 206, content[first : last + 1], {**headers, "Content-Range": f"bytes {first}-{last}/{len(content)}"}

    # -- writing -------------------------------------------------------------------------------------------------

    def _preupload(self, kind: str, id: str, rev: str) -> Reply:
        commit = self._at(self._repository(kind, id, write=True), rev)
        answers = []
        for file in self._json()["files"]:
            mode = "lfs" if is_lfs(file["path"], base64.b64decode(file["sample"]), file["size"]) else "regular"
            answer = {"path": file["path"], "uploadMode": mode, "shouldIgnore": False}
            if there := commit.tree.get(file["path"]):
                answer["oid"] = there.lfs or there.oid
            answers.append(answer)
        return 200, {"files": answers}, {}

    def _lfs_batch(self, kind: str | None, id: str) -> Reply:
        self._repository(kind, id, write=True)
        objects = []
        for item in self._json()["objects"]:
            entry: dict[str, Any] = {"oid": item["oid"], "size": item["size"]}
            if item["oid"] not in self.hub.objects:
                upload = {"href": f"{self.hub.storage}/lfs/{item['oid']}", "header": {}}
                entry["actions"] = {
                    "upload": upload,
                    "verify": {"href": f"{self.hub.endpoint}/lfs/verify", "header": {}},
                }
            objects.append(entry)
        return 200, {"transfer": "basic", "objects": objects}, {}

    def _lfs_put(self, oid: str) -> Reply:
        if hashlib.sha256(self.body).hexdigest() != oid:
            raise Refused(400, "the contents are not what their name says")
        self.hub.objects[oid] = self.body
        return 200, b"", {}

    def _lfs_verify(self) -> Reply:
        given = self._json()
        if len(self.hub.objects.get(given["oid"], b"")) != given["size"]:
            raise Refused(422, "the object was not uploaded whole")
        return 200, {}, {}

    def _commit(self, kind: str, id: str, rev: str) -> Reply:
        repository = self._repository(kind, id, write=True)
        branch = rev.removeprefix("refs/heads/")
        if branch != "main" and branch not in repository.branches:
            raise Refused(404, f"Invalid rev id: {rev}", "RevisionNotFound")
        head = self._at(repository, branch)
        lines = [json.loads(line) for line in self.body.splitlines() if line.strip()]
        header = next(line["value"] for line in lines if line["key"] == "header")
        if header.get("parentCommit") not in (None, head.id):
            raise Refused(412, "A commit has happened since. Please refresh and try again.")
        tree = dict(head.tree)
        for line in lines:
            self._apply(tree, line["key"], line["value"])
        made = repository.add(tree, header["summary"], self.hub.user, header.get("description", ""), branch=branch)
        prefix = "" if kind == "model" else f"{kind}s/"
        url = f"{self.hub.endpoint}/{prefix}{id}/commit/{made.id}"
        return 200, {"success": True, "commitOid": made.id, "commitUrl": url}, {}

    def _apply(self, tree: dict[str, Blob], key: str, value: dict[str, Any]) -> None:
        path = value.get("path", "")
        if key == "file":
            tree[path] = Blob(base64.b64decode(value["content"]))
        elif key == "lfsFile":
            if value["oid"] not in self.hub.objects:
                raise Refused(400, f"the LFS object of {path} was not uploaded")
            tree[path] = Blob(self.hub.objects[value["oid"]], value["oid"])
        elif key == "deletedFile":
            if path not in tree:
                raise Refused(404, "A file with this name doesn't exist", "EntryNotFound")
            del tree[path]
        elif key == "deletedFolder":
            for name in [name for name in tree if name.startswith(path.rstrip("/") + "/")]:
                del tree[name]
        elif key != "header":
            raise Refused(400, f"unknown operation {key!r}")

    def _tag(self, kind: str, id: str, rev: str) -> Reply:
        repository, name = self._repository(kind, id, write=True), self._json()["tag"]
        commit = self._at(repository, rev)
        if name in repository.tags:
            raise Refused(409, f"Tag reference exists: {name}")
        repository.tags[name] = commit.id
        return 200, {}, {}

    def _untag(self, kind: str, id: str, rev: str) -> Reply:
        if self._repository(kind, id, write=True).tags.pop(rev, None) is None:
            raise Refused(404, f"Invalid rev id: {rev}", "RevisionNotFound")
        return 200, {}, {}

    def _branch(self, kind: str, id: str, rev: str) -> Reply:
        repository = self._repository(kind, id, write=True)
        if rev in repository.branches or rev == "main":
            raise Refused(409, f"Reference already exists: {rev}")
        repository.branches[rev] = self._at(repository, self._json().get("startingPoint")).id
        return 200, {}, {}

    def _unbranch(self, kind: str, id: str, rev: str) -> Reply:
        if self._repository(kind, id, write=True).branches.pop(rev, None) is None:
            raise Refused(404, f"Invalid rev id: {rev}", "RevisionNotFound")
        return 200, {}, {}
