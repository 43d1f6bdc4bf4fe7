"""What the model card says about the model in ONNX."""

from __future__ import annotations

from sdovis.cards.facts import Facts
from sdovis.cards.markdown import Markdown, blocks, code, count, difference, interval, lines, md, named, number, table
from sdovis.evaluation import parity
from sdovis.inference import onnx

#: Engine -> the file that it runs.
FILES = {parity.FP32: onnx.FP32, parity.INT8: onnx.INT8}


def engines(facts: Facts) -> Markdown:
    """The section on the model's ONNX files and how they answer beside torch; empty if it was not exported."""
    found = facts.parity
    if found is None:
        return Markdown("")
    cautious = any(of.same_caution is not None for of in found.engines.values())
    rows = (
        [
            code(f"{onnx.FOLDER}/{FILES[name]}"),
            number(of.largest_difference),
            f"{count(of.same_class)} of {count(found.rows)}",
            *([f"{count(of.same_caution or 0)} of {count(found.rows)}"] if cautious else []),
            interval(of.balanced_accuracy),
            difference(of.difference),
        ]
        for name, of in found.engines.items()
    )
    worse = [name for name, of in found.engines.items() if of.difference.high is not None and of.difference.high < 0]
    return blocks(
        "### Other engines",
        lines(
            f"{code(onnx.FOLDER)} holds the model in ONNX (opset {number(found.opset)}, any number of images at a time), for "
            "`sdovis predict --engine`,",
            f"onnxruntime and transformers.js: {code(onnx.FP32)} in fp32, {code(onnx.INT8)} with weights of 8 bits. The "
            "temperature of the probabilities is part of both.",
            f"On the test part, beside torch ({named('balanced-accuracy')} {interval(found.torch)}):",
        ),
        table(
            [
                "file",
                "largest difference of a probability",
                "same class",
                *(["same verdict on what is unfamiliar"] if cautious else []),
                "balanced accuracy",
                "minus torch's, paired",
            ],
            rows,
        ),
        f"**{md(', '.join(worse))} is worse than torch beyond its interval.**" if worse else "",
        "With 8 bits the differences depend on the processor: these are of the machine that exported the model.",
    )
