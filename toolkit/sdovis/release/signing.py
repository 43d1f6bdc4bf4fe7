"""Signatures over the repositories of a release: OpenSSF model signing (https://github.com/sigstore/model-transparency).

``model.sig`` in each is a Sigstore bundle of the sums of its files, made with a key of the study's; anybody who has the
public key checks it, with sdovis or with ``model_signing verify``. Files that name the release's pin are left out, as the
pin is another on a Hub that has other words under the same data; so is a README, into which its owner writes by hand.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sdovis.errors import BadInput, Problem
from sdovis.manifests import sha256_text

FILE = "model.sig"


def sign(folder: Path, kinds: Sequence[str], unsigned: Sequence[str], key: Path, earlier: Path) -> None:
    """Sign the repositories of the release in ``folder`` with a private key, all but the files ``unsigned`` of each.

    A signature is another each time it is made, and a release must not be: that of the ``earlier`` release is kept where it
    holds. Raises `BadInput` without a usable key or without the package.
    """
    package, public = _package(), public_key(key)
    for kind in kinds:
        kept = earlier / kind / FILE
        signature = folder / kind / FILE
        if kept.is_file():
            signature.write_bytes(kept.read_bytes())
            if not _wrong(package, folder / kind, unsigned, public):
                continue
            signature.unlink()
        config = package.signing.Config().use_elliptic_key_signer(private_key=key)
        config.set_hashing_config(_hashing(package, folder / kind, unsigned)).sign(folder / kind, signature)


def verify(folder: Path, kinds: Sequence[str], unsigned: Sequence[str], public: bytes) -> list[Problem]:
    """What is wrong with the signatures of a release; nothing if each holds. ``public`` is the public key, PEM."""
    package = _package()
    said = {kind: _wrong(package, folder / kind, unsigned, public) for kind in kinds}
    hint = "run sdovis card, or find out who changed it"
    return [Problem(what, hint, f"{kind}/{FILE}") for kind, what in said.items() if what]


def public_key(key: Path) -> bytes:
    """The public key, PEM, of a key file of either kind. Raises `BadInput` if it is none of an elliptic curve."""
    _package()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization as keys
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

    hint = "make one: openssl ecparam -name prime256v1 -genkey -noout -out key.pem"
    try:
        text = key.read_bytes()
        private = b"PRIVATE KEY" in text
        found = keys.load_pem_private_key(text, None) if private else keys.load_pem_public_key(text)
    except OSError as error:
        raise BadInput(
            Problem(f"the key cannot be read: {error.strerror}", "correct publish.signing_key", str(key))
        ) from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadInput(Problem("is not a key in PEM without a password", hint, str(key))) from error
    public = found.public_key() if isinstance(found, EllipticCurvePrivateKey) else found
    if not isinstance(public, EllipticCurvePublicKey):
        raise BadInput(Problem("is not the key of an elliptic curve", hint, str(key)))
    return public.public_bytes(keys.Encoding.PEM, keys.PublicFormat.SubjectPublicKeyInfo)


def digest(key: Path | None) -> str:
    """What a release depends on of its key: the public one. "" without a key."""
    return "" if key is None else sha256_text(public_key(key).decode())


def _package() -> Any:
    try:
        import model_signing
        from model_signing import hashing, signing, verifying  # noqa: F401
    except ImportError as error:
        what = f"signing needs the package model-signing ({error})"
        raise BadInput(Problem(what, "pip install 'sdovis[signing]', or remove publish.signing_key")) from error
    return model_signing


def _hashing(package: Any, folder: Path, unsigned: Sequence[str]) -> Any:
    left_out = [folder / name for name in (*unsigned, FILE)]
    return package.hashing.Config().set_ignored_paths(paths=left_out, ignore_git_paths=True)


def _wrong(package: Any, folder: Path, unsigned: Sequence[str], public: bytes) -> str:
    """Why the signature of a repository does not hold; "" if it does."""
    signature = folder / FILE
    if not signature.is_file():
        return "is not signed"
    with tempfile.TemporaryDirectory() as beside:
        file = Path(beside) / "public.pem"
        file.write_bytes(public)
        config = package.verifying.Config().use_elliptic_key_verifier(public_key=file)
        try:
            config.set_hashing_config(_hashing(package, folder, unsigned)).verify(folder, signature)
        except Exception as error:  # each part of the package has its own
            return f"the signature does not hold: {' '.join(str(error).split())[:200] or type(error).__name__}"
    return ""
