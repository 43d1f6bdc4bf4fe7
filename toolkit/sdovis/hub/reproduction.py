"""A published release used as a reader of its cards would: loaded from where it is, its scores computed again and compared.

Nothing of the run that made it is needed: names and pin alone lead to the dataset (`datasets.load_dataset`), to the model
(`transformers.pipeline`), and to the page that the Space serves (`gradio_client`).
"""

from __future__ import annotations

import json
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sdovis import inference
from sdovis.cards.metadata import score_metrics
from sdovis.corpus.beside import PREFIX
from sdovis.errors import BadInput, HubFailure, Problem, SdovisError
from sdovis.evaluation.facts import ScoreFacts
from sdovis.evaluation.metrics import spec
from sdovis.evaluation.probabilities import Answers
from sdovis.hub.remote import Hub
from sdovis.inference import values
from sdovis.learning import description
from sdovis.release.assembly import KINDS, README
from sdovis.release.request import Say
from sdovis.statistics.bootstrap import Estimate, cluster_bootstrap
from sdovis.statistics.tabular import TableColumn

#: How much a probability may differ on another machine, in fp32. The page says its own in as many digits.
TOLERANCE = 1e-3
#: Test images that the Space is asked about, the first of each class and then the first ones.
ASKED = 3
SPACE, PREDICTIONS = "space.json", "predictions.parquet"
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Reproduced:
    """What came out: the test images classified, the score names compared, everything that differs, and what was left out."""

    name: str
    pin: str
    images: int
    scores: tuple[str, ...]
    asked: int
    differences: tuple[Problem, ...]
    notes: tuple[str, ...]

    def lines(self) -> list[str]:
        """In words."""
        page = f", and the Space's page says the same of {self.asked} of them" if self.asked else ""
        said = f"{self.name} at {self.pin}: {self.images} test images were classified again, {len(self.scores)} scores agree"
        return [said + page, *self.notes]


def reproduce(
    name: str,
    pin: str = "",
    *,
    space: bool = True,
    token: str | None = None,
    endpoint: str | None = None,
    say: Say = lambda line: None,
) -> Reproduced:
    """Load dataset, model and page of the release ``name`` (NAMESPACE/NAME) at ``pin`` and compare their scores.

    Without ``pin`` it is the one that main of the Space names. With ``space`` its page is asked too, if it shows that pin.
    Raises `BadInput` if something cannot be loaded for what it is, `HubFailure` if the Hub or the network fails.
    """
    hub = Hub(endpoint, token, say)
    shown = _shown(hub, name)
    pin = pin or shown
    # By commit: the client would take a commit that it remembers for the tag when the Hub does not answer.
    commits = {kind: hub.refs(kind, name).tags.get(pin, "") for kind in KINDS}
    if lacking := [kind for kind, commit in commits.items() if not commit]:
        hint = "publish again, or name another with --revision"
        raise BadInput(Problem(f"the {kind} has no tag {pin}", hint, name) for kind in lacking)
    found: list[Problem] = []
    with tempfile.TemporaryDirectory() as cache:
        folder = Path(cache)
        for file in ("scores.json", PREDICTIONS, README):
            (folder / file).write_bytes(hub.content("model", name, file, pin))
        said, scores = pd.read_parquet(folder / PREDICTIONS), ScoreFacts.load(folder)
        say(f"loading the dataset {name} at {pin}")
        data = _loaded(f"the dataset {name}", lambda: _dataset(hub, name, commits["dataset"], folder / "datasets"))
        found += _rows(data, said)
        test = data["test"]
        if found:  # the predictions are of other rows, and scores of these would say nothing
            return Reproduced(name, pin, 0, (), 0, tuple(found), ())
        say(f"loading the model {name} at {pin}")
        told = _told(hub, name, pin)
        classify = _loaded(f"the model {name}", lambda: _pipeline(hub, name, commits["model"], folder / "models", told))
        say(f"classifying {len(test)} test images")
        probabilities = _probabilities(classify, test, scores.classes, told)
        of_test = said[(said["split"] == "test").to_numpy()].reset_index(drop=True)
        found += _predictions(probabilities, of_test, scores.classes)
        found += _scores(probabilities, of_test, scores, (folder / README).read_text(encoding="utf-8"))
        asked, notes = 0, []
        if space and pin == shown:
            say(f"asking the Space {name}")
            asked = min(ASKED, len(test))
            found += _page(hub, name, test, probabilities, scores.classes, asked, told)
        elif space:
            notes.append(f"the Space shows {shown}, so its page was not asked about {pin}")
    return Reproduced(name, pin, len(test), tuple(scores.model), asked, tuple(found), tuple(notes))


def _shown(hub: Hub, name: str) -> str:
    """The pin that main of the Space names."""
    head = hub.head("space", name)
    try:
        return str(json.loads(hub.content("space", name, SPACE, head))["revision"])
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(Problem(f"the Space names no revision: {error!r}", "", f"{name}/{SPACE}")) from error


# --- loading --------------------------------------------------------------------------------------------------------


def _loaded(what: str, load: Callable[[], Answer]) -> Answer:
    """Through a library that speaks to the Hub by itself. Raises `HubFailure` for the network, `BadInput` for the rest."""
    from huggingface_hub.errors import HfHubHTTPError, HTTPError, OfflineModeIsEnabled  # type: ignore[attr-defined]

    try:
        return load()
    except SdovisError:
        raise
    except Exception as error:  # each library wraps it in its own
        chain = list(_causes(error))
        line = " ".join(str(error).split())[:300] or type(error).__name__
        if any(isinstance(each, HfHubHTTPError | HTTPError | OfflineModeIsEnabled | ConnectionError) for each in chain):
            raise HubFailure(f"loading {what}: {line}") from error
        raise BadInput(Problem(f"{what} cannot be loaded: {line}")) from error


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in seen:
        yield following
        seen.add(id(following))
        following = following.__cause__ or following.__context__


def _dataset(hub: Hub, name: str, commit: str, cache: Path) -> Any:
    import datasets

    datasets.disable_progress_bars()
    return datasets.load_dataset(name, revision=commit, token=hub.api.token, cache_dir=str(cache))


def _told(hub: Hub, name: str, pin: str) -> tuple[TableColumn, ...]:
    """What the model is told beside the image."""
    config = json.loads(hub.content("model", name, "config.json", pin))
    return description.beside_of(SimpleNamespace(sdovis=config.get("sdovis")))


def _pipeline(hub: Hub, name: str, commit: str, cache: Path, told: tuple[TableColumn, ...]) -> Any:
    from transformers import pipeline

    if told:
        return inference.pipeline(name, revision=commit, token=hub.api.token, cache_dir=str(cache))

    from sdovis.learning import backbones

    with backbones.quiet():
        return pipeline(
            "image-classification",
            model=name,
            revision=commit,
            token=hub.api.token,
            model_kwargs={"cache_dir": str(cache)},
        )


# --- comparing ------------------------------------------------------------------------------------------------------


def _rows(data: Any, said: pd.DataFrame) -> Iterator[Problem]:
    """The dataset's rows and those that were predicted: the same, in the same parts, with the same labels and regions."""
    columns = ["id", "group", "label"]
    parts = [data[part].select_columns(columns).to_pandas().assign(split=part) for part in data]
    there = pd.concat(parts).set_index("id").sort_index()
    here = said.set_index("id").sort_index()
    missing = sorted(map(str, here.index.symmetric_difference(there.index)))
    if missing:
        yield Problem(
            f"{len(missing)} rows are only in the dataset or only predicted, such as {missing[0]}", "", PREDICTIONS
        )
        return
    for column in ("split", "label", "group"):
        differ = (here[column].astype(str) != there[column].astype(str)).to_numpy()
        if differ.any():
            first = here.index[differ][0]
            what = f"{column} of {differ.sum()} rows differs from the dataset's, such as {first}"
            yield Problem(what, "", PREDICTIONS, column=column)


def _probabilities(
    classify: Any, test: Any, classes: tuple[str, ...], told: tuple[TableColumn, ...] = ()
) -> NDArray[np.float64]:
    """(n, K): what the stock pipeline says of the test images, or ours where a model is ``told`` values beside them."""
    found = np.empty((len(test), len(classes)))
    for number, row in enumerate(test):
        given = {"beside": values.of_row(told, row)} if told else {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", inference.Unfamiliar)
            answer = {each["label"]: each["score"] for each in classify(row["image"], top_k=None, **given)}
        found[number] = [answer.get(name, np.nan) for name in classes]
    return found


def _predictions(probabilities: NDArray[np.float64], said: pd.DataFrame, classes: tuple[str, ...]) -> Iterator[Problem]:
    printed = said[[f"prob_{name}" for name in classes]].to_numpy(dtype=np.float64)
    apart = np.abs(printed - probabilities).max(axis=1)
    wrong = ~(apart <= TOLERANCE)  # also where it is not a number
    if wrong.any():
        worst = int(np.nanargmax(np.where(np.isnan(apart), np.inf, apart)))
        what = f"the model gives other probabilities for {wrong.sum()} of {len(said)} test images"
        yield Problem(f"{what}, most for {said['id'][worst]} (by {apart[worst]:.3g})", "", PREDICTIONS)


def _scores(probabilities: NDArray[np.float64], said: pd.DataFrame, scores: ScoreFacts, card: str) -> Iterator[Problem]:
    """Scores computed again, compared with scores.json, and with what the card's metadata says."""
    answers = Answers(scores.classes, said["label"].to_numpy(), probabilities, said["group"].to_numpy())
    draws = scores.bootstrap.draws
    matrices = answers.matrices(answers.predicted)
    if tuple(map(tuple, matrices.sum(axis=0).tolist())) != tuple(map(tuple, scores.confusion_matrix)):
        yield Problem("the confusion matrix is another when computed again", "", "scores.json")
    again: dict[str, Estimate] = {}
    for name, entry in scores.model.items():
        interval = cluster_bootstrap(matrices, spec(name).function, **draws)
        if isinstance(entry, Estimate):
            again[name] = Estimate.of(interval)
            found: Mapping[str, Estimate] = {"": again[name]}
            printed: Mapping[str, Estimate] = {"": entry}
        else:
            found = dict(zip(scores.classes, map(Estimate.of, interval.each()), strict=True))
            printed = entry
        for each, right in found.items():
            if not _alike(printed.get(each), right):
                what = f"{name} {each}".strip()
                yield Problem(
                    f"{what} is {_words(printed.get(each))}, computed again {_words(right)}", "", "scores.json"
                )
    yield from _on_card(card, again, scores)


def _on_card(card: str, again: Mapping[str, Estimate], scores: ScoreFacts) -> Iterator[Problem]:
    from huggingface_hub import ModelCard

    said: Any = getattr(ModelCard(card).data, "eval_results", None) or ()
    wanted = {each["metric_type"]: each["metric_value"] for each in score_metrics(again, scores)}
    printed = {each.metric_type: each.metric_value for each in said}
    for name in sorted(wanted.keys() | printed.keys()):
        if wanted.get(name) != printed.get(name):
            yield Problem(f"{name} is {printed.get(name)}, computed again {wanted.get(name)}", "", README)


def _alike(one: Estimate | None, other: Estimate) -> bool:
    if one is None:
        return False
    pairs = ((one.estimate, other.estimate), (one.low, other.low), (one.high, other.high))
    return all(a == b or (a is not None and b is not None and abs(a - b) < 1e-9) for a, b in pairs)


def _words(entry: Estimate | None) -> str:
    if entry is None or entry.estimate is None:
        return "not given"
    return f"{entry.estimate:.4f}" + ("" if entry.low is None else f" [{entry.low:.4f}, {entry.high:.4f}]")


# --- the page -------------------------------------------------------------------------------------------------------


def _page(
    hub: Hub,
    name: str,
    test: Any,
    probabilities: NDArray[np.float64],
    classes: tuple[str, ...],
    asked: int,
    told: tuple[TableColumn, ...],
) -> Iterator[Problem]:
    """Ask the Space's page about some test images, as a program would."""
    from datasets import Image

    stored = test.cast_column("image", Image(decode=False))
    labels = np.asarray(test["label"])
    first = [int(np.flatnonzero(labels == label)[0]) for label in np.unique(labels)]
    inorder = [*first, *(i for i in range(len(test)) if i not in first)]
    chosen = [i for i in inorder if values.may_be_asked(told, test[i])][:asked] if told else inorder[:asked]
    client = _spoken_to(name, lambda: _client(hub, name))
    with tempfile.TemporaryDirectory() as folder:
        for number in chosen:
            picture = Path(folder) / f"{number}.png"
            picture.write_bytes(stored[number]["image"]["bytes"])
            beside = {PREFIX + k: v for k, v in (values.of_row(told, test[number]) or {}).items() if v is not None}
            answer = _spoken_to(name, partial(_answer, client, picture, beside))
            said = np.array([answer.get("probabilities", {}).get(each, np.nan) for each in classes], dtype=float)
            if not np.all(np.abs(said - probabilities[number]) <= TOLERANCE):
                what = f"the page gives other probabilities than the model for the test image {test[number]['id']}"
                yield Problem(what, "restart the Space", f"Space {name}")


def _client(hub: Hub, name: str) -> Any:
    from gradio_client import Client

    return Client(name, token=hub.api.token, verbose=False)


def _answer(client: Any, file: Path, beside: Mapping[str, Any]) -> Any:
    from gradio_client import handle_file

    with suppress(KeyError, IndexError):
        parameters = client.view_api(return_format="dict", print_info=False)["named_endpoints"]["/classify"][
            "parameters"
        ]
        if str(parameters[0].get("type", {}).get("type")) == "array":  # a page of three channels takes a list of files
            return client.predict([handle_file(str(file))], **beside, api_name="/classify")
    return client.predict(handle_file(str(file)), **beside, api_name="/classify")


def _spoken_to(name: str, ask: Callable[[], Answer]) -> Answer:
    """Raises `HubFailure` for a page that is not there, asleep, or does not answer."""
    try:
        return ask()
    except Exception as error:  # the client's own, httpx', and what the page says
        line = " ".join(str(error).split())[:300] or type(error).__name__
        raise HubFailure(f"asking the Space {name}: {line}; is it running? --no-space leaves it out") from error
