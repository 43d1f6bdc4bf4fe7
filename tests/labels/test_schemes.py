from __future__ import annotations

import dataclasses
import pickle
import re
from collections import Counter

import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sdovis import plugins
from sdovis.errors import BadInput
from sdovis.labels.mcintosh import MCINTOSH, MCINTOSH_C, MCINTOSH_P, MCINTOSH_Z
from sdovis.labels.schemes import (
    ACTIVITY,
    FLARE,
    MOUNT_WILSON,
    MOUNT_WILSON_3,
    SDO_VT1,
    LabelScheme,
    UnknownLabel,
    column,
    normalise,
    scheme,
)

FIXED = [MOUNT_WILSON, MOUNT_WILSON_3, MCINTOSH, MCINTOSH_Z, MCINTOSH_P, MCINTOSH_C, ACTIVITY, FLARE, SDO_VT1]
NAMES = [s.name for s in FIXED]
BOOKS = {
    "HMI_Continuum_2010_2011.xlsx": ("Active regions",),
    "HMI_Magnetograms_2026.xlsx": ("Active regions",),
    "SDO_Solar_Active_Regions.xlsx": ("Active regions", "Quiet Sun"),
}


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


def test_merging_is_named_so_that_it_can_be_counted() -> None:
    assert MOUNT_WILSON.merged == {}
    assert set(MOUNT_WILSON_3.merged) == set(MOUNT_WILSON.classes) - {"alpha", "beta"}
    assert set(MOUNT_WILSON_3.merged.values()) == {"complex"}
    assert MOUNT_WILSON_3.field_class("βδ") == "beta-delta"
    assert MOUNT_WILSON_3.label("complex") == "complex"


def test_each_way_of_writing_leads_to_a_class_of_the_field_so_that_merged_rows_add_up() -> None:
    cells = ["Beta-Gamma", "BG", "βδ", "Beta", "beta", "", " ", "BG", "complex"]
    read = MOUNT_WILSON_3.read_as(cells)
    assert read == {
        "BG": "beta-gamma", "Beta": "beta", "Beta-Gamma": "beta-gamma", "beta": "beta", "complex": "complex",
        "βδ": "beta-delta",
    }  # fmt: skip
    rows = Counter(read[text] for text in cells if text.strip())
    assert rows == {"beta-gamma": 3, "beta-delta": 1, "beta": 2, "complex": 1}
    with pytest.raises(UnknownLabel):
        MOUNT_WILSON_3.read_as(["Beta", "Btea"])


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


def test_ordered_schemes_are_those_with_a_scale() -> None:
    assert [s.name for s in FIXED if s.ordered] == ["mount-wilson-3", "activity"]


def test_a_scheme_that_contradicts_itself_is_refused() -> None:
    for change, why in [
        ({"classes": ("alpha", "alpha", "beta", "complex")}, "named twice"),
        ({"meanings": {}}, "one sentence"),
        ({"merged": {"gamma": "odd"}, "spellings": {}, "accepts": ()}, "leads to no class"),
        ({"breaks": {"polarity": "so they say"}}, "cannot both keep and break the label"),
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
        with pytest.raises(BadInput, match="does not provide a LabelScheme"):
            scheme("theirs")


@pytest.fixture(scope="module")
def cells(shared_data) -> dict[str, Counter[str]]:
    """Heading -> every cell under it in the real workbooks, with its rows."""
    found: dict[str, Counter[str]] = {}
    for name, sheets in BOOKS.items():
        for sheet in pd.read_excel(
            shared_data / name, sheet_name=list(sheets), dtype=str, keep_default_na=False
        ).values():
            for heading in {"Mount Wilson", "McIntosh", "Kind", "M flare next 24 h", "C flare next 24 h"} & {*sheet}:
                found.setdefault(heading, Counter()).update(sheet[heading])
    return found


def _by_field_class(of: LabelScheme, cells: Counter[str]) -> dict[str, int]:
    rows: Counter[str] = Counter()
    for text, name in of.read_as(cells).items():
        rows[name] += cells[text]
    return dict(rows)


def test_every_mount_wilson_cell_of_the_real_workbooks_is_read_and_counted(cells) -> None:
    rows = _by_field_class(MOUNT_WILSON, cells["Mount Wilson"])
    assert rows == {"alpha": 1380, "beta": 2147, "beta-gamma": 295, "beta-gamma-delta": 137, "beta-delta": 32}
    assert _by_field_class(MOUNT_WILSON_3, cells["Mount Wilson"]) == rows
    # Spelled as the field spells them, but for capitals: each is its own class, and the blanks are the plages.
    assert {text.casefold() for text in cells["Mount Wilson"] if text} == set(rows)
    assert cells["Mount Wilson"][""] == cells["Kind"]["plage"]


def test_of_the_mcintosh_cells_of_the_real_workbooks_only_hso_is_refused(cells) -> None:
    refused = Counter()
    for text, rows in cells["McIntosh"].items():
        for of in (MCINTOSH, MCINTOSH_Z, MCINTOSH_P, MCINTOSH_C):
            try:
                found = of.label(text)
                assert found == (None if not text else text if of is MCINTOSH else text["zpc".index(of.name[-1])])
            except UnknownLabel as error:
                assert error.hint == "did you mean 'Hsx'?"
                refused[error.text] += rows / 4
    assert refused == {"Hso": 3}  # not one of the 60: H has no bipolar interior
    assert cells["McIntosh"].total() - cells["McIntosh"][""] - 3 == sum(
        rows for text, rows in cells["McIntosh"].items() if text in MCINTOSH.classes
    )


def test_kinds_and_flares_of_the_real_workbooks_are_read(cells) -> None:
    assert _by_field_class(ACTIVITY, cells["Kind"]) == {"spotted": 3991, "plage": 1064, "quiet": 674}
    assert _by_field_class(FLARE, cells["M flare next 24 h"]) == {"no-flare": 1678, "flare": 44}
    assert _by_field_class(FLARE, cells["C flare next 24 h"]) == {"no-flare": 1388, "flare": 334}
