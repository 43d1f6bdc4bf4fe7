"""The tables of the cards, each a function of the facts and nothing else.

A template prints one by its name: ``{{ tables.parts }}``. A table without rows is empty.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sdovis.cards.facts import ClassFacts, Facts, headline
from sdovis.cards.markdown import (
    Markdown,
    blocks,
    code,
    count,
    day,
    difference,
    interval,
    lines,
    md,
    named,
    number,
    percent,
    score,
    setting,
    verbatim,
)
from sdovis.cards.markdown import table as _table
from sdovis.cards.measured import BEGIN, END
from sdovis.cards.usage import COLOURS
from sdovis.fetching.ledger import ArchiveFacts
from sdovis.learning import arithmetic


def _words(name: str) -> str:
    return md(name.replace("_", " "))


# --- of the dataset card --------------------------------------------------------------------------------------------


def classes(facts: Facts) -> Markdown:
    """The classes and, for each part, their images (and regions)."""
    head = ["class", "what it means", *facts.split.parts]
    return _table(head, ([*_meaning(each), *_counts(facts, each.name)] for each in facts.classes))


def merged(facts: Facts) -> Markdown:
    """Which of the field's classes were merged into each class, and how the source of the rows wrote it, with rows."""
    head = ["class", "classes merged into it (rows)", "as written in the source (rows)"]
    return _table(
        head, ([_bold(each.name), _rows_of(each.merged) or "nothing", _written(each)] for each in facts.classes)
    )


def _bold(name: str) -> str:
    return f"**{md(name)}**"


def _meaning(each: ClassFacts) -> list[str]:
    return [_bold(each.name), md(each.meaning or "not described")]


def _counts(facts: Facts, name: str) -> list[str]:
    return [
        f"{count(part.rows_by_class[name])} ({count(part.regions_by_class[name])})"
        for part in facts.split.parts.values()
    ]


def _rows_of(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{md(text)} ({count(rows)})" for text, rows in counts.items())


def _written(each: ClassFacts) -> str:
    rest = f", and {count(each.other_spellings)} other spellings ({count(each.other_spelling_rows)})"
    return _rows_of(each.spellings) + (rest if each.other_spellings else "")


def parts(facts: Facts) -> Markdown:
    """The parts: images, regions, frames, times, and the largest region's share of each."""
    head = ["part", "images", "regions", "frames", "first", "last", "largest region", "its share"]
    rows = []
    for name, part in facts.split.parts.items():
        counts = [count(part.rows), count(part.regions), count(part.images)]
        largest = [md(part.largest_region), percent(part.largest_region_share)]
        rows.append([md(name), *counts, day(part.first), day(part.last), *largest])
    return _table(head, rows)


def shortcuts(facts: Facts) -> Markdown:
    """A section on how well single traits predict the class; empty if none could be tried."""
    found = facts.split.shortcuts
    if not found:
        return Markdown("")
    rows = ([md(name), interval(each.balanced_accuracy), score(each.chance)] for name, each in found.items())
    return blocks(
        "### Shortcuts",
        lines(
            "How well a single trait predicts the class on the test part, without the image: a small decision tree fitted to "
            "the training part, balanced accuracy with its 95 % interval by region.",
            "Anything clearly above chance is something that a network could learn in place of the Sun.",
        ),
        _table(["trait", "balanced accuracy", "chance"], rows),
    )


def rejects(facts: Facts) -> Markdown:
    """How many rows were left out, and why."""
    left_out = facts.rejects
    if not left_out.rows:
        return Markdown("Every row of the source is in the dataset.")
    rows: list[list[str]] = [[md(reason), count(n)] for reason, n in left_out.reasons.items()]
    if left_out.other_reasons:
        rows.append([f"{count(left_out.other_reasons)} other reasons", count(left_out.other_rows)])
    told = f"{count(left_out.rows)} rows of the source are not in the dataset."
    return blocks(told, _table(["reason", "rows"], rows))


def provenance(facts: Facts) -> Markdown:
    """Source of the rows, reader, images and the transforms of their channels, and the archives that files came from."""
    given = facts.provenance
    sheets = f", sheets {md(', '.join(given.sheets))}" if given.sheets else ""
    rows = [["rows from", f"{md(given.rows_from)}{sheets}"], ["read by", md(given.reader)]]
    colours = [f" ({colour})" for colour in COLOURS] if len(facts.channels) > 1 else [""]
    for channel, colour in zip(facts.channels, colours, strict=True):
        transform = (
            f"{code(channel.name)}, version {md(channel.version)}, from {md(channel.unit)}: {md(channel.source)}"
        )
        rows += [[f"images{colour}", md(channel.title)], [f"transform to 8 bits{colour}", transform]]
    rows += [["fetched from", _archive(each)] for each in facts.fetched]
    limit = facts.max_longitude_deg
    rows.append(["distance from the central meridian", f"up to {number(limit)} degrees" if limit else "no limit"])
    return _table(["", ""], rows)


def _archive(of: ArchiveFacts) -> str:
    """An archive, what came from it and when, and its own words for who uses that."""
    days = day(of.first) if of.first == of.last else f"{day(of.first)} to {day(of.last)}"
    scheme, _, page = of.home.partition("://")
    size = f"{count(of.files)} files ({number(of.bytes / 1e6)} MB)"
    came = f"[{md(of.title)}]({verbatim(scheme)}://{verbatim(page)}): {size}, {days}"
    came += "" if of.own_address else ", through another address than the archive's own"
    came += f"; {count(of.changed)} of them changed afterwards" if of.changed else ""
    return f"{came}. Licence: {md(of.licence)}. Credit: {md(of.credit)}"


def columns(facts: Facts) -> Markdown:
    """The columns of the data: type, unit, whether it comes from the row or the image, meaning."""
    rows = (
        [code(each.name), md(each.kind), md(each.unit), "image" if each.measured else "row", md(each.meaning)]
        for each in facts.columns
    )
    return _table(["column", "type", "unit", "from", "meaning"], rows)


# --- of the model card ----------------------------------------------------------------------------------------------


def classes_and_merged(facts: Facts) -> Markdown:
    """The classes, what was merged into them and, for each part, their images (and regions)."""
    head = ["class", "what it means", "merged into it", *facts.split.parts]
    return _table(
        head,
        (
            [*_meaning(each), md(", ".join(each.merged) or "nothing"), *_counts(facts, each.name)]
            for each in facts.classes
        ),
    )


def scores(facts: Facts) -> Markdown:
    """The model's scores, the baselines', and the differences, with intervals."""
    found = facts.scores
    rows = [["**this model**", *(f"**{interval(entry)}**" for entry in found.overall.values())]]
    for rival, of_rival in found.baselines.items():
        against = found.difference_to[rival]
        rows.append([code(rival), *(interval(of_rival[name]) for name in found.overall)])
        rows.append([f"this model minus {code(rival)}", *(difference(against[name]) for name in found.overall)])
    return _table(["", *map(named, found.overall)], rows)


def elsewhere(facts: Facts) -> Markdown:
    """The score that represents the model on each other source, beside that of the best baseline there."""
    shown = facts.headline.score
    rows = []
    for found in facts.elsewhere:
        best = headline(found.facts, shown)
        rival = f"{code(best.rival)} {interval(best.rival_score)}" if best.rival_score else "-"
        times = f"{day(found.source.first)} to {day(found.source.last)}"
        counts = count(found.source.rows), count(found.source.regions)
        apart = difference(best.difference) if best.difference else "-"
        rows.append([md(found.source.title), times, *counts, f"**{interval(best.model)}**", rival, apart])
    head = ["source", "observed", "images", "regions", named(shown), "best baseline there", "difference"]
    return _table(head, rows)


def by_class(facts: Facts) -> Markdown:
    """The scores of each class against the rest; empty if none were asked for."""
    found, test = facts.scores.per_class, facts.split.parts["test"]
    if not found:
        return Markdown("")
    rows = []
    for name in (each.name for each in facts.classes):
        counts = [count(test.rows_by_class[name]), count(test.regions_by_class[name])]
        intervals = [interval(entry[name]) for entry in (*found.values(), *facts.scores.ranking.values())]
        rows.append([md(name), *counts, percent(facts.scores.prevalence[name]), *intervals])
    return _table(["class", "test images", "regions", "share", *map(named, (*found, *facts.scores.ranking))], rows)


def confusion(facts: Facts) -> Markdown:
    """Counts of test images by observed (rows) and predicted class (columns)."""
    names = [each.name for each in facts.classes]
    matrix = zip(names, facts.scores.confusion_matrix, strict=True)
    return _table(["observed", *map(md, names)], ([_bold(name), *map(count, row)] for name, row in matrix))


def by_longitude(facts: Facts) -> Markdown:
    """Balanced accuracy by distance from the central meridian; empty if no longitudes are known."""
    bins = facts.scores.by_longitude
    rows = ([f"{number(b.from_deg)} to {number(b.to_deg)}", count(b.rows), score(b.balanced_accuracy)] for b in bins)
    return _table(["degrees", "test images", "balanced accuracy"], rows)


def strata(facts: Facts) -> Markdown:
    """Balanced accuracy in strata of the test part; empty if there are none."""
    head = ["property", "", "test images", "regions", "balanced accuracy"]
    rows = (
        [md(s.what), md(s.of), count(s.rows), count(s.regions), interval(s.balanced_accuracy)]
        for s in facts.scores.strata
    )
    return _table(head, rows)


def parts_in_short(facts: Facts) -> Markdown:
    """The parts: images, regions, times, and the largest region's share of each."""
    rows = []
    for name, part in facts.split.parts.items():
        share = percent(part.largest_region_share)
        rows.append([md(name), count(part.rows), count(part.regions), day(part.first), day(part.last), share])
    return _table(["part", "images", "regions", "first", "last", "largest region's share"], rows)


def training(facts: Facts) -> Markdown:
    """Network, data, method and settings of the training."""
    arguments = ([code(name), setting(value)] for name, value in facts.training.arguments.items())
    return _table(["", ""], [*_network(facts), *_trained(facts), *_repeated(facts), *arguments])


def measured(facts: Facts) -> Markdown:
    """How long training and prediction took, and on what: between marks, because a release is the same without it."""
    return blocks(BEGIN, _table(["", ""], _spent(facts)), END)


def _network(facts: Facts) -> Iterator[list[str]]:
    network, training = facts.network, facts.training
    size = f"{count(training.parameters)} parameters, {count(training.trainable_parameters)} trained"
    yield ["network", f"{code(network.architecture)}, {size}"]
    if network.hub_id:
        link = f"[{md(network.hub_id)}](https://huggingface.co/{verbatim(network.hub_id)})"
        yield ["started from", f"{link}, revision {md(network.revision or 'not pinned by the study')}"]
    elif network.backbone:
        sum_of_it = f"from a local folder whose contents have the sha256 {code(network.folder_sha256)}"
        yield ["started from", f"{code(network.backbone)}, {sum_of_it}"]
    else:
        yield ["started from", "random weights"]
    mean, sd = (", ".join(map(number, values)) for values in (network.mean, network.std))
    how = f"{md(network.resampling)} resampling, mean ({mean}), SD ({sd})"
    yield ["input", f"{network.size_px} x {network.size_px} px, {how}"]


def _trained(facts: Facts) -> Iterator[list[str]]:
    training = facts.training
    if training.method:
        yield ["method", "; ".join([_trainable(training.method), *_refinements(training.method)])]
    yield [
        "images",
        f"{count(training.images['train'])} for training, {count(training.images['validation'])} for validation",
    ]
    yield ["augmentation", md(", ".join(training.augmentations) or "none")]
    weights = (f"{md(name)} {number(weight)}" for name, weight in training.class_weights.items())
    yield ["class weights in the loss", ", ".join(weights)]
    processes = f"{training.processes} process{'es' if training.processes > 1 else ''}"
    yield ["steps", f"{count(training.steps)} ({number(training.epochs)} epochs) in {processes}"]
    best = "" if training.kept_score is None else f": {score(training.kept_score)} on the validation part"
    yield ["kept", f"step {count(training.kept_step)}, by {_words(training.kept_by)}{best}"]
    if training.temperature is not None:
        when = " in the first training" if training.refit else ""
        folds = training.method.get("calibration_folds")
        on = f"all regions of both parts in {count(folds)} folds" if folds else f"the validation part{when}"
        yield ["temperature", f"{number(training.temperature)}, fitted on {on} and folded into the classifier"]
        if training.biases:
            each = (f"{md(name)} {bias:+.2f}" for name, bias in training.biases.items())
            yield ["biases, fitted with it", ", ".join(each)]
    if training.refit:
        again = training.refit
        yield [
            "then",
            f"trained again, with the same seed, on the training and validation parts together: {count(again['images'])} "
            f"images, {count(again['steps'])} steps ({number(again['epochs'])} epochs), to the place in the schedule of step "
            f"{count(training.kept_step)} above",
        ]
    yield ["precision, seed", f"{md('fp32' if training.precision == 'no' else training.precision)}, {training.seed}"]


def _trainable(method: Mapping[str, Any]) -> str:
    if method["trainable"] == "lora":
        rank, alpha = method["lora"]["rank"], number(method["lora"]["alpha"])
        adapters = f"low-rank adapters (LoRA: rank {rank}, alpha {alpha})"
        return f"{adapters} and the classifier; the adapters are merged into the weights"
    if method["trainable"] == "head":
        return "the classifier alone, on features computed once by the frozen backbone"
    if method["trainable"] == "head-then-all":
        epochs = method["probe"]["epochs"]
        return f"the classifier first ({epochs} epochs, on features of the frozen backbone), then every weight"
    return "every weight"


def _refinements(method: Mapping[str, Any]) -> Iterator[str]:
    if method["layer_decay"]:
        yield f"each layer at {number(method['layer_decay'])} times the learning rate of the one above it"
    if method["sampling"] == "balanced":
        yield "every class shown equally often"
    if method["logit_adjustment"]:
        yield f"logits adjusted by {number(method['logit_adjustment'])} times the log of the class shares"
    if method["patience"]:
        yield f"stopped after {method['patience']} evaluations without a better score"


def _repeated(facts: Facts) -> Iterator[list[str]]:
    seeds = facts.training.seeds
    if not seeds:
        return
    by = f"by {_words(seeds['chosen_by'])} on the validation part"
    chosen = f"{seeds['chosen']} is this model, best {by}"
    if averaged := seeds.get("averaged"):
        mean = f"the mean, {score(seeds['average'][seeds['chosen_by']])}, is this model; seed {seeds['chosen']} alone was best"
        chosen = f"the weights of {', '.join(map(str, averaged))} were averaged: {mean}; {by}"
    yield ["seeds", f"{len(seeds['validation'])} were trained; {chosen}"]
    for name, over in seeds["over_seeds"].items():
        spread = f"{score(over['mean'])}, from {score(over['low'])} to {score(over['high'])}"
        yield [f"validation {_words(name)} over the seeds", spread]


def _spent(facts: Facts) -> Iterator[list[str]]:
    training = facts.training
    since = f" since resuming after step {count(training.resumed_from)}" if training.resumed_from else ""
    yield ["training", f"{number(training.seconds)} s{since}, {number(training.images_per_second)} images/s"]
    yield ["on", ", ".join(f"{md(what)} {setting(value)}" for what, value in training.hardware.items())]
    for before, after in itertools.pairwise(arithmetic.Stretch(**each) for each in training.sessions):
        changes = "; ".join(md(change) for change in arithmetic.changes(before, after))
        differ = "so the weights are not bit for bit those of an uninterrupted training"
        if changes:
            second = " of the second training" if after.again else ""
            yield [f"after step {count(after.after_step)}{second}", f"continued with {changes}, {differ}"]
    latency = facts.scores.latency_ms
    took = f"{number(latency.median)} ms (median; 95th percentile {number(latency.p95)} ms)"
    if facts.explanation is not None:
        yield ["tests of maps", f"{number(facts.explanation.seconds)} s"]
    yield ["one image", f"{took} on the machine used for evaluation, one at a time, without decoding the original file"]


#: The tables, by the name under which a template calls them.
TABLES: Mapping[str, Callable[[Facts], Markdown]] = {
    table.__name__: table
    for table in (
        classes,
        merged,
        parts,
        shortcuts,
        rejects,
        provenance,
        columns,
        classes_and_merged,
        scores,
        elsewhere,
        by_class,
        confusion,
        by_longitude,
        strata,
        parts_in_short,
        training,
        measured,
    )
}
