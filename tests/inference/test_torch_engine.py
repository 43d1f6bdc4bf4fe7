"""torch as an engine: what it answers for codes, from several threads at once."""

from __future__ import annotations

import io
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image
from saved_models import SIZE, network
from sdovis import inference
from sdovis.errors import BadInput
from sdovis.inference import engines
from sdovis.learning.seen import Watched

CODES = np.random.default_rng(0).integers(0, 256, (6, SIZE, SIZE), dtype=np.uint8)


def png(codes: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(codes).save(file, format="PNG")
    return file.getvalue()


def test_an_engine_answers_for_codes_what_scoring_answers_for_pictures(small_model) -> None:
    scored = inference.scored(small_model, [png(each) for each in CODES], progress=False)
    found = engines.engine("torch", small_model).scored(CODES)
    assert np.array_equal(found.probabilities, scored.probabilities)
    coloured = engines.engine("torch", small_model).scored(np.repeat(CODES[..., None], 3, axis=-1))
    assert np.array_equal(coloured.probabilities, scored.probabilities)


def test_another_engine_is_asked_in_torchs_place(small_model) -> None:
    class Certain:
        def scored(self, codes: np.ndarray) -> inference.Scored:
            return inference.Scored(np.eye(3, dtype=np.float32)[: len(codes)], None)

    found = inference.scored(small_model, [png(each) for each in CODES], batch_size=3, progress=False, engine=Certain())
    assert np.array_equal(found.probabilities, np.concatenate([np.eye(3), np.eye(3)]))


def test_no_pictures_have_no_answers(small_model) -> None:
    assert inference.scored(small_model, [], progress=False).probabilities.shape == (0, 3)


def test_two_threads_at_one_network_each_read_their_own_features() -> None:
    model, together = network(), threading.Barrier(2)
    watched = Watched(model)
    pictures = torch.from_numpy(CODES[:2].astype(np.float32) / 128 - 1)[:, None].expand(-1, 3, -1, -1)

    def seen(number: int) -> np.ndarray | None:
        with torch.inference_mode():
            model(pictures[number : number + 1])
        together.wait(60)
        return watched.last()

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(seen, range(2)))
    with torch.inference_mode():
        for number in range(2):
            model(pictures[number : number + 1])
            assert np.allclose(found[number], watched.last(), atol=1e-5)
    assert not np.allclose(found[0], found[1])


def test_an_engine_of_another_name_is_refused(small_model) -> None:
    with pytest.raises(BadInput, match="there is no engine 'tensorflow'"):
        engines.engine("tensorflow", small_model)
