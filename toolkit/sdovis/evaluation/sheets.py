"""Contact sheets: the most confident mistakes, each with its nearest training images, and maps of where the network looked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sdovis import figures
from sdovis.corpus.build import Corpus, codes_of
from sdovis.evaluation import maps
from sdovis.evaluation.mistakes import NEAREST, Mistake, Neighbour

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Mistakes that are shown beside their nearest training images.
COMPARED = 6
#: An empty place of a sheet: nan is drawn as nothing.
EMPTY: tuple[NDArray[Any], str] = (np.full((1, 1), np.nan), "")


def drawn(
    corpus: Corpus, mistakes: Sequence[Mistake], found: Mapping[int, Mapping[str, NDArray[np.float64]]]
) -> dict[str, Figure]:
    """Name -> sheet, of those that there is something to show on.

    ``found`` has maps of some pictures: place in the corpus -> kind of map -> (rows, columns).
    """
    places = corpus.rows.reset_index().set_index("id")["index"]

    def shown(each: Mistake | Neighbour) -> tuple[NDArray[Any], str]:
        if isinstance(each, Mistake):
            said = f"{figures.plain(each.label)}, called {figures.plain(each.predicted)} {each.probability:.2f}"
        else:
            said = f"{figures.plain(each.label)}, cosine {each.cosine:.3f}"
        return codes_of(corpus.pictures[int(places[each.id])]), f"{_titled(each.noaa_ar, each.observed)}\n{said}"

    sheets = {"mistakes": ([shown(each) for each in mistakes], 4)}
    if any(each.nearest for each in mistakes):
        rows = [
            [shown(each), *map(shown, each.nearest), *[EMPTY] * NEAREST][: 1 + NEAREST] for each in mistakes[:COMPARED]
        ]
        sheets["nearest"] = ([each for row in rows for each in row], 1 + NEAREST)
    kinds = max(map(len, found.values()), default=0)
    sheets["maps"] = ([each for at, of in found.items() for each in _mapped(corpus, at, of)], 1 + kinds)
    table = _colour_table(corpus)
    return {
        name: figures.cutouts([picture for picture, _ in shown], [title for _, title in shown], table, columns)
        for name, (shown, columns) in sheets.items()
        if shown
    }


def _mapped(corpus: Corpus, at: int, of: Mapping[str, NDArray[np.float64]]) -> list[tuple[NDArray[Any], str]]:
    """A picture, and the same in grey under each of its maps."""
    row, codes = corpus.rows.loc[at], codes_of(corpus.pictures[at])
    under = (codes.mean(axis=2) if codes.ndim == 3 else codes) / 255
    shown = [(codes, _titled(row["noaa_ar"], row["observed"].isoformat()))]
    for name, each in of.items():
        seen = maps.relative(each)
        glowing = codes if seen is None else figures.glowing(under, seen)
        shown.append((glowing, name.replace("-", " ")))
    return shown


def _titled(region: Any, observed: str) -> str:
    return f"{'no region' if pd.isna(region) else f'AR {int(region)}'}, {observed[:10]}"


def _colour_table(corpus: Corpus) -> str:
    import sunpy.visualization.colormaps  # noqa: F401  # registers the colour tables of SDO with matplotlib

    return corpus.facts.view.channels[0].colormap
