"""The magnetic field of a simulated active region.

A region lives in a plane tangent to the Sun: x degrees of arc west and y degrees north of its centre. Field strengths
are in gauss, fluxes in G deg². `design` draws a region of one Mount Wilson class, `evolve` takes it to other days,
`field_map` gives its field on a grid, `grid_index` the position on that grid, `intensity_map` its continuum there. Based
on what is known of the Sun, not on what a network finds easy:

- areas of spots are log-normal (Bogdan et al. 1988), larger in complex groups;
- Hale's law for cycle 24 (leading spots negative in the north, positive in the south), violated by 4 % of the regions;
- Joy's law, tilt = 0.5 x latitude with a scatter of 18 degrees (Howard 1991; Wang & Sheeley 1989);
- each polarity of a region has the same flux, whatever the class; flux that is not in spots is plage;
- alpha: spots of one polarity; beta: a straight line separates the spots of the two polarities; beta-gamma: no
  straight line does; delta: opposite umbrae less than 2 degrees apart whose penumbrae are one (Künzel 1960).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from sdovis.sun.rotation import shear

Array = NDArray[np.float64]

DELTA_DEG = 2.0  #: opposite umbrae in a delta are closer than this
SPOTTED_G = 1400.0  #: every spot is stronger at its centre, all plage is weaker
PLAGE_G = 800.0  #: field at which plage saturates, seen at this resolution
SPELLINGS = ("Alpha", "Beta", "Beta-Gamma", "Beta-Gamma-Delta", "Beta-Delta")

_CELL = 0.08  # degrees: the grid the field is drawn on
_HALF = (9.0, 14.0)  # degrees: half its height and width; a field of 96 pixels 60 degrees off centre spans 23 degrees
_SHAPE = (int(2 * _HALF[0] / _CELL) + 1, int(2 * _HALF[1] / _CELL) + 1)
KNOT_DEG = 0.09  #: size (sigma) of a flux element of plage or network
_KNOT_FLUX = 250.0 * 2 * np.pi * KNOT_DEG**2
#: The network: 1.2 elements per square degree, of either sign, a third as strong (G deg²) as those of plage, on the
#: borders of supergranules of 30 Mm.
NETWORK_PER_DEG2, NETWORK_FLUX, CELLS_PER_DEG2 = 1.2, 0.35 * _KNOT_FLUX, 1 / 2.5**2
_SPOT_FALL = 1.6  # B(r) = B0 exp(-1.6 (r/r0)²): 0.2 of the central field at the edge of the penumbra
# Of the continuum: Solanki 2003, A&A Rev. 11, 153: 0.42 of a spot's radius is umbra; stronger umbrae are darker; HMI,
# with its stray light, sees 0.15 to 0.4 of the quiet Sun in umbrae and 0.8 in penumbrae.
_UMBRA, _PENUMBRA_INTENSITY, _SOFT = 0.42, 0.8, 0.06
_AREA_MSH = {"Alpha": 55.0, "Beta": 80.0, "Beta-Gamma": 150.0, "Beta-Gamma-Delta": 220.0, "Beta-Delta": 180.0}
_SMALLEST_MSH = {"Alpha": 12.0, "Beta": 20.0, "Beta-Gamma": 60.0, "Beta-Gamma-Delta": 80.0, "Beta-Delta": 60.0}


@dataclass(frozen=True)
class SimulatedRegion:
    """An active region on one day. ``spots`` has one row per spot, ``plage`` one row per flux element."""

    mount_wilson: str
    latitude_deg: float
    spots: Array  #: x, y (degrees), signed central field (G), radius of the penumbra (degrees)
    plage: Array  #: x, y (degrees), sign
    plage_flux: tuple[float, float]  #: of the positive and of the negative plage, G deg²

    @property
    def area_msh(self) -> float:
        """Area of all spots in millionths of the visible hemisphere."""
        return float(np.sum(np.radians(self.spots[:, 3]) ** 2) / 2e-6)


def dividing_gap(spots: Array) -> float:
    """The widest straight lane, in degrees, that separates the centres of positive from those of negative spots.

    Negative if no straight line separates them; infinite if there is only one polarity.
    """
    positive, negative = spots[spots[:, 2] > 0, :2], spots[spots[:, 2] < 0, :2]
    if not len(positive) or not len(negative):
        return float("inf")
    angle = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    across = np.stack([np.cos(angle), np.sin(angle)])
    return float(np.max(np.min(positive @ across, axis=0) - np.max(negative @ across, axis=0)))


def _overlap(spots: Array) -> tuple[Array, Array, NDArray[np.bool_]]:
    """For each pair of spots: distance, sum of radii, and whether their polarities differ."""
    i, j = np.triu_indices(len(spots), 1)
    distance = np.hypot(*(spots[i, :2] - spots[j, :2]).T)
    return distance, spots[i, 3] + spots[j, 3], spots[i, 2] * spots[j, 2] < 0


def delta_pairs(spots: Array) -> int:
    """The number of pairs of opposite umbrae within 2 degrees whose penumbrae touch."""
    distance, radii, opposite = _overlap(spots)
    return int(np.sum(opposite & (distance < DELTA_DEG) & (distance < radii)))


def _spot_field(rng: np.random.Generator, area_msh: Array) -> Array:
    """Central field in gauss: larger spots are stronger, 1.5 to 3 kG (Livingston et al. 2006)."""
    field = 1600 + 450 * np.log10(np.maximum(area_msh, 3) / 3) + rng.normal(0, 120, area_msh.shape)
    return np.clip(field, SPOTTED_G + 100, 3000)


def _shares(rng: np.random.Generator, n: int) -> Array:
    return np.sort(rng.dirichlet(np.full(n, 1.5)) * 0.85 + 0.15 / n)[::-1]


def _group(rng: np.random.Generator, sign: float, u: float, area: float, most: int, spread: float) -> Array:
    """Spots of one polarity around ``u`` on the group's axis; the largest lies nearest to it."""
    n = 1 + int(rng.integers(0, most)) if area > 15 else 1
    areas = np.maximum(area * _shares(rng, n), 4.0)
    at = rng.normal(0, spread, (n, 2)) * np.r_[0.3, np.ones(n - 1)][:, None] + [u, 0.0]
    return np.column_stack([at, sign * _spot_field(rng, areas), np.degrees(np.sqrt(2e-6 * areas))])


def _partner(rng: np.random.Generator, spots: Array, toward: float | None) -> Array:
    """An umbra of the other polarity in the largest spot's penumbra, on the side ``toward`` (radians) if given."""
    host = spots[np.argmax(spots[:, 3])]
    radius = max(host[3] * np.sqrt(rng.uniform(0.3, 0.9)), 0.3)
    angle = rng.uniform(0, 2 * np.pi) if toward is None else toward + rng.uniform(-1, 1)
    distance = min(rng.uniform(0.72, 0.95) * (host[3] + radius), 0.8 * DELTA_DEG)
    field = float(_spot_field(rng, np.array(np.radians(radius) ** 2 / 2e-6)))
    at = host[:2] + distance * np.array([np.cos(angle), np.sin(angle)])
    return np.array([[*at, -np.sign(host[2]) * field, radius]])


def _layout(rng: np.random.Generator, kind: str, area: float, length: float) -> Array:
    """One draw of the spots of a group on its own axis, leading side at +u and, for now, positive."""
    share = rng.uniform(0.45, 0.8)
    ahead, behind = length / 2, -length / 2
    if kind == "Alpha":
        leads = rng.random() < 0.85
        return _group(rng, 1.0 if leads else -1.0, ahead if leads else behind, area, 4, 0.9)
    most = 3 if kind == "Beta" else 4
    spots = np.vstack(
        [
            _group(rng, 1.0, ahead, area * share, most, 0.6 + 0.08 * length),
            _group(rng, -1.0, behind, area * (1 - share), most + 1, 0.7 + 0.1 * length),
        ]
    )
    if "Gamma" in kind:
        for _ in range(int(rng.integers(1, 4))):
            sign = float(rng.choice([-1.0, 1.0]))
            intruder = _group(rng, sign, -sign * length / 2, max(area * rng.uniform(0.1, 0.25), 8.0), 1, 0.0)
            intruder[:, :2] += rng.normal(0, 0.5 + 0.12 * length, 2)
            spots = np.vstack([spots, intruder])
    if "Delta" in kind:
        host = spots[np.argmax(spots[:, 3])]
        toward = None if "Gamma" in kind else (np.pi if host[2] > 0 else 0.0)
        spots = np.vstack([spots, _partner(rng, spots, toward)])
    return spots


def _is_of_class(kind: str, spots: Array) -> bool:
    """Whether the layout obeys the definition of its class, with a margin that evolution does not exhaust."""
    distance, radii, opposite = _overlap(spots)
    if np.any(distance[~opposite] < 0.6 * radii[~opposite]):
        return False
    gap, deltas = dividing_gap(spots), delta_pairs(spots)
    # Opposite spots that do not form a delta have quiet Sun between their penumbrae.
    apart = np.sum(opposite & (distance < 1.2 * radii)) == deltas
    if kind == "Alpha":
        return True
    if kind == "Beta":
        return bool(apart) and deltas == 0 and gap > 1.5 and bool(np.all(distance[opposite] > 2.3))
    if kind == "Beta-Delta":
        return bool(apart) and deltas == 1 and gap > 0.2
    return bool(apart) and deltas == (1 if "Delta" in kind else 0) and gap < -0.3


def _plage(rng: np.random.Generator, region: Array, kind: str, length: float, sign: float, flux: float) -> Array:
    """Flux elements of one polarity around its spots and its half of the group (``sign`` is +1 for the leading half)."""
    n = int(np.clip(flux / _KNOT_FLUX, 30, 2500))
    spread = np.clip(np.sqrt(flux / (2 * np.pi * 110.0)), 0.8, 3.0)
    own = region[region[:, 2] * sign > 0]
    centres = np.vstack([[sign * length / 2, 0.0], own[:, :2]])
    weights = np.r_[1.0, own[:, 3] ** 2 / max(np.sum(own[:, 3] ** 2), 1e-9)]
    chosen = rng.choice(len(centres), n, p=weights / weights.sum())
    at = centres[chosen] + rng.normal(0, 1, (n, 2)) * np.where(chosen == 0, spread, 0.7 * spread)[:, None]
    if "Gamma" not in kind:
        # The line also divides the plage, except for a tenth of it.
        wrong = (at[:, 0] * sign < 0) & (rng.random(n) < 0.9)
        at[wrong, 0] *= -1
    return np.column_stack([at, np.full(n, sign)])


def _spot_flux(spots: Array, sign: float) -> float:
    own = spots[spots[:, 2] * sign > 0]
    return float(np.sum(np.abs(own[:, 2]) * np.pi * own[:, 3] ** 2 / _SPOT_FALL))


def design(rng: np.random.Generator, mount_wilson: str, latitude_deg: float) -> SimulatedRegion:
    """Draw a region of a Mount Wilson class (one of `SPELLINGS`) at a latitude."""
    area = 0.0
    while not _SMALLEST_MSH[mount_wilson] <= area <= 800:
        area = float(rng.lognormal(np.log(_AREA_MSH[mount_wilson]), 0.8))
    for _ in range(10_000):
        length = float(np.clip(2.8 + 0.9 * np.log(area / 20) + rng.normal(0, 0.8), 3.0, 7.5))
        spots = _layout(rng, mount_wilson, area, length)
        if _is_of_class(mount_wilson, spots):
            break
    else:
        raise RuntimeError(f"no layout of class {mount_wilson} in 10000 draws")
    fluxes = _spot_flux(spots, 1.0), _spot_flux(spots, -1.0)
    # The amount of flux outside the spots says nothing about the class.
    total = max(sum(fluxes) * rng.lognormal(np.log(1.4), 0.3), 1.1 * max(fluxes)) + 200
    plage_flux = total - fluxes[0], total - fluxes[1]
    plage = np.vstack(
        [_plage(rng, spots, mount_wilson, length, s, f) for s, f in zip((1.0, -1.0), plage_flux, strict=True)]
    )
    north = latitude_deg >= 0
    # Joy's law: the leading (western) end is nearer the equator.
    tilt = np.radians(-np.sign(latitude_deg) * 0.5 * abs(latitude_deg) + rng.normal(0, 18))
    turn = np.array([[np.cos(tilt), np.sin(tilt)], [-np.sin(tilt), np.cos(tilt)]])
    for part in (spots, plage):
        part[:, 1] *= rng.choice([-1.0, 1.0])
        part[:, :2] = part[:, :2] @ turn
    hale = (-1.0 if north else 1.0) * (-1.0 if rng.random() < 0.04 else 1.0)
    spots[:, 2] *= hale
    plage[:, 2] *= hale
    return SimulatedRegion(mount_wilson, latitude_deg, spots, plage, plage_flux if hale > 0 else plage_flux[::-1])


def _keeps_class(region: SimulatedRegion) -> bool:
    kind, spots = region.mount_wilson, region.spots
    parted = kind == "Alpha" or (dividing_gap(spots) > 0) == ("Gamma" not in kind)
    return parted and (delta_pairs(spots) > 0) == ("Delta" in kind)


def evolve(region: SimulatedRegion, rng: np.random.Generator, days: int) -> list[SimulatedRegion]:
    """The region on ``days`` successive days: it grows or decays, spreads and shears; its class does not change."""
    # Degrees of arc west per day per degree north: a degree of longitude is shorter there than at the equator.
    sheared = shear(region.latitude_deg) * np.cos(np.radians(region.latitude_deg))
    for _ in range(1000):
        growth, spreading = rng.normal(0, 0.06), rng.normal(0.01, 0.015)
        story = [region]
        while len(story) < days and _keeps_class(story[-1]):
            today = story[-1]
            spots, plage = today.spots.copy(), today.plage.copy()
            factor = np.exp(growth + rng.normal(0, 0.03))
            spots[:, 3] *= np.sqrt(factor)
            for part, walk in ((spots, 0.03), (plage, 0.2)):
                part[:, 0] += sheared * part[:, 1]
                part[:, :2] = part[:, :2] * (1 + spreading) + rng.normal(0, walk, (len(part), 2))
            fluxes = today.plage_flux[0] * factor, today.plage_flux[1] * factor
            story.append(replace(today, spots=spots, plage=plage, plage_flux=fluxes))
        if len(story) == days and _keeps_class(story[-1]):
            return story
    raise RuntimeError(f"a region of class {region.mount_wilson} does not keep it for {days} days")


def _blurred(at: Array, weights: Array | None = None) -> NDArray[np.float32]:
    """Flux elements of unit flux (or of flux ``weights``) on the grid, each a Gaussian of sigma `KNOT_DEG`."""
    rows, columns = np.rint(grid_index(at[:, 0], at[:, 1])).astype(int)
    inside = (rows >= 0) & (rows < _SHAPE[0]) & (columns >= 0) & (columns < _SHAPE[1])
    kept = None if weights is None else weights[inside]
    counts = np.bincount(rows[inside] * _SHAPE[1] + columns[inside], kept, minlength=_SHAPE[0] * _SHAPE[1])
    field = gaussian_filter(counts.reshape(_SHAPE).astype(np.float32), KNOT_DEG / _CELL)
    return np.asarray(field / _CELL**2, dtype=np.float32)


def _crowded(field: NDArray[np.float32], flux: float) -> NDArray[np.float32]:
    """Plage that carries ``flux`` and saturates near `PLAGE_G` where its elements are dense."""
    cell = _CELL**2
    field = field * np.float32(flux / (float(field.sum()) * cell))
    field = PLAGE_G * np.tanh(field / PLAGE_G)
    return np.asarray(field * min(flux / (float(field.sum()) * cell), 1.3))


def to_lanes(rng: np.random.Generator, at: Array, cells: Array, tree: cKDTree) -> Array:
    """Move elements to the nearest border between supergranules, as their flow does."""
    distance, index = map(np.asarray, tree.query(at, k=2))
    first, second = cells[index[:, 0]], cells[index[:, 1]]
    apart = second - first
    squared = np.sum(apart**2, axis=1)
    step = (distance[:, 1] ** 2 - distance[:, 0] ** 2) / (2 * squared)
    return np.asarray(at + apart * (step * rng.uniform(0.4, 1.0, len(at)))[:, None] + rng.normal(0, 0.12, at.shape))


def field_map(region: SimulatedRegion, rng: np.random.Generator, *, network: bool = True) -> NDArray[np.float32]:
    """The vector field on the grid: upward, westward and northward components in gauss, shape (3, rows, columns).

    ``network``: include the quiet Sun's network around it.
    """
    extent = np.array([_HALF[1], _HALF[0]])
    cells = rng.uniform(-extent - 3, extent + 3, (int(np.prod(2 * extent + 6) * CELLS_PER_DEG2), 2))
    tree = cKDTree(cells)
    up = np.zeros(_SHAPE, np.float32)
    if network:
        quiet = to_lanes(rng, rng.uniform(-extent, extent, (600, 2)), cells, tree)
        up = _blurred(quiet, np.where(np.arange(len(quiet)) % 2, 1.0, -1.0) * NETWORK_FLUX)
    for sign, flux in zip((1.0, -1.0), region.plage_flux, strict=True):
        own = region.plage[region.plage[:, 2] == sign, :2]
        up += sign * _crowded(_blurred(to_lanes(rng, own, cells, tree)), flux)
    field = np.stack([up, np.zeros_like(up), np.zeros_like(up)])
    for strength, rows, columns, dx, dy in _spots_on_grid(region):
        squared = dx**2 + dy**2
        field[0, rows, columns] += strength * np.exp(-_SPOT_FALL * squared)
        # The penumbral field is horizontal and points away from a positive umbra: strongest, 0.35 B0, at the penumbra's edge.
        flat = 0.35 * strength * np.exp(1.0 - squared)
        field[1, rows, columns] += flat * dx * (squared < 4)
        field[2, rows, columns] += flat * dy * (squared < 4)
    return field


def intensity_map(region: SimulatedRegion) -> NDArray[np.float32]:
    """Continuum relative to the quiet Sun's at the same position, on the grid of `field_map`: umbrae within penumbrae.

    Spots closer to each other than their radii share a penumbra.
    """
    intensity = np.ones(_SHAPE, np.float32)
    for strength, rows, columns, dx, dy in _spots_on_grid(region):
        rho = np.hypot(dx, dy)
        umbra = np.clip(0.4 - 0.25 * (abs(strength) - 1500) / 1500, 0.15, 0.4)
        inner, outer = (0.5 * (1 + np.tanh((rho - edge) / _SOFT)) for edge in (_UMBRA, 1.0))
        spot = umbra + (_PENUMBRA_INTENSITY - umbra) * inner + (1 - _PENUMBRA_INTENSITY) * outer
        intensity[rows, columns] = np.minimum(intensity[rows, columns], spot)
    return intensity


def _spots_on_grid(region: SimulatedRegion) -> Iterator[tuple[float, slice, slice, Array, Array]]:
    """Each spot's signed field, the part of the grid it reaches, and the offsets from its centre there, in its radii."""
    for x, y, strength, radius in region.spots:
        column, row, reach = (x + _HALF[1]) / _CELL, (y + _HALF[0]) / _CELL, 2.2 * radius / _CELL
        rows = slice(max(int(row - reach), 0), int(row + reach) + 2)
        columns = slice(max(int(column - reach), 0), int(column + reach) + 2)
        dy = (np.arange(_SHAPE[0])[rows, None] - row) * _CELL / radius
        dx = (np.arange(_SHAPE[1])[None, columns] - column) * _CELL / radius
        yield strength, rows, columns, dx, dy


def grid_index(x_deg: Array, y_deg: Array) -> Array:
    """Row and column (first axis, fractional) of `field_map` at a position in the tangent plane."""
    return np.stack([(y_deg + _HALF[0]) / _CELL, (x_deg + _HALF[1]) / _CELL])
