"""Signing without a key: asked for by the study, never as somebody else, and clear about a network that is not there."""

from __future__ import annotations

import io
import socket
import sys
import time
from pathlib import Path

import pytest
from pydantic import ValidationError
from sdovis import errors
from sdovis.errors import BadInput, HubFailure
from sdovis.release import signing
from sdovis.study.publishing import Publish

pytest.importorskip("model_signing", reason="model-signing is not installed")
import jwt

ADA = signing.Identity("ada@example.org", "https://accounts.google.com")
KINDS, UNSIGNED = ("model",), ("README.md",)


@pytest.fixture
def release(tmp_path: Path) -> Path:
    (tmp_path / "release" / "model").mkdir(parents=True)
    (tmp_path / "release" / "model" / "config.json").write_text("{}")
    return tmp_path / "release"


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No name is found by this process, nothing was remembered of an earlier look, and nobody sits at a terminal."""

    def nobody(*asked: object, **others: object) -> None:
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    for name in ("GITHUB_ACTIONS", "GITLAB_CI", "BUILDKITE", "CIRCLECI", signing.TOKEN):
        monkeypatch.delenv(name, raising=False)


def token(email: str = "ada@example.org", issuer: str = "https://accounts.google.com", left_s: int = 600) -> str:
    now = int(time.time())
    claims = {"aud": "sigstore", "sub": "1", "iat": now - 60, "exp": now + left_s, "iss": issuer, "email": email}
    return jwt.encode(claims, "a key of nobody's, of the length that is asked for", algorithm="HS256")


def test_a_study_signs_with_a_key_as_an_identity_or_not_at_all(tmp_path: Path):
    assert signing.signer(Publish()) is None
    assert signing.signer(Publish(signing_key=tmp_path / "key.pem")) == signing.Key(tmp_path / "key.pem")
    assert signing.signer(Publish(signing_identity=ADA.name, signing_issuer=ADA.issuer)) == ADA
    assert signing.digest(None) == "" and signing.digest(ADA) != signing.digest(signing.Identity("b@c.org", ADA.issuer))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"signing_identity": "ada@example.org"}, "go together"),
        ({"signing_issuer": "https://accounts.google.com"}, "go together"),
        ({"signing_identity": "ada", "signing_issuer": "accounts.google.com"}, "begins with https://"),
        ({"signing_identity": "a", "signing_issuer": "https://b.org", "signing_key": "key.pem"}, "two ways to sign"),
    ],
)
def test_half_an_identity_or_two_ways_to_sign_are_refused(given: dict[str, str], told: str):
    with pytest.raises(ValidationError, match=told):
        Publish.model_validate(given)


def test_where_nobody_is_logged_in_nothing_is_signed(release: Path, offline: None):
    with pytest.raises(BadInput, match=r"nobody is logged in to sign as ada@example.org.*SIGSTORE_ID_TOKEN"):
        ADA.signing(signing._package())
    assert not (release / "model" / signing.FILE).exists()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            {"email": "eve@example.org"},
            "logged in is eve@example.org of https://accounts.google.com, not ada@example.org",
        ),
        (
            {"issuer": "https://oauth2.sigstore.dev/auth"},
            "of https://oauth2.sigstore.dev/auth, not ada@example.org of https://acc",
        ),
        ({"left_s": -30}, "says nobody's identity"),
    ],
)
def test_who_is_logged_in_must_be_who_the_study_names(
    given: dict[str, object], told: str, offline: None, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(signing.TOKEN, token(**given))
    with pytest.raises(BadInput, match=told):
        ADA.signing(signing._package())


def test_what_is_no_token_is_told_without_being_repeated(offline: None, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(signing.TOKEN, "a secret")
    with pytest.raises(BadInput, match="says nobody's identity") as refused:
        ADA.signing(signing._package())
    assert "a secret" not in str(refused.value)


def test_without_a_network_it_ends_with_the_code_of_a_network_failure(
    release: Path, offline: None, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(signing.TOKEN, token())
    for work in (
        lambda: ADA.signing(signing._package()),
        lambda: signing.sign(release, KINDS, UNSIGNED, ADA, release),
        lambda: signing.verify(release, KINDS, UNSIGNED, ADA),
    ):
        with pytest.raises(HubFailure, match="Sigstore cannot be reached") as failed:
            work()
        assert failed.value.exit_code == errors.EXIT_HUB and "\n" not in str(failed.value)
    assert not (release / "model" / signing.FILE).exists()
