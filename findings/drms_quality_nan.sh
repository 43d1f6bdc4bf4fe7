#!/usr/bin/env bash
# drms 0.9.0 with pandas 3.1.1, a query for QUALITY
#
# Expected. Client.query turns keywords of a numeric type into numbers; JSOC sends QUALITY as hexadecimal text, and drms has a
#   branch for exactly that (https://github.com/sunpy/drms).
# Seen. The branch asks whether the column's dtype is object. Since pandas 3 a column of text is of dtype str, so the
#   branch is passed by and the texts go to a conversion that makes NaN of what it cannot read: every QUALITY is NaN. Other
#   integers and floats are right, and there is no warning. With pandas' old strings (future.infer_string off) the same
#   answer of the server gives the right numbers. https://github.com/sunpy/drms/pull/169 mends it; 0.9.0 was the newest
#   release when this was written.
# For solar data. keys[keys.QUALITY == 0], the usual way to drop images taken in an eclipse or a calibration, returns no
#   row; keys[keys.QUALITY != 0] returns all; and code that fills missing values by 0 takes every image for a good one.
# Instead. query(..., skip_conversion=["QUALITY"]) and then keys.QUALITY.map(lambda text: int(text, 16)).
#
# Output seen (the server's answer is made here, in JSOC's form):
#   pandas 3: QUALITY [nan, nan, nan], rows with QUALITY == 0: 0 of 3
#   pandas 3 with old strings: QUALITY [0, 65536, 2147483649], rows with QUALITY == 0: 1 of 3
#   skip_conversion and int(text, 16): [0, 65536, 2147483649]
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check numpy==2.4.6 pandas==3.1.1 drms==0.9.0
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import json
import threading
import warnings
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlsplit

import drms
import pandas as pd

warnings.simplefilter("error")
print("drms", drms.__version__, "pandas", pd.__version__)
COLUMNS = {
    "T_REC": ("time", ["2011.02.15_00:00:00_TAI", "2011.02.15_00:12:00_TAI", "2011.02.15_00:24:00_TAI"]),
    "QUALITY": ("int", ["0x00000000", "0x00010000", "0x80000001"]),
    "CAMERA": ("int", ["3", "3", "3"]),
    "DATAMEAN": ("double", ["1.5", "-0.25", "0.75"]),
}
STRUCTURE = {
    "keywords": [{"name": name, "type": kind} for name, (kind, _) in COLUMNS.items()],
    "links": [], "segments": [], "primekeys": ["T_REC"], "status": 0,
}  # fmt: skip


class Server(BaseHTTPRequestHandler):
    """The two answers that a query needs."""

    def do_GET(self):
        asked = parse_qs(urlsplit(self.path).query)
        if asked["op"] == ["series_struct"]:
            answer = STRUCTURE
        else:
            columns = [{"name": name, "values": COLUMNS[name][1]} for name in asked["key"][0].split(",")]
            answer = {"keywords": columns, "count": 3, "status": 0}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
config = drms.config.ServerConfig(
    name="here", cgi_baseurl=f"http://127.0.0.1:{server.server_port}/", cgi_jsoc_info="jsoc_info"
)


def query(**options):
    return drms.Client(server=config).query("hmi.M_720s[2011.02.15/36m]", key=list(COLUMNS), **options)


def told(name, keys):
    good = len(keys[keys.QUALITY == 0])
    print(f"{name}: QUALITY {keys.QUALITY.tolist()}, rows with QUALITY == 0: {good} of {len(keys)}")
    return good


keys = query()
assert told("pandas 3", keys) == 0 and keys.QUALITY.isna().all()
assert keys.CAMERA.tolist() == [3, 3, 3] and keys.DATAMEAN.tolist() == [1.5, -0.25, 0.75]

RIGHT = [0, 0x10000, 0x80000001]
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # pandas 4 will not have the option any more
    with pd.option_context("future.infer_string", False):
        old = query()
    assert told("pandas 3 with old strings", old) == 1 and old.QUALITY.tolist() == RIGHT

mended = query(skip_conversion=["QUALITY"]).QUALITY.map(lambda text: int(text, 16)).tolist()
print("skip_conversion and int(text, 16):", mended)
assert mended == RIGHT
server.shutdown()
PYTHON
