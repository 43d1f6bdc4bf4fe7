"""Earlier formats of what corpus and model say of their view, brought up step by step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: What a view said in format 2.
_IN_FORMAT_2 = ("channels size_px cutout_arcsec cutout_deg center_px arcsec_per_px native_px max_longitude_deg").split()


def _with_a_view(said: Mapping[str, Any]) -> dict[str, Any]:
    """Format 1, which had the entries of the view among the others, in format 2. What it does not say becomes null."""
    if "view" in said:  # from between the two formats
        return dict(said)
    rest = {key: value for key, value in said.items() if key not in _IN_FORMAT_2}
    return {**rest, "view": {name: said.get(name) for name in _IN_FORMAT_2}}


def _with_neighbours(said: Mapping[str, Any]) -> dict[str, Any]:
    """Format 2, which kept neighbours and limb darkening, in format 3, which says so."""
    return {**said, "view": {"neighbours": "keep", "flatten": False, **said.get("view", {})}}


#: The steps from format to format of a corpus' or a model's description, which holds a view.
STEPS = (_with_a_view, _with_neighbours)
