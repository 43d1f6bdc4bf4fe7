"""NetCDF-4: one image a variable, with its header in the attributes, as SuryaBench's core set has them.

What the attributes mean is said by the code that writes them: NASA-IMPACT/SuryaBench at 1226236 (2025-11-06),
``core_sdo/core_sdo_mlready_processing_multi.py`` and ``helio.py``. ``meta_0`` is the header of the original, ``meta_1``
that of the image as it is stored, both JSON. The disc was then scaled to a fixed radius, ``RSUN_FIX``, without a change of
``CDELT``: an image placed by ``RSUN_OBS`` alone would be up to 3 % off.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sdovis.errors import UnreadableImage
from sdovis.images.address import Address
from sdovis.images.bounds import MAX_SIDE, check_size
from sdovis.images.containers.members import Member, missing_library
from sdovis.images.headers import restored

IMPORTS = ("h5py",)
CLASSIC = b"CDF"
#: Filters of HDF5 itself: deflate, shuffle, fletcher32, szip, n-bit, scale-offset, and h5py's own LZF.
BUILT_IN = (1, 2, 3, 4, 5, 6, 32000)
#: Keywords of the stored image that replace the original's: all that say where the Sun is in it.
_WCS = ("CTYPE", "CUNIT", "CRPIX", "CRVAL", "CDELT", "CROTA", "PC1", "PC2", "CD1", "CD2", "NAXIS", "WCSAXES")
_SEEN_FROM = ("DSUN_OBS", "RSUN_REF", "RSUN_OBS", "HGLN_OBS", "HGLT_OBS", "CRLN_OBS", "CRLT_OBS", "RSUN_FIX")


def member(address: Address) -> Member:
    """One variable's values and header."""
    try:
        import h5py
    except ModuleNotFoundError as error:
        raise missing_library(address, "h5py") from error
    with address.path.open("rb") as file:
        if file.read(len(CLASSIC)) == CLASSIC:
            raise UnreadableImage(str(address), "is NetCDF of the classic kind", "convert it: nccopy -k nc4 OLD NEW")
    try:
        with h5py.File(address.path, "r", locking=False) as store:
            array = _variable(h5py, store, address)
            stored = array[...]
            said = {key: _plain(value) for key, value in array.attrs.items()}
    except UnreadableImage:
        raise
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise UnreadableImage(str(address), f"damaged NetCDF: {error}") from error
    digest = hashlib.sha256(np.ascontiguousarray(stored).data).hexdigest()
    values = stored.astype(np.float32, copy=False)  # it is ours: a copy of 64 MB takes a tenth of decoding them
    fill = said.get("_FillValue")
    if isinstance(fill, int | float):
        values[stored == fill] = np.nan
    if not np.isfinite(values).all():
        values[~np.isfinite(values)] = np.nan
    return Member(digest, values=values, cards=_cards(said, address))


def together(address: Address) -> tuple[str, str]:
    """Each variable is read whole; those of one file may as well be read by one process."""
    return str(address.path), ""


def files(address: Address) -> Sequence[Path]:
    return (address.path,)


def _variable(h5py: Any, store: Any, address: Address) -> Any:
    """The variable, whose declared size, place and filters allow it to be decoded."""
    if address.index is not None:
        raise UnreadableImage(str(address), "a variable is one image", "leave out the number in brackets")
    # Only what the file itself holds: a link may lead to any other file.
    link = store.get(address.name, getlink=True) if address.name in list(store) else None
    if not isinstance(link, h5py.HardLink):
        hint = f"it has {', '.join(list(store)[:20])}"
        raise UnreadableImage(str(address), f"there is no variable {address.name!r}", hint)
    array = store[address.name]
    if not isinstance(array, h5py.Dataset):
        raise UnreadableImage(str(address), "is no variable")
    if array.is_virtual or array.external:
        raise UnreadableImage(str(address), "its values lie in another file", "copy them into this one")
    if array.ndim != 2 or array.dtype.kind not in "fiu":
        what = f"holds {array.ndim}-D {array.dtype}, not the (H, W) numbers of one image"
        raise UnreadableImage(str(address), what)
    check_size(array.shape[1], array.shape[0], Path(str(address)))
    if array.chunks and math.prod(array.chunks) > MAX_SIDE**2:
        raise UnreadableImage(
            str(address), f"is stored in pieces of {array.chunks}, which are larger than an image may be"
        )
    plist = array.id.get_create_plist()
    foreign = [plist.get_filter(i)[0] for i in range(plist.get_nfilters()) if plist.get_filter(i)[0] not in BUILT_IN]
    if foreign:
        try:
            import hdf5plugin  # noqa: F401  (its filters, LZ4 and others, are there once it is imported)
        except ModuleNotFoundError as error:
            raise missing_library(address, f"hdf5plugin (HDF5's filter {foreign[0]})") from error
    return array


def _plain(value: Any) -> Any:
    """An attribute as Python has it: HDF5 gives bytes, and arrays of one number."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return value.item() if isinstance(value, np.ndarray | np.generic) and value.size == 1 else value


def _cards(said: Mapping[str, Any], address: Address) -> dict[str, Any]:
    original, stored = (_header(said.get(key), key, address) for key in ("meta_0", "meta_1"))
    cards = {key: value for key, value in original.items() if not key.startswith((*_WCS, *_SEEN_FROM))}
    cards |= {key: value for key, value in stored.items() if key.startswith(_WCS) or key in _SEEN_FROM}
    known = {"BUNIT": said.get("unit", said.get("units")), "T_OBS": said.get("t_obs"), "QUALITY": said.get("qflag")}
    cards |= {key: value for key, value in known.items() if value not in (None, "")}
    fixed, seen = cards.get("RSUN_FIX"), cards.get("RSUN_OBS")
    if isinstance(fixed, int | float) and isinstance(seen, int | float) and fixed > 0 and seen > 0:
        for key in ("CDELT1", "CDELT2"):
            if isinstance(cards.get(key), int | float):
                cards[key] *= seen / fixed
    if "AIA" in str(cards.get("INSTRUME", "")) and fixed:
        cards["DEG_COR"] = "aiapy"  # the scale to RSUN_FIX follows the correction in `process_aia_map`
    return restored(cards)


def _header(text: Any, key: str, address: Address) -> dict[str, Any]:
    """The numbers and texts of a header written as JSON."""
    if text is None:
        return {}
    try:
        found = json.loads(text)
        return {name.upper(): value for name, value in found.items() if isinstance(value, str | int | float)}
    except (TypeError, ValueError, AttributeError) as error:
        raise UnreadableImage(str(address), f"its attribute {key} is no header: {error}") from error
