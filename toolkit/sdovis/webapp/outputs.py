"""What the page shows after a button was pressed: an answer, several, a failure, or nothing; for Gradio, part by part."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import gradio as gr

from sdovis.errors import SdovisError
from sdovis.webapp import page, results
from sdovis.webapp.results import Result

if TYPE_CHECKING:
    from sdovis.webapp.classifier import Answer, Classifier, WholeDisc

#: The parts that every answer fills, in this order: verdict, row of pictures, picture, its caption, where to cut out,
#: overlay, how to read it, facts.
PARTS = 8


class Outputs:
    """The page's parts for a model; ``model`` names it and its revision in the tables to download."""

    def __init__(self, classifier: Classifier, name: str, model: str) -> None:
        self.classifier, self.name, self.model = classifier, name, model

    def answer(self, answer: Answer, notes: Sequence[str] = ()) -> list[Any]:
        """One image, or one cutout of it; ``notes`` are of where it comes from."""
        told = [*answer.notes, *notes]
        if answer.probabilities:
            said = page.verdict(answer.probabilities, self.classifier.meanings, told, answer.refused, answer.hint)
        else:
            side = page.cutout_side(self.classifier.view)
            said = page.choose_position(side, can_type=answer.has_coordinates, notes=told)
        second = answer.overlay or answer.seen
        has_map = answer.overlay is not None
        label = "Where the network looked" if has_map else "What the network was shown"
        if answer.probabilities and not answer.refused:  # repeated: on a phone the answer itself is out of sight by now
            best, p = next(iter(answer.probabilities.items()))
            label = f"{label}: {best} {100 * p:.1f} %"
        return [
            said,
            gr.Row(visible=True),
            answer.picture,
            page.small(answer.caption),
            gr.Column(visible=answer.wants_position and answer.has_coordinates),
            gr.Image(second, label=label, visible=second is not None),
            page.reading_guide(bool(answer.probabilities), has_map, self.classifier.map),
            gr.HTML(page.fact_table(answer.facts, answer.is_picture), visible=True),
        ]

    def disc(self, disc: WholeDisc, notes: Sequence[str] = ()) -> list[Any]:
        """All the regions of a disc."""
        classes = self.classifier.classes
        return [
            self._table(disc.results, "The regions of this disc", notes),
            gr.Row(visible=True),
            disc.picture,
            results.legend(disc.results, classes) + page.small(disc.caption),
            gr.Column(visible=True),
            gr.Image(None, visible=False),
            page.small("Click on a region to see it close up, and where the network looked."),
            gr.HTML(page.fact_table(disc.facts, disc.is_picture), visible=True),
        ]

    def several(self, answers: Sequence[Result]) -> list[Any]:
        """Several files, an answer for each."""
        shown = self.nothing()
        shown[0] = self._table(answers, "Your files")
        return shown

    def _table(self, answers: Sequence[Result], title: str, notes: Sequence[str] = ()) -> str:
        csv = results.csv(answers, self.classifier.classes, self.model)
        times = {each.observed[:10] for each in answers if each.observed}
        day = times.pop() if len(times) == 1 else f"{datetime.now(UTC):%Y-%m-%d}"
        return results.shown(answers, title, csv, f"{self.name}-{day}.csv", notes)

    def failure(self, error: SdovisError, *, keep_picture: bool = False) -> list[Any]:
        """What went wrong, in place of the verdict."""
        shown = [gr.skip()] * PARTS if keep_picture else self.nothing()
        shown[0] = page.failure(error)
        return shown

    def nothing(self) -> list[Any]:
        """As the page is before anything is sent."""
        hidden = gr.Row(visible=False)
        return [
            page.invitation(self.classifier.meanings), hidden, None, "", gr.Column(visible=False),
            gr.Image(None, visible=False), "", gr.HTML("", visible=False),
        ]  # fmt: skip
