"""The command line: verbs only. Each leaves the work to a stage, or to another room, and prints the outcome."""

from __future__ import annotations

import json
import os
import sys
import traceback
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

from sdovis import errors, printing, stages
from sdovis import study as studies
from sdovis.errors import BadInput, Problem, SdovisError
from sdovis.printing import say
from sdovis.version import __version__

app = typer.Typer(
    help="From a spreadsheet of solar active regions and SDO images to a published, citable, live classifier.\n\n"
    "Begin with [bold]sdovis init WORKBOOK[/bold], which drafts a study file. Then [bold]sdovis check study.toml[/bold] "
    "finds mistakes, and [bold]sdovis run study.toml[/bold] does everything up to the release. Results go to the run "
    "folder, runs/NAME, where NAME is study.name in the study file.\n\n"
    "Progress and errors go to stderr, results to stdout. Exit codes: 0 success, 1 internal error, 2 bad input, "
    "3 network or Hub failure, 4 conflict (something is in the way and was not overwritten, or the disk is full), "
    "130 interrupted.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
)

StudyFile = Annotated[Path, typer.Argument(metavar="STUDY.toml", help="Study file.", show_default=False)]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="SECTION.KEY=VALUE",
        help="Override one entry of the study, as in --set study.seed=1; may be repeated.",
    ),
]


def main() -> None:
    """Run the command line and exit with a documented code."""
    sys.exit(run_command(sys.argv[1:]))


def run_command(arguments: list[str]) -> int:
    """Run one command and return its exit code (see `sdovis.errors`). Errors go to stderr, one line each."""
    try:
        app(args=arguments, prog_name="sdovis")
    except (
        SystemExit
    ) as ended:  # typer ends a command this way, with codes of its own for --help, usage errors and Ctrl-C
        code = ended.code if isinstance(ended.code, int) else errors.EXIT_BAD_INPUT
        if code == errors.EXIT_INTERRUPTED:
            print("interrupted; run the same command again to continue", file=sys.stderr)
        return code
    except SdovisError as error:
        printing.problems(error)
        return error.exit_code
    except BrokenPipeError:
        # Whatever was reading our output has gone (`| head`): not our error, and nobody is left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:
        if isinstance(error, OSError) and (failure := errors.DiskFailure.of(error)):
            printing.problems(failure)
            return failure.exit_code
        traceback.print_exc()
        print(f"sdovis {__version__}: internal error; please report the lines above", file=sys.stderr)
        return errors.EXIT_INTERNAL
    return errors.EXIT_OK


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """The options of sdovis itself."""


@app.command()
def init(
    workbook: Annotated[Path, typer.Argument(help="Workbook to start from, .xlsx or .csv.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="Study file to write; must not exist.")] = Path(
        "study.toml"
    ),
) -> None:
    """Draft a commented study file for a workbook. Columns, classes and images are guessed: review them."""
    from sdovis.corpus.init import init as write

    write(workbook, output)
    typer.echo(f"wrote {output}; review it, then run: sdovis check {output}")


@app.command()
def check(
    study_file: StudyFile,
    sets: Sets = None,
    upgrade: Annotated[
        bool, typer.Option("--upgrade", help="Instead of checking, rewrite an older study file in the newest format.")
    ] = False,
) -> None:
    """Find every mistake in the study, workbook, images and split, without writing anything.

    Prints how many rows are accepted and why the others are rejected. With --upgrade, comments are kept.
    """
    if upgrade:
        from sdovis.study.upgrade import upgrade as rewrite

        if sets:
            raise BadInput(Problem("--upgrade rewrites the file and takes no overrides", "leave out --set"))
        changes = rewrite(study_file)
        for line in changes:
            typer.echo(f"{study_file}: {line}")
        if not changes:
            typer.echo(f"{study_file}: already in the newest format; nothing was changed")
        return
    from sdovis.corpus.units import lacking, said_of_missing

    study = studies.load(study_file, sets or ())
    found = stages.check(study)
    for notice in found.notices:
        say(f"note: {notice}")
    typer.echo(f"{study.name}: {len(found.rows)} rows accepted, {len(found.rejects)} rejected")
    for reason, count in found.rejects["reason"].value_counts().head(10).items():
        typer.echo(f"  {count:6d}  {reason}")
    if warning := said_of_missing(int(lacking(found.rows, found.scheme).sum()), len(found.rows)):
        typer.echo(f"  {warning}")


@app.command()
def schema() -> None:
    """Print the JSON schema of the study file, for editors that validate and complete as you type."""
    typer.echo(json.dumps(studies.json_schema(), indent=1, default=str))


@app.command()
def simulate(
    directory: Annotated[Path, typer.Argument(help="Folder to write to; must not already hold a simulation.")],
    regions: Annotated[int, typer.Option(min=12, help="Number of active regions, each observed several times.")] = 620,
    seed: Annotated[int, typer.Option(min=0, help="Random seed; the same seed gives the same bytes.")] = 0,
    full_disc: Annotated[
        bool,
        typer.Option("--full-disc", help="Simulate full discs instead: radial field, line-of-sight field, continuum."),
    ] = False,
    discs: Annotated[int, typer.Option(min=1, help="With --full-disc: number of discs, one every two days.")] = 120,
    size_px: Annotated[
        int, typer.Option("--size", min=256, max=4096, help="With --full-disc: pixels per side (HMI has 4096).")
    ] = 1024,
) -> None:
    """Write simulated, labelled HMI-like magnetograms as FITS files, and the workbook that goes with them."""
    if full_disc:
        from sdovis.simulation.days import simulate_discs

        workbook = simulate_discs(directory, discs=discs, seed=seed, size_px=size_px)
    else:
        from sdovis.simulation.passages import simulate as write

        workbook = write(directory, regions=regions, seed=seed)
    typer.echo(f"wrote {workbook} and {directory / 'images'}")


@app.command()
def prepare(
    study_file: StudyFile,
    sets: Sets = None,
    xlsx: Annotated[
        Path | None,
        typer.Option("--xlsx", metavar="FILE", help="Also write the corpus rows to a new workbook (.xlsx)."),
    ] = None,
) -> None:
    """Join rows and images, split them, and write the corpus. If interrupted, run it again to continue."""
    from sdovis.corpus.units import said_of_missing

    study = studies.load(study_file, sets or ())
    with stages.opened(study) as folders:
        corpus = stages.prepare(study, folders, say)
    if xlsx is not None:
        from sdovis.corpus.export import export

        export(corpus, study, xlsx)
        typer.echo(f"wrote {xlsx}")
    counts = ", ".join(f"{name} {n}" for name, n in corpus.rows["split"].value_counts(sort=False).items())
    typer.echo(f"{folders.corpus}: {counts}; {corpus.facts.rejects} rejected (rejects.csv)")
    if warning := said_of_missing(corpus.facts.rows_without_region, corpus.facts.rows):
        typer.echo(warning)


@app.command()
def audit(
    dataset: Annotated[str, typer.Argument(help="Dataset folder, Parquet file or Hub id.", show_default=False)],
    group: Annotated[
        str,
        typer.Option("--group", metavar="COLUMN", help="Column of the independent unit, such as the active region."),
    ],
    label: Annotated[
        str, typer.Option("--label", metavar="COLUMN", help="Column of the class.", show_default=False)
    ] = "",
    time: Annotated[
        str, typer.Option("--time", metavar="COLUMN", help="Column of the time of observation.", show_default=False)
    ] = "",
    image: Annotated[
        str,
        typer.Option("--image", metavar="COLUMN", help="Column of the image; by default guessed.", show_default=False),
    ] = "",
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Also write the findings to FILE.")
    ] = None,
) -> None:
    """Audit a split made elsewhere: what leaks between parts, and which shortcuts reveal the class.

    Exit code 2 if anything leaks. Give --label and --time too: without them there is less to check.
    """
    from sdovis.corpus.audit_foreign import DatasetColumns, audit_foreign

    found = audit_foreign(dataset, DatasetColumns(group, label, time, image))
    if json_file is not None:
        found.save(json_file)
    printing.audit(found)
    if found.leaks:
        raise BadInput(found.leaks)
    typer.echo(f"{dataset}: clean")


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
    with clock.part("imports"):  # of transformers, for the names of its arguments
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


@app.command()
def describe(
    study_file: StudyFile,
    sets: Sets = None,
    others: Annotated[
        list[Path] | None,
        typer.Option("--with", metavar="RUN", help="Another run folder to compare timings with; may be repeated."),
    ] = None,
) -> None:
    """Describe the corpus in JSON, a workbook and figures: counts, distributions, rank tests by region, timings."""
    study = studies.load(study_file, sets or ())
    with stages.opened(study) as folders:
        stages.describe(study, folders, say, others or ())
    typer.echo(f"{folders.summary}: summary.xlsx, summary.json, figures/")


@app.command()
def card(
    study_file: StudyFile,
    sets: Sets = None,
    write_templates: Annotated[
        Path | None,
        typer.Option(
            "--write-templates",
            metavar="FOLDER",
            help="Only write the built-in templates to FOLDER, to edit; then set publish.templates to it in the study.",
        ),
    ] = None,
) -> None:
    """Write both cards and the release folder from what the stages saved. Sections written by hand are kept."""
    study = studies.load(study_file, sets or ())
    if write_templates is not None:
        from sdovis.cards import templates

        for file in templates.write(write_templates):
            typer.echo(f"wrote {file}")
        return
    with stages.opened(study) as folders:
        stages.release(study, folders, say)
    typer.echo(f"{folders.cards}/model/README.md, {folders.cards}/dataset/README.md, {folders.release}/")


@app.command()
def report(study_file: StudyFile, sets: Sets = None) -> None:
    """Write the whole run on one page, report.html, which holds its pictures and can be sent as it is; and report.json.

    It says what the cards say, and how to make the run again. A comparison is part of it if it was written to the run's
    folder: sdovis compare RUN OTHER --output RUN/comparison.
    """
    study = studies.load(study_file, sets or ())
    with stages.opened(study) as folders:
        stages.report(study, folders, say)
    typer.echo(f"{folders.report}: report.html, report.json")


@app.command()
def verify(run: Annotated[Path, typer.Argument(help="Run folder, runs/NAME.", show_default=False)]) -> None:
    """Recompute every number on the cards and the report from the saved predictions and the corpus, and the release's bill
    of materials.

    Exit code 2 if anything differs.
    """
    from sdovis.cards import verify as cards
    from sdovis.release import sbom
    from sdovis.report import verify as reports

    again = cards.again(run)
    if mismatches := [*cards.verify(run, again), *reports.verify(run, again), *sbom.verify(run)]:
        raise BadInput(mismatch.problem for mismatch in mismatches)
    typer.echo(f"{run}: every number on the cards was recomputed and agrees")


@app.command()
def publish(
    run: Annotated[Path, typer.Argument(help="Run folder, runs/NAME, with its release.", show_default=False)],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be sent, but send nothing.")] = False,
    public: Annotated[
        bool, typer.Option("--public", help="Make the repositories public; otherwise they are private.")
    ] = False,
    accept: Annotated[
        list[str] | None,
        typer.Option(metavar="COMMIT", help="Build on this commit by someone else; may be repeated."),
    ] = None,
    to: Annotated[
        str,
        typer.Option(metavar="TARGET[:PLACE]", help="hub, folder:PATH, or one from a plug-in (see sdovis plugins)."),
    ] = "hub",
) -> None:
    """Send the release to the Hub or another target: dataset, then model, then Space. What is already there is skipped.

    On the Hub each repository gets one commit; all are prepared and tagged before the first is shown. A tag is never
    moved: other words under the same data are another release, r-HASH.2. HF_ENDPOINT, or --to hub:ADDRESS, names another
    Hub; the token comes from HF_TOKEN or `hf auth login`. With --to folder:PATH all three repositories go to
    PATH/STUDY/PIN at once.
    """
    from sdovis.release.request import Request, addressed
    from sdovis.release.targets import target

    name, place = addressed(to)
    asked = Request(run / "release", place, public=public, dry_run=dry_run, accept=tuple(accept or ()), say=say)
    for line in target(name)(asked):
        typer.echo(line)


@app.command()
def serve(
    model: Annotated[str, typer.Argument(help="Run folder, model folder or Hub id.", show_default=False)],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option(help="Port to listen on; by default the first free one from 7860.")
    ] = None,
) -> None:
    """Serve the Space's page for a model on this machine. Stop it with Ctrl-C."""
    from sdovis.webapp import launch

    launch(model, host, port)


@app.command()
def run(study_file: StudyFile, sets: Sets = None) -> None:
    """Run prepare, train, evaluate, explain, describe, card and report, in this order. Finished stages are not run again."""
    study = studies.load(study_file, sets or ())
    with stages.opened(study) as folders:
        scores, _ = stages.run(study, folders, say)
    printing.scores(scores.facts)
    printing.familiarity(scores.familiarity)
    printing.ending(folders)


@app.command()
def predict(
    model: Annotated[str, typer.Argument(help="Run folder, model folder or Hub id.", show_default=False)],
    images: Annotated[
        list[str],
        typer.Argument(
            help="FITS, JPEG2000, TIFF, PNG or JPEG files. For a model of three channels: one file per channel, joined by "
            "commas in any order (BR.fits,LOS.fits,IC.fits), or a PNG from its dataset.",
            show_default=False,
        ),
    ],
    at: Annotated[
        str | None,
        typer.Option(
            metavar="POSITION",
            help="Where the region is in full-disc images: S21W42, or --at=-21.5,42 (latitude, longitude in degrees, north "
            "and west positive). It applies to every image, while the Sun turns by 13 degrees a day.",
        ),
    ] = None,
    regions: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="For models that mask neighbours: NOAA's region summary of the day (SRS text), a folder of them or a year "
            "archive (.tar.gz). What belongs to the disc's other regions is then shown as quiet Sun, as in training.",
        ),
    ] = None,
) -> None:
    """Classify images with a trained model. Prints one line per image: its name, then each class with its probability.

    Fields are separated by tabs, and the most probable class comes first. For an image that is unlike anything the model
    was trained on, a last field says so: its answer must not be used.
    """
    from sdovis.channels.place import Position
    from sdovis.sun.archives import read_archive

    position = None if at is None else Position.parse(at)
    if regions is not None and position is None:
        raise BadInput(
            Problem("--regions names the neighbours of a region, but not which one is asked for", "add --at")
        )
    if regions is not None and not regions.exists():
        raise BadInput(Problem("there is no such file of region summaries", file=str(regions)))
    listed = None if regions is None else read_archive(regions)
    named = {image: [image] if Path(image).is_file() else image.split(",") for image in images}
    missing = [path for paths in named.values() for path in paths if not Path(path).is_file()]
    if missing:
        raise BadInput(Problem("there is no such image file", file=path) for path in missing)
    from tqdm import tqdm

    from sdovis.inference import Unfamiliar, gathered, opened

    classify: Any = opened(model)
    if position and position.longitude_deg and (caution := classify.view.near_limb(position.longitude_deg)):
        say(f"{at} lies {caution}")
    for image, paths in tqdm(named.items(), "predict", leave=False, disable=len(images) < 10):
        # The pipeline would stop at five classes.
        found = gathered(paths, classify.view, position, listed)
        for note in found.notes:
            say(f"{image}: {note}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Unfamiliar)  # the line says it
            answer = classify(found, top_k=classify.model.config.num_labels)
        fields = [image, *(f"{entry['label']} {entry['score']:.4f}" for entry in answer)]
        typer.echo("\t".join([*fields, answer.caution] if answer.caution else fields))


@app.command()
def plugins() -> None:
    """List all registered plug-ins, from readers to publish targets, and the package that provides each."""
    printing.plugins()
