"""What a report is about: finished, unfinished, failed and damaged studies."""

import pytest

from tests.analysis.made_up import made_up, on_disk
from tf_lottery.analysis.report.gather import gather
from tf_lottery.errors import LotteryError
from tf_lottery.paths import StudyPaths
from tf_lottery.store import failures

ARMS = ["ticket", "random_reinit", "shuffled"]


def last(findings, arm="random_reinit", round=4, replicate=1):
    """One of the runs."""
    return next(
        r for r in findings.records if (r.spec.arm, r.spec.round, r.spec.replicate) == (arm, round, replicate)
    )


def test_a_finished_study_has_nothing_left(tmp_path):
    material = gather(on_disk(made_up(arms=ARMS), tmp_path))
    assert (material.finished, material.left, material.ready, material.failed) == (True, 0, 0, [])
    assert len(material.records) == 3 * (1 + 3 * 4)
    assert (material.best, material.main, material.damaged) == (4, "ticket", [])


def test_what_is_left_is_counted_and_no_round_is_the_best(tmp_path):
    # Each of three replicates lacks the ticket of round 4, and of it two controls: nine runs, of which three
    # can start, and the six controls, which share the masks' parent with them.
    material = gather(on_disk(made_up(arms=ARMS, keep=lambda spec: spec.round < 4), tmp_path))
    assert (material.finished, material.left, material.best) == (False, 9, None)
    assert material.ready == 9


def test_a_run_that_failed_is_not_left_to_train(tmp_path):
    findings = made_up(arms=ARMS)
    gone = last(findings)
    paths = on_disk(made_up(arms=ARMS, keep=lambda spec: spec.key != gone.key), tmp_path)
    assert gather(paths).left == 1
    paths.run(gone.key).root.mkdir(exist_ok=True)
    failures.fail(paths, gone.spec, "NaN at step 3")
    material = gather(paths)
    assert (material.finished, material.left, material.ready) == (True, 0, 0)
    assert [each.reason for each in material.failed] == ["NaN at step 3"]


def test_a_damaged_record_is_left_out_and_named(tmp_path):
    findings = made_up(arms=ARMS)
    paths, gone = on_disk(findings, tmp_path), last(findings)
    record = paths.run(gone.key).record
    record.write_text(
        record.read_text().replace('"early_stop_iteration": 400', '"early_stop_iteration": 401')
    )
    material = gather(paths)
    assert len(material.damaged) == 1
    assert str(record) in material.damaged[0]
    assert gone.key not in {each.key for each in material.records}
    assert (material.finished, material.left) == (False, 1)


def test_damaged_curves_are_noted_once(tmp_path):
    findings = made_up(arms=ARMS)
    paths, record = on_disk(findings, tmp_path), last(findings)
    paths.run(record.key).curves.write_text("{")
    material = gather(paths)
    for _ in range(2):
        assert material.read("curves", record, material.store.curves) is None
    assert len(material.damaged) == 1
    assert "random_reinit replicate 1 round 4" in material.damaged[0]


def test_a_directory_without_a_study_is_refused(tmp_path):
    with pytest.raises(LotteryError, match="isn't a study's directory"):
        gather(StudyPaths(tmp_path))
