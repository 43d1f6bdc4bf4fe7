"""The command line: verbs only. Each asks a stage, or another room, for the work, and prints how it ended."""

from __future__ import annotations

import os
import sys
import traceback
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
    "Begin with [bold]sdovis init WORKBOOK[/bold], which writes a commented study file, then "
    "[bold]sdovis run study.toml[/bold].\n\n"
    "Exit codes: 0 ok, 1 internal error, 2 bad input, 3 network or Hub, 4 conflict or refused overwrite, 130 interrupted.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
)

StudyFile = Annotated[Path, typer.Argument(metavar="STUDY.toml", help="The study file.", show_default=False)]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Override one entry of the study; may be repeated."),
]


def main() -> None:
    """Run the command line and exit with a documented code."""
    sys.exit(run_command(sys.argv[1:]))


def run_command(arguments: list[str]) -> int:
    """Run one command; its exit code (see `sdovis.errors`). Errors are printed to stderr, a line each."""
    try:
        app(args=arguments, prog_name="sdovis")
    except SystemExit as ended:  # how typer ends a command: with a code of its own for --help, usage errors, Ctrl-C
        code = ended.code if isinstance(ended.code, int) else errors.EXIT_BAD_INPUT
        if code == errors.EXIT_INTERRUPTED:
            print("interrupted; the same command goes on where this one stopped", file=sys.stderr)
        return code
    except SdovisError as error:
        printing.problems(error)
        return error.exit_code
    except BrokenPipeError:
        # The reader of our output went away (`| head`): not an error of ours, and nobody is left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception:
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
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """The options of sdovis itself."""


@app.command()
def init(
    workbook: Annotated[Path, typer.Argument(help="The .xlsx or .csv file to start from.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write the study file.")] = Path("study.toml"),
) -> None:
    """Write a commented study file from the workbook it is pointed at: columns, classes and images are guessed."""
    from sdovis.corpus.init import init as write

    write(workbook, output)
    typer.echo(f"wrote {output}; look through it, then: sdovis check {output}")


@app.command()
def check(
    study_file: StudyFile,
    sets: Sets = None,
    upgrade: Annotated[
        bool, typer.Option("--upgrade", help="Instead, rewrite a study file of an older format; comments are kept.")
    ] = False,
) -> None:
    """Find every mistake in study, workbook, images and split, without writing anything."""
    if upgrade:
        from sdovis.study.upgrade import upgrade as rewrite

        if sets:
            raise BadInput(Problem("--upgrade rewrites what stands in the file", "leave --set out"))
        changes = rewrite(study_file)
        for line in changes:
            typer.echo(f"{study_file}: {line}")
        if not changes:
            typer.echo(f"{study_file}: is in the newest format; nothing was changed")
        return
    study = studies.load(study_file, sets or ())
    from sdovis.cards import templates
    from sdovis.corpus import build

    templates.load(study.publish.templates)
    found = build.check(study)
    typer.echo(f"{study.name}: {len(found.rows)} rows fit, {len(found.rejects)} are rejected")
    for reason, count in found.rejects["reason"].value_counts().head(10).items():
        typer.echo(f"  {count:6d}  {reason}")


@app.command()
def schema() -> None:
    """Print the JSON schema of the study file, for editors."""
    import json

    typer.echo(json.dumps(studies.json_schema(), indent=1, default=str))


@app.command()
def simulate(
    directory: Annotated[Path, typer.Argument(help="Folder to write; must not hold a simulation already.")],
    regions: Annotated[
        int, typer.Option(min=12, help="Active regions to simulate; each is observed several times.")
    ] = 620,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")] = 0,
    full_disc: Annotated[
        bool, typer.Option("--full-disc", help="Full discs instead: radial field, line-of-sight field and continuum.")
    ] = False,
    discs: Annotated[int, typer.Option(min=1, help="With --full-disc: how many, one every two days.")] = 120,
    size_px: Annotated[
        int, typer.Option("--size", min=256, max=4096, help="With --full-disc: pixels a side; HMI has 4096.")
    ] = 1024,
) -> None:
    """Write labelled HMI-like magnetograms as FITS, and the workbook that goes with them."""
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
        Path | None, typer.Option("--xlsx", metavar="FILE", help="Also write the corpus' rows as a new workbook.")
    ] = None,
) -> None:
    """Join rows and images, split them, and write the corpus. Stopped, the same command goes on where it stopped."""
    study = studies.load(study_file, sets or ())
    with stages.opened(study) as folders:
        corpus = stages.prepare(study, folders, say)
    if xlsx is not None:
        from sdovis.corpus.export import export

        export(corpus, study, xlsx)
        typer.echo(f"wrote {xlsx}")
    counts = ", ".join(f"{name} {n}" for name, n in corpus.rows["split"].value_counts(sort=False).items())
    typer.echo(f"{folders.corpus}: {counts}; {corpus.facts.rejects} rejected (rejects.csv)")


@app.command()
def audit(
    dataset: Annotated[
        str, typer.Argument(help="A dataset's folder, a Parquet file, or a Hub id.", show_default=False)
    ],
    group: Annotated[
        str, typer.Option("--group", metavar="COLUMN", help="The independent unit, such as the active region.")
    ],
    label: Annotated[str, typer.Option("--label", metavar="COLUMN", help="The class.", show_default=False)] = "",
    time: Annotated[
        str, typer.Option("--time", metavar="COLUMN", help="Time of observation.", show_default=False)
    ] = "",
    image: Annotated[
        str, typer.Option("--image", metavar="COLUMN", help="The image; guessed where not named.", show_default=False)
    ] = "",
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write what was found to FILE.")
    ] = None,
) -> None:
    """Audit a split made elsewhere: what leaks from part to part, and what else tells the class. 2 where it leaks."""
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
        bool, typer.Option("--restart", help="Throw an unfinished training away and begin anew.")
    ] = False,
    seeds: Annotated[
        int | None, typer.Option("--seeds", min=1, metavar="N", help="Short for --set method.seeds=N.")
    ] = None,
    profile: Annotated[bool, typer.Option("--profile", help="Print where the time went.")] = False,
) -> None:
    """Fine-tune the backbone on the corpus. Stopped at any moment, the same command goes on where it stopped.

    Several processes: accelerate launch -m sdovis train STUDY.toml
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
    trials: Annotated[int, typer.Option(min=1, help="How many in all, those of earlier calls included.")] = 20,
    restart: Annotated[bool, typer.Option("--restart", help="Throw the trials away and begin anew.")] = False,
) -> None:
    r"""Try settings from the study's \[search] and rank them by validation score. Killed, the same command goes on."""
    study = studies.load(study_file, sets or ())
    stages.refuse_launchers("search")
    with stages.opened(study) as folders:
        found = stages.search(study, folders, say, trials=trials, restart=restart)
    printing.search(found)
    typer.echo(f"{folders.search}/best.toml: the study with these settings, for sdovis train")


@app.command()
def evaluate(study_file: StudyFile, sets: Sets = None) -> None:
    """Score the model on the test part, beside baselines, with intervals by active region."""
    study = studies.load(study_file, sets or ())
    with stages.opened(study) as folders:
        scores = stages.evaluate(study, folders, say)
    printing.scores(scores)


@app.command()
def describe(
    study_file: StudyFile,
    sets: Sets = None,
    others: Annotated[
        list[Path] | None, typer.Option("--with", metavar="RUN", help="Another run folder, to compare timings with.")
    ] = None,
) -> None:
    """Describe the corpus: counts, distributions, rank tests by region, timings; as JSON, workbook and figures."""
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
            help="Only write the built-in templates to FOLDER, for you to edit; publish.templates in the study names it.",
        ),
    ] = None,
) -> None:
    """Write both cards and the release folder from what the stages saved. Sections kept by hand are carried over."""
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
def verify(run: Annotated[Path, typer.Argument(help="A run folder, runs/NAME.", show_default=False)]) -> None:
    """Recompute every number on the cards from the saved predictions and the corpus, and compare."""
    from sdovis.cards.verify import verify as recompute

    if mismatches := recompute(run):
        raise BadInput(mismatch.problem for mismatch in mismatches)
    typer.echo(f"{run}: every number on its cards was recomputed and agrees")


@app.command()
def publish(
    run: Annotated[Path, typer.Argument(help="A run folder, runs/NAME, with its release.", show_default=False)],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be sent, and send nothing.")] = False,
    public: Annotated[
        bool, typer.Option("--public", help="Make the repositories public; they are private else.")
    ] = False,
    accept: Annotated[
        list[str] | None, typer.Option(metavar="COMMIT", help="Build upon this commit of somebody else.")
    ] = None,
    to: Annotated[
        str, typer.Option(metavar="TARGET[:PLACE]", help="hub, folder:PATH, or a plug-in of yours (sdovis plugins).")
    ] = "hub",
) -> None:
    """Send the release to the Hub, or to another target: dataset, then model, then Space; what is there is not sent again.

    On the Hub each gets one commit. HF_ENDPOINT, or --to hub:ADDRESS, names another Hub; the token comes from HF_TOKEN or
    `hf auth login`. With --to folder:PATH it goes to PATH/STUDY/PIN, all three parts at once.
    """
    from sdovis.release.request import Request
    from sdovis.release.targets import target

    name, _, place = to.partition(":")
    asked = Request(run / "release", place, public=public, dry_run=dry_run, accept=tuple(accept or ()), say=say)
    for line in target(name)(asked):
        typer.echo(line)


@app.command()
def serve(
    model: Annotated[str, typer.Argument(help="A run folder, a model folder, or a Hub id.", show_default=False)],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int | None, typer.Option(help="Port; the first free one from 7860.")] = None,
) -> None:
    """Open the Space's page here, for a model of yours."""
    from sdovis.webapp import launch

    launch(model, host, port)


@app.command()
def run(study_file: StudyFile, sets: Sets = None) -> None:
    """All stages in order: prepare, train, evaluate, describe, release. Finished ones are not run again."""
    study = studies.load(study_file, sets or ())
    with stages.opened(study) as folders:
        stages.prepare(study, folders, say)
        stages.train(study, folders, say)
        scores = stages.evaluate(study, folders, say)
        stages.describe(study, folders, say)
        stages.release(study, folders, say)
    printing.scores(scores)
    printing.ending(folders)


@app.command()
def predict(
    model: Annotated[str, typer.Argument(help="A run or model folder, or a Hub id.", show_default=False)],
    images: Annotated[
        list[str],
        typer.Argument(
            help="FITS, JPEG2000, TIFF, PNG or JPEG files; for a model of three channels BR.fits,LOS.fits,IC.fits, in any "
            "order, or a PNG of its dataset.",
            show_default=False,
        ),
    ],
    at: Annotated[
        str | None,
        typer.Option(
            metavar="POSITION",
            help="Where the region is in images of the whole disc: S21W42, or --at=-21.5,42 (latitude, longitude; west is "
            "positive). The same place in every image: the Sun turns by 13 degrees a day.",
        ),
    ] = None,
) -> None:
    """Classify images with a trained model: a line for each image, the most probable class first."""
    from sdovis.channels.place import Position

    position = None if at is None else Position.parse(at)
    named = {image: [image] if Path(image).is_file() else image.split(",") for image in images}
    missing = [path for paths in named.values() for path in paths if not Path(path).is_file()]
    if missing:
        raise BadInput(Problem("there is no such image", file=path) for path in missing)
    from tqdm import tqdm

    from sdovis.inference import gathered, opened

    classify: Any = opened(model)
    if position and position.longitude_deg and (caution := classify.view.near_limb(position.longitude_deg)):
        say(f"{at} lies {caution}")
    for image, paths in tqdm(named.items(), "predict", leave=False, disable=len(images) < 10):
        # The pipeline would stop at five classes.
        answer = classify(gathered(paths, classify.view, position), top_k=classify.model.config.num_labels)
        typer.echo(f"{image}\t" + "\t".join(f"{entry['label']} {entry['score']:.4f}" for entry in answer))


@app.command()
def plugins() -> None:
    """List everything that is registered, readers to publish targets, and who provides it."""
    printing.plugins()
