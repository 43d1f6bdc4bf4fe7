import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from sdovis import study as studies
from sdovis.errors import BadInput
from sdovis.study import Images, arguments
from sdovis.study.licences import ALSO, HUB, on_the_hub
from transformers import TrainingArguments

GOOD = """
[study]
name = "small"
[source]
root = "data"
workbook = "book.xlsx"
[images]
channel = "hmi-magnetogram"
[labels]
scheme = "mount-wilson-3"
[backbone]
config = { model_type = "vit", hidden_size = 32 }
[training]
learning_rate = 1e-3
"""


@pytest.fixture
def study_file(tmp_path):
    (tmp_path / "study.toml").write_text(GOOD)
    return tmp_path / "study.toml"


def _problems(path: Path, *sets: str) -> list[str]:
    with pytest.raises(BadInput) as caught:
        studies.load(path, sets)
    return [str(problem).removeprefix(f"{path}: ") for problem in caught.value.problems]


def test_a_study_is_read_with_its_defaults(study_file):
    study = studies.load(study_file)
    assert (study.name, study.split.method, study.split.gap_days) == ("small", "temporal", 27.0)
    assert study.training == {"learning_rate": 1e-3}


def test_paths_in_the_file_are_relative_to_the_file(study_file):
    assert studies.load(study_file).workbook == study_file.parent / "data" / "book.xlsx"


def test_paths_in_set_are_relative_to_the_working_directory(study_file, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    study = studies.load(study_file, ["source.root=here"])
    assert study.workbook.resolve() == tmp_path / "elsewhere" / "here" / "book.xlsx"


def test_a_backbone_is_a_folder_where_there_is_one_and_else_a_hub_id(study_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study_file.write_text(GOOD.replace("config = { model_type", 'id = "facebook/dinov2-small" #'))
    assert studies.load(study_file).backbone.id == "facebook/dinov2-small"
    (tmp_path / "weights").mkdir()
    assert studies.load(study_file, ["backbone.id=weights"]).backbone.id == "weights"


def test_every_mistake_is_reported_at_once_with_the_nearest_name(study_file):
    study_file.write_text(
        GOOD.replace("hmi-magnetogram", "hmi-magnetgram")
        .replace("mount-wilson-3", "mcintsh-z")
        .replace("learning_rate", "learning_rat")
        .replace("[labels]", 'size_px = "large"\nsise = 3\n[labels]')
        .replace('workbook = "book.xlsx"', "")
        .replace('name = "small"', 'name = "Not a Slug"')
    )
    problems = _problems(study_file)
    assert len(problems) == 7
    text = "\n".join(problems)
    assert "images.channel 'hmi-magnetgram' is unknown; did you mean 'hmi-magnetogram'?" in problems
    assert "labels.scheme 'mcintsh-z' is unknown; did you mean 'mcintosh-z'?" in problems
    assert "source.workbook is missing; add workbook = ... under [source]" in problems
    assert (
        "training.learning_rat is not one of transformers' TrainingArguments; did you mean 'learning_rate'?" in problems
    )
    assert "images.sise is unknown" in text
    assert "images.size_px = 'large'" in text
    assert "study.name: 'Not a Slug' cannot be the name of a study and its repositories" in text


@pytest.mark.parametrize("name", ["output_dir", "hub_token", "push_to_hub", "remove_unused_columns", "seed"])
def test_training_arguments_that_are_ours_to_set_are_refused(study_file, name):
    (problem,) = _problems(study_file, f"training.{name}=1")
    assert problem.startswith(f"training.{name} is set by sdovis")


def test_a_training_argument_of_the_wrong_kind_is_refused(study_file):
    assert "is not a number" in _problems(study_file, "training.learning_rate='fast'")[0]
    assert "is not true or false" in _problems(study_file, "training.bf16='yes'")[0]


def test_backbone_wants_either_id_or_config(study_file):
    (problem,) = _problems(study_file, "backbone.id=google/vit")
    assert "not both" in problem


@pytest.mark.parametrize("broken", ["not toml [", "[study\n"])
def test_broken_toml_is_one_clear_line(study_file, broken):
    study_file.write_text(broken)
    (problem,) = _problems(study_file)
    assert problem.startswith("not valid TOML")


def test_a_missing_file_says_how_to_get_one(tmp_path):
    (problem,) = _problems(tmp_path / "none.toml")
    assert "sdovis init" in problem


@pytest.mark.parametrize("assignment", ["nonsense", "a=b", "=3"])
def test_a_malformed_set_is_refused(study_file, assignment):
    assert "is not an assignment" in _problems(study_file, assignment)[0]


def test_set_takes_toml_values_and_plain_words(study_file):
    study = studies.load(study_file, ["training.learning_rate=3e-5", "split.method=grouped", "study.seed=7"])
    assert (study.training["learning_rate"], study.split.method, study.study.seed) == (3e-5, "grouped", 7)


def test_the_resolved_study_reads_back_as_the_same_study(study_file, tmp_path):
    study = studies.load(study_file)
    folder = tmp_path / "runs" / "small"
    folder.mkdir(parents=True)
    (folder / "study.toml").write_text(study.to_toml(folder))
    again = studies.load(folder / "study.toml")
    assert again.workbook.resolve() == study.workbook.resolve()
    assert again.model_dump(exclude={"source"}) == study.model_dump(exclude={"source"})
    assert str(tmp_path) not in (folder / "study.toml").read_text()


def test_moving_the_data_does_not_change_what_a_study_is(study_file):
    here, there = studies.load(study_file), studies.load(study_file, ["source.root=/elsewhere"])
    assert here.digest_of("source", "images") == there.digest_of("source", "images")
    other = studies.load(study_file, ["images.size_px=64"])
    assert here.digest_of("source", "images") != other.digest_of("source", "images")


def test_the_json_schema_accepts_a_good_study_and_refuses_a_misspelt_training_argument(study_file):
    import tomllib

    schema = json.loads(json.dumps(studies.json_schema(), default=str))
    data = tomllib.loads(study_file.read_text())
    jsonschema.validate(data, schema)
    data["training"]["learning_rat"] = 1
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(data, schema)


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ("training.per_device_train_batch_size='32'", "is not a number"),
        ("training.report_to='wnadb'", "did you mean 'wandb'?"),
        ("method.keep_by='balanced-accuracy'", "method.keep_by"),
    ],
)
def test_what_would_stop_the_training_is_said_before_it_begins(study_file, assignment, said):
    assert said in _problems(study_file, assignment)[0]


def test_words_for_the_cards_do_not_change_what_a_corpus_is(study_file):
    here, there = studies.load(study_file), studies.load(study_file, ["source.credit='Courtesy of NASA/SDO'"])
    assert here.digest_of("source") == there.digest_of("source")


def test_the_training_arguments_are_read_as_transformers_has_them_without_importing_torch() -> None:
    code = "import sys; from sdovis.study import arguments as a; a.fields(); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    theirs = {f.name: f.default for f in dataclasses.fields(TrainingArguments) if f.init}
    ours = arguments.fields()
    assert ours.keys() == theirs.keys()
    computed = {name for name in theirs if ours[name] is not theirs[name] and ours[name] != theirs[name]}
    assert computed == {"optim", "include_for_metrics"}
    assert {ours[name] for name in computed} == {None}


@pytest.mark.parametrize(
    ("images", "said"),
    [
        ({"center_px": [255.5, 255.5]}, "center_px and arcsec_per_px only work together"),
        ({"native_px": [512, 512]}, "native_px is the width and height"),
        (
            {"native_px": [0, -3], "center_px": [255.5, 255.5], "arcsec_per_px": 4.8},
            "native_px is the width and height",
        ),
        ({"center_px": [-0.5, 255.5], "arcsec_per_px": 4.8}, "at or outside the image's edge; also give native_px"),
    ],
)
def test_what_places_the_disc_is_checked_together(images, said):
    with pytest.raises(ValueError, match=said):
        Images(channel="aia-211-browse", **images)


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("training.per_device_train_batch_size", "0", "0 is less than 1"),
        ("training.per_device_eval_batch_size", "-4", "-4 is less than 1"),
        ("training.gradient_accumulation_steps", "0", "0 is less than 1"),
        ("training.num_train_epochs", "0", "0 is not above 0"),
        ("training.num_train_epochs", "-1", "-1 is not above 0"),
        ("training.num_train_epochs", "nan", "nan is not a finite number"),
        ("training.learning_rate", "nan", "nan is not a finite number"),
        ("training.learning_rate", "inf", "inf is not a finite number"),
        ("training.learning_rate", "-1e-3", "-0.001 is not above 0"),
        ("training.max_steps", "0", "0 is no number of steps"),
        ("training.dataloader_num_workers", "-1", "-1 is less than 0"),
        ("training.adam_beta2", "1.0", "1.0 is not below 1"),
        ("training.label_smoothing_factor", "1.5", "1.5 is not below 1"),
        ("training.save_steps", "0", "0 is not above 0"),
        ("study.seed", "4294967296", "less than 4294967296"),
        ("split.gap_days", '"inf"', "should be a finite number"),
        ("images.max_longitude_deg", '"1e999"', "should be a finite number"),
        ("backbone.config.patch_size", "0", "patch_size = 0 is not a whole number of at least 1"),
        ("backbone.config.num_attention_heads", "0", "num_attention_heads = 0 is not a whole number of at least 1"),
        ("backbone.config.num_attention_heads", "5", "hidden_size = 32 is not a multiple of num_attention_heads = 5"),
        ("backbone.config.num_hidden_layers", "1.5", "num_hidden_layers = 1.5 is not a whole number"),
    ],
)
def test_what_would_only_fail_or_train_nothing_once_the_training_runs_is_found_at_once(study_file, key, value, told):
    assert any(told in problem for problem in _problems(study_file, f"{key}={value}"))


@pytest.mark.parametrize("setting", ["warmup_steps=0.1", "save_steps=0.5", "max_steps=-1", "max_grad_norm=0.0"])
def test_shares_and_switches_of_transformers_stay_allowed(study_file, setting):
    assert studies.load(study_file, [f"training.{setting}"])


@pytest.mark.parametrize(
    ("assignment", "kept"),
    [
        ("publish.licence=CC-BY-4.0", "cc-by-4.0"),
        ("publish.licence=Public-Domain", "cc0-1.0"),
        ("publish.licence=CC0-1.0", "cc0-1.0"),
        ("publish.licence=GPL-3.0-or-later", "gpl-3.0"),
        ("publish.licence=MIT License", "mit"),
        ("publish.licence=ODbL-1.0", "odbl"),
        ("publish.licence=Other", "other"),
        ("publish.licence=", ""),
    ],
)
def test_a_licence_is_kept_under_its_name_on_the_hub(study_file, assignment, kept):
    assert studies.load(study_file, [assignment]).publish.licence == kept
    images = assignment.replace("publish", "source")
    assert studies.load(study_file, [images]).source.licence == kept


def test_every_licence_of_the_hub_names_itself():
    assert [on_the_hub(name) for name in HUB] == list(HUB)
    assert set(ALSO.values()) <= set(HUB)


@pytest.mark.parametrize(
    "given",
    ["10.5281/zenodo.1234567", "https://doi.org/10.5281/zenodo.1234567", "doi:10.5281/zenodo.1234567",
     " http://dx.doi.org/10.5281/zenodo.1234567"],
)  # fmt: skip
def test_a_doi_is_kept_bare_however_it_is_written(study_file, given):
    assert studies.load(study_file, [f'publish.doi="{given}"']).publish.doi == "10.5281/zenodo.1234567"


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ("publish.doi=zenodo.1234567", "publish.doi: 'zenodo.1234567' is not a DOI; write it as 10.5281"),
        ("publish.doi=10.5281/", "'10.5281/' is not a DOI"),
        ("publish.doi=10.5281/zeno do", "is not a DOI"),
        ("publish.licence_name=SDO rules", "'SDO rules' cannot be the name of a licence on the Hub; write 'sdo-rules'"),
        ("publish.licence_name=mit", "'mit' is a licence that the Hub knows; give it as publish.licence"),
        ("publish.licence_link=sdo.gsfc.nasa.gov", "is not a web address; write it as https://"),
        ("publish.collection=Sun", "publish.collection needs publish.namespace"),
        ("publish.benchmark=Our Own", "publish.benchmark"),
        ("publish.licence=cc-by-4", "publish.licence: 'cc-by-4' is not .*; did you mean 'cc-by-4.0'"),
        ("source.licence=apche-2.0", "source.licence: 'apche-2.0' is not .*; did you mean 'apache-2.0'"),
        ("source.licence=ask Jane", "source.licence: 'ask Jane' is not .*repositories-licenses; write 'other'"),
        ("study.name=sun--spots", "study.name: 'sun--spots' cannot be .*; write 'sun-spots'"),
        ("study.name=sun..spots", "study.name: 'sun..spots' cannot be .*; write 'sun.spots'"),
        ("study.name=sunspots.git", "study.name: 'sunspots.git' cannot be .*; write 'sunspots'"),
        ("study.name=sunspots-", "study.name: 'sunspots-' cannot be .*; write 'sunspots'"),
        ("study.name=Sun Spots", "study.name: 'Sun Spots' cannot be .*; write 'sun-spots'"),
        *((f"publish.namespace={name}", "publish.namespace: .* cannot be the name of a user or organisation on the Hub")
          for name in ("a/b", "a b", "-a", "a--", "{{ 7 }}")),
        (f"publish.namespace={'a' * 95}", "has 101 characters, and the Hub allows 96; make study.name shorter by 5"),
    ],
)  # fmt: skip
def test_what_the_hub_would_refuse_is_refused_when_the_study_is_read(study_file, assignment, said):
    with pytest.raises(BadInput, match=said):
        studies.load(study_file, [assignment])
