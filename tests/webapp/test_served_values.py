"""The page of a model that is told values beside the image: it asks for them, and answers as the pipeline does."""

from __future__ import annotations

from pathlib import Path

import pytest
import saved_models
from sdovis import inference
from sdovis.errors import BadInput
from sdovis.statistics.tabular import TableColumn
from sdovis.webapp.classifier import Classifier
from sdovis.webapp.listing import Listing
from server import free_port, started

TOLD = (
    TableColumn("area", "Area", "logarithm", 0.2, centre=3.0, scale=1.5, low=0.0, high=400.0, median=20.0),
    TableColumn("hemisphere", "Side", "category", 0.0, categories=("north", "south")),
)
VALUES = {"area": 120.0, "hemisphere": "south"}


@pytest.fixture(scope="module")
def told_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved_models.save_model(tmp_path_factory.mktemp("told") / "model", told=TOLD)


@pytest.fixture(scope="module")
def told_address(told_model: Path, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("space")
    with started(folder, SDOVIS_MODEL=str(told_model), GRADIO_SERVER_PORT=str(free_port())) as address:
        yield address()


def shares(model: Path, file: Path, **values: object) -> dict[str, float]:
    answer = inference.pipeline(model)(str(file), beside=VALUES | values, top_k=None)
    return {entry["label"]: entry["score"] for entry in answer}


def test_the_classifier_answers_with_the_values_and_shows_them(told_model: Path, uploads: Path) -> None:
    classifier = Classifier(told_model)
    answer = classifier.answer(uploads / "region.fits", beside=VALUES)
    assert dict(answer.probabilities) == pytest.approx(shares(told_model, uploads / "region.fits"), abs=1e-6)
    assert ("area (given)", "120") in answer.facts and ("hemisphere (given)", "south") in answer.facts
    assert answer.overlay is not None
    far = classifier.answer(uploads / "region.fits", beside=VALUES | {"area": 9e4})
    assert any("outside the training range" in note for note in far.notes)
    with pytest.raises(BadInput, match="told values beside"):
        classifier.answer(uploads / "region.fits")
    with pytest.raises(BadInput, match="a disc's regions cannot be answered together"):
        classifier.disc(uploads / "disc.fits", Listing("N12W34"))


def test_a_program_sends_the_values_by_their_names(told_address: str, told_model: Path, uploads: Path) -> None:
    from gradio_client import Client, handle_file
    from gradio_client.exceptions import AppError

    client, file = Client(told_address, verbose=False), handle_file(str(uploads / "region.fits"))
    answer = client.predict(file, beside_area=120, beside_hemisphere="south", api_name="/classify")
    assert answer["probabilities"] == pytest.approx(shares(told_model, uploads / "region.fits"), abs=1e-6)
    unknown = client.predict(file, beside_hemisphere="south", api_name="/classify")
    assert unknown["probabilities"] == pytest.approx(shares(told_model, uploads / "region.fits", area=None), abs=1e-6)
    assert any("area is not known: the training median" in note for note in unknown["notes"])
    with pytest.raises(AppError, match="hemisphere is missing"):
        client.predict(file, beside_area=120, api_name="/classify")
    with pytest.raises(AppError, match="hemisphere is 'west'"):
        client.predict(file, beside_area=120, beside_hemisphere="west", api_name="/classify")
    assert "/classify_regions" not in client.view_api(return_format="dict")["named_endpoints"]


@pytest.mark.browser
def test_a_visitor_fills_in_the_fields(told_address: str, told_model: Path, uploads: Path, visit) -> None:
    page = visit(told_address)
    page.set_input_files("#sdovis-file input[type=file]", str(uploads / "region.fits"))
    page.wait_for_selector(".sdovis-fail")
    assert "hemisphere is missing" in page.inner_text(".sdovis-fail")
    page.fill("#sdovis-area input[type=number]", "120")
    page.click("#sdovis-hemisphere input")
    page.get_by_role("option", name="south").click()
    page.click("#sdovis-ask")
    page.wait_for_selector("[data-testid=label]")
    found = shares(told_model, uploads / "region.fits")
    best = max(found, key=found.__getitem__)
    assert page.inner_text("[data-testid=label]").startswith(best)
    assert page.errors == []
