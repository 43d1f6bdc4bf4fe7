"""The proof on a GPU: one command for a machine that has one, however bare it is and however short the time.

    benchmarks/gpu_pack.sh                                  here, beforehand: makes build/gpu, the bundle that travels
    python benchmarks/gpu.py --out FOLDER                   there, in the checkout, with build/gpu beside it
    python benchmarks/gpu.py --out FOLDER --rehearse        anywhere: every part, small, on a CPU

Needed there: Python 3.12, torch for CUDA, accelerate, and what else `gpu_machine.txt` names; what sdovis needs beyond that
is in the bundle, and is installed beside it without touching it. Parts run in order of worth, each in processes of its
own; when the time is used up, what is left is skipped. FOLDER/gpu.json is written anew whenever a part has found
something, so that what ran stays whatever happens; FOLDER/gpu.md is the same as a table.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent
#: On a machine that is lent for fifteen, so that something may be mended and measured again.
MINUTES = 8.0
#: Kept for the table and for the way back.
RESERVE_S = 5.0
#: How often a part's findings are looked at.
EVERY_S = 0.5


def run_parts(
    parts: Mapping[str, Any],
    command: Callable[[str], Sequence[str]],
    work: Path,
    *,
    seconds: float,
    say: Callable[[str], None],
    changed: Callable[[dict[str, Any]], None],
) -> dict[str, Any]:
    """Run the parts one after another, as long as the time lasts; what became of each, with what it found.

    ``command`` makes a part's name into a process, which keeps WORK/parts/NAME.json. ``changed`` is told whenever there
    is something new. A part that fails, or is stopped, takes nothing from the others.
    """
    end = time.monotonic() + seconds
    results: dict[str, Any] = {}
    for name, part in parts.items():
        left = end - time.monotonic()
        if left < part.least_s:
            why = f"{max(left, 0):.0f} s were left, and it is not begun with less than {part.least_s:.0f}"
            results[name] = {"title": part.title, "state": "skipped", "why": why, "found": {}}
            say(f"{name}: skipped: {why}")
        else:
            say(f"{name}: {part.title}{f' ({left:.0f} s left)' if math.isfinite(left) else ''}")
            results[name] = {"title": part.title, "state": "running", "found": {}}
            results[name] |= _run_part(name, command(name), work, min(part.most_s, left), results, changed)
            say(f"{name}: {results[name]['state']} after {results[name]['seconds']:.0f} s")
        changed(results)
        _write(work / "parts" / f"{name}.json", results[name])
    return results


def _run_part(
    name: str,
    command: Sequence[str],
    work: Path,
    limit: float,
    results: dict[str, Any],
    changed: Callable[[dict[str, Any]], None],
) -> dict[str, Any]:
    begun, log, file = time.monotonic(), work / f"{name}.txt", work / "parts" / f"{name}.json"
    file.unlink(missing_ok=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as printed:
        # A session of its own: everything that it has started ends with it.
        process = subprocess.Popen(command, stdout=printed, stderr=subprocess.STDOUT, start_new_session=True)
        stopped = False
        try:
            while process.poll() is None:
                stopped = time.monotonic() - begun > limit
                if stopped:
                    break
                time.sleep(min(EVERY_S, limit))
                if (found := _found(file)) != results[name]["found"]:
                    results[name]["found"] = found
                    changed(results)
        finally:
            _end(process)
    outcome = {"seconds": round(time.monotonic() - begun, 1), "found": _found(file)}
    if stopped:
        return outcome | {"state": "stopped", "why": f"it took longer than {limit:.0f} s"}
    if process.returncode:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        return outcome | {"state": "failed", "why": "\n".join(lines[-30:])}
    return outcome | {"state": "finished"}


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _found(file: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(file.read_text(encoding="utf-8"))["found"])
    except FileNotFoundError:
        return {}


def _write(file: Path, data: object) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name(f".{file.name}.part")
    beside.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    beside.replace(file)


def install(bundle: Path, site: Path) -> None:
    """Put the bundle's wheels into ``site``, before everything that is installed, and the checkout's code before those.

    SystemExit where the bundle was packed from a checkout that registers other plug-ins.
    """
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--no-compile", "--no-cache-dir"]
    shutil.rmtree(site, ignore_errors=True)
    subprocess.run([*pip, "--target", str(site), *map(str, sorted((bundle / "wheels").glob("*.whl")))], check=True)
    (sdovis,) = importlib.metadata.distributions(name="sdovis", path=[str(site)])
    there = {
        (point.group, point.name, point.value) for point in sdovis.entry_points if point.group != "console_scripts"
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = project["entry-points"].items()
    if there != {(group, name, value) for group, points in groups for name, value in points.items()}:
        raise SystemExit("the bundle was packed from other code: run benchmarks/gpu_pack.sh again")
    places = [str(ROOT / "toolkit"), str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(places)


def is_installed() -> bool:
    """Whether sdovis is installed in this interpreter, as in a developer's environment."""
    return bool(list(importlib.metadata.distributions(name="sdovis")))


#: Asked of a process of its own, which sees what the parts will see.
MACHINE = """
import json, platform, sys
from importlib.metadata import PackageNotFoundError, requires, version
import torch
from packaging.requirements import Requirement
unmet = []
for text in requires("sdovis"):
    need = Requirement(text)
    if need.marker is None or need.marker.evaluate({"extra": ""}):
        try:
            if not need.specifier.contains(version(need.name), prereleases=True):
                unmet.append(f"{need.name} {version(need.name)}, and {need.specifier} is asked for")
        except PackageNotFoundError:
            unmet.append(f"{need.name} is not there")
names = "torch transformers accelerate huggingface_hub datasets numpy pandas pyarrow pillow peft".split()
found = {name: version(name) for name in names}
gpu = torch.cuda.is_available()
print(json.dumps({
    "device": torch.cuda.get_device_name() if gpu else "no GPU",
    "memory_mib": torch.cuda.get_device_properties(0).total_memory / 2**20 if gpu else None,
    "cuda": torch.version.cuda, "python": platform.python_version(), "versions": found, "unmet": unmet,
}))
"""


def machine() -> dict[str, Any]:
    """The card and the versions, and what of sdovis' requirements is not met."""
    done = subprocess.run([sys.executable, "-c", MACHINE], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main(arguments: Sequence[str] | None = None) -> int:
    from gpu_parts import PARTS
    from gpu_table import table

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="gets gpu.json, gpu.md and, of what failed, why")
    parser.add_argument("--bundle", type=Path, default=ROOT / "build" / "gpu", help="what gpu_pack.sh made")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "gpu-work", help="emptied at the start")
    parser.add_argument("--only", help="these parts, such as a,b")
    parser.add_argument("--minutes", type=float, help="for everything together: 8, and for a rehearsal any number")
    parser.add_argument("--rehearse", action="store_true", help="small, on a CPU")
    parser.add_argument("--torchvision", type=Path, help="a folder that only the example imports from: see train.py")
    given = parser.parse_args(arguments)
    begun = time.monotonic()
    chosen = given.only.split(",") if given.only else list(PARTS)
    if unknown := [name for name in chosen if name not in PARTS]:
        parser.error(f"there is no part {unknown[0]}; there are {', '.join(PARTS)}")
    if not (given.bundle / "bundle.json").is_file():
        parser.error(f"{given.bundle} is no bundle: run benchmarks/gpu_pack.sh")
    shutil.rmtree(given.work, ignore_errors=True)
    given.work.mkdir(parents=True)
    given.out.mkdir(parents=True, exist_ok=True)

    def say(line: str) -> None:
        print(f"{time.monotonic() - begun:6.0f} s  {line}", flush=True)

    if not is_installed():
        install(given.bundle, given.work / "site")
        say("installed")
    if given.torchvision:
        os.environ["GPU_TORCHVISION"] = str(given.torchvision.resolve())
    if given.rehearse:
        os.environ |= {"CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": _rehearsed_path(given.bundle)}
    facts = machine()
    say(f"{facts['device']}, {facts['versions']}")
    for line in facts["unmet"]:
        say(f"not met: {line}")
    if facts["memory_mib"] is None and not given.rehearse:
        raise SystemExit("torch sees no GPU here; --rehearse runs everything on a CPU")
    report: dict[str, Any] = {"machine": facts, "rehearsal": given.rehearse, "bundle": _packed(given.bundle)}

    def changed(results: dict[str, Any]) -> None:
        _write(given.out / "gpu.json", report | {"seconds": round(time.monotonic() - begun, 1), "parts": results})

    def command(name: str) -> list[str]:
        where = ["--bundle", str(given.bundle), "--work", str(given.work), *(["--rehearse"] if given.rehearse else [])]
        return [sys.executable, str(HERE / "gpu_parts.py"), name, *where]

    parts = {name: part for name, part in PARTS.items() if name in chosen}
    if given.rehearse:  # it is to find what is wrong, however busy the machine is
        parts = {name: replace(part, least_s=0, most_s=math.inf) for name, part in parts.items()}
    minutes = given.minutes or (math.inf if given.rehearse else MINUTES)
    left = minutes * 60 - (time.monotonic() - begun) - RESERVE_S
    results = run_parts(parts, command, given.work, seconds=left, say=say, changed=changed)
    told = table(json.loads((given.out / "gpu.json").read_text(encoding="utf-8")))
    (given.out / "gpu.md").write_text(told + "\n", encoding="utf-8")
    for name, result in results.items():
        if result["state"] == "failed":
            say(f"{name} failed:\n{result['why']}")
    print(told)
    say("done: " + ", ".join(f"{name} {result['state']}" for name, result in results.items()))
    return 0 if all(result["state"] == "finished" for result in results.values()) else 1


def _packed(bundle: Path) -> dict[str, Any]:
    return dict(json.loads((bundle / "bundle.json").read_text(encoding="utf-8")))


def _rehearsed_path(bundle: Path) -> str:
    """A PYTHONPATH on which nothing can be imported that the bare machine and the bundle do not have."""
    from gpu_wheels import absent

    os.environ["GPU_ABSENT"] = ",".join(absent())
    return os.pathsep.join([str(HERE / "gpu_bare"), *filter(None, [os.environ.get("PYTHONPATH")])])


if __name__ == "__main__":
    sys.exit(main())
