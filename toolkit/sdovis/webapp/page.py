"""The page's words and styles: facts in, HTML out, everything escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from sdovis.channels.view import LIMB_LONGITUDE_DEG, View
from sdovis.corpus.beside import PREFIX
from sdovis.errors import Problem, SdovisError
from sdovis.evaluation.maps import TITLES
from sdovis.webapp.source import ModelSource, address

FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica", "Arial", "sans-serif")
MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "DejaVu Sans Mono", "monospace")

CSS = """
.gradio-container { max-width: 1180px !important; margin: 0 auto !important; }
.sdovis-head h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .3rem; letter-spacing: -.01em; overflow-wrap: anywhere; }
.sdovis-head p { margin: .2rem 0; color: var(--body-text-color-subdued); max-width: 46rem; }
.sdovis-head nav { display: flex; flex-wrap: wrap; gap: .35rem 1.1rem; margin-top: .5rem; font-size: .92rem; }
.sdovis-head nav a, .sdovis-head nav span { overflow-wrap: anywhere; }
.sdovis-head nav a { color: var(--body-text-color) !important; }
.sdovis-tag { border: 1px solid var(--border-color-primary); border-radius: 999px; padding: 0 .6rem; font-size: .85rem;
  color: var(--body-text-color-subdued); }
.sdovis-box { border: 1px solid var(--border-color-primary); border-radius: 8px; padding: 1rem 1.1rem;
  background: var(--block-background-fill); }
.sdovis-box h2 { font-size: 1rem; margin: 0 0 .6rem; font-weight: 600; }
.sdovis-warn { border-left: 4px solid #c98500; padding: .6rem .9rem; background: rgba(201, 133, 0, .10);
  border-radius: 0 6px 6px 0; margin: .5rem 0; }
.sdovis-fail { border-left: 4px solid #c62828; padding: .6rem .9rem; background: rgba(198, 40, 40, .10);
  border-radius: 0 6px 6px 0; overflow-wrap: anywhere; }
.sdovis-fail strong, .sdovis-warn strong { display: block; }
.sdovis-answer { font-size: 1.5rem; font-weight: 700; margin: 0; line-height: 1.2; overflow-wrap: anywhere; }
.sdovis-answer small { font-size: 1rem; font-weight: 500; color: var(--body-text-color-subdued); }
.sdovis-class { margin-top: .85rem; }
.sdovis-class .line { display: flex; justify-content: space-between; gap: 1rem; font-weight: 600; overflow-wrap: anywhere; }
.sdovis-class .line span:last-child { font-variant-numeric: tabular-nums; }
.sdovis-bar { height: .55rem; border-radius: 4px; background: var(--border-color-primary); overflow: hidden; margin: .2rem 0; }
.sdovis-bar i { display: block; height: 100%; background: var(--body-text-color-subdued); border-radius: 4px; }
.sdovis-class.first .sdovis-bar i { background: #d97706; }
.sdovis-class p, .sdovis-small { margin: .15rem 0 0; font-size: .9rem; color: var(--body-text-color-subdued); }
.sdovis-facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 15rem), 1fr)); gap: .7rem 1.4rem;
  margin: 0 0 .5rem; }
@media (max-width: 640px) { .sdovis-facts { grid-template-columns: 1fr 1fr; } }
.sdovis-facts dt { font-size: .8rem; color: var(--body-text-color-subdued); }
.sdovis-facts dd { margin: 0; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
.sdovis-results { width: 100%; border-collapse: collapse; border: 0 !important; margin: .6rem 0 .8rem; }
.sdovis-results th, .sdovis-results td { text-align: left; vertical-align: top; padding: .5rem .4rem !important;
  font-weight: 400; border: 0 !important; border-top: 1px solid var(--border-color-primary) !important;
  overflow-wrap: anywhere; }
.sdovis-results thead, .sdovis-results tbody, .sdovis-results tr { border: 0 !important; }
.sdovis-results thead th { border-top: 0 !important; font-size: .8rem; color: var(--body-text-color-subdued); }
.sdovis-results th[scope=row] { width: 38%; }
.sdovis-results small { display: block; font-size: .8rem; color: var(--body-text-color-subdued); }
.sdovis-results small.caution { border-left: 3px solid #c98500; padding-left: .5rem; margin-top: .25rem; }
.sdovis-results .line { display: flex; justify-content: space-between; gap: 1rem; font-weight: 600; }
.sdovis-results .line span:last-child { font-variant-numeric: tabular-nums; white-space: nowrap; }
.sdovis-results .sdovis-bar i { background: #d97706; }
.sdovis-box a.sdovis-download, #sdovis-file a { color: var(--body-text-color); }
.sdovis-box a.sdovis-download { font-weight: 600; text-decoration: underline; }
#sdovis-file button[aria-label="common.upload"] { display: none; }
details summary { cursor: pointer; margin-top: .6rem; font-size: .9rem; color: var(--body-text-color-subdued); }
.sdovis-legend { display: flex; flex-wrap: wrap; gap: .2rem 1rem; margin: .3rem 0 0; padding: 0; list-style: none;
  font-size: .9rem; }
.sdovis-legend i { display: inline-block; width: .8rem; height: .8rem; margin-right: .35rem; border: 1px solid #808894;
  vertical-align: -1px; }
.html-container { padding: 0 !important; }
#sdovis-file { min-height: 9rem; }
#sdovis-examples .grid-wrap { min-height: 0 !important; max-height: none !important; height: auto !important; }
#sdovis-examples .grid-container { grid-template-columns: repeat(auto-fill, minmax(88px, 1fr)) !important;
  padding-top: 2rem !important; }
#sdovis-examples .caption-label { left: 0; right: 0; bottom: 0; max-width: none; padding: .1rem .3rem; border: 0;
  border-radius: 0; font-size: .75rem; color: #fff; background: rgba(12, 16, 22, .72); }
#sdovis-picture img { cursor: crosshair; }
"""


def head(source: ModelSource, view: View | None, name: str, channel: str) -> str:
    """Title, description, links to model and dataset; without a ``view``, nothing on what the network looks at."""
    title = source.title or name
    tags = [channel] if channel else []
    tags += [f"cutouts of {side}"] if view and (side := cutout_side(view)) else []
    links = [
        f'<a href="{escape(url)}" target="_blank" rel="noopener">{kind}: {escape(of)}</a>'
        for kind, of, url in (
            ("Model", source.model, address(source, "model")),
            ("Dataset", source.dataset, address(source, "dataset")),
        )
        if url
    ]
    links = links or [f"<span>Model: {escape(source.model or name)} (a local folder, not published)</span>"]
    links += [f'<span class="sdovis-tag">{escape(tag)}</span>' for tag in tags]
    description = f"<p>{escape(source.description)}</p>" if source.description else ""
    return f'<div class="sdovis-head"><h1>{escape(title)}</h1>{description}<nav>{"".join(links)}</nav></div>'


def cutout_side(view: View) -> str:
    """The side of the cutouts that a model looks at, in words; "" if it looks at whole images."""
    if view.cutout_deg:
        return f"{view.cutout_deg:g}° on the Sun"
    return f"{view.cutout_arcsec:g}″" if view.cutout_arcsec else ""


def simulated() -> str:
    """The notice for a model trained on simulated images."""
    return (
        '<div class="sdovis-warn" role="note"><strong>Simulated data</strong>This model was trained on simulated images. '
        "What it says about the real Sun has no scientific meaning.</div>"
    )


def invitation(meanings: Mapping[str, str]) -> str:
    """What is shown before there is an answer: the classes and their meanings."""
    rows = "".join(
        f'<div class="sdovis-class"><div class="line"><span>{escape(name)}</span></div><p>{escape(meaning)}</p></div>'
        for name, meaning in meanings.items()
    )
    return f'<div class="sdovis-box"><h2>The classes</h2>{rows}</div>'


def verdict(
    probabilities: Mapping[str, float],
    meanings: Mapping[str, str],
    notes: Sequence[str],
    refused: str = "",
    hint: str = "",
) -> str:
    """The probabilities, largest first, each with what the class means.

    ``refused`` says why the answer must not be used, and is one of the ``notes``; ``hint`` what such answers have been worth.
    """
    rows = []
    for rank, (name, p) in enumerate(probabilities.items()):
        share = f"{100 * p:.1f} %"
        rows.append(
            f'<div class="sdovis-class{" first" if not rank else ""}"><div class="line"><span>{escape(name)}</span>'
            f'<span>{share}</span></div><div class="sdovis-bar" role="img" aria-label="{share}">'
            f'<i style="width:{100 * p:.2f}%"></i></div><p>{escape(meanings.get(name, ""))}</p></div>'
        )
    best, p = next(iter(probabilities.items()))
    said = f'<p class="sdovis-answer" data-testid="label">{escape(best)} <small>{100 * p:.1f} %</small></p>'
    title = "Most probable class"
    if refused:
        title, said = "No answer", '<p class="sdovis-answer" data-testid="label">None to rely on</p>'
        rows = [f"<details><summary>What the network computed all the same</summary>{''.join(rows)}</details>"]
    worth = f'<p class="sdovis-small" data-testid="worth">{escape(hint)}</p>' if hint else ""
    cautions = warnings(notes)
    return f'<div class="sdovis-box" aria-live="polite"><h2>{title}</h2>{said}{worth}{cautions}{"".join(rows)}</div>'


def warnings(notes: Sequence[str]) -> str:
    """Cautions, a box each."""
    return "".join(f'<div class="sdovis-warn" role="note">{escape(note)}</div>' for note in notes)


def small(text: str) -> str:
    """A line of small print; nothing for an empty text."""
    return f'<p class="sdovis-small">{escape(text)}</p>' if text else ""


def choose_position(side: str, can_type: bool, notes: Sequence[str] = ()) -> str:
    """The request to choose a region."""
    typed = " or type its position below it" if can_type else ""
    return (
        '<div class="sdovis-box" aria-live="polite"><h2>Which region?</h2><div class="sdovis-warn" role="note">'
        f"<strong>Click on a region in the picture{typed}.</strong>The image shows more than one cutout, and the model "
        f"reads squares of {escape(side)}.</div>{warnings(notes)}</div>"
    )


def which_regions(masks: bool) -> str:
    """What to write where the regions of a disc are asked for."""
    also = " In a cutout, what belongs to others of them is shown as quiet Sun." if masks else ""
    return f"Paste NOAA's region summary (SRS), or positions; or drop solar_regions.json above.{also}"


def failure(error: SdovisError) -> str:
    """An error in plain words."""
    lines = "".join(f"<div>{escape(line)}</div>" for line in plain(error).split("\n"))
    return f'<div class="sdovis-fail" role="alert"><strong>That did not work</strong>{lines}</div>'


def plain(error: SdovisError) -> str:
    """The error's text, with file names but no folders: where uploads are stored is not for visitors to know."""
    problems: tuple[Problem, ...] = getattr(error, "problems", ())
    lines = []
    for problem in problems:
        name = problem.file.replace("\\", "/").rpartition("/")[2]
        folder = problem.file[: len(problem.file) - len(name)]
        text = str(Problem(problem.what, problem.hint, name))
        lines.append(text.replace(folder, "") if len(folder) > 1 else text)
    return "\n".join(lines) or str(error)


def fact_table(rows: Sequence[tuple[str, str]], is_picture: bool) -> str:
    """What the file says about itself."""
    cells = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in rows)
    note = (
        '<p class="sdovis-small">PNG and JPEG pictures carry no solar header: telescope, channel and units are unknown.</p>'
        if is_picture
        else ""
    )
    return f'<div class="sdovis-box"><h2>What the file says</h2><dl class="sdovis-facts">{cells}</dl>{note}</div>'


def reading_guide(answered: bool, has_map: bool, tested: str | None = None) -> str:
    """How to read the overlay, or why there is none; ``tested`` is `Classifier.map`."""
    if not answered:
        return '<p class="sdovis-small">The cutout, and where the network looked in it, will appear here.</p>'
    if has_map:
        how = (
            "Of several kinds of maps this one named best what the network needs on validation images (the model's card "
            "has the numbers)."
            if tested
            else "It was not tested whether the network needs what this map marks."
        )
        return (
            f'<p class="sdovis-small">Bright: what the network drew on most ({escape(TITLES[tested or "rollout"])}), scaled '
            f"between the least and the most important patch. {how} It shows where the network looked, not why it decided.</p>"
        )
    why = "This kind of network has no attention map over the whole image."
    if tested == "":
        why = "No map of where it looked was found to be better than one drawn at random, so none is shown."
    return f'<p class="sdovis-small">The picture that the network was shown. {why}</p>'


def what_to_send(view: View, channels: Sequence[str], browse: bool, limit: str) -> str:
    """Which files to send; ``channels`` are their titles."""
    want = ", ".join(channels) or "solar images"
    if side := cutout_side(view):
        shape = "map" if view.cutout_deg else "cutout"
        want += (
            f", as a {shape} of {side} centred on the region, or as a full-disc image in which you then click on one, or send "
            "NOAA's list of its regions with it (SRS text, solar_regions.json) for all of them at once"
        )
    form = (
        "JPEG or PNG as published, solar north up" if browse else "FITS (north is read from the header), or 8-bit PNG"
    )
    if len(channels) > 1:
        form = (
            f"Send the {len(channels)} files together, in any order: their headers and names tell them apart. "
            f"{'JPEG as published' if browse else 'FITS'}, or the single colour PNG that sdovis saved"
        )
    return (
        f'<p class="sdovis-small">Made for: {escape(want)}. {form}; at most {escape(limit)}. '
        "Uploads are deleted within two hours and used for nothing else.</p>"
    )


def limits(view: View, not_live: str = "") -> str:
    """What an answer of the page does not say, as Markdown, and why it does not fetch today's Sun."""
    limit = view.max_longitude_deg
    network = f"- {not_live}\n" if not_live else ""
    limb = (
        f"- The study left out regions beyond {limit:g}° from the central meridian: there, the answers were never tested."
        if limit
        else f"- Beyond about {LIMB_LONGITUDE_DEG:g}° from the central meridian, foreshortening makes the classes unreliable."
    )
    return f"""
**A demonstration, not a forecast.** The answer is the class of a picture, not a statement about what the region will do;
do not base operations or warnings on it.

- The probabilities are the network's own and are not calibrated unless the model's card says so.
- The network gives an answer for any picture, even one that shows no active region or comes from another instrument.
{limb}
{network}- The model's card says how good it is, on regions it has never seen and compared with simple baselines; the dataset's
  card says how the labels were made.

SDO images are courtesy of NASA/SDO and the AIA, EVE and HMI science teams.
"""


def snippet(source: ModelSource, name: str, channels: Sequence[str] = (), told: Mapping[str, Any] | None = None) -> str:
    """Python that does the same, with the revision pinned if there is one.

    ``name`` is the study's, ``channels`` are the names of the model's channels; ``told`` are values beside the image.
    """
    model = source.model or f"runs/{name}/model"
    pin = f', revision="{source.revision}"' if source.revision and source.model else ""
    several = ", ".join(f'"{channel}.fits"' for channel in channels)
    files = f"({several})" if len(channels) > 1 else '"image.fits"'
    beside = f", beside={dict(told)!r}" if told else ""
    alone = [
        "",
        "# for 8-bit cutouts, transformers alone is enough",
        "from transformers import pipeline",
        "",
        f'pipeline("image-classification", model="{model}"{pin})("cutout.png")',
    ]
    lines = [
        "# pip install sdovis",
        "import sdovis",
        "",
        f'classify = sdovis.pipeline("{model}"{pin})',
        f"classify({files}{beside})  # also PNG, JPEG and arrays of physical values",
        *([] if told else alone),
    ]
    if source.dataset:
        load = f'load_dataset("{source.dataset}"{pin})'
        lines += ["", "from datasets import load_dataset", "", load]
    return "\n".join(lines)


def client_snippet(
    where: str, channels: Sequence[str] = (), told: Mapping[str, Any] | None = None, *, discs: bool = False
) -> str:
    """Python that queries this page; ``channels`` are the names of the model's channels, which may be shown ``discs``.

    ``told`` are values beside the image.
    """
    beside = "".join(f"{PREFIX}{name}={value!r}, " for name, value in (told or {}).items())
    several = ", ".join(f'handle_file("{channel}.fits")' for channel in channels)
    files = f"[{several}]" if len(channels) > 1 else 'handle_file("image.fits")'
    lines = [
        "# pip install gradio_client",
        "from gradio_client import Client, handle_file",
        "",
        f'client = Client("{where}")',
        f'answer = client.predict({files}, {beside}api_name="/classify")',
        'answer["label"], answer["probabilities"]',
    ]
    if discs and not told:
        listed = 'regions_file=handle_file("solar_regions.json")'
        lines += ["", "# all regions of a disc", f'client.predict({files}, {listed}, api_name="/classify_regions")']
    return "\n".join(lines)
