"""What `gpu.py` has found as a table for `benchmarks/README.md`: nothing is said of what did not run.

python benchmarks/gpu_table.py gpu.json
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

#: Part, what is measured, the goal, and how it is read off.
Line = tuple[str, str, str]


def table(report: Mapping[str, Any]) -> str:
    """Head, lines and what became of each part, in Markdown."""
    facts = report["machine"]
    versions = ", ".join(f"{name} {facts['versions'][name]}" for name in ("torch", "transformers", "accelerate"))
    head = f"{facts['device']}, Python {facts['python']}, {versions}; {report['seconds']:.0f} s"
    if report["rehearsal"]:
        head = f"A REHEARSAL on a CPU, with tiny networks: no figure here means anything. {head}"
    lines = [head, "", "| part | measured | goal | found |", "|---|---|---|---|"]
    for name, part in report["parts"].items():
        rows = [*_rows(name, part["found"])]
        lines += [f"| {name} | {what} | {goal} | {found} |" for what, goal, found in rows]
        if part["state"] != "finished":
            why = part.get("why", "").strip().split("\n")[-1].replace("|", "/")
            lines.append(f"| {name} | {part['title']} | | **{part['state']}**: {why} |")
    return "\n".join(lines)


def _rows(part: str, found: Mapping[str, Any]) -> Iterator[Line]:
    reader = {"a": _speed, "b": _resumed, "c": _predictions, "d": _methods, "e": _page, "f": _compiling}
    reader |= {"g": _sharded, "h": _waiting, "tests": _tests}
    yield from reader[part](found)


def _speed(found: Mapping[str, Any]) -> Iterator[Line]:
    rates = {what: of["images_per_second"] for what, of in found.items() if of.get("images_per_second")}
    for what, rate in rates.items():
        yield f"{what}: images a second", "", f"{rate:.0f}"
        if found[what].get("peak_allocated_mib"):
            yield f"{what}: peak memory of the GPU, MiB", "", f"{found[what]['peak_allocated_mib']:.0f}"
    for what, rate in rates.items():
        who, _, how = what.partition(", ")
        if who != "sdovis":
            continue
        for other in dict.fromkeys((how, f"{how}, compiled")):
            if floor := rates.get(f"floor, {other}"):
                goal = "0.95" if "compiled" in other and "compiled" in how else ""
                yield f"{what}: share of the bare step, {other}", goal, f"**{rate / floor:.2f}**"
        floor = found.get(f"floor, {how}", {})
        if floor:
            share = rate * floor["flop_per_image"] / floor["matmul_flop_per_s"]
            yield f"{what}: share of the rate of a large matrix product", "", f"{share:.0%}"
        for example in ("example", "example, workers"):
            if example in rates and how.partition(",")[0] == next(iter(rates)).partition(", ")[2]:
                yield f"{what}: times the {example}", "3", f"**{rate / rates[example]:.1f}**"
    if "not_run" in found.get("example", {}):
        yield "transformers' example", "", "not run: " + found["example"]["not_run"].split("\n")[-1]


def _apart(of: Mapping[str, Any]) -> str:
    if not of["differ"]:
        return "equal bit for bit"
    relative = f"{of['relative']:.1e} of the norm"
    return f"{of['differ']} of {of['tensors']} tensors differ, at most by {of['largest']:.1e}; {relative}"


def _resumed(found: Mapping[str, Any]) -> Iterator[Line]:
    for what, kinds in found.items():
        for kind, of in kinds.items():
            named = {"killed_and_resumed": "killed and resumed", "run_again": "run twice"}[kind]
            goal = "equal" if what == "deterministic" else ""
            losses = "the same losses" if of["losses"][0] == of["losses"][1] else "other losses"
            yield f"{what}, {named}: model", goal, f"{_apart(of['model'])}; {losses}"
            yield f"{what}, {named}: optimizer", goal, _apart(of["optimizer"])


def _predictions(found: Mapping[str, Any]) -> Iterator[Line]:
    goals = {"fp32 on gpu against fp32 on cpu": "1e-5", "bf16 on gpu against fp32 on cpu": "2e-3"}
    for what, of in found.items():
        if "largest" in of:
            classes = f"{of['other_class']} images of another class"
            yield f"{what}: largest difference of a probability", goals.get(what, ""), f"{of['largest']:.1e}; {classes}"


def _methods(found: Mapping[str, Any]) -> Iterator[Line]:
    for what, of in found.items():
        yield f"{what}: seconds of the training", "", f"{of['record_seconds']:.1f}"
        yield f"{what}: images a second", "", f"{of['record_images_per_second']:.0f}"


def _page(found: Mapping[str, Any]) -> Iterator[Line]:
    for where in ("gpu", "cpu"):
        if where in found:
            of = found[where]
            yield f"answer on {of['device']}, s (the first)", "", f"{of['answer_s']:.2f} ({of['first_answer_s']:.2f})"
    if "difference" in found:
        of = found["difference"]
        yield "largest difference of a probability", "1e-5", f"{of['largest']:.1e}"
        yield "largest difference of the overlay, of 255", "", f"{of['overlay_levels']}"


def _compiling(found: Mapping[str, Any]) -> Iterator[Line]:
    eager = found.get("eager", {})
    for start in ("cold", "warm"):
        of = found.get(f"compiled, {start}")
        if not of:
            continue
        yield (
            f"first step, s, eager / compiled ({start} cache)",
            "",
            f"{eager['first_step_s']:.1f} / {of['first_step_s']:.1f}",
        )
        if of.get("images_per_second") and eager.get("images_per_second"):
            gain, slower = (
                of["images_per_second"] / eager["images_per_second"],
                of["first_step_s"] - eager["first_step_s"],
            )
            yield f"gain ({start} cache)", "", f"**{gain:.2f}**"
            if gain > 1:
                images = slower / (1 / eager["images_per_second"] - 1 / of["images_per_second"])
                yield f"pays from so many images on ({start} cache)", "", f"{max(images, 0):.0f}"


def _sharded(found: Mapping[str, Any]) -> Iterator[Line]:
    for what, of in found.items():
        yield f"FSDP 2 with one process: {what}", "equal" if what.startswith("killed") else "", _apart(of)


def _waiting(found: Mapping[str, Any]) -> Iterator[Line]:
    for what, of in found.items():
        profile = of.get("profile", {})
        if "idle" in profile:
            goal = "5 %" if what == "as it is" else ""
            yield f"{what}: share of time the GPU waits for a batch", goal, f"**{profile['idle_while_fetching']:.1%}**"
            yield f"{what}: share of time the GPU does nothing", "", f"{profile['idle']:.1%}"
        elif profile:
            yield f"{what}: share of time the host fetches batches", "", f"{profile['fetching']:.1%}"
        if of.get("images_per_second"):
            yield f"{what}: images a second", "", f"{of['images_per_second']:.0f}"


def _tests(found: Mapping[str, Any]) -> Iterator[Line]:
    if lines := found.get("last lines"):
        yield "the tests marked gpu", "", str(lines[-1]).strip("= ")


if __name__ == "__main__":
    print(table(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
