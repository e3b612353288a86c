import pytest

from tests.experiment.test_study import results, study
from tests.fakes import fake_record, fake_study, run_to_the_end
from tf_lottery.errors import LotteryError
from tf_lottery.experiment import upkeep
from tf_lottery.experiment.executor import run_study
from tf_lottery.experiment.observe import StudyObserver
from tf_lottery.experiment.plan import foreseen
from tf_lottery.experiment.store import Store
from tf_lottery.paths import StudyPaths


@pytest.fixture
def store(tmp_path):
    """Of a finished study of fakes, with a file or two in each run."""
    store = Store(StudyPaths(tmp_path / "study"))
    for record in run_to_the_end(fake_study()):
        run = store.begin(record.key)
        run.weights_last.write_bytes(b"w" * 1000)
        run.masks.write_bytes(b"m" * 10)
        store.finish(record)
    return store


def test_bytes_by_kind(store):
    found = upkeep.sizes(store.paths)
    assert (found["weights"], found["masks"]) == (7000, 70)
    assert found["other"] == sum(path.stat().st_size for path in store.paths.runs.glob("*/record.json"))


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 bytes"), (1500, "1.5 kB"), (2_340_000, "2.3 MB"), (10**10, "10.0 GB")]
)
def test_bytes_as_people_read_them(size, text):
    assert upkeep.readable(size) == text


def test_a_tidy_study_has_no_rubbish(store):
    assert upkeep.rubbish(fake_study(), store) == []


def test_what_is_not_asked_for_goes_and_the_rest_stays(store):
    kept = {record.key for record in run_to_the_end(fake_study(pruning={"rounds": 2}))}
    first = store.paths.run(sorted(kept)[0])
    first.checkpoint.write_bytes(b"c" * 5)
    (first.root / ".masks.npz.x7").write_bytes(b"")
    (store.paths.runs / ".0123").mkdir()
    store.paths.damaged.mkdir()
    (store.paths.damaged / "0123-1").mkdir()
    small = fake_study(pruning={"rounds": 2})
    found = upkeep.rubbish(small, store)
    reasons = sorted(each.why for each in found)
    assert reasons == [
        "damaged",
        "half taken over",
        "left over",
        "left over",
        "not asked for",
        "not asked for",
    ]
    assert upkeep.collect_rubbish(small, store) == found
    assert {record.key for record in Store(store.paths).records()} == kept
    assert not first.checkpoint.exists()
    assert upkeep.rubbish(small, store) == []


def test_what_another_process_trains_stays(store):
    small = fake_study(pruning={"rounds": 2})
    going = next(record.key for record in store.records() if record.spec.round == 3)
    with store.claim(going):
        gone = upkeep.collect_rubbish(small, store)
        assert len(gone) == 1
        with pytest.raises(LotteryError, match="another process is running"):
            upkeep.remove(store.paths)
    assert store.paths.run(going).record.exists()
    assert upkeep.remove(store.paths) > 0
    assert not store.paths.root.exists()


class Trained(StudyObserver):
    def __init__(self):
        self.rounds = []

    def started(self, spec, first, last):
        self.rounds.append(spec.round)


def test_masks_only_keeps_what_is_needed_and_trains_the_rest_again_if_it_is(tmp_path):
    masks = {"storage": {"keep": "masks"}, "arms": {"ticket": {}}}
    directory = tmp_path / "masks" / "study"
    records = run_study(study(**masks, pruning__rounds=2), directory)
    paths = StudyPaths(directory)
    last = [paths.run(record.key).weights_last.exists() for record in records]
    assert last == [False, False, False]
    assert all(paths.run(record.key).masks.exists() for record in records)
    store = Store(paths)
    assert [error for record in records for error in store.damaged(record)] == []
    observer = Trained()
    run_study(study(**masks, pruning__rounds=3), directory, observer=observer)
    assert observer.rounds == [0, 1, 2, 3], "to the weights of round 2"
    assert not paths.damaged.exists()
    run_study(study(arms={"ticket": {}}, pruning__rounds=3), tmp_path / "weights" / "study")
    whole = results(tmp_path / "weights" / "study")
    found = results(directory)
    assert all(whole[path] == value for path, value in found.items())
    assert {path.name for path in whole.keys() - found.keys()} == {"weights_last.npz"}


def test_foreseen_is_what_is_trained_if_nothing_ends_it_early():
    study = fake_study(replicates=2)
    assert [spec.key for spec in foreseen(study)] == [record.key for record in sorted_like(study)]
    assert foreseen(fake_study(pruning={"target_density": 0.1})) is None


def sorted_like(study):
    records = {record.key: record for record in run_to_the_end(study)}
    return [fake_record(spec) for spec in foreseen(study) if spec.key in records]
