"""Round 0 from weights that were trained before it, or read from a file."""

import numpy as np
import pytest

from tf_lottery import Ticket, arrays, config_file, make_prunable, run_study
from tf_lottery.data import sources
from tf_lottery.errors import LotteryError
from tf_lottery.method.spec import WeightsFile
from tf_lottery.models.build import build
from tf_lottery.paths import StudyPaths
from tf_lottery.runs import weights_file
from tf_lottery.store.store import Store
from tf_lottery.store.study_file import prepare
from tf_lottery.training import state

SMALL = {
    "name": "small",
    "data": {"name": "digits", "validation": 300},
    "training": {"steps": "20it", "batch_size": 60, "evaluate_every": "20it", "xla": False},
    "pruning": {"rate": 0.5, "rounds": 1},
    "arms": {"ticket": {}, "random_reinit": {}},
}


@pytest.fixture(scope="module")
def four(tmp_path_factory):
    """The digits 0 to 3 as data of one's own."""
    digits = sources.load(config_file.validate(SMALL).data)
    content = {}
    for part in ("train", "test"):
        x, y = getattr(digits, f"x_{part}"), getattr(digits, f"y_{part}")
        content |= {f"x_{part}": x[y < 4], f"y_{part}": y[y < 4]}
    path = tmp_path_factory.mktemp("four") / "four.npz"
    np.savez(path, **content)
    return path


@pytest.fixture(scope="module")
def pretrained(four, tmp_path_factory):
    """A study whose dense network was trained on four digits first: its store, and its records by round."""
    paths = StudyPaths(tmp_path_factory.mktemp("pretrained") / "study")
    data = {"name": "npz", "path": str(four), "validation": 100}
    records = run_study(
        config_file.validate(SMALL | {"pretrain": {"steps": "10it", "data": data}}), paths.root
    )
    return Store(paths), {
        record.spec.round: record for record in records if record.spec.arm != "random_reinit"
    }


def test_the_dense_network_starts_from_the_last_weights_except_where_classes_differ(pretrained):
    store, runs = pretrained
    before, start = store.weights(runs[-1].key), store.rewind_point(runs[0].key, 0)
    for name in ("model/hidden1/kernel", "model/hidden1/bias", "model/hidden2/kernel", "model/hidden2/bias"):
        assert before[name].tobytes() == start[name].tobytes()
    assert before["model/output/kernel"].shape != start["model/output/kernel"].shape
    assert runs[0].checks["drawn_anew"] == ["model/output/kernel", "model/output/bias"]
    assert runs[0].checks["started_from"] == runs[-1].digests["weights_last"]
    assert runs[-1].last_step == 10


def test_tickets_return_to_the_pretrained_weights(pretrained):
    _, runs = pretrained
    assert runs[1].checks["rewind_digest"] == runs[0].digests["rewind/0it"]


@pytest.mark.parametrize("kind", ["arrays", "keras", "ticket"])
def test_every_kind_of_file_gives_the_same_start(pretrained, tmp_path, kind):
    store, runs = pretrained
    weights = store.weights(runs[0].key)
    if kind == "arrays":
        path = store.paths.run(runs[0].key).weights_last
    elif kind == "keras":
        path = tmp_path / "model.keras"
        model = build(config_file.validate(SMALL).model, (8, 8, 1), 10, seed=5)
        state.restore(state.model_variables(model), weights)
        model.save(path)
    else:
        path = tmp_path / "ticket.npz"
        model = make_prunable(build(config_file.validate(SMALL).model, (8, 8, 1), 10, seed=5))
        state.restore(state.model_variables(model), weights)
        Ticket.of(model).save(path)
    study = prepare(
        config_file.validate(SMALL | {"pretrain": {"file": str(path)}}), StudyPaths(tmp_path / "study")
    )
    read = weights_file.read(WeightsFile(path=str(path), digest=study.pretrain.digest))
    assert {name: value.tobytes() for name, value in read.items()} == {
        name: value.tobytes() for name, value in weights.items()
    }


def test_a_run_starts_from_a_file(pretrained, tmp_path):
    store, runs = pretrained
    path = store.paths.run(runs[0].key).weights_last
    settings = SMALL | {"pretrain": {"file": str(path)}, "pruning": {"rounds": 0}}
    (dense,) = run_study(config_file.validate(settings), tmp_path / "study")
    start = Store(StudyPaths(tmp_path / "study")).rewind_point(dense.key, 0)
    weights = store.weights(runs[0].key)
    assert all(start[name].tobytes() == value.tobytes() for name, value in weights.items())


def test_files_that_are_missing_changed_or_of_another_network_are_refused(tmp_path):
    path = tmp_path / "other.npz"
    paths = StudyPaths(tmp_path / "study")
    study = config_file.validate(SMALL | {"pretrain": {"file": str(path)}})
    with pytest.raises(LotteryError, match="which doesn't exist"):
        prepare(study, paths)
    np.savez(path, kernel=np.zeros(3))
    known = prepare(study, paths).pretrain
    with pytest.raises(LotteryError, match="isn't the file that the study was started with"):
        prepare(study.model_copy(update={"pretrain": known.model_copy(update={"digest": "0" * 64})}), paths)
    np.savez(path, kernel=np.ones(3))
    with pytest.raises(LotteryError, match="has changed since the study was started"):
        weights_file.read(WeightsFile(path=known.file, digest=known.digest))


@pytest.mark.parametrize("content", [b"nothing", b""])
@pytest.mark.parametrize("suffix", [".npz", ".keras", ".txt"])
def test_files_that_are_neither_are_refused_in_one_line(tmp_path, content, suffix):
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(content)
    with pytest.raises(
        LotteryError, match="can't be loaded as a Keras model|npz file of plain arrays"
    ) as caught:
        weights_file.read(WeightsFile(path=str(path), digest=arrays.file_digest(path)))
    assert "\n" not in str(caught.value)
