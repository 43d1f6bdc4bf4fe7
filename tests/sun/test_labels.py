from __future__ import annotations

import dataclasses
import pickle
import re

import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sdovis import plugins
from sdovis.errors import BadInput
from sdovis.sun import labels
from sdovis.sun.labels import (
    ACTIVITY,
    FLARE,
    MCINTOSH_CODES,
    MCINTOSH_Z,
    MOUNT_WILSON,
    MOUNT_WILSON_3,
    SDO_VT1,
    LabelScheme,
    UnknownLabel,
    column,
    normalise,
    scheme,
)

FIXED = [MOUNT_WILSON, MOUNT_WILSON_3, MCINTOSH_Z, ACTIVITY, FLARE, SDO_VT1]
NAMES = [s.name for s in FIXED]

# The table of the 60 types of McIntosh (1990), Fig. 1, written out.
PUBLISHED_CODES = """
    Axx Bxo Bxi Hrx Cro Dro Ero Fro Cri Dri Eri Fri Hsx Cso Dso Eso Fso Csi Dsi Esi Fsi Hax Cao Dao Eao Fao Cai Dai Eai
    Fai Dsc Esc Fsc Dac Eac Fac Hhx Cho Dho Eho Fho Chi Dhi Ehi Fhi Hkx Cko Dko Eko Fko Cki Dki Eki Fki Dhc Ehc Fhc Dkc
    Ekc Fkc
""".split()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Alpha", "alpha"),
        ("A", "alpha"),
        ("α", "alpha"),
        ("B", "beta"),
        (" beta ", "beta"),
        ("BETA-GAMMA", "beta-gamma"),
        ("beta gamma", "beta-gamma"),
        ("Beta/Gamma", "beta-gamma"),
        ("Beta – Gamma", "beta-gamma"),
        ("BetaGamma", "beta-gamma"),
        ("BG", "beta-gamma"),
        ("βγ", "beta-gamma"),
        ("β-γ", "beta-gamma"),
        ("ΒΓΔ", "beta-gamma-delta"),
        ("bgd", "beta-gamma-delta"),
        ("Beta-Gamma-Delta", "beta-gamma-delta"),
        ("beta_delta", "beta-delta"),
        ("βδ", "beta-delta"),
        ("GD", "gamma-delta"),
        ("δ", "delta"),
        ("Ｂｅｔａ", "beta"),
    ],
)
def test_mount_wilson_reads_case_separators_initials_and_greek(text: str, expected: str) -> None:
    assert MOUNT_WILSON.label(text) == expected
    assert MOUNT_WILSON_3.label(text) == (expected if expected in ("alpha", "beta") else "complex")


@given(
    st.sampled_from(MOUNT_WILSON.classes),
    st.sampled_from(["-", " ", "/", "", "_", " - ", "–", "\t", "\u00a0", " + "]),
    st.lists(st.booleans(), min_size=20, max_size=20),
    st.sampled_from(["", " ", "\n", "\u200b"]),
)
def test_any_case_and_separator_names_the_same_class(name: str, joint: str, upper: list[bool], around: str) -> None:
    text = "".join(c.upper() if u else c for c, u in zip(name, upper, strict=False)).replace("-", joint)
    assert MOUNT_WILSON.label(around + text + around) == name


def test_only_what_joins_two_words_is_dropped() -> None:
    assert normalise("Beta - Gamma") == normalise("betagamma")
    assert len({normalise(t) for t in ("1", "-1", "1.0", "10", "1-0", "1 a", "1a")}) == 7


@given(st.text(alphabet=st.characters(codec="latin-1"), max_size=12))
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@given(st.sampled_from(FIXED), st.text(max_size=15))
def test_any_text_is_a_class_or_blank_or_refused_with_a_hint(of: LabelScheme, text: str) -> None:
    try:
        found = of.label(text)
    except UnknownLabel as error:
        assert text.strip() and error.text == text and error.hint
    else:
        assert (found is None) == (not text.strip())
        assert found is None or found in of.classes


@pytest.mark.parametrize("blank", ["", " ", "\t\n", "\u00a0"])
@pytest.mark.parametrize("of", FIXED, ids=NAMES)
def test_a_blank_cell_has_no_class(of: LabelScheme, blank: str) -> None:
    assert of.label(blank) is None and of.field_class(blank) is None


@pytest.mark.parametrize("text", ["NA", "N/A", "nan", "None", "-", "?", "0x", "-1", "10", "1-0"])
@pytest.mark.parametrize("of", FIXED, ids=NAMES)
def test_a_placeholder_is_not_blank_but_unknown(of: LabelScheme, text: str) -> None:
    with pytest.raises(UnknownLabel, match=re.escape(repr(text))):
        of.label(text)


def test_a_misspelt_class_gets_the_nearest_as_hint() -> None:
    with pytest.raises(UnknownLabel) as caught:
        MOUNT_WILSON.label("Betta-Gama")
    assert caught.value.hint == "did you mean 'beta-gamma'?"
    assert isinstance(caught.value, ValueError)
    with pytest.raises(UnknownLabel, match="did you mean 'Hsx'"):
        MCINTOSH_Z.label("Hso")


def test_merging_is_named_so_that_it_can_be_counted() -> None:
    assert MOUNT_WILSON.merged == {}
    assert set(MOUNT_WILSON_3.merged) == set(MOUNT_WILSON.classes) - {"alpha", "beta"}
    assert set(MOUNT_WILSON_3.merged.values()) == {"complex"}
    assert MOUNT_WILSON_3.field_class("βδ") == "beta-delta"
    assert MOUNT_WILSON_3.label("complex") == "complex"


def test_mcintosh_has_the_sixty_published_types() -> None:
    assert len(MCINTOSH_CODES) == len(set(MCINTOSH_CODES)) == 60
    assert set(MCINTOSH_CODES) == set(PUBLISHED_CODES)


@given(st.sampled_from(PUBLISHED_CODES), st.sampled_from([str.upper, str.lower, str.title]))
def test_mcintosh_takes_the_first_letter_of_a_valid_type(code: str, case) -> None:
    assert MCINTOSH_Z.label(case(code)) == code[0]
    assert MCINTOSH_Z.field_class(case(code)) == code


@given(st.text("ABCDEFHGJXRSAHKOIC", min_size=1, max_size=4))
def test_mcintosh_refuses_what_is_not_one_of_the_types(text: str) -> None:
    assume(text.title() not in PUBLISHED_CODES)
    with pytest.raises(UnknownLabel):
        MCINTOSH_Z.label(text)


@pytest.mark.parametrize("text", ["0", "0.0", "no", "No", "FALSE", "False", "n", "no flare", "No-Flare"])
def test_flare_reads_the_ways_of_saying_no(text: str) -> None:
    assert FLARE.label(text) == "no-flare"


@pytest.mark.parametrize("text", ["1", "1.0", "yes", "TRUE", "y", "flare"])
def test_flare_reads_the_ways_of_saying_yes(text: str) -> None:
    assert FLARE.label(text) == "flare"


def test_activity_and_sdo_vt1_read_their_classes() -> None:
    assert [ACTIVITY.label(t) for t in ("Quiet Sun", "Plage", "SPOTTED")] == list(ACTIVITY.classes)
    assert [SDO_VT1.label(t) for t in ("Coronal_Hole", "coronal loops", "Flare")] == list(SDO_VT1.classes)
    assert [ACTIVITY.label(t) for t in ("quiet", "Plages", "plage without spots", "Sunspots")] == [
        "quiet",
        "plage",
        "plage",
        "spotted",
    ]


@pytest.mark.parametrize("of", FIXED, ids=NAMES)
def test_every_class_has_one_sentence_and_schemes_survive_a_process_pool(of: LabelScheme) -> None:
    assert all(m.endswith(".") and m[0].isupper() and m.count(". ") == 0 for m in of.meanings.values())
    copy = pickle.loads(pickle.dumps(of))
    assert copy == of and copy.label(of.accepts[0]) == of.label(of.accepts[0])


def test_only_what_keeps_the_label_may_be_done_to_an_image() -> None:
    assert MOUNT_WILSON.augmentations == MOUNT_WILSON_3.augmentations == set(labels.AUGMENTATIONS)
    assert MCINTOSH_Z.augmentations == {"flip_ns", "flip_ew"}
    assert ACTIVITY.augmentations == FLARE.augmentations == {"flip_ns", "flip_ew", "rotate90", "polarity"}
    assert not SDO_VT1.augmentations and not column(["x"], []).augmentations
    assert [s.name for s in FIXED if s.ordered] == ["mount-wilson-3", "activity"]


def test_a_scheme_that_contradicts_itself_is_refused() -> None:
    for change, why in [
        ({"classes": ("alpha", "alpha", "beta", "complex")}, "named twice"),
        ({"meanings": {}}, "one sentence"),
        ({"merged": {"gamma": "odd"}, "spellings": {}, "accepts": ()}, "leads to no class"),
        ({"augmentations": frozenset({"zoom"})}, "augmentations"),
        ({"spellings": {"x": "nothing"}}, "not accepted"),
        ({"spellings": {"BETA": "alpha"}}, "two classes"),
    ]:
        with pytest.raises(ValueError, match=why):
            dataclasses.replace(MOUNT_WILSON_3, **change)


def test_a_column_has_the_classes_found_in_it() -> None:
    found = column(["Plage", "plage", "Plage", "", "Filament", "active region", "Active-Region", "Active-Region"], [])
    assert found.classes == ("Active-Region", "Filament", "Plage")
    assert found.label("plage") == "Plage" and found.label("ACTIVE REGION") == "Active-Region"
    assert found.spellings == {"plage": "Plage", "active region": "Active-Region"}
    assert not found.ordered


def test_a_columns_placeholders_are_unknown_unless_listed() -> None:
    found = column(["X", "NA", "#REF!", "Y"], [])
    assert found.classes == ("X", "Y")
    for text in ("NA", "#REF!"):
        with pytest.raises(UnknownLabel):
            found.label(text)
    assert column([], ["NA", "X"]).label("na") == "NA"


def test_a_columns_listed_classes_keep_their_order_and_nothing_else_is_read() -> None:
    found = column(["weak", "strong", "odd"], ["weak", "strong"])
    assert found.classes == ("weak", "strong")
    with pytest.raises(UnknownLabel, match="choose one of weak, strong"):
        found.label("odd")


@given(st.lists(st.text("abAB -", max_size=4)), st.randoms())
def test_the_classes_of_a_column_do_not_depend_on_the_order_of_its_rows(values: list[str], random) -> None:
    assume(any(re.search("[aA-bB]", v) for v in values))
    before = column(values, [])
    random.shuffle(values)
    assert column(values, []) == before


@pytest.mark.parametrize(("values", "classes"), [([], []), (["", "NA"], []), (["x"], ["x", "X"]), (["x"], ["x", " "])])
def test_a_column_without_usable_classes_is_bad_input(values: list[str], classes: list[str]) -> None:
    with pytest.raises(BadInput, match="label"):
        column(values, classes)


@pytest.mark.parametrize("of", FIXED, ids=NAMES)
def test_the_built_in_schemes_are_found_by_name(of: LabelScheme) -> None:
    assert scheme(of.name) == of


def test_the_column_scheme_is_found_by_name_and_takes_the_values() -> None:
    assert scheme("column", values=["b", "a"]).classes == ("a", "b")
    assert scheme("column", classes=["b", "a"]).classes == ("b", "a")


def test_an_unknown_scheme_gets_the_nearest_as_hint() -> None:
    with pytest.raises(BadInput, match="did you mean 'mcintosh-z'"):
        scheme("mcintsh-z")


def test_classes_are_refused_where_the_scheme_has_its_own() -> None:
    with pytest.raises(BadInput, match="has its own classes"):
        scheme("activity", classes=["quiet", "loud"])
    assert scheme("activity", classes=list(ACTIVITY.classes)) is ACTIVITY


def test_a_strangers_plug_in_may_be_a_function_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "load", lambda group, name: lambda values, classes: SDO_VT1)
    assert scheme("theirs") is SDO_VT1
    for odd in ("a text", lambda values, classes: "a text"):
        monkeypatch.setattr(plugins, "load", lambda group, name, odd=odd: odd)
        with pytest.raises(BadInput, match="gives no LabelScheme"):
            scheme("theirs")


def test_the_real_workbook_is_read_whole(shared_data) -> None:
    book = pd.read_excel(shared_data / "HMI_Continuum_2010_2011.xlsx", dtype=str, keep_default_na=False)
    classes = book["Mount Wilson"].map(MOUNT_WILSON.label)
    assert set(classes.dropna()) == {"alpha", "beta", "beta-gamma", "beta-delta", "beta-gamma-delta"}
    assert (classes.isna() == (book["Kind"] == "plage")).all()
    assert set(book["Kind"].map(ACTIVITY.label)) == {"spotted", "plage"}
    refused = []
    for text in book["McIntosh"]:
        try:
            MCINTOSH_Z.label(text)
        except UnknownLabel as error:
            refused.append(error.text)
    assert refused == ["Hso", "Hso"]  # not one of the 60: H has no bipolar interior
