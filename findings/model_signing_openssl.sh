#!/usr/bin/env bash
# model-signing 1.1.1 (OpenSSF Model Signing)
#
# Expected. What pip has installed can be imported, and its command prints its help
#   (https://github.com/sigstore/model-transparency).
# Seen. Signing by certificate imports OpenSSL, which is the package pyOpenSSL, and model-signing declares it neither as a
#   requirement nor as an extra; nothing that it requires brings it. The import stands at the top, so nothing works
#   without it: not signing by a key, not verifying, not --help.
# For solar data. A released model, archive or catalogue can carry a signature, and the reader who installs the verifier in a
#   clean environment to check it gets a traceback instead of an answer. On machines where another package happens to
#   bring pyOpenSSL nobody notices.
# Instead. pip install model-signing pyopenssl; and say so beside the signature.
#
# Output seen:
#   required: asn1crypto blake3 click cryptography in-toto-attestation sigstore sigstore-models typing-extensions
#   import model_signing: ModuleNotFoundError: No module named 'OpenSSL'
#   model_signing --help: ModuleNotFoundError: No module named 'OpenSSL'
#   with pyopenssl: model_signing --help prints its help
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check model-signing==1.1.1 sigstore==4.5.1
cd "$work"
python="$work/venv/bin/python" command="$work/venv/bin/model_signing"
required=$("$python" -c '
import re
from importlib.metadata import requires

names = {re.match(r"[\w-]+", each)[0].lower() for each in requires("model-signing") if "extra ==" not in each}
assert not any("openssl" in each.lower() for each in requires("model-signing"))
print(*sorted(names))')
echo "required: $required"

missing="ModuleNotFoundError: No module named 'OpenSSL'"
imported=$("$python" -c "import model_signing" 2>&1 | tail -n 1) || true
helped=$("$command" --help 2>&1 | tail -n 1) || true
echo "import model_signing: $imported"
echo "model_signing --help: $helped"
[ "$imported" = "$missing" ] && [ "$helped" = "$missing" ]

"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check pyopenssl==26.4.0
"$command" --help | grep -q "^Usage:"
echo "with pyopenssl: model_signing --help prints its help"
