import json

import pytest
from sdovis import manifests
from sdovis.errors import BadInput

INPUTS = {"corpus": "abc"}


def _write(folder, text="hello", inputs=INPUTS):
    with manifests.whole(folder, stage="prepare", made_from=inputs) as beside:
        (beside / "deep").mkdir()
        (beside / "deep" / "a.txt").write_text(text)


def test_a_folder_appears_whole_with_its_sums(tmp_path):
    _write(tmp_path / "corpus")
    manifest = manifests.read(tmp_path / "corpus", made_by="prepare")
    assert list(manifest.files) == ["deep/a.txt"]
    assert manifests.finished(tmp_path / "corpus", INPUTS)


def test_a_failure_in_the_middle_leaves_the_old_folder_and_nothing_beside_it(tmp_path):
    _write(tmp_path / "corpus", "old")
    with pytest.raises(RuntimeError), manifests.whole(tmp_path / "corpus", stage="prepare", made_from={}) as beside:
        (beside / "half").write_text("x")
        raise RuntimeError
    assert (tmp_path / "corpus/deep/a.txt").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["corpus"]


def test_a_new_folder_takes_the_place_of_the_old_one(tmp_path):
    _write(tmp_path / "corpus", "old")
    _write(tmp_path / "corpus", "new")
    assert (tmp_path / "corpus/deep/a.txt").read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["corpus"]


def test_a_folder_made_from_other_inputs_is_not_finished(tmp_path):
    _write(tmp_path / "corpus")
    assert not manifests.finished(tmp_path / "corpus", {"corpus": "other"})


@pytest.mark.parametrize("harm", ["change", "remove", "add"])
def test_a_folder_changed_by_hand_is_refused_and_named(tmp_path, harm):
    _write(tmp_path / "corpus")
    target = tmp_path / "corpus/deep" / ("b.txt" if harm == "add" else "a.txt")
    target.unlink() if harm == "remove" else target.write_text("changed")
    with pytest.raises(BadInput, match=rf"{target.name} changed since it was made; run sdovis prepare"):
        manifests.read(tmp_path / "corpus", made_by="prepare")
    assert not manifests.finished(tmp_path / "corpus", INPUTS)


def test_a_missing_folder_says_which_command_makes_it(tmp_path):
    with pytest.raises(BadInput, match="run sdovis prepare first"):
        manifests.read(tmp_path / "corpus", made_by="prepare")


def test_the_digest_depends_on_contents_and_inputs_and_on_nothing_else(tmp_path):
    for name, text, inputs in (("a", "x", INPUTS), ("b", "x", INPUTS), ("c", "y", INPUTS), ("d", "x", {})):
        _write(tmp_path / name, text, inputs)
    a, b, c, d = (manifests.read(tmp_path / name, made_by="").digest for name in "abcd")
    assert a == b
    assert len({a, c, d}) == 3


def test_a_damaged_manifest_is_a_clear_error(tmp_path):
    _write(tmp_path / "corpus")
    (tmp_path / "corpus" / manifests.NAME).write_text(json.dumps({"stage": "prepare"}))
    with pytest.raises(BadInput, match="the manifest is damaged"):
        manifests.read(tmp_path / "corpus", made_by="prepare")


def test_what_a_killed_process_left_beside_the_folder_is_cleared_away(tmp_path):
    (tmp_path / ".corpus-x1y2").mkdir()
    _write(tmp_path / "corpus")
    assert [p.name for p in tmp_path.iterdir()] == ["corpus"]
