"""`sdovis export`: a trained model for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from sdovis import printing, stages
from sdovis import study as studies
from sdovis.cli.program import app
from sdovis.errors import BadInput, Problem
from sdovis.printing import say


@app.command()
def export(
    model: Annotated[
        Path, typer.Argument(help="Run folder, runs/NAME, or the model folder in it.", show_default=False)
    ],
    to: Annotated[Literal["onnx"], typer.Option("--to", help="Format.", show_default=False)],
) -> None:
    """Write a model in another format beside its own, and compare its answers with torch's on the test part.

    ONNX goes to onnx/ in the model folder: model.onnx, and model_quantized.onnx of 8 bits, for the engines of sdovis
    predict, onnxruntime and transformers.js. Both are released by the next sdovis card or sdovis run, with the comparison.
    """
    run = next((each for each in (model, model.parent) if (each / "study.toml").is_file()), None)
    if run is None or (run != model and model.name != "model"):
        what = "is no run folder: an exported model is tested on its corpus, which lies beside it there"
        raise BadInput(Problem(what, "name runs/NAME", str(model)))
    study = studies.load(run / "study.toml")
    with stages.locked(run) as folders:
        found = stages.export(study, folders, say)
    printing.parity(found)
    typer.echo(f"{run / 'model' / to}: released by the next sdovis card")
