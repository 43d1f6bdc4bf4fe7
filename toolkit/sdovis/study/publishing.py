"""The table ``[publish]`` of a study file: what goes out beside dataset, model and Space, and under which names."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import Field, field_validator, model_validator

from sdovis.study import licences, names
from sdovis.study.sections import Section

#: What DataCite and Crossref give out: https://www.crossref.org/blog/dois-and-matching-regular-expressions/.
_DOI = re.compile(r"10\.\d{4,9}/[-._;()/:A-Za-z0-9]+")


class Publish(Section):
    """Where a release goes."""

    namespace: str = Field("", description="User or organisation on the Hub.")
    licence: str = Field(
        "", description="Licence of the model and of the dataset's annotations, as an SPDX or Hub identifier."
    )
    licence_name: str = Field(
        "",
        description="If publish.licence or source.licence is 'other', which a Hub takes only with a name and a link: "
        "its name, in lower case, as in sdo-data-use.",
    )
    licence_link: str = Field("", description="The address of that licence's text.")
    authors: tuple[str, ...] = Field(
        (),
        description="Authors, for the citation. Written 'Lovelace, Ada', family name and given names are told apart.",
    )
    doi: str = Field(
        "",
        description="DOI of the release, once it is minted, as in 10.5281/zenodo.1234567: cards and citation then name it.",
    )
    notes: tuple[str, ...] = Field(
        (), description="Remarks for the model card's limitations, one or two sentences each."
    )
    collection: str = Field(
        "",
        max_length=60,
        description="Title of a collection of the namespace on the Hub that groups dataset, model and Space. It is made if "
        "it is not there; if empty, nothing is grouped.",
    )
    benchmark: str = Field(
        "",
        pattern="^[a-z0-9-]*$",
        description="Makes the dataset a benchmark: eval.yaml on the dataset and .eval_results/ on the model, for this "
        "evaluation framework. The Hub takes only those on its list (huggingface.js, packages/tasks/src/eval.ts) and "
        "shows a leaderboard only for benchmarks that it has allowed.",
    )
    dashboard: bool = Field(
        False,
        description="Also make a Space NAME-training that shows the training's curves on a page of trackio's; needs "
        "sdovis[trackers]. The page reads tables in main of the dataset without a token, and only on huggingface.co: so it "
        "is sent with --public alone.",
    )
    onnx: bool = Field(
        False,
        description="Also export the model to ONNX, test it on the test part and release it, as sdovis export does; needs "
        "sdovis[onnx].",
    )
    endpoint: bool = Field(
        True,
        description="Give the model a handler.py, so that an Inference Endpoint made from it reads FITS as sdovis does, "
        "and the source and requirements that it needs.",
    )
    signing_key: Path | None = Field(
        None,
        description="Private key (PEM, an elliptic curve) with which the release is signed (OpenSSF model signing; pip "
        "install 'sdovis[signing]'): model.sig in each repository, which sdovis verify checks. If neither it nor an identity "
        "is given, nothing is signed.",
    )
    signing_identity: str = Field(
        "",
        description="Instead of a key: sign as this account, as in ada@example.org, by logging in to publish.signing_issuer "
        "(Sigstore's keyless signing). The account's name then stands in a public log that nothing can be removed from.",
    )
    signing_issuer: str = Field(
        "",
        description="Where that account is: https://github.com/login/oauth, https://accounts.google.com, or what Sigstore "
        "trusts besides.",
    )
    templates: Path | None = Field(
        None,
        description="Folder of your own card templates: dataset.md.j2, model.md.j2, space.md.j2, each replacing the "
        "built-in one. To start from copies, run: sdovis card STUDY.toml --write-templates FOLDER",
    )

    _names_an_account = field_validator("namespace")(names.namespace)
    _is_known_to_the_hub = field_validator("licence")(licences.on_the_hub)
    _is_the_name_of_a_licence = field_validator("licence_name")(licences.name)
    _links_to_a_licence = field_validator("licence_link")(licences.link)

    @field_validator("doi")
    @classmethod
    def _is_a_doi(cls, given: str) -> str:
        bare = re.sub(r"^(https?://(dx\.)?doi\.org/|doi:\s*)", "", given.strip(), flags=re.IGNORECASE)
        if bare and not _DOI.fullmatch(bare):
            raise ValueError(f"{given!r} is not a DOI; write it as 10.5281/zenodo.1234567")
        return bare

    @model_validator(mode="after")
    def _signs_in_one_way(self) -> Publish:
        if bool(self.signing_identity) != bool(self.signing_issuer):
            raise ValueError(
                "publish.signing_identity and publish.signing_issuer go together: the account, and where it is"
            )
        if self.signing_issuer and not self.signing_issuer.startswith("https://"):
            raise ValueError(
                f"publish.signing_issuer {self.signing_issuer!r} is not an address that begins with https://"
            )
        if self.signing_identity and self.signing_key:
            raise ValueError(
                "publish.signing_key and publish.signing_identity are two ways to sign; remove one of them"
            )
        return self

    @model_validator(mode="after")
    def _groups_under_a_name(self) -> Publish:
        if self.collection and not self.namespace:
            raise ValueError("publish.collection needs publish.namespace: the account whose collection it is")
        return self
