"""The McIntosh schemes against the published table of types."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sdovis.labels.mcintosh import MCINTOSH, MCINTOSH_C, MCINTOSH_CODES, MCINTOSH_P, MCINTOSH_Z
from sdovis.labels.schemes import LabelScheme, UnknownLabel

LETTERS = [(MCINTOSH_Z, 0), (MCINTOSH_P, 1), (MCINTOSH_C, 2)]

# The table of the 60 types of McIntosh (1990), Fig. 1, written out.
PUBLISHED_CODES = """
    Axx Bxo Bxi Hrx Cro Dro Ero Fro Cri Dri Eri Fri Hsx Cso Dso Eso Fso Csi Dsi Esi Fsi Hax Cao Dao Eao Fao Cai Dai Eai
    Fai Dsc Esc Fsc Dac Eac Fac Hhx Cho Dho Eho Fho Chi Dhi Ehi Fhi Hkx Cko Dko Eko Fko Cki Dki Eki Fki Dhc Ehc Fhc Dkc
    Ekc Fkc
""".split()


def test_mcintosh_has_the_sixty_published_types() -> None:
    assert len(MCINTOSH_CODES) == len(set(MCINTOSH_CODES)) == 60
    assert set(MCINTOSH_CODES) == set(PUBLISHED_CODES) == set(MCINTOSH.classes)


@given(st.sampled_from(PUBLISHED_CODES), st.sampled_from([str.upper, str.lower, str.title]))
def test_each_scheme_takes_its_letter_of_a_valid_type(code: str, case) -> None:
    assert MCINTOSH.label(case(code)) == code
    for of, position in LETTERS:
        assert of.label(case(code)) == code[position]
        assert of.field_class(case(code)) == code


@pytest.mark.parametrize("of", [MCINTOSH, MCINTOSH_Z, MCINTOSH_P, MCINTOSH_C], ids=lambda of: of.name)
@given(st.text("ABCDEFHGJXRSAHKOIC", min_size=1, max_size=4))
def test_what_is_not_one_of_the_types_is_refused(of: LabelScheme, text: str) -> None:
    assume(text.title() not in PUBLISHED_CODES)
    with pytest.raises(UnknownLabel):
        of.label(text)


@pytest.mark.parametrize("text", ["Hso", "Cxo", "Drc", "HKI"])
def test_an_invalid_code_is_refused_with_a_valid_one_a_letter_away(text: str) -> None:
    with pytest.raises(UnknownLabel) as caught:
        MCINTOSH.label(text)
    hinted = caught.value.hint.split("'")[1]
    assert hinted in PUBLISHED_CODES
    assert sum(a == b for a, b in zip(hinted, text.title(), strict=True)) == 2


def test_only_the_whole_code_merges_nothing() -> None:
    assert MCINTOSH.merged == {}
    for of, position in LETTERS:
        assert of.merged == {code: code[position] for code in PUBLISHED_CODES}
    assert [len(of.classes) for of, _ in LETTERS] == [7, 6, 4]


def test_a_code_is_described_by_its_three_letters() -> None:
    assert MCINTOSH.meanings["Ekc"] == (
        "A bipolar group with penumbra on both ends, more than 10 and at most 15 degrees long; large asymmetric penumbra "
        "of the largest spot, more than 2.5 degrees from north to south; compact interior, with many strong spots and "
        "mature penumbra on at least one of them."
    )
    assert len(set(MCINTOSH.meanings.values())) == 60
