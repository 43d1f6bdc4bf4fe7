"""Verbs of the model: train, score, explain, compare."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from sdovis import allocation, printing, stages
from sdovis import study as studies
from sdovis.cli.program import Sets, StudyFile, app
from sdovis.errors import BadInput, Problem
from sdovis.printing import say


@app.command()
def train(
    study_file: StudyFile,
    sets: Sets = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Discard any earlier training of this study and start over.")
    ] = False,
    seeds: Annotated[
        int | None,
        typer.Option("--seeds", min=1, metavar="N", help="Train from N seeds and keep the best; sets method.seeds."),
    ] = None,
    profile: Annotated[bool, typer.Option("--profile", help="Print where the time went, as a table.")] = False,
) -> None:
    """Fine-tune the backbone on the corpus. If interrupted, run it again to continue.

    For several processes: accelerate launch -m sdovis train STUDY.toml
    """
    from sdovis.learning.clock import Clock, seconds_of_this_process

    clock = Clock({"start": seconds_of_this_process()} if profile else None)
    with allocation.uncollected():
        with clock.part("imports"):
            study = studies.load(study_file, [*(sets or ()), *([f"method.seeds={seeds}"] if seeds else [])])
        if not printing.is_main_process():
            stages.train(study, stages.Folders(study.run_dir), say, restart=restart)
            return
        with stages.opened(study) as folders:
            record = stages.train(study, folders, say, restart=restart, clock=clock)
    if record.seeds:
        printing.seeds(record)
    if profile:
        printing.profile(clock)
    typer.echo(f"{folders.model}: pipeline('image-classification', model='{folders.model}') opens it")


@app.command()
def search(
    study_file: StudyFile,
    sets: Sets = None,
    trials: Annotated[int, typer.Option(min=1, help="Trials in all, including those of earlier calls.")] = 20,
    restart: Annotated[bool, typer.Option("--restart", help="Discard earlier trials and start over.")] = False,
) -> None:
    r"""Try settings from \[search] in the study and rank them by validation score. If interrupted, run it again."""
    study = studies.load(study_file, sets or ())
    stages.refuse_launchers("search")
    with stages.opened(study) as folders:
        found = stages.search(study, folders, say, trials=trials, restart=restart)
    printing.search(found)
    typer.echo(f"{folders.search}/best.toml: the study with these settings; pass it to sdovis train")


@app.command()
def evaluate(
    study_file: StudyFile,
    sets: Sets = None,
    on: Annotated[
        list[Path] | None,
        typer.Option(
            "--on",
            metavar="OTHER.toml",
            help="Also score the model on the source of another study; may be repeated. Results go to runs/NAME/on/OTHER.",
        ),
    ] = None,
    prevalence: Annotated[
        str | None,
        typer.Option(
            "--prevalence",
            metavar="CLASS=SHARE,...",
            help="Also score where classes have these shares, as in flare=0.05 (a class left out gets the rest), or "
            "'estimated' from the probabilities; sets evaluation.prevalence, which the cards need too.",
        ),
    ] = None,
) -> None:
    r"""Score the model and its baselines on the test part, with confidence intervals by active region.

    With --on, also on other data: other years, another pipeline, another observer. OTHER.toml needs only \[study],
    \[source], \[images] and \[labels]; its rows are not divided. Rows whose region or image was used in training are left
    out and counted.
    """
    shares = [] if prevalence is None else [f"evaluation.prevalence={_table_of(prevalence)}"]
    study = studies.load(study_file, [*(sets or ()), *shares])
    others = [studies.load(file, like=study) for file in on or ()]
    with stages.opened(study) as folders:
        scores = stages.evaluate(study, folders, say)
        elsewhere = [stages.evaluate_on(study, folders, other, say) for other in others]
    printing.scores(scores.facts)
    printing.familiarity(scores.familiarity)
    for found in elsewhere:
        printing.elsewhere(found)


def _table_of(shares: str) -> str:
    """``a=0.1,b=0.9`` as the study file has it. Raises `BadInput` for anything else but ``estimated``."""
    if shares == "estimated":
        return shares
    pairs = [entry.rpartition("=") for entry in shares.split(",")]
    if not all(name.strip() and mark and share.strip() for name, mark, share in pairs):
        raise BadInput(
            Problem(
                f"--prevalence: {shares!r} is neither a list of shares nor 'estimated'", "write flare=0.05,quiet=0.95"
            )
        )
    if len({name.strip() for name, _, _ in pairs}) < len(pairs):
        raise BadInput(Problem(f"--prevalence: {shares!r} names a class twice", "give each class once"))
    return f"{{ {', '.join(f'{json.dumps(name.strip())} = {share.strip()}' for name, _, share in pairs)} }}"


@app.command()
def explain(study_file: StudyFile, sets: Sets = None) -> None:
    """Test maps of where the network looked, and list its most confident mistakes with the training images nearest to them.

    Maps are tested on up to 24 regions of the validation part, which chooses among them, and of the test part. The page
    shows the kind of map that was chosen, or none if none is better than maps drawn at random.
    """
    study = studies.load(study_file, sets or ())
    with stages.opened(study) as folders:
        found = stages.explain(study, folders, say)
    printing.explanation(found)


@app.command()
def compare(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN RUN ...", help="Run folders, runs/NAME.", show_default=False)
    ],
    on: Annotated[
        str, typer.Option("--on", metavar="NAME", help="Compare on this other source instead of the test part.")
    ] = "",
    metric: Annotated[str, typer.Option(help="Score to compare, a single number.")] = "balanced-accuracy",
    shared: Annotated[
        bool, typer.Option("--shared", help="Compare on the images that all runs have, if their images differ.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FOLDER", help="Also write JSON, figure and sentences to FOLDER."),
    ] = None,
) -> None:
    """Compare finished runs on the same images: which is better, and is it more than chance?

    Differences are paired and their intervals are by active region; p-values come from a permutation test that swaps
    whole regions, adjusted by Holm's method if there are more than two runs.
    """
    from sdovis.evaluation import comparison

    found = comparison.compare(runs, on=on, metric=metric, shared=shared)
    printing.comparison(found)
    if output is not None:
        found.save(output)
        typer.echo(f"wrote {output}: {comparison.FILE}, comparison.png, comparison.txt")
