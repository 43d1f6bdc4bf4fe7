"""Signatures over the repositories of a release: OpenSSF model signing (https://github.com/sigstore/model-transparency).

``model.sig`` in each is a Sigstore bundle of the sums of its files. It is made with a key of the study's (`Key`), or without
one by Sigstore, which vouches for who was logged in (`Identity`); anybody checks it, with sdovis or with ``model_signing
verify``. Files that name the release's pin are left out, as the pin is another on a Hub that has other words under the same
data; so is a README, into which its owner writes by hand.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from sdovis.errors import BadInput, HubFailure, Problem
from sdovis.manifests import sha256_text
from sdovis.study.publishing import Publish

FILE = "model.sig"
#: A token of an OpenID Connect provider, where none can be had from the machine or in a browser.
TOKEN = "SIGSTORE_ID_TOKEN"


class Signer(Protocol):
    """Who signs."""

    def digest(self) -> str:
        """What a release depends on of its signer."""

    def signing(self, package: Any) -> Any:
        """The package's `signing.Config`. Raises `BadInput` if it cannot sign, `HubFailure` without a needed network."""

    def verifying(self, package: Any) -> Any:
        """The package's `verifying.Config`. Raises `HubFailure` without a needed network."""


@dataclass(frozen=True)
class Key:
    """A key file: private, PEM, of an elliptic curve; to verify, the public one does."""

    file: Path

    def digest(self) -> str:
        return sha256_text(self.public().decode())

    def signing(self, package: Any) -> Any:
        return package.signing.Config().use_elliptic_key_signer(private_key=self.file)

    def verifying(self, package: Any) -> Any:
        with tempfile.TemporaryDirectory() as beside:
            file = Path(beside) / "public.pem"
            file.write_bytes(self.public())
            return package.verifying.Config().use_elliptic_key_verifier(public_key=file)

    def public(self) -> bytes:
        """The public key, PEM. Raises `BadInput` if it is none of an elliptic curve."""
        _package()
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives import serialization as keys
        from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

        hint, file = "make one: openssl ecparam -name prime256v1 -genkey -noout -out key.pem", str(self.file)
        try:
            text = self.file.read_bytes()
            private = b"PRIVATE KEY" in text
            found = keys.load_pem_private_key(text, None) if private else keys.load_pem_public_key(text)
        except OSError as error:
            raise BadInput(
                Problem(f"the key cannot be read: {error.strerror}", "correct publish.signing_key", file)
            ) from error
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise BadInput(Problem("is not a key in PEM without a password", hint, file)) from error
        public = found.public_key() if isinstance(found, EllipticCurvePrivateKey) else found
        if not isinstance(public, EllipticCurvePublicKey):
            raise BadInput(Problem("is not the key of an elliptic curve", hint, file))
        return public.public_bytes(keys.Encoding.PEM, keys.PublicFormat.SubjectPublicKeyInfo)


@dataclass(frozen=True)
class Identity:
    """An account of an OpenID Connect provider, for whose login Sigstore signs: `keyless`_. Name and issuer are public then.

    .. _keyless: https://docs.sigstore.dev/cosign/signing/overview/
    """

    name: str
    issuer: str

    def digest(self) -> str:
        return sha256_text(f"{self.issuer} {self.name}")

    def signing(self, package: Any) -> Any:
        token = self._token()
        with _reaching_sigstore():
            return package.signing.Config().use_sigstore_signer(identity_token=token)

    def verifying(self, package: Any) -> Any:
        with _reaching_sigstore():
            return package.verifying.Config().use_sigstore_verifier(identity=self.name, oidc_issuer=self.issuer)

    def _token(self) -> str:
        """A token that says who is logged in. Raises `BadInput` if that is nobody, or somebody else: the log is for ever."""
        from sigstore import models, oidc

        given = os.environ.get(TOKEN, "")
        try:
            with _reaching_sigstore():
                given = given or oidc.detect_credential() or ""
                if not given and sys.stdin.isatty():
                    address = models.ClientTrustConfig.production().signing_config.get_oidc_url()
                    given = str(oidc.Issuer(address).identity_token())
            token = oidc.IdentityToken(given) if given else None
        except oidc.IdentityError as error:
            what = f"the token says nobody's identity: {' '.join(str(error).split())}"
            raise BadInput(Problem(what, f"set {TOKEN} to a new token for sigstore")) from error
        if token is None:
            what = f"nobody is logged in to sign as {self.name}"
            raise BadInput(Problem(what, f"run it in a terminal, or set {TOKEN} to a token for sigstore"))
        if (token.identity, token.federated_issuer) != (self.name, self.issuer):
            what = f"logged in is {token.identity} of {token.federated_issuer}, not {self.name} of {self.issuer}"
            raise BadInput(
                Problem(what, "log in as that, or correct publish.signing_identity and publish.signing_issuer")
            )
        return given


def signer(publish: Publish) -> Signer | None:
    """Who signs the releases of a study, if anybody does."""
    if publish.signing_identity:
        return Identity(publish.signing_identity, publish.signing_issuer)
    return Key(publish.signing_key) if publish.signing_key else None


def digest(signer: Signer | None) -> str:
    """What a release depends on of its signer; "" without one."""
    return "" if signer is None else signer.digest()


def sign(folder: Path, kinds: Sequence[str], unsigned: Sequence[str], signer: Signer, earlier: Path) -> None:
    """Sign the repositories of the release in ``folder``, all but the files ``unsigned`` of each.

    A signature is another each time it is made, and a release must not be: that of the ``earlier`` release is kept where it
    holds. Raises `BadInput` if the signer cannot sign or without the package, `HubFailure` without a needed network.
    """
    package, config = _package(), None
    verifier = signer.verifying(package)
    for kind in kinds:
        kept = earlier / kind / FILE
        signature = folder / kind / FILE
        if kept.is_file():
            signature.write_bytes(kept.read_bytes())
            if not _wrong(package, folder / kind, unsigned, verifier):
                continue
            signature.unlink()
        config = config or signer.signing(package)
        with _reaching_sigstore():
            config.set_hashing_config(_hashing(package, folder / kind, unsigned)).sign(folder / kind, signature)
        if what := _wrong(package, folder / kind, unsigned, verifier):
            hint = "compare publish.signing_identity and publish.signing_issuer with the certificate's"
            raise BadInput(Problem(f"it was signed, but {what}", hint, f"{kind}/{FILE}"))


def verify(folder: Path, kinds: Sequence[str], unsigned: Sequence[str], signer: Signer) -> list[Problem]:
    """What is wrong with the signatures of a release; nothing if each holds. Raises `HubFailure` without a needed network."""
    package = _package()
    verifier = signer.verifying(package)
    said = {kind: _wrong(package, folder / kind, unsigned, verifier) for kind in kinds}
    hint = "run sdovis card, or find out who changed it"
    return [Problem(what, hint, f"{kind}/{FILE}") for kind, what in said.items() if what]


@contextmanager
def _reaching_sigstore() -> Iterator[None]:
    """A failure of Sigstore, or of the network to it, becomes a `HubFailure`; a login that ran out meanwhile a `BadInput`."""
    from requests import RequestException
    from sigstore import oidc
    from sigstore.errors import Error

    try:
        yield
    except (oidc.IdentityError, oidc.ExpiredIdentity) as error:
        what = f"the login to sign is not accepted, or ran out meanwhile: {' '.join(str(error).split())}"
        raise BadInput(Problem(what, f"log in again, or set {TOKEN} to a new token for sigstore")) from error
    except (Error, RequestException, ConnectionError) as error:
        cause = error.__cause__ or error.__context__ or error
        why = " ".join(f"{error} ({cause})".split())[:300]
        raise HubFailure(f"Sigstore cannot be reached, which vouches for an identity: {why}") from error


def _package() -> Any:
    try:
        import model_signing
        from model_signing import hashing, signing, verifying  # noqa: F401
    except ImportError as error:
        what = f"signing needs the package model-signing ({error})"
        hint = "pip install 'sdovis[signing]', or remove publish.signing_key and publish.signing_identity"
        raise BadInput(Problem(what, hint)) from error
    return model_signing


def _hashing(package: Any, folder: Path, unsigned: Sequence[str]) -> Any:
    left_out = [folder / name for name in (*unsigned, FILE)]
    return package.hashing.Config().set_ignored_paths(paths=left_out, ignore_git_paths=True)


def _wrong(package: Any, folder: Path, unsigned: Sequence[str], verifier: Any) -> str:
    """Why the signature of a repository does not hold; "" if it does."""
    signature = folder / FILE
    if not signature.is_file():
        return "is not signed"
    try:
        verifier.set_hashing_config(_hashing(package, folder, unsigned)).verify(folder, signature)
    except Exception as error:  # each part of the package has its own
        return f"the signature does not hold: {' '.join(str(error).split())[:200] or type(error).__name__}"
    return ""
