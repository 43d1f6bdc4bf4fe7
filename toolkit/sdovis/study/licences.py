"""Licences by the names that the Hub knows, and the other names that people write for them."""

from __future__ import annotations

import re

from sdovis.errors import nearest

#: The identifiers that a card on the Hub may name: docs/hub/repositories-licenses.md of github.com/huggingface/hub-docs
#: at commit 008d54d08fd9d5d05ed2840bebb0b61111326a15, read in November 2026. huggingface_hub does not hold the list.
HUB = tuple(
    """
    apache-2.0 mit openrail bigscience-openrail-m creativeml-openrail-m bigscience-bloom-rail-1.0 bigcode-openrail-m afl-3.0
    artistic-2.0 bsl-1.0 bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear c-uda cc cc0-1.0 cc-by-2.0 cc-by-2.5 cc-by-3.0
    cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0
    cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cdla-sharing-1.0 cdla-permissive-1.0 cdla-permissive-2.0 wtfpl ecl-2.0
    epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 agpl-3.0 gfdl gpl gpl-2.0 gpl-3.0 lgpl lgpl-2.1 lgpl-3.0 isc lppl-1.3c ms-pl mpl-2.0
    odc-by odbl openrail++ osl-3.0 postgresql ofl-1.1 ncsa unlicense zlib pddl lgpl-lr deepfloyd-if-license llama2 gemma
    unknown other
    """.split()
)
#: SPDX identifiers (spdx.org/licenses) whose name on the Hub is not merely their lower case, and what people write.
ALSO = {
    "agpl-3.0-only": "agpl-3.0", "agpl-3.0-or-later": "agpl-3.0", "gpl-2.0-only": "gpl-2.0", "gpl-2.0-or-later": "gpl-2.0",
    "gpl-3.0-only": "gpl-3.0", "gpl-3.0-or-later": "gpl-3.0", "lgpl-2.1-only": "lgpl-2.1", "lgpl-2.1-or-later": "lgpl-2.1",
    "lgpl-3.0-only": "lgpl-3.0", "lgpl-3.0-or-later": "lgpl-3.0", "gfdl-1.3-only": "gfdl", "gfdl-1.3-or-later": "gfdl",
    "gfdl-1.2-only": "gfdl", "gfdl-1.2-or-later": "gfdl", "odbl-1.0": "odbl", "odc-by-1.0": "odc-by", "pddl-1.0": "pddl",
    "lgpllr": "lgpl-lr", "c-uda-1.0": "c-uda", "cc0": "cc0-1.0", "cc-zero": "cc0-1.0",
    "public-domain": "cc0-1.0", "cc-pddc": "cc0-1.0", "noassertion": "unknown",
}  # fmt: skip


_LISTED = "the names are listed at huggingface.co/docs/hub/repositories-licenses;"


def on_the_hub(text: str) -> str:
    """The Hub's name for the licence that ``text`` names by SPDX or on the Hub; "" for an empty text.

    Raises ValueError with the nearest name.
    """
    name = "-".join(text.strip().lower().split())
    if not name or name in HUB:
        return name
    name = re.sub(r"-licen[sc]e\b", "", name)  # MIT License
    found = ALSO.get(name, name)
    if found not in HUB:
        near = nearest(found, HUB)
        hint = near if near.startswith("did you mean") else _LISTED
        what = f"{text!r} is not an SPDX identifier of a licence that the Hub knows"
        raise ValueError(
            f"{what}; {hint} write 'other' for another licence, and name it with publish.licence_name and publish.licence_link"
        )
    return found


def name(text: str) -> str:
    """The name of a licence that the Hub does not list, or "". Raises ValueError with the nearest name."""
    bare = re.sub(r"[^a-z0-9.]+", "-", text.strip().lower()).strip("-.")
    if text and text != bare:
        raise ValueError(f"{text!r} cannot be the name of a licence on the Hub; write {bare or 'its-name'!r}")
    if text in HUB:
        raise ValueError(f"{text!r} is a licence that the Hub knows; give it as publish.licence or source.licence")
    return text


def link(text: str) -> str:
    """The address of a licence's text, or "". Raises ValueError."""
    if text and not re.fullmatch(r"https?://[^\s/]+\.[^\s/]+(/\S*)?", text):
        raise ValueError(f"{text!r} is not a web address; write it as https://...")
    return text
