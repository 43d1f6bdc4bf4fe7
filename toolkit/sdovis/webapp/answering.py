"""Answers in their turn: for the page's buttons, and for programs that call its endpoints."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import gradio as gr

from sdovis.channels.place import Position
from sdovis.errors import BadInput, Problem, SdovisError
from sdovis.webapp import listing, page
from sdovis.webapp.listing import Listing
from sdovis.webapp.results import Result
from sdovis.webapp.site import Sent, Site, visitor
from sdovis.webapp.turns import TurnedAway

if TYPE_CHECKING:
    from sdovis.webapp.classifier import Classifier

log = logging.getLogger(__name__)
Found = TypeVar("Found")

INTERNAL = "Something went wrong on our side, not yours. Please tell the owner of this page what you did."


class Answering:
    """What a ``classifier`` answers the visitors of a ``site``, one after the other."""

    def __init__(self, classifier: Classifier, site: Site) -> None:
        self.classifier, self.site = classifier, site

    async def in_turn(self, request: gr.Request | None, files: Sequence[str], work: Callable[..., Found]) -> Found:
        """What ``work`` makes of the files when it is the visitor's turn, unless the visitor has gone by then."""
        if not files:
            raise BadInput("no file was sent")
        for file in files:
            if not Path(file).is_file():
                raise BadInput(Problem("the upload was deleted meanwhile", "send it again", file))
        who = visitor(request)
        wanted = partial(self.site.presence.__contains__, who.session)
        async with self.site.turns.turn(who, wanted):
            return await asyncio.to_thread(partial(work, list(files), wanted=wanted))

    async def each(self, request: gr.Request, images: Sequence[str]) -> list[Result]:
        """An answer for each of several files, each in a turn of its own."""
        found = []
        away = ""
        for file in images:
            name = Path(file).name
            try:
                if away:
                    raise TurnedAway(away)
                answer = await self.in_turn(request, [file], partial(self.classifier.answer, pictures=False))
            except SdovisError as error:
                away = str(error) if isinstance(error, TurnedAway) else ""
                found.append(Result(name, {}, name, why=page.plain(error)))
                continue
            why = "" if answer.probabilities else "a whole disc: send it alone, or with the list of its regions"
            refused = answer.refused
            notes = tuple(note for note in answer.notes if note != refused)
            observed = dict(answer.facts).get("Observed (UTC)", "")
            found.append(
                Result(
                    name, answer.probabilities, name, observed, notes=notes, refused=refused, why=why, hint=answer.hint
                )
            )
        return found

    # --- what programs call ------------------------------------------------------------------------------------------

    async def classify(
        self,
        file: Sent,
        latitude_deg: float | None = None,
        longitude_deg: float | None = None,
        regions: str | None = None,
        request: gr.Request | None = None,
        beside: Mapping[str, Any] | None = None,
    ) -> Mapping[str, Any]:
        """Classify one solar image, or one region of it.

        Args:
            file: The image that was uploaded to this page, or those of several channels.
            latitude_deg: Stonyhurst latitude of the region in a whole disc, degrees, north positive.
            longitude_deg: Stonyhurst longitude of the region, degrees from the central meridian, west positive.
            regions: The disc's other regions.
        """

        async def answered() -> Mapping[str, Any]:
            position = Position(latitude_deg, longitude_deg)
            where = position if position.on_sun else None
            given: dict[str, Any] = {"position": where, "regions": Listing(regions or ""), "beside": beside}
            work = partial(self.classifier.answer, **given, pictures=False)
            answer = await self.in_turn(request, listed(file), work)
            if not answer.probabilities:
                raise BadInput(
                    f"the image shows more than one cutout of {page.cutout_side(self.classifier.view)}; "
                    "send latitude_deg and longitude_deg of the region as well"
                )
            label = next(iter(answer.probabilities))
            facts = dict(answer.facts)
            return {"label": label, "probabilities": dict(answer.probabilities), "facts": facts, "notes": answer.notes}

        return await _for_a_program(answered)

    async def classify_regions(
        self,
        file: Sent,
        regions: str | None = None,
        regions_file: str | None = None,
        request: gr.Request | None = None,
    ) -> list[Mapping[str, Any]]:
        """Classify all numbered regions of a whole solar disc.

        Args:
            file: The image of the disc that was uploaded to this page.
            regions: NOAA's Solar Region Summary as text, or positions such as N12W34, S20E10.
            regions_file: In place of it: an uploaded Solar Region Summary or SWPC's solar_regions.json.
        """

        async def answered() -> list[Mapping[str, Any]]:
            given = Listing(regions or "", (Path(regions_file),) if regions_file else ())
            if not given:
                raise BadInput(Problem("no regions are given", listing.HOW))
            disc = await self.in_turn(
                request, listed(file), partial(self.classifier.disc, regions=given, pictures=False)
            )
            return [_told(each) for each in disc.results]

        return await _for_a_program(answered)


async def _for_a_program(answered: Callable[[], Awaitable[Found]]) -> Found:
    """What ``answered`` gives; what goes wrong as the error that Gradio sends in words."""
    try:
        return await answered()
    except SdovisError as error:
        raise gr.Error(page.plain(error), print_exception=False) from None
    except Exception:
        log.exception("a program's call failed")
        raise gr.Error(INTERNAL, print_exception=False) from None


def _told(result: Result) -> Mapping[str, Any]:
    """A region's answer for a program."""
    best, on_sun = result.best, result.position.on_sun if result.position else None
    return {
        "name": result.name,
        "latitude_deg": on_sun[0] if on_sun else None,
        "longitude_deg": on_sun[1] if on_sun else None,
        "label": best[0] if best else None,
        "probabilities": {} if result.refused else dict(result.probabilities),
        "notes": list(result.notes),
        "no_answer_because": result.refused or result.why,
    }


def listed(sent: Sent) -> list[str]:
    """The files of an upload."""
    return [sent] if isinstance(sent, str) else list(sent or ())
