"""A Zenodo on 127.0.0.1 for tests: its deposit interface, https://developers.zenodo.org, as a publisher meets it.

In memory. A deposition is a draft until its owner publishes it; its files lie in a bucket and have md5 sums.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from loopback.wire import Loopback, Refused, Reply, Route, Wire


class LoopbackZenodo(Loopback):
    """The server; a context manager. ``token`` is that of the one account."""

    def __init__(self, token: str = "zenodo-loopback") -> None:
        self.token = token
        self.depositions: dict[int, dict[str, Any]] = {}
        #: Deposition -> file name -> contents.
        self.files: dict[int, dict[str, bytes]] = {}
        super().__init__(_Handler)
        self.address = self.endpoints[0]
        self.bucket_host = self.address

    def new(self, metadata: dict[str, Any], *, submitted: bool = False) -> int:
        number = 1000 + len(self.depositions)
        self.depositions[number] = {"id": number, "submitted": submitted, "state": "unsubmitted", "metadata": metadata}
        self.files[number] = {}
        return number

    def described(self, number: int) -> dict[str, Any]:
        """A deposition as Zenodo tells it."""
        at, said = f"{self.address}/api/deposit/depositions/{number}", self.depositions[number]
        doi = f"10.5072/zenodo.{number}"
        files = [
            {
                "id": f"{number}-{i}",
                "filename": name,
                "filesize": len(content),
                "checksum": hashlib.md5(content).hexdigest(),
            }
            for i, (name, content) in enumerate(sorted(self.files[number].items()))
        ]
        return {
            **said,
            "metadata": {**said["metadata"], "prereserve_doi": {"doi": doi, "recid": number}},
            **({"doi": doi} if said["submitted"] else {}),
            "title": said["metadata"].get("title", ""),
            "files": files,
            "links": {
                "self": at,
                "bucket": f"{self.bucket_host}/api/files/b{number}",
                "html": f"{self.address}/deposit/{number}",
                "publish": f"{at}/actions/publish",
            },
        }


_ALL = "/api/deposit/depositions"
#: What a draft may say, of the documented fields those that the tests use; and what it must say to be saved.
_KNOWN = {
    "title", "upload_type", "description", "creators", "access_right", "license", "keywords", "version", "notes",
    "related_identifiers", "prereserve_doi",
}  # fmt: skip
_ROUTES: list[Route] = [
    (method, re.compile(pattern + "$"), name)
    for method, pattern, name in [
        ("GET", _ALL, "list"),
        ("POST", _ALL, "create"),
        ("GET", _ALL + r"/(?P<id>\d+)", "read"),
        ("PUT", _ALL + r"/(?P<id>\d+)", "update"),
        ("POST", _ALL + r"/(?P<id>\d+)/actions/publish", "publish"),
        ("PUT", r"/api/files/b(?P<id>\d+)/(?P<name>[^/]+)", "upload"),
    ]
]


class _Handler(Wire):
    routes = _ROUTES

    def _answer(self, method: str, raw_path: str) -> Reply:
        if self.headers.get("Authorization") != f"Bearer {self.served.token}":
            raise Refused(401, "The server could not verify that you are authorized to access the URL requested.")
        return super()._answer(method, raw_path)

    def _deposition(self, id: str) -> dict[str, Any]:
        if int(id) not in self.served.depositions:
            raise Refused(404, "PID does not exist.")
        found: dict[str, Any] = self.served.depositions[int(id)]
        return found

    def _metadata(self) -> dict[str, Any]:
        if self.headers.get("Content-Type") != "application/json":
            raise Refused(415, "Unsupported media type")
        metadata = json.loads(self.body or b"{}").get("metadata", {})
        wrong = [{"field": f"metadata.{name}", "message": "Unknown field name."} for name in metadata.keys() - _KNOWN]
        if metadata and not metadata.get("creators"):
            wrong.append({"field": "metadata.creators", "message": "Missing data for required field."})
        if wrong:
            raise Refused(400, f"Validation error. {wrong}")
        return dict(metadata)

    def _list(self) -> Reply:
        size, page = int(self.query.get("size", ["10"])[0]), int(self.query.get("page", ["1"])[0])
        wanted = self.query.get("status", [""])[0] == "published"
        numbers = [
            n for n, each in sorted(self.served.depositions.items(), reverse=True) if each["submitted"] == wanted
        ]
        return 200, [self.served.described(n) for n in numbers[(page - 1) * size : page * size]], {}

    def _create(self) -> Reply:
        return 201, self.served.described(self.served.new(self._metadata())), {}

    def _read(self, id: str) -> Reply:
        self._deposition(id)
        return 200, self.served.described(int(id)), {}

    def _update(self, id: str) -> Reply:
        self._deposition(id)["metadata"] = self._metadata()
        return 200, self.served.described(int(id)), {}

    def _publish(self, id: str) -> Reply:
        self._deposition(id)["submitted"] = True
        return 202, self.served.described(int(id)), {}

    def _upload(self, id: str, name: str) -> Reply:
        if self._deposition(id)["submitted"]:
            raise Refused(403, "The files of a published record cannot be changed.")
        self.served.files[int(id)][name] = self.body
        return 201, {"key": name, "size": len(self.body), "checksum": f"md5:{hashlib.md5(self.body).hexdigest()}"}, {}
