from tests.fakes import fake_spec
from tf_lottery.errors import LotteryError
from tf_lottery.paths import StudyPaths
from tf_lottery.store import failures


def test_a_failure_is_kept_with_its_cause_until_it_is_forgiven(tmp_path):
    paths, spec = StudyPaths(tmp_path), fake_spec(round=2)
    assert failures.find(paths, spec.key) is None
    try:
        raise MemoryError("out of\nmemory")
    except MemoryError as error:
        failures.fail(paths, spec, error)
    found = failures.find(paths, spec.key)
    assert found.reason == "MemoryError: out of memory"
    assert "test_failures.py" in found.trace
    assert found.spec == spec
    assert found.describe() == "ticket replicate 0 round 2 failed: MemoryError: out of memory"
    failures.forgive(paths, spec.key)
    assert failures.find(paths, spec.key) is None


def test_our_own_lines_stay_as_they_are(tmp_path):
    error = LotteryError("Expected a finite loss. Received: NaN")
    assert failures.describe(fake_spec(), error).reason == "Expected a finite loss. Received: NaN"
    assert failures.describe(fake_spec(), "worker 1 was ended by SIGKILL").trace == ""


def test_an_unreadable_note_is_none(tmp_path):
    paths, spec = StudyPaths(tmp_path), fake_spec()
    paths.run(spec.key).root.mkdir(parents=True)
    for text in ("", "{}", "not json"):
        paths.run(spec.key).failed.write_text(text)
        assert failures.find(paths, spec.key) is None
