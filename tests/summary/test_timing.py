import crafted
import numpy as np
import pytest
from scipy import stats
from sdovis.errors import BadInput
from sdovis.summary import timings


@pytest.fixture
def seconds():
    rng = np.random.default_rng(1)
    return {f"image{i}": float(t) for i, t in enumerate(np.exp(rng.normal(-4, 0.4, 20)))}


def test_one_run_is_described_and_not_tested(tmp_path, seconds):
    found = timings({"run": crafted.scores_folder(tmp_path / "a", seconds)})
    (row,) = found.descriptions
    ms = 1e3 * np.array(list(seconds.values()))
    assert (row["run"], row["n"], row["unit"]) == ("run", 20, "ms")
    assert row["median"] == pytest.approx(np.median(ms))
    assert row["geometric_mean"] == pytest.approx(stats.gmean(ms))
    assert found.tests == []


def test_latency_is_paired_by_image_whatever_the_order_and_compared_as_a_ratio(tmp_path, seconds):
    rng = np.random.default_rng(2)
    slower = {name: t * 1.5 * float(np.exp(rng.normal(0, 0.02))) for name, t in reversed(seconds.items())}
    folders = {n: crafted.scores_folder(tmp_path / n, s) for n, s in (("fast", seconds), ("slow", slower))}
    (row,) = timings(folders).tests
    logs = np.log([slower[name] / seconds[name] for name in seconds])
    assert (row["a"], row["b"], row["n_a"], row["zeros"]) == ("slow", "fast", 20, 0)
    assert row["p_value"] == pytest.approx(stats.wilcoxon(logs).pvalue)
    assert row["ratio_of_geometric_means"] == pytest.approx(float(np.exp(logs.mean())))
    assert row["ratio_low"] < 1.5 < row["ratio_high"]
    assert row["ratio_low"] < row["ratio"] < row["ratio_high"] < row["ratio_low"] * 1.05
    assert "shift" not in row


def test_images_timed_in_one_run_only_are_left_out_and_counted(tmp_path, seconds):
    fewer = {name: t * 2 for name, t in list(seconds.items())[3:]} | {"another": 0.1}
    folders = {n: crafted.scores_folder(tmp_path / n, s) for n, s in (("a", seconds), ("b", fewer))}
    (row,) = timings(folders).tests
    assert row["n_a"] == 17
    assert row["note"].startswith("4 images timed in one run only are left out")
    assert row["ratio"] == pytest.approx(2)


def test_runs_without_a_common_image_are_said_to_be_untested(tmp_path, seconds):
    other = {f"other-{name}": t for name, t in seconds.items()}
    folders = {n: crafted.scores_folder(tmp_path / n, s) for n, s in (("a", seconds), ("b", other))}
    (row,) = timings(folders).tests
    assert row["note"] == "not tested: there is no pair"


def test_the_same_timings_twice_show_no_difference_and_no_p_value(tmp_path, seconds):
    folder = crafted.scores_folder(tmp_path / "a", seconds)
    (row,) = timings({"once": folder, "again": folder}).tests
    assert (row["zeros"], row["ratio"], row["ratio_of_geometric_means"]) == (20, 1.0, 1.0)
    assert np.isnan(row["p_value"])


def test_three_runs_give_three_pairs_adjusted_together(tmp_path, seconds):
    folders = {
        name: crafted.scores_folder(tmp_path / name, {k: t * factor for k, t in seconds.items()})
        for name, factor in (("a", 1.0), ("b", 1.3), ("c", 1.7))
    }
    rows = timings(folders).tests
    assert [(r["a"], r["b"]) for r in rows] == [("b", "a"), ("c", "a"), ("c", "b")]
    smallest = min(rows, key=lambda r: r["p_value"])
    assert smallest["p_holm"] == pytest.approx(3 * smallest["p_value"])


def test_steps_leave_out_the_warm_up_of_each_session_and_count_a_step_once(tmp_path, seconds):
    lines = "1,1,9.0\n1,2,0.2\n1,3,0.3\n1,4,0.4\n2,3,8.0\n2,4,0.5\n2,5,0.6\n2,6,0.7"  # the last line was cut short
    folder = crafted.scores_folder(tmp_path / "a", seconds)
    found = timings({"run": folder}, training_folders={"run": crafted.training_folder(tmp_path / "t", lines)})
    assert sorted(found.steps["run"]) == pytest.approx([200, 300, 500, 600])


def test_steps_of_two_runs_are_compared_unpaired_on_the_log_scale(tmp_path, seconds):
    rng = np.random.default_rng(3)
    draws = {"a": np.exp(rng.normal(-1, 0.1, 30)), "b": np.exp(rng.normal(-1, 0.1, 25)) * 1.4}
    training = {
        name: crafted.training_folder(
            tmp_path / f"t{name}", "".join(f"1,{i},{t!r}\n" for i, t in enumerate(v.tolist()))
        )
        for name, v in draws.items()
    }
    found = timings({}, training_folders=training)
    (row,) = found.tests
    expected = stats.mannwhitneyu(draws["b"][1:], draws["a"][1:], method="exact")
    assert (row["family"], row["n_a"], row["n_b"]) == ("step time", 24, 29)
    assert row["p_value"] == pytest.approx(expected.pvalue)
    ratio = stats.gmean(draws["b"][1:]) / stats.gmean(draws["a"][1:])
    assert row["ratio_of_geometric_means"] == pytest.approx(ratio)


def test_a_run_without_step_times_has_none(tmp_path, seconds):
    (tmp_path / "t").mkdir()
    found = timings({"run": crafted.scores_folder(tmp_path / "a", seconds)}, training_folders={"run": tmp_path / "t"})
    assert found.steps == {}


def test_a_folder_that_is_not_there_names_the_command_to_run(tmp_path):
    with pytest.raises(BadInput, match="run sdovis evaluate first"):
        timings({"run": tmp_path / "nowhere"})


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), float("inf")])
def test_a_duration_that_is_not_positive_is_refused(tmp_path, seconds, bad):
    folder = crafted.scores_folder(tmp_path / "a", seconds | {"image3": bad})
    with pytest.raises(BadInput, match="not a positive number of seconds"):
        timings({"run": folder})


def test_a_table_of_steps_that_is_something_else_is_refused(tmp_path):
    (tmp_path / "steps.csv").write_text("a,b\n1,2\n")
    with pytest.raises(BadInput, match="is not a table of steps"):
        timings({}, training_folders={"run": tmp_path})


def test_other_durations_have_another_digest(tmp_path, seconds):
    one, same, other = (
        timings({"run": crafted.scores_folder(tmp_path / n, s)}).digest
        for n, s in (("a", seconds), ("b", dict(seconds)), ("c", seconds | {"image3": 1.0}))
    )
    assert one == same != other
