"""Scenarios: ids are permanent, splits are by class."""

import pytest

from inoculate.benchmark.scenario import Dataset, Scenario, TaskShape, plan, scenarios
from inoculate.registry import DOMAINS


def test_ids_that_were_published_still_exist():
    ids = {s.id for s in scenarios(plan().dataset, plan().task)}
    assert {
        "flows/nsl_kdd/never-seen/detect/5",
        "flows/nsl_kdd/unseen-classes/detect/5",
        "flows/ctu_zeek_conn/never-seen/zero_day/0",
        "flows/unsw_nb15/never-seen/detect/5/contaminated-5%",
        "flows/cseids2018_sample/never-seen/detect/20/background-50",
        "flows/ton_iot_network/never-seen/n_way/10",
        "flows/cicddos2019_sample/never-seen/open_set/5",
        "flows/cicids2017_improved/unseen-classes/shuffled/5",
    } <= ids


def test_no_two_scenarios_share_an_id():
    ids = [s.id for s in scenarios(plan().dataset, plan().task)]
    assert len(ids) == len(set(ids))


def test_recall_at_a_thousandth_has_benign_queries_enough():
    (main,) = [t for t in plan().task if t.suffix == "detect/5"]
    assert main.n_benign >= 3_000


def test_labels_and_addresses_never_become_columns():
    names = {"row_group", "sha256", "sha1", "ts", "src_ip", "source", "year", "Timestamp"}
    for dataset in plan().dataset:
        assert not names & set(dataset.columns.values())
        if dataset.domain == "flows" and dataset.name != "cseids2018_sample":
            assert "row_group" in dataset.left_out
        assert dataset.sha256


def test_a_dataset_s_format_exists():
    formats = {d.format for d in plan().dataset} - {""}
    assert formats <= set(DOMAINS.names())


def test_classes_to_train_on_are_not_all_of_a_split_set():
    for dataset in plan().dataset:
        seen = {*dataset.meta_train, *dataset.meta_validation}
        if "unseen-classes" not in dataset.splits:
            assert len(seen) <= 1  # sets of one threat


def test_unseen_classes_leave_out_what_priors_were_trained_or_chosen_on():
    data = Dataset(domain="d", name="n", meta_train=("a",), meta_validation=("b",))
    task = TaskShape(kind="detect", shots=5)
    takes = {s: Scenario(data, s, task).takes for s in ("unseen-classes", "never-seen")}
    assert [takes["unseen-classes"](c) for c in "abc"] == [False, False, True]
    assert all(takes["never-seen"](c) for c in "abc")


def test_tiny_tables_are_ranked_and_no_other_table_is():
    kinds = {(s.dataset.tiny, s.task.kind) for s in scenarios(plan().dataset, plan().task)}
    assert {kind for tiny, kind in kinds if tiny} == {"rank"}
    assert (False, "rank") not in kinds


@pytest.mark.parametrize(
    ("only", "n"), [(("nsl_kdd",), 40), (("flows/*/never-seen/detect/5",), 7), (("nothing",), 0)]
)
def test_patterns_and_dataset_names_pick_scenarios(only, n):
    assert len(list(scenarios(plan().dataset, plan().task, only=only))) == n


def test_benign_patterns_take_sub_labels_only():
    ctu = next(d for d in plan().dataset if d.name == "ctu_zeek_conn")
    assert ctu.is_benign("Benign/ESET")
    assert not ctu.is_benign("Malicious/CC")
