#!/usr/bin/env bash
# huggingface_hub 2.4.0, hf_hub_download of a tag that was loaded before
#
# Expected. hf_hub_download(repo, file, revision="v1") gives the file as the Hub has it at v1 now, and an error if the Hub
#   cannot be asked, unless one asks for the cache by local_files_only or HF_HUB_OFFLINE
#   (https://huggingface.co/docs/huggingface_hub/guides/download).
# Seen. Whatever the Hub answers instead, "server error" (500), "too many requests" (429), or that there is no such
#   repository (404), the client takes the commit that it remembers for that name and returns the old file. No error, no warning,
#   nothing in the log at its usual level, and the path looks like that of a fresh download. A name that the Hub says is gone
#   from a repository that it knows (404, RevisionNotFound) is an error. snapshot_download does the same.
# For solar data. A release that was mended by moving its tag, or taken back because labels were wrong, goes on being
#   scored on machines that had it, and a check that a published release can be loaded passes while nothing can be
#   loaded.
# Instead. Ask for the commit first (HfApi().repo_info raises), and load by that; or an empty cache_dir for checks.
#
# Output seen (by hf_hub_download and by snapshot_download; the tag was moved to "new" after "old" had been loaded):
#   500: loaded old and old; repo_info HfHubHTTPError
#   429: loaded old and old; repo_info HfHubHTTPError
#   404, no such repository: loaded old and old; repo_info RepositoryNotFoundError
#   404, no such revision: loaded RevisionNotFoundError and RevisionNotFoundError; repo_info RevisionNotFoundError
#   the Hub answers: loaded new and new; repo_info b...
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check huggingface_hub==2.4.0
cd "$work"
export HF_HOME="$work/hf" HF_HUB_DISABLE_XET=1 HF_HUB_DISABLE_TELEMETRY=1 HF_HUB_DISABLE_PROGRESS_BARS=1
"$work/venv/bin/python" - <<'PYTHON'
import hashlib
import json
import logging
import threading
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import huggingface_hub
from huggingface_hub import HfApi, hf_hub_download, snapshot_download

warnings.simplefilter("error")
print("huggingface_hub", huggingface_hub.__version__)
COMMITS = {"a" * 40: b"old", "b" * 40: b"new"}


class Hub(BaseHTTPRequestHandler):
    """One repository with one file and one tag."""

    tag, refusal = "a" * 40, None
    asked = []

    def do_HEAD(self):
        self.do_GET(body=False)

    def do_GET(self, *, body=True):
        self.asked.append(self.path)
        if self.refusal:
            status, code = self.refusal
            return self.answer(status, b"{}", {"X-Error-Code": code} if code else {}, body)
        *_, kind, revision, name = self.path.split("?")[0].split("/")
        if kind == "resolve":
            commit = self.tag if revision == "v1" else revision
            content = COMMITS[commit]
            etag = hashlib.sha1(content).hexdigest()
            return self.answer(200, content, {"X-Repo-Commit": commit, "ETag": f'"{etag}"'}, body)
        commit = self.tag if name == "v1" else name
        if revision == "revision":
            told = {"id": "org/spots", "sha": commit, "siblings": []}
        else:
            content = COMMITS[commit]
            told = [{"type": "file", "path": "labels.csv", "size": len(content), "oid": hashlib.sha1(content).hexdigest()}]
        return self.answer(200, json.dumps(told).encode(), {}, body)

    def answer(self, status, content, headers, body):
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
threading.Thread(target=server.serve_forever, daemon=True).start()
endpoint = f"http://127.0.0.1:{server.server_port}"
said = []


class Keep(logging.Handler):
    def emit(self, record):
        said.append(record.getMessage())


logging.getLogger("huggingface_hub").addHandler(Keep())


def one():
    return Path(hf_hub_download("org/spots", "labels.csv", revision="v1", endpoint=endpoint, token=False)).read_text()


def whole():
    return Path(snapshot_download("org/spots", revision="v1", endpoint=endpoint, token=False), "labels.csv").read_text()


def asked_for(load):
    """What a call gives, or the name of its error."""
    try:
        return load()
    except Exception as error:
        return type(error).__name__


def about():
    return HfApi(endpoint=endpoint, token=False).repo_info("org/spots", revision="v1").sha


assert one() == whole() == "old"
Hub.tag = "b" * 40  # the publisher moves the tag to mended labels
CASES = {
    "500": ((500, None), "old", "HfHubHTTPError"),
    "429": ((429, None), "old", "HfHubHTTPError"),
    "404, no such repository": ((404, "RepoNotFound"), "old", "RepositoryNotFoundError"),
    "404, no such revision": ((404, "RevisionNotFound"), "RevisionNotFoundError", "RevisionNotFoundError"),
    "the Hub answers": (None, "new", "b" * 40),
}
for name, (refusal, loaded, told) in CASES.items():
    Hub.refusal = refusal
    Hub.asked.clear()
    got = [asked_for(load) for load in (one, whole)]
    assert Hub.asked  # it was not taken from the cache unasked
    print(f"{name}: loaded {' and '.join(got)}; repo_info {asked_for(about).replace('b' * 40, 'b...')}")
    assert got == [loaded, loaded] and asked_for(about) == told
    assert not said
server.shutdown()
PYTHON
