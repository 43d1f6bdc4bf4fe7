from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sdovis import plugins
from sdovis.errors import BadInput, SdovisError
from sdovis.labels.augmentations import GROUP, NAMES, Augmentation, Policy
from sdovis.learning.augment import TENTHS, augmented, drawn, ordered
from sdovis.learning.renderings import OUTCOMES

squares = st.integers(2, 6).flatmap(lambda side: arrays(np.uint8, (side, side)))
ORDER = {"flip_ns": 2, "flip_ew": 2, "rotate90": 4, "polarity": 2}
SYMMETRIES = tuple(ORDER)


def apply(picture: np.ndarray, name: str, times: int, signed: Sequence[bool] = (True,)) -> np.ndarray:
    """One picture as a batch of one."""
    batch = torch.from_numpy(np.ascontiguousarray(picture)[None])
    return augmented(batch, (name,), np.array([[times]]), signed)[0].numpy()


def one(picture: np.ndarray, names: tuple[str, ...], *, seed: int, epoch: int, index: int) -> np.ndarray:
    draws = drawn(names, seed=seed, epoch=epoch, indices=[index])
    return augmented(torch.from_numpy(picture[None].copy()), names, draws)[0].numpy()


# One picture at a time, with numpy: what a batch on any device must equal bit for bit.


def reference(
    picture: np.ndarray, names: tuple[str, ...], *, seed: int, epoch: int, index: int, signed: Sequence[bool]
) -> np.ndarray:
    rng = np.random.default_rng((seed, epoch, index))
    for name in names:
        if name == "rotate_any":
            picture = turned(picture, int(rng.integers(2)) * int(rng.integers(TENTHS)))
        elif name == "rendering":  # by a batch of one: what it does is another module's
            picture = apply(picture, name, int(rng.integers(OUTCOMES)), signed)
        elif name == "rotate90":
            picture = np.rot90(picture, rng.integers(4))
        elif rng.integers(2):
            changed = {"flip_ns": picture[::-1], "flip_ew": picture[:, ::-1]}
            picture = np.where(signed, np.negative(picture), picture) if name == "polarity" else changed[name]
    return picture


def turned(picture: np.ndarray, tenths: int) -> np.ndarray:
    side = picture.shape[0]
    middle = (side - 1) / 2
    angle = 2 * np.pi * tenths / TENTHS
    out = np.zeros_like(picture)
    for i in range(side):
        for j in range(side):
            column = int(np.rint(np.cos(angle) * (j - middle) - np.sin(angle) * (i - middle) + middle))
            row = int(np.rint(np.sin(angle) * (j - middle) + np.cos(angle) * (i - middle) + middle))
            if 0 <= row < side and 0 <= column < side:
                out[i, j] = picture[row, column]
    return out


@st.composite
def _batches(draw: st.DrawFn) -> tuple[np.ndarray, tuple[str, ...], tuple[bool, ...]]:
    count, side = draw(st.integers(1, 6)), draw(st.integers(2, 12))
    colours = draw(st.sampled_from([(), (3,)]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    names = ordered(draw(st.sets(st.sampled_from(tuple(NAMES)))))
    signed = draw(st.lists(st.booleans(), min_size=3, max_size=3)) if colours else [draw(st.booleans())]
    return rng.integers(0, 256, (count, side, side, *colours), dtype=np.uint8), names, tuple(signed)


@settings(max_examples=200, deadline=None)
@given(_batches(), st.integers(0, 99), st.integers(0, 9), st.integers(0, 999))
def test_a_batch_is_bit_for_bit_what_one_picture_after_the_other_is(batch, seed: int, epoch: int, first: int) -> None:
    pictures, names, signed = batch
    indices = [first + 7 * i for i in range(len(pictures))]
    draws = drawn(names, seed=seed, epoch=epoch, indices=indices)
    shown = augmented(torch.from_numpy(pictures), names, draws, signed).numpy()
    each = {"names": names, "seed": seed, "epoch": epoch, "signed": signed}
    expected = [reference(p, index=i, **each) for p, i in zip(pictures, indices, strict=True)]
    assert np.array_equal(shown, expected)


def test_a_large_batch_too_and_on_an_accelerator_where_there_is_one() -> None:
    rng = np.random.default_rng(4)
    pictures, names = rng.integers(0, 256, (48, 31, 31, 3), dtype=np.uint8), tuple(NAMES)
    signed = (True, False, True)
    draws = drawn(names, seed=1, epoch=2, indices=range(48))
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    expected = [reference(p, names, seed=1, epoch=2, index=i, signed=signed) for i, p in enumerate(pictures)]
    for device in devices:
        given_ = torch.from_numpy(pictures).to(device)
        shown = augmented(given_, names, draws, signed)
        assert shown.device.type == device and np.array_equal(shown.cpu().numpy(), expected)
        assert np.array_equal(given_.cpu().numpy(), pictures), "what is given stays as it is"
    assert all(len(np.unique(column)) > 1 for column in draws.T)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=12), st.integers(1, 12))
def test_draws_do_not_know_their_batch(indices: list[int], size: int) -> None:
    whole = drawn(tuple(NAMES), seed=3, epoch=1, indices=indices)
    parts = [indices[i : i + size] for i in range(0, len(indices), size)]
    assert np.array_equal(whole, np.concatenate([drawn(tuple(NAMES), seed=3, epoch=1, indices=p) for p in parts]))


@given(squares, st.sampled_from(SYMMETRIES))
def test_each_augmentation_undoes_itself_after_its_order_and_not_before(picture: np.ndarray, name: str) -> None:
    again = picture
    for _ in range(ORDER[name]):
        again = apply(again, name, 1)
    assert np.array_equal(again, picture)
    assert np.array_equal(apply(picture, name, ORDER[name]), picture)


@given(squares)
def test_both_flips_make_half_a_turn(picture: np.ndarray) -> None:
    assert np.array_equal(apply(apply(picture, "flip_ns", 1), "flip_ew", 1), apply(picture, "rotate90", 2))


def test_a_flip_ns_swaps_north_and_south_and_a_flip_ew_east_and_west() -> None:
    picture = np.array([[1, 2], [3, 4]], np.uint8)
    assert apply(picture, "flip_ns", 1).tolist() == [[3, 4], [1, 2]]
    assert apply(picture, "flip_ew", 1).tolist() == [[2, 1], [4, 3]]


def test_reversed_polarity_keeps_zero_gauss_and_missing_and_swaps_the_signs() -> None:
    codes = np.array([[0, 128, 127, 129, 1, 255]], np.uint8)
    assert apply(codes, "polarity", 1).tolist() == [[0, 128, 129, 127, 255, 1]]


def test_reversed_polarity_of_the_code_is_the_code_of_the_reversed_field() -> None:
    from sdovis.channels.channel import channel

    magnetogram = channel("hmi-magnetogram")
    field = np.random.default_rng(0).normal(0, 600, (20, 20)).astype(np.float32)
    field[0] = np.nan
    assert np.array_equal(apply(magnetogram.encode(field), "polarity", 1), magnetogram.encode(-field))


def test_a_draw_depends_on_seed_epoch_and_index_alone() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (8, 8), dtype=np.uint8)
    first = one(picture, tuple(NAMES), seed=1, epoch=2, index=3)
    np.random.default_rng(0).random()
    np.random.seed(9)
    assert np.array_equal(first, one(picture, tuple(NAMES), seed=1, epoch=2, index=3))
    for other in ({"seed": 2}, {"epoch": 3}, {"index": 4}):
        where = {"seed": 1, "epoch": 2, "index": 3} | other
        assert one(picture, tuple(NAMES), **where).tobytes() != first.tobytes(), other


def test_over_many_epochs_every_variant_of_a_picture_is_seen() -> None:
    picture = np.random.default_rng(1).integers(1, 128, (4, 4), dtype=np.uint8)
    seen = {one(picture, SYMMETRIES, seed=0, epoch=epoch, index=0).tobytes() for epoch in range(200)}
    assert len(seen) == 8 * 2  # the symmetries of the square, times two polarities


def test_augmentations_are_applied_in_their_fixed_order_and_unknown_ones_are_an_error() -> None:
    assert ordered({"polarity", "rotate_any", "flip_ew"}) == ("flip_ew", "rotate_any", "polarity")
    with pytest.raises(ValueError, match="'zoom'"):
        ordered({"zoom"})


@given(squares, st.integers(-4, 8))
def test_a_free_turn_by_quarters_is_the_quarter_turn(picture: np.ndarray, quarters: int) -> None:
    assert np.array_equal(apply(picture, "rotate_any", quarters * TENTHS // 4), np.rot90(picture, quarters))


def test_a_free_turn_goes_counterclockwise_about_the_middle() -> None:
    picture = np.zeros((61, 61), np.uint8)
    picture[28:33, 48:53] = 200  # 20 pixels to the west of the middle
    turned = apply(picture, "rotate_any", 300)
    north, west = np.mean(np.argwhere(turned == 200) - 30, axis=0) * (-1, 1)
    assert np.hypot(north, west) == pytest.approx(20, abs=0.3)
    assert np.degrees(np.arctan2(north, west)) == pytest.approx(30, abs=1)
    corners = apply(np.full((61, 61), 200, np.uint8), "rotate_any", 300)[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert (corners == 0).all(), "what turns in is missing"


@given(arrays(np.uint8, (9, 9), elements=st.integers(1, 255)), st.integers(0, TENTHS - 1))
def test_a_free_turn_makes_no_new_value_and_misses_nothing_but_corners(picture: np.ndarray, tenths: int) -> None:
    turned = apply(picture, "rotate_any", tenths)
    assert set(np.unique(turned)) <= {0, *np.unique(picture)}
    y, x = np.mgrid[:9, :9] - 4
    assert (turned[np.hypot(x, y) <= 4] > 0).all()
    assert np.array_equal(apply(picture, "rotate_any", tenths + TENTHS), turned)


@given(squares, st.integers(0, TENTHS - 1))
def test_a_free_turn_and_reversed_polarity_may_be_done_in_any_order(picture: np.ndarray, tenths: int) -> None:
    one = apply(apply(picture, "rotate_any", tenths), "polarity", 1)
    assert np.array_equal(one, apply(apply(picture, "polarity", 1), "rotate_any", tenths))


def test_a_free_turn_turns_the_three_colours_alike() -> None:
    picture = np.random.default_rng(2).integers(1, 256, (12, 12, 3), dtype=np.uint8)
    turned = apply(picture, "rotate_any", 123)
    assert turned.shape == picture.shape
    for colour in range(3):
        assert np.array_equal(turned[..., colour], apply(picture[..., colour], "rotate_any", 123))


def test_a_free_turn_keeps_the_noise_so_that_turned_pictures_are_not_told_by_their_smoothness() -> None:
    noise = np.clip(np.random.default_rng(3).normal(128, 20, (112, 112)), 1, 255).astype(np.uint8)
    for tenths in (77, 450, 1234):
        turned = apply(noise, "rotate_any", tenths)
        seen = turned[turned > 0]
        assert seen.std() == pytest.approx(noise.std(), rel=0.03)
        steps = np.diff(turned[30:80, 30:80].astype(int)).std(), np.diff(noise[30:80, 30:80].astype(int)).std()
        assert steps[0] == pytest.approx(steps[1], rel=0.2)


def test_half_of_the_pictures_stay_unturned_and_the_others_turn_by_any_angle() -> None:
    picture = np.random.default_rng(1).integers(1, 256, (32, 32), dtype=np.uint8)
    shown = [one(picture, ("rotate_any",), seed=0, epoch=epoch, index=0) for epoch in range(400)]
    same = sum(np.array_equal(each, picture) for each in shown)
    assert 160 < same < 240
    assert len({each.tobytes() for each in shown}) > 150


def test_reversed_polarity_turns_the_signed_colours_alone() -> None:
    from sdovis.channels.channel import channels, encode

    kinds = channels(["hmi-br", "hmi-magnetogram", "hmi-continuum"])
    signed = [kind.signed for kind in kinds]
    assert signed == [True, True, False]
    rng = np.random.default_rng(0)
    values = [rng.normal(0, 600, (20, 20)).astype(np.float32) for _ in range(2)]
    values.append(rng.uniform(0.2, 1.2, (20, 20)).astype(np.float32))
    values[0][0] = np.nan
    opposite = encode([-values[0], -values[1], values[2]], kinds)
    assert np.array_equal(apply(encode(values, kinds), "polarity", 1, signed), opposite)
    assert np.array_equal(apply(encode(values, kinds), "polarity", 2, signed), encode(values, kinds))
    # A picture in colour of one signed channel holds the same codes thrice.
    grey = np.repeat(encode(values[:1], kinds[:1])[..., None], 3, axis=-1)
    assert np.array_equal(apply(grey, "polarity", 1, [True]), np.negative(grey))


# Of strangers: all that a square allows, by name; one that gives back half a batch; and those of a distribution.

for mirrors, quarters in product((False, True), range(4)):
    globals()[f"SQUARE_{mirrors:d}{quarters}"] = Augmentation(
        f"square_{mirrors:d}{quarters}", 2 if mirrors else 4, symmetry=(mirrors, quarters)
    )
HALF = Augmentation(
    "half", 2, lambda pictures, which, signed: pictures[:, ::2], keeps=frozenset({"any"}), signed_only=True
)
VOUCHED = Augmentation("vouched", 2, lambda pictures, which, signed: pictures, keeps=frozenset({"spot-complexity"}))
NOTHING = Augmentation("nothing", 2, lambda pictures, which, signed: None, draw=lambda rng: 70_001)
SQUARES = tuple(f"square_{mirrors:d}{quarters}" for mirrors, quarters in product((0, 1), range(4)))


@pytest.fixture
def strangers(monkeypatch, fresh_plugins) -> None:
    """Augmentations of this module and of the distribution of the plug-ins' tests, found by name."""
    made = [EntryPoint(name, f"{__name__}:{name.upper()}", GROUP) for name in (*SQUARES, "half", "nothing", "vouched")]
    made += [EntryPoint("one_step", "spot_complexity:ONE_STEP", GROUP), EntryPoint("pi", "math:pi", GROUP)]
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "plugin_distribution")
    monkeypatch.setattr(plugins, "entry_points", lambda group: [*entry_points(group=group), *made])


def test_what_a_stranger_brings_comes_after_the_built_ins_and_changes_none_of_their_draws(strangers: None) -> None:
    assert ordered(["one_step", "polarity", "flip_ns"]) == ("flip_ns", "polarity", "one_step")
    mixed = drawn((*NAMES, "one_step"), seed=3, epoch=1, indices=range(40))
    assert np.array_equal(mixed[:, :-1], drawn(NAMES, seed=3, epoch=1, indices=range(40)))
    assert len(set(mixed[:, -1])) > 30 and mixed[:, -1].min() >= 0


def test_what_a_stranger_brings_is_done_to_each_picture_alike_in_any_batch(strangers: None) -> None:
    rng = np.random.default_rng(4)
    pictures, names = rng.integers(0, 256, (7, 9, 9), dtype=np.uint8), ("rotate90", "polarity", "one_step")
    draws = drawn(names, seed=5, epoch=0, indices=range(7))
    whole = augmented(torch.from_numpy(pictures), names, draws).numpy()
    alone = [augmented(torch.from_numpy(pictures[i : i + 1]), names, draws[i : i + 1])[0].numpy() for i in range(7)]
    assert np.array_equal(whole, alone)
    before = augmented(torch.from_numpy(pictures), names[:2], draws[:, :2]).numpy()
    step = whole.astype(int) - before
    assert set(np.unique(step)) == {-1, 0, 1} and not step[before == 0].any() and (whole > 0)[before > 0].all()


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(of=st.sets(st.sampled_from(SQUARES), min_size=1), seed=st.integers(0, 10**6))
def test_symmetries_of_the_square_together_are_one_after_the_other(strangers: None, of: set[str], seed: int) -> None:
    names, picture = ordered(of), np.arange(9, dtype=np.uint8).reshape(3, 3)
    draws = drawn(names, seed=seed, epoch=0, indices=[0])
    expected = picture
    for name, times in zip(names, draws[0], strict=True):
        for _ in range(times):
            expected = np.rot90(expected[::-1] if name[-2] == "1" else expected, int(name[-1]))
    assert np.array_equal(augmented(torch.from_numpy(picture[None].copy()), names, draws)[0].numpy(), expected)


def test_what_gives_back_no_such_pictures_is_named(strangers: None) -> None:
    with pytest.raises(SdovisError, match=r"augmentation 'half': \(2, 4, 4\) of torch.uint8 went in, but \(2, 2, 4\)"):
        augmented(torch.zeros((2, 4, 4), dtype=torch.uint8), ("half",), np.array([[1], [1]], np.int16))
    draws = drawn(("nothing",), seed=0, epoch=0, indices=[0])
    with pytest.raises(
        SdovisError, match=r"augmentation 'nothing': \(1, 4, 4\) of torch.uint8 went in, but None came back"
    ):
        augmented(torch.zeros((1, 4, 4), dtype=torch.uint8), ("nothing",), draws)


def test_a_stranger_vouches_for_labels_by_name_and_the_scheme_has_the_last_word(strangers: None) -> None:
    policy = Policy("spot-complexity", frozenset({"flip_ns"}))
    assert policy.chosen(True, signed=True) == ("flip_ns",), "installing a distribution changes no training"
    assert policy.chosen(["vouched", "flip_ns"], signed=True) == ("flip_ns", "vouched")
    for refusing in (Policy("flare", frozenset()), Policy("spot-complexity", frozenset(), {"vouched": "no"})):
        with pytest.raises(BadInput, match="'vouched' breaks labels of the scheme"):
            refusing.chosen(["vouched"], signed=True)
    with pytest.raises(BadInput, match="'half' needs a signed channel"):
        Policy("any", frozenset()).chosen(["half"], signed=False)
    with pytest.raises(BadInput, match=r"plug-in 'pi' of .* is of type float but must be of type Augmentation"):
        policy.chosen(["pi"], signed=True)
    with pytest.raises(BadInput, match="'vouche' is unknown; did you mean 'vouched'"):
        policy.chosen(["vouche"], signed=True)


@pytest.mark.parametrize(
    "wrong",
    [
        {"outcomes": 2},
        {"outcomes": 2, "symmetry": (True, 0), "apply": print},
        {"outcomes": 1, "apply": print},
        {"outcomes": 2, "apply": print, "keeps": "mcintosh"},
    ],
)
def test_an_augmentation_whose_parts_do_not_fit_is_refused_where_it_is_made(wrong: dict) -> None:
    with pytest.raises(ValueError, match="augmentation 'wrong': "):
        Augmentation("wrong", **wrong)
