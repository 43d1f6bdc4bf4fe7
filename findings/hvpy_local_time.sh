#!/usr/bin/env bash
# hvpy 1.1.0 (Helioviewer), what it sends for one and the same datetime
#
# Expected. Times of Helioviewer are UTC, and hvpy takes datetimes without a zone for UTC: the examples of its functions are
#   all written so (https://github.com/Helioviewer-Project/python-api).
# Seen. getJP2Image sends such a datetime with a "Z", as UTC. getJPXClosestToMidPoint sends Unix times that it gets from
#   datetime.timestamp(), which reads a datetime without a zone in the machine's own: in Tokyo it asks for 9 hours earlier,
#   in Boulder for 7 hours later. A datetime that says it is UTC is right there, and getJP2Image then sends
#   "+00:00Z", which is no ISO 8601. No warning.
# For solar data. Frames picked by windows around a list of flares lie hours away from them, on every machine whose clock is not
#   set to UTC; on a server that is, the same script is right. The Sun turns by 5 degrees in 9 hours.
# Instead. tzinfo=timezone.utc for getJPXClosestToMidPoint and for nothing else, or run with TZ=UTC.
#
# Output seen (datetime(2014, 1, 1); Unix times are written as UTC):
#   in UTC: getJP2Image 2014-01-01T00:00:00Z, getJPXClosestToMidPoint 2014-01-01T00:00:00Z
#   in Tokyo: getJP2Image 2014-01-01T00:00:00Z, getJPXClosestToMidPoint 2013-12-31T15:00:00Z
#   in Boulder: getJP2Image 2014-01-01T00:00:00Z, getJPXClosestToMidPoint 2014-01-01T07:00:00Z
#   in Tokyo, tzinfo UTC: getJP2Image 2014-01-01T00:00:00+00:00Z, getJPXClosestToMidPoint 2014-01-01T00:00:00Z
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check hvpy==1.1.0
cd "$work"
cat > ask.py <<'PYTHON'
import sys
import threading
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlsplit

import hvpy
from hvpy.config import set_api_url

asked = {}


class Server(BaseHTTPRequestHandler):
    """Keeps what it is asked for."""

    def do_GET(self):
        parts = urlsplit(self.path)
        asked[parts.path.strip("/")] = parse_qs(parts.query)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
set_api_url(f"http://127.0.0.1:{server.server_port}/")


def sent(moment):
    """What two functions send for the same moment; Unix times are written as UTC."""
    hvpy.getJP2Image(date=moment, sourceId=hvpy.DataSource.AIA_171)
    hvpy.getJPXClosestToMidPoint(startTimes=[moment], endTimes=[moment], sourceId=hvpy.DataSource.AIA_171)
    unix = int(asked["getJPXClosestToMidPoint"]["startTimes"][0])
    window = datetime.fromtimestamp(unix, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"getJP2Image {asked['getJP2Image']['date'][0]}, getJPXClosestToMidPoint {window}"


print(sent(datetime(2014, 1, 1, tzinfo=timezone.utc if sys.argv[1:] == ["utc"] else None)))
server.shutdown()
PYTHON
python="$work/venv/bin/python"
"$python" -c 'from importlib.metadata import version; print("hvpy", version("hvpy"))'
utc=$(TZ=UTC0 "$python" -W error ask.py)
tokyo=$(TZ=JST-9 "$python" -W error ask.py)
boulder=$(TZ=MST7 "$python" -W error ask.py)
aware=$(TZ=JST-9 "$python" -W error ask.py utc)
printf '%s\n' "in UTC: $utc" "in Tokyo: $tokyo" "in Boulder: $boulder" "in Tokyo, tzinfo UTC: $aware"
right="getJP2Image 2014-01-01T00:00:00Z, getJPXClosestToMidPoint 2014-01-01T00:00:00Z"
[ "$utc" = "$right" ]
[ "$tokyo" = "${right/MidPoint 2014-01-01T00/MidPoint 2013-12-31T15}" ]
[ "$boulder" = "${right/MidPoint 2014-01-01T00/MidPoint 2014-01-01T07}" ]
[ "$aware" = "${right/00Z,/00+00:00Z,}" ]
