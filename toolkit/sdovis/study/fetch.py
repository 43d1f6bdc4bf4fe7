"""`[source.fetch]`: what a study wants from the field's archives, instead of which files; `sdovis fetch` loads it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Literal

from pydantic import Field, create_model, field_validator, model_validator

from sdovis.study.sections import Section

#: The archives whose addresses a study may set, with what lies there; `sdovis.fetching.archives` has the addresses.
ADDRESSES = ("srs", "srs-years", "swpc", "goes", "hek", "helioviewer", "browse", "jsoc")
#: Entries that TOML may write as dates.
DATES = ("source.fetch.from", "source.fetch.to")


class FetchEntries(Section):
    """The entries of ``[source.fetch]`` but ``from``, which Python could not name."""

    to: date = Field(description="Last day, included.")
    cadence_hours: float = Field(12.0, gt=0, le=240, description="Hours from one image to the next, from 00:00 on.")
    channel: str | tuple[str, str, str] = Field(
        "", description="Channel of the images, if it should be named here too: the same as images.channel."
    )
    archive: Literal["", "jsoc", "helioviewer", "browse"] = Field(
        "",
        description="Archive of the images; by default jsoc for physical channels, browse (NASA's JPEGs) for pictures.",
    )
    protocol: Literal["fits", "as-is"] = Field(
        "fits",
        description="How JSOC gives files: with keywords in their headers (fits; needs a registered e-mail in JSOC_EMAIL), or "
        "as stored, with a table of keywords (as-is; source.keywords names it).",
    )
    resolution_px: Literal[512, 1024, 2048, 4096] = Field(1024, description="Size of NASA's browse images.")
    max_gap_minutes: float = Field(
        60.0, gt=0, le=720, description="Most minutes from the asked time to a browse or Helioviewer image."
    )
    summaries: Literal["days", "years"] = Field(
        "days", description="NOAA's region summaries as one text a day (NCEI), or as SWPC's yearly archives."
    )
    flares: Literal["", "ncei", "hek"] = Field(
        "", description="Where the flare list comes from; by default NCEI's yearly reports to 2016, else HEK."
    )
    requests_per_second: float = Field(4.0, gt=0, le=1000, description="Most requests a second to one archive.")
    addresses: Mapping[str, str] = Field(
        default_factory=dict, description=f"Other base addresses of archives: {', '.join(ADDRESSES)}."
    )

    @property
    def since(self) -> date:
        """The first day."""
        first: date = getattr(self, "from")
        return first

    @field_validator("addresses")
    @classmethod
    def _are_of_archives(cls, addresses: Mapping[str, str]) -> Mapping[str, str]:
        if unknown := sorted(addresses.keys() - set(ADDRESSES)):
            raise ValueError(f"{unknown[0]!r} is no archive; choose among {', '.join(ADDRESSES)}")
        for name, address in addresses.items():
            if not address.startswith(("http://", "https://", "ftp://")) or "@" in address:
                raise ValueError(f"{name} = {address!r} is not a web address (http, https or ftp, without a password)")
        return addresses

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> FetchEntries:
        if self.to < self.since:
            raise ValueError(f"to = {self.to} lies before from = {self.since}")
        if self.since < date(2010, 3, 1):
            raise ValueError(f"from = {self.since} lies before SDO's first images, of March 2010")
        return self


Fetch: type[FetchEntries] = create_model(
    "Fetch",
    __base__=FetchEntries,
    __module__=__name__,
    __doc__=FetchEntries.__doc__,
    **{"from": (date, Field(description="First day, included."))},  # type: ignore[call-overload]
)
