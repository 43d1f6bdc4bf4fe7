"""Whose pixels they are: what stands out of the quiet Sun belongs to the numbered regions of the disc."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy  # its parts are loaded when they are used
from numpy.typing import NDArray

from sdovis.channels.channel import Contrast, Floats
from sdovis.channels.layers import Layer
from sdovis.channels.quiet_sun import LIMB_MU, blurred, limb_distance, quiet_level, quieted
from sdovis.errors import BadInput
from sdovis.sun.constants import NOMINAL_RADIUS_M
from sdovis.sun.geometry import DiscFrame, MapGrid, directions, project, unproject

NOBODY = -1
#: Touching at a corner is touching.
_TOUCHING = np.ones((3, 3), bool)
#: Within this distance the fill of a hole follows the quiet Sun around it, megametres: about a supergranule.
BLEND_MM = 20.0
SOLAR_RADIUS_MM = NOMINAL_RADIUS_M / 1e6
#: Shares of quiet Sun this near to none or all are none or all.
FAINT = 1e-3


@dataclass(frozen=True, eq=False)
class Owned:
    """An image (H, W) of one channel on the Sun, divided among regions by what stands out in it.

    Pixels that stand out (`Contrast`) and lie within a halo of each other form clumps. A clump without a core, or of less
    than ``contrast.smallest_msh``, is the quiet Sun's own. A core is a spot, or a knot of one polarity; the other pixels
    of a clump, and the halo around it, go with the nearest of its cores.
    """

    values: Floats
    contrast: Contrast
    geometry: DiscFrame | MapGrid

    def owners(self, places: NDArray[np.float64]) -> NDArray[np.int16]:
        """(H, W): the number of the region that owns each pixel, by its row in ``places``; -1 for quiet Sun.

        ``places`` (R, 2) are latitudes and longitudes, degrees. A core is never cut in two: it goes to the region that is
        nearest on the Sun to its centre, weighted by how much it stands out. Only one in which two regions have their
        places is divided, between the nearest.
        """
        regions = directions(*places.T)
        of_core = np.concatenate([[NOBODY], (self._centres @ regions.T).argmax(axis=1)]).astype(np.int16)
        found = of_core[self._cores]
        x, y = self._pixels(places)
        height, width = self.values.shape
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        held = np.bincount(self._cores[y[inside], x[inside]], minlength=len(of_core))
        held[0] = 0
        for core in np.flatnonzero(held > 1):
            rows, columns = np.nonzero(self._cores == core)
            found[rows, columns] = (self._directions(columns, rows) @ regions.T).argmax(axis=1)
        return found

    @cached_property
    def quiet(self) -> Floats:
        """The image with quiet Sun in place of all that regions own."""
        if isinstance(self.geometry, DiscFrame):
            centre = self.geometry.center_px
        else:
            centre = ((self.values.shape[1] - 1) / 2, (self.values.shape[0] - 1) / 2)
        blend = BLEND_MM / self._px_mm
        return quieted(self.values, self._level, self._mu, self._cores > 0, centre, blend)

    def feathered(self, mask: NDArray[np.bool_]) -> Floats:
        """``mask`` (H, W), true for pixels that regions own, as shares from 0 to 1 that go over into each other."""
        share = mask.astype(np.float32)
        if sigma := self.contrast.feather_mm / self._px_mm / 2:
            owned = self._cores > 0
            around = np.maximum(blurred(owned.astype(np.float32), sigma), np.float32(FAINT))
            share = np.where(owned, blurred(share, sigma) / around, np.float32(0))
            share[share < FAINT], share[share > 1 - FAINT] = 0, 1
        return share

    @cached_property
    def _mu(self) -> Floats:
        return limb_distance(self.values.shape, self.geometry)

    @cached_property
    def _level(self) -> Floats:
        return quiet_level(self.values, self._mu)

    @property
    def _px_mm(self) -> float:
        """The side of a pixel at the disc's centre, or of a map, megametres."""
        if isinstance(self.geometry, DiscFrame):
            return SOLAR_RADIUS_MM / self.geometry.radius_px
        return float(SOLAR_RADIUS_MM * np.radians(self.geometry.deg_per_px))

    @cached_property
    def _segments(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """The core (H, W) that each pixel goes with, counted from 1, 0 for quiet Sun; and the cores' centres, (K, 3)."""
        excess = self.contrast.excess(self.values, self._level)
        excess[~(self._mu > LIMB_MU)] = 0
        weak = excess > self.contrast.weak
        reach = max(1, round(self.contrast.halo_mm / self._px_mm))
        clumps, count = scipy.ndimage.label(scipy.ndimage.maximum_filter(weak, 2 * reach + 1), _TOUCHING)
        msh = self._px_mm**2 / (2e-6 * np.pi * SOLAR_RADIUS_MM**2) / self._mu
        strong = excess > self.contrast.strong
        areas = np.bincount(clumps[weak], msh[weak], count + 1)
        large = (areas >= self.contrast.smallest_msh) & (np.bincount(clumps[strong], minlength=count + 1) > 0)
        large[0] = False
        strong &= large[clumps]
        cores, last = np.zeros(clumps.shape, np.int32), 0
        signs = (self.values > self._level, self.values <= self._level)
        for of_sign in signs if self.contrast.kind == "field" else (True,):
            labels, more = scipy.ndimage.label(strong & of_sign, _TOUCHING)
            cores[labels > 0] = labels[labels > 0] + last
            last += more
        rows, columns = np.nonzero(cores)
        weights = excess[rows, columns] * msh[rows, columns]
        pointing = self._directions(columns, rows)
        of = cores[rows, columns]
        centres = np.stack([np.bincount(of, weights * axis, last + 1)[1:] for axis in pointing.T], axis=-1)
        for number, box in enumerate(scipy.ndimage.find_objects(clumps), 1):
            if large[number]:
                here = clumps[box] == number
                inner = np.where(here, cores[box], 0)
                nearest = scipy.ndimage.distance_transform_edt(inner == 0, return_distances=False, return_indices=True)
                cores[box][here] = inner[tuple(nearest)][here]
        return cores, centres

    @property
    def _cores(self) -> NDArray[np.int32]:
        return self._segments[0]

    @property
    def _centres(self) -> NDArray[np.float64]:
        return self._segments[1]

    def _directions(self, x: NDArray[np.intp], y: NDArray[np.intp]) -> NDArray[np.float64]:
        where = self.geometry
        return directions(*(unproject(x, y, where) if isinstance(where, DiscFrame) else where.place(x, y)))

    def _pixels(self, places: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """The nearest pixels of places; -1 behind the limb."""
        where = self.geometry
        x, y = (
            project(places[:, 0], places[:, 1], where)[:2]
            if isinstance(where, DiscFrame)
            else where.pixel(places[:, 0], places[:, 1])
        )
        return (np.nan_to_num(np.rint(x), nan=-1).astype(int), np.nan_to_num(np.rint(y), nan=-1).astype(int))


class Divided:
    """One channel's image, divided among the regions of the disc."""

    def __init__(self, layer: Layer) -> None:
        self._layer = layer
        self._owners: dict[tuple[tuple[float, float], ...], NDArray[np.int16]] = {}

    @cached_property
    def _owned(self) -> Owned:
        """Raises `BadInput` if it is not known where on the Sun a pixel lies."""
        kind, geometry = self._layer.channel, self._layer.geometry
        if geometry is None or kind is None or kind.contrast is None:
            raise BadInput(
                "an image has no coordinates, so the region's own pixels cannot be told from its neighbours'"
            )
        return Owned(self._layer.values, kind.contrast, geometry)

    def without(
        self, own: tuple[float, float] | None, neighbours: Sequence[tuple[float, float] | None]
    ) -> tuple[Floats, Floats | None]:
        """The image (H, W) with quiet Sun in place of the ``neighbours`` of the region at ``own``, and where it was put.

        All are latitude and longitude, degrees; neighbours that are not known to lie on the Sun have no pixels. The second
        is the share of each pixel that is quiet Sun, None if no pixel is. Raises `BadInput` if ``own`` is unknown.
        """
        known = {each for each in neighbours if each is not None and np.isfinite(each).all()} - {own}
        if not known:
            return self._layer.values, None
        if own is None or not np.isfinite(own).all():
            raise BadInput("a region has no position on the Sun, so its own pixels cannot be told from its neighbours'")
        places = tuple(sorted({own, *known}))
        if places not in self._owners:
            self._owners[places] = self._owned.owners(np.array(places))
        owners = self._owners[places]
        mask = (owners != NOBODY) & (owners != places.index(own))
        if not mask.any():
            return self._layer.values, None
        share = self._owned.feathered(mask)
        return np.where(
            share > 0, self._layer.values + share * (self._owned.quiet - self._layer.values), self._layer.values
        ), share
