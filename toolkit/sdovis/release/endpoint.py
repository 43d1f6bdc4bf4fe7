"""What an Inference Endpoint made from the model needs beside it: ``handler.py``, its requirements, and sdovis' source.

https://huggingface.co/docs/inference-endpoints/guides/custom_handler. The endpoint's container brings torch; it installs
``requirements.txt``, puts the repository on the path and calls `sdovis.inference.endpoint.EndpointHandler`.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from sdovis.cards.facts import Facts
from sdovis.release import vendor

HANDLER, REQUIREMENTS = "handler.py", "requirements.txt"
#: The page's own need, and what the container brings in the build that its machine can use.
_LEFT_OUT = ("gradio", "torch")


def write(facts: Facts, folder: Path) -> None:
    """Write it into the model of the release in ``folder``, whose Space is there, unless the study does not want it."""
    if not facts.offers.endpoint:
        return
    space, model = folder / "space", folder / "model"
    (model / HANDLER).write_text(
        files("sdovis.modelcard").joinpath(HANDLER).read_text(encoding="utf-8"), encoding="utf-8"
    )
    needed = (space / REQUIREMENTS).read_text(encoding="utf-8").splitlines()
    kept = [line for line in needed if line and not line.startswith("#") and vendor.project(line) not in _LEFT_OUT]
    text = "# For an Inference Endpoint, whose container brings torch; transformers alone needs none of it.\n"
    (model / REQUIREMENTS).write_text(text + "\n".join(kept) + "\n", encoding="utf-8")
    vendor.copy_source(space, model)
