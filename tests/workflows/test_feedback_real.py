"""The feedback loop end to end on real flows: false positives go, with their like; recall stays."""

import polars as pl
import pytest

from inoculate.workflows.adapt import AdaptRequest, adapt
from inoculate.workflows.mark import MarkRequest, mark
from inoculate.workflows.rollback import rollback
from inoculate.workflows.scan import ScanRequest, scan

RATE = 0.01
TOLERANCE = 0.02
"""Share of held-out attack flows that three labels may cost."""
N_BACKGROUND, N_TODAY, N_ATTACK = 3_000, 2_500, 200


@pytest.fixture(scope="module", params=["FTP-Patator", "DoS Hulk"])
def place(data_dir, tmp_path_factory, request):
    """Five flows of an attack, a background, today with and a held-out file with the attack."""
    folder = tmp_path_factory.mktemp("real")
    flows = pl.read_parquet(data_dir / "net" / "cicids2017_improved.parquet")

    def shuffled(label):
        mine = flows.filter(pl.col("label") == label)
        return mine.sample(fraction=1, shuffle=True, seed=1).drop("label")

    benign, attack = shuffled("BENIGN"), shuffled(request.param)
    today = benign[N_BACKGROUND : N_BACKGROUND + N_TODAY]
    benign[:N_BACKGROUND].write_csv(folder / "week.csv")
    attack[:5].write_csv(folder / "few.csv")
    pl.concat([today, attack[5 : 5 + N_ATTACK]]).write_csv(folder / "today.csv")
    fresh = benign[N_BACKGROUND + N_TODAY :]
    pl.concat([fresh, attack[5 + N_ATTACK : 1_000]]).write_csv(folder / "fresh.csv")
    adapt(
        AdaptRequest(
            examples=(str(folder / "few.csv"),), background=(str(folder / "week.csv"),),
            out=folder / "attack.detector", threats=("attack",), format="cicflowmeter",
        )
    )  # fmt: skip
    return folder, fresh.height


def found(folder, name, n_benign):
    """Return false and true positives in a file whose first records are the benign ones."""
    path = folder / name
    findings = scan(
        ScanRequest(
            sources=(str(path),), detector=folder / "attack.detector", false_alarms=RATE,
            format="cicflowmeter",
        )
    ).report.findings  # fmt: skip
    at = [int(f.origin.rpartition(":")[2]) - 2 for f in findings]
    pairs = list(zip(at, findings, strict=True))
    return [f for i, f in pairs if i < n_benign], [f for i, f in pairs if i >= n_benign]


def test_three_false_positives_and_their_like_go_and_recall_stays(place):
    folder, n_fresh = place
    false, true = found(folder, "today.csv", N_TODAY)
    fresh_false, fresh_true = found(folder, "fresh.csv", n_fresh)
    report = mark(
        MarkRequest(
            findings=tuple(f.finding_id for f in false[:3]), label="benign", author="ann",
            detector=folder / "attack.detector", sources=(str(folder / "today.csv"),),
            reason="looked at", false_alarms=RATE, format="cicflowmeter",
        )
    )  # fmt: skip
    now_false, now_true = found(folder, "today.csv", N_TODAY)
    later_false, later_true = found(folder, "fresh.csv", n_fresh)
    left = {f.finding_id for f in now_false}
    assert not left & {f.finding_id for f in false[:3]}
    assert len(now_false) <= 0.75 * len(false)
    assert len(later_false) <= len(fresh_false)
    n_held_out = 1_000 - 5 - N_ATTACK
    assert len(later_true) >= len(fresh_true) - TOLERANCE * n_held_out
    assert len(fresh_true) > 0.9 * n_held_out
    assert report.change.before == len(false) + len(true)
    assert report.change.after == len(now_false) + len(now_true)
    assert report.change.before - report.change.after == report.change.n_gone + 3 - (
        report.change.n_new
    )
    rollback(folder / "attack.detector")
    assert found(folder, "today.csv", N_TODAY) == (false, true)
