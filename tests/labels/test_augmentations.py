"""Which augmentations a scheme allows, and what a study that asks for another is told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sdovis.errors import BadInput
from sdovis.labels import augmentations
from sdovis.labels.augmentations import BREAKING, NAMES, ON_REQUEST, Augmentation, Policy
from sdovis.labels.mcintosh import MCINTOSH, MCINTOSH_C, MCINTOSH_P, MCINTOSH_Z
from sdovis.labels.schemes import ACTIVITY, FLARE, MOUNT_WILSON, MOUNT_WILSON_3, SDO_VT1, LabelScheme, column

ALL = [MOUNT_WILSON, MOUNT_WILSON_3, MCINTOSH, MCINTOSH_Z, MCINTOSH_P, MCINTOSH_C, ACTIVITY, FLARE, SDO_VT1]
STRANGERS = LabelScheme("size", "1", ("small", "large"), {"small": "Small.", "large": "Large."}, ordered=True)


def _refusals(policy: Policy, *names: str, signed: bool = True) -> list[str]:
    with pytest.raises(BadInput) as caught:
        policy.chosen(names, signed=signed)
    return [str(problem) for problem in caught.value.problems]


def test_each_scheme_keeps_what_its_definition_does_not_speak_of() -> None:
    assert set(NAMES) == MOUNT_WILSON.augmentations == MOUNT_WILSON_3.augmentations
    assert MCINTOSH_C.augmentations == set(NAMES) - {"rendering"}, "in another, small spots may not be seen"
    for of in (MCINTOSH, MCINTOSH_Z, MCINTOSH_P):
        assert of.augmentations == {"flip_ns", "flip_ew", "polarity"}, "lengths are measured east-west or north-south"
    assert ACTIVITY.augmentations == FLARE.augmentations == {"flip_ns", "flip_ew", "rotate90", "polarity", "rendering"}
    assert not SDO_VT1.augmentations and not column(["x"], []).augmentations


def test_true_means_all_that_keep_the_label_but_the_free_turn_and_other_renderings() -> None:
    assert MOUNT_WILSON.policy.chosen(True, signed=True) == ("flip_ns", "flip_ew", "rotate90", "polarity")
    assert MOUNT_WILSON.policy.chosen(True, signed=False) == ("flip_ns", "flip_ew", "rotate90")
    assert MCINTOSH.policy.chosen(True, signed=True) == ("flip_ns", "flip_ew", "polarity")
    assert SDO_VT1.policy.chosen(True, signed=True) == ()
    assert MOUNT_WILSON.policy.chosen(False, signed=True) == MOUNT_WILSON.policy.chosen([], signed=True) == ()


def test_names_are_taken_in_the_order_in_which_they_are_applied_and_once() -> None:
    wanted = ["polarity", "rotate_any", "flip_ns", "polarity"]
    assert MOUNT_WILSON.policy.chosen(wanted, signed=True) == ("flip_ns", "rotate_any", "polarity")


@pytest.mark.parametrize("of", ALL, ids=lambda of: of.name)
@given(st.lists(st.sampled_from([*NAMES, *BREAKING, "mixup"]), max_size=4), st.booleans())
def test_a_study_gets_what_it_asked_for_or_a_line_for_each_refusal(of: LabelScheme, wanted, signed: bool) -> None:
    right = {n for n in wanted if n in of.augmentations and (signed or n != "polarity")}
    if right == set(wanted):
        assert set(of.policy.chosen(wanted, signed=signed)) == right
    else:
        lines = _refusals(of.policy, *wanted, signed=signed)
        assert len(lines) == len(set(wanted) - right)
        assert all("\n" not in line and any(repr(name) in line for name in set(wanted) - right) for line in lines)


def test_a_refusal_names_scheme_augmentation_reason_and_what_is_allowed() -> None:
    assert _refusals(MCINTOSH_Z.policy, "rotate90") == [
        "method.augment: 'rotate90' breaks labels of the scheme mcintosh-z: the length of a group runs east-west and "
        "its largest penumbra is measured north-south: a turn exchanges them; choose from flip_ns, flip_ew, polarity"
    ]
    (line,) = _refusals(MCINTOSH_Z.policy, "zoom", signed=False)
    assert "10 and 15 for the group" in line and line.endswith("choose from flip_ns, flip_ew")
    (line,) = _refusals(SDO_VT1.policy, "flip_ns")
    assert line.endswith(
        "the scheme does not say that it keeps the label; the scheme allows none; set method.augment = false"
    )


@pytest.mark.parametrize("of", ALL, ids=lambda of: of.name)
def test_what_is_common_elsewhere_is_refused_with_a_reason_by_every_scheme(of: LabelScheme) -> None:
    lines = _refusals(of.policy, *BREAKING)
    assert len(lines) == len(BREAKING) and not any("does not say" in line or "unknown" in line for line in lines)
    assert "a beta group becomes alpha" in _refusals(of.policy, "random_resized_crop")[0]


def test_a_scheme_of_a_stranger_needs_to_name_no_reasons() -> None:
    assert (
        "'flip_ns' breaks labels of the scheme size: the scheme does not say"
        in _refusals(STRANGERS.policy, "flip_ns")[0]
    )
    assert "it changes lengths and areas" in _refusals(STRANGERS.policy, "zoom")[0]


def test_a_scheme_of_a_stranger_may_name_reasons_for_what_sdovis_has_never_heard_of() -> None:
    policy = Policy("size", frozenset({"flip_ns"}), {"mixup": "half a large spot is a small one", "zoom": "of course"})
    assert "half a large spot is a small one" in _refusals(policy, "mixup")[0]
    assert "of course" in _refusals(policy, "zoom")[0]


def test_reversed_polarity_by_name_needs_a_signed_channel() -> None:
    assert _refusals(MOUNT_WILSON.policy, "polarity", signed=False) == [
        "method.augment: 'polarity' needs a signed channel, but the study has none; remove it"
    ]


def test_an_unknown_augmentation_is_refused_with_the_nearest_name() -> None:
    (line,) = _refusals(MOUNT_WILSON.policy, "flip_nw")
    assert "'flip_nw' is unknown; did you mean 'flip_" in line


def test_the_policy_of_a_corpus_is_that_of_its_scheme() -> None:
    assert MCINTOSH_Z.facts(MCINTOSH_Z.classes, ()).policy == MCINTOSH_Z.policy
    assert set(NAMES) >= ON_REQUEST


@pytest.fixture
def strangers_installed(monkeypatch):
    """Two augmentations of strangers: `blur`, which a scheme may name, and `add_noise`, which vouches for itself."""
    made = {
        "blur": Augmentation("blur", outcomes=2, apply=lambda pictures, which, signed: pictures),
        "add_noise": Augmentation("add_noise", 2, lambda pictures, which, signed: pictures, keeps=frozenset({"size"})),
    }
    monkeypatch.setattr(augmentations, "known", lambda: (*NAMES, *sorted(made)))
    real = augmentations.augmentation
    monkeypatch.setattr(augmentations, "augmentation", lambda name: made.get(name) or real(name))


def test_true_includes_a_strangers_augmentation_that_the_scheme_names_but_not_one_that_vouches_for_itself(
    strangers_installed,
) -> None:
    policy = Policy("size", frozenset({"blur", "polarity", "flip_ns"}))
    assert policy.chosen(True, signed=True) == ("flip_ns", "polarity", "blur")
    assert policy.chosen(True, signed=False) == ("flip_ns", "blur")
    assert policy.chosen(["add_noise", "blur"], signed=True) == ("add_noise", "blur")
    assert _refusals(policy, "zoom")[0].endswith("choose from flip_ns, polarity, blur")


def test_an_augmentation_that_a_scheme_names_and_nobody_installed_is_one_clear_line() -> None:
    policy = Policy("size", frozenset({"blur", "flip_ns"}))
    wanted = (
        "the scheme size names the augmentation 'blur', but no plug-in of that name is installed; install "
        "the package that provides it, or list the other augmentations in method.augment"
    )
    with pytest.raises(BadInput) as caught:
        policy.chosen(True, signed=True)
    assert [str(problem) for problem in caught.value.problems] == [wanted] == _refusals(policy, "blur", "flip_ns")
    assert policy.chosen(False, signed=True) == () and policy.chosen(["flip_ns"], signed=True) == ("flip_ns",)
