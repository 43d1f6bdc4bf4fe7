"""Several seeds in one network: the mean of their weights, which opens and runs like any other.

Heads on one frozen backbone are linear, so the mean of their weights gives the mean of their logits, exactly: all are
averaged. Networks that were fine-tuned from one backbone are averaged as a greedy soup (Wortsman et al. 2022,
arXiv:2203.05482, recipe 1): from the best on the validation part downwards, each is added if the mean does not become
worse there. So a soup is never worse on that part than the best seed. Importing this module imports torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import EvalPrediction

from sdovis.learning import backbones, cache, calibration, description, known, losses, seeds, streaming
from sdovis.learning.arguments import training_arguments
from sdovis.learning.familiarity import Familiarity
from sdovis.learning.plan import first_folder
from sdovis.learning.record import TrainingRecord, weights_sha256
from sdovis.learning.seen import seen
from sdovis.learning.trainer import scores
from sdovis.learning.training import save_model
from sdovis.study import Study

if TYPE_CHECKING:
    from sdovis.corpus.build import Corpus


def mean(folders: Sequence[Path]) -> Any:
    """The network saved in the first folder, with the mean of the tensors of all; whole numbers stay as they are."""
    network = backbones.reload(folders[0])
    sums = {name: tensor.double() for name, tensor in network.state_dict().items() if tensor.is_floating_point()}
    for folder in folders[1:]:
        state = backbones.reload(folder).state_dict()
        for name in sums:
            sums[name] += state[name]
    for name, tensor in network.state_dict().items():
        if name in sums:
            tensor.copy_(sums[name] / len(folders))
    return network


def _codes(study: Study, corpus: Corpus, part: str, processor: Any, folder: Path) -> Any:
    """The pictures of a part, as `loader.Pixels`."""
    if study.method.streaming:
        return streaming.Decoded(corpus, processor, part)
    return cache.codes(folder, corpus, part, processor)


def greedy(ranked: Sequence[int], score: Callable[[Sequence[int]], float]) -> list[int]:
    """Those of the ``ranked``, best first, whose mean has the highest score as far as adding one at a time finds it."""
    members = [ranked[0]]
    best = score(members)
    for each in ranked[1:]:
        if (found := score([*members, each])) >= best:
            members, best = [*members, each], found
    return members


def average(
    study: Study,
    corpus: Corpus,
    records: Sequence[TrainingRecord],
    run_dir: Path,
    codes_in: Path,
    made_from: Mapping[str, str],
) -> TrainingRecord:
    """Average the trainings of several seeds, in ``run_dir``'s folder of seeds, into its model and training.

    The validation part chooses the members and fits the temperature of their mean. If the seeds were trained again on that
    part, its members are then averaged as they are after that, with the same temperature. Decoded pictures are kept in
    ``codes_in``.
    """
    model_folder, keep_by = run_dir / "model", study.method.keep_by
    arguments = training_arguments(study, run_dir / "training" / "checkpoints")
    origins = {record.seed: run_dir / "seeds" / str(record.seed) / "model" for record in records}
    judged = {s: first_folder(of) if study.method.learns_from_validation else of for s, of in origins.items()}
    best = seeds.chosen(records, keep_by)
    processor = backbones.load_processor(origins[best.seed])
    rows = corpus.part("validation")
    codes = {part: _codes(study, corpus, part, processor, codes_in) for part in ("train", "validation")}
    shown: dict[str, Any] = {"batch_size": arguments.per_device_eval_batch_size, "device": arguments.device}

    table = description.table_of(study, corpus, "validation")

    def told(network: Any) -> dict[str, float]:
        logits = seen(network, codes["validation"], processor, table=table, **shown).logits
        loss = losses.loss_of(
            study.method, corpus.part("train")["label"].tolist(), len(corpus.classes), arguments.label_smoothing_factor
        )
        tensors = torch.from_numpy(logits), torch.tensor(rows["label"].tolist())
        at = {"loss": float(loss({"logits": tensors[0]}, tensors[1]))}
        return at | scores(EvalPrediction(logits, rows["label"].to_numpy()))

    sign = -1 if keep_by == "loss" else 1
    alone = {record.seed: sign * seeds.at_kept(record).get(keep_by, -sign * float("inf")) for record in records}
    members = ranked = sorted(alone, key=alone.__getitem__, reverse=True)
    if study.method.trainable != "head":
        members = greedy(ranked, lambda some: sign * told(mean([judged[seed] for seed in some]))[keep_by])
    network = mean([judged[seed] for seed in members])
    at = told(network)
    scaling = None
    told_of = seen(network, codes["validation"], processor, table=table, **shown)
    if study.method.calibrate:
        learned = corpus.part("train")["label"].tolist()
        scaling = calibration.calibrate(
            network, study.method, learned, told_of.logits, rows["label"], rows["group"]
        )  # fmt: skip
    familiar: Familiarity | None = known.familiarity(
        network, processor, corpus, codes, told_of, seed=study.study.seed, **shown
    )
    if study.method.learns_from_validation:
        save_model(network.cpu(), processor, familiar, first_folder(model_folder), made_from)
        # Only of a frozen backbone are the features those that the validation part was new to.
        familiar = familiar if study.method.trainable == "head" else None
        network = mean([origins[seed] for seed in members])
        if scaling is not None:
            scaling.fold_into(network)
    save_model(network.cpu(), processor, familiar, model_folder, made_from)
    spread = seeds.spread(records, keep_by) | {"averaged": sorted(members), "average": at}
    seeds.copy_pictures(origins[best.seed].with_name("training"), run_dir / "training")
    whole = replace(
        best,
        made_from=dict(made_from),
        seeds=spread,
        weights_sha256=weights_sha256(network),
        temperature=scaling.temperature if scaling else None,
    )
    whole.save(run_dir / "training")
    return TrainingRecord.load(run_dir / "training")
