"""Data that a function of the user's own returns."""

import numpy as np
import pytest

from tests.drivers.test_run_study import Trained, study
from tests.fakes import fake_spec
from tests.store.test_damage import Notes
from tf_lottery.config import DataConfig
from tf_lottery.data import load, npz, sources
from tf_lottery.data.examples import NAMES
from tf_lottery.drivers.run_study import run_study
from tf_lottery.errors import LotteryError
from tf_lottery.paths import StudyPaths
from tf_lottery.store import study_file

HERE = "tests.data.test_load"
GOOD = {
    "x_train": np.arange(24.0).reshape(6, 4),
    "y_train": np.array([0, 1, 2, 0, 1, 2]),
    "x_test": np.ones((3, 4)),
    "y_test": np.array([0, 1, 2]),
}
returned = GOOD
"""What `given` returns; tests set it."""
not_callable = 3


def given():
    return returned


def failing():
    raise OSError("no such\nserver")


def with_argument(path):
    return returned


def digits():
    return dict(sources.load(DataConfig(name="digits")).arrays())


@pytest.fixture
def returns(monkeypatch):
    def set_to(value):
        monkeypatch.setitem(globals(), "returned", value)
        return lambda: load.load(f"{HERE}:given")

    return set_to


def refused(name):
    with pytest.raises(LotteryError) as refusal:
        load.load(name)
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


@pytest.mark.parametrize(
    "value",
    [
        GOOD,
        tuple(GOOD.values()),
        {name: array.tolist() for name, array in GOOD.items()} | {"more": object()},
    ],
    ids=["a mapping", "a tuple", "lists"],
)
def test_the_functions_arrays_are_loaded(returns, value):
    found = returns(value)()
    assert all(np.array_equal(getattr(found, name), array) for name, array in GOOD.items())
    assert found.y_train.dtype == np.int32
    assert found.source == f"{HERE}:given"


def test_the_setting_leads_here():
    config = DataConfig(load=f"{HERE}:given")
    assert config.name == "load"
    assert DataConfig.model_validate(config.model_dump()) == config
    assert sources.load(config).source == f"{HERE}:given"


def test_mapped_arrays_stay_in_their_files(returns, tmp_path):
    np.save(tmp_path / "x.npy", GOOD["x_train"])
    found = returns(GOOD | {"x_train": np.load(tmp_path / "x.npy", mmap_mode="r")})()
    assert isinstance(found.x_train, np.memmap)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "as a mapping or as a tuple of four arrays. Received: NoneType"),
        ((GOOD["x_train"], GOOD["y_train"]), "Received: tuple of 2"),
        (list(GOOD.values()), "Received: list"),
        (
            {"x_train": GOOD["x_train"], "labels": 1},
            "Received: x_train, labels; missing y_train, x_test, y_test",
        ),
        (GOOD | {"y_train": GOOD["y_train"][:5]}, f"Expected y_train in {HERE}:given as 6 integer labels"),
        (GOOD | {"x_test": np.full((3, 4), np.nan)}, "finite numbers in x_test"),
        (GOOD | {"x_test": np.ma.ones((3, 4))}, "Expected x_test .* a masked array"),
        (GOOD | {"x_test": [[1, 2], [3]]}, r"Expected x_test .* as an array. Received: list \("),
        (GOOD | {"x_test": "texts"}, "x_test .* as numbers"),
    ],
)
def test_what_is_not_the_four_arrays_is_refused(returns, value, said):
    returns(value)
    with pytest.raises(LotteryError, match=said) as refusal:
        load.load(f"{HERE}:given")
    assert "\n" not in str(refusal.value)


def test_what_the_function_raises_is_one_line():
    assert refused(f"{HERE}:failing").endswith("called without arguments. Received: OSError: no such server")
    assert "TypeError: with_argument() missing 1 required" in refused(f"{HERE}:with_argument")
    assert "TypeError: 'int' object is not callable" in refused(f"{HERE}:not_callable")


def test_what_is_no_function_is_refused():
    assert "Expected data.load as an importable" in refused("tests.no_such_module:data")
    assert "Expected data.load as an importable" in refused(f"{HERE}:no_such_function")
    for nothing in (None, ""):
        assert "since data.name is load. Received: nothing" in refused(nothing)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"name": "mnist"}, "expected name: load or none, since load is given, received 'mnist'"),
        ({"name": "npz", "path": "my.npz"}, "expected name: load or none"),
        ({"path": "my.npz"}, "expected load or path, not both"),
        ({"load": "module.function"}, "as 'package.module:function', received 'module.function'"),
    ],
)
def test_a_setting_that_does_not_go_with_it_is_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        DataConfig(**{"load": f"{HERE}:given"} | settings)


def test_the_contents_stand_for_the_function_in_a_runs_key(tmp_path):
    np.savez(tmp_path / "mine.npz", **GOOD)
    digest = sources.load(DataConfig(load=f"{HERE}:given")).digest
    assert npz.load(str(tmp_path / "mine.npz")).digest == digest

    def key(**data):
        return fake_spec().model_copy(update={"data": DataConfig(digest=digest, **data)}).key

    assert key(load=f"{HERE}:given") == key(load="elsewhere:function") == key(name="npz", path="mine.npz")
    assert key(load=f"{HERE}:given") == key()
    assert len({key(), key(share=0.5), key(standardize=True)}) == 3
    assert key(share=1.0, standardize=False) == key()


SMALL = {"pruning__rounds": 0, "arms": {"ticket": {}}, "model": {"name": "lenet_300_100"}}


def own(function, **data):
    return study(**SMALL, data={"load": f"{HERE}:{function}", "validation": 200, **data})


def test_a_study_of_a_functions_arrays(tmp_path, monkeypatch):
    config = own("digits")
    assert study_file.prepare(config, StudyPaths(tmp_path / "none"), make=False).data.digest
    (dense,) = run_study(config, tmp_path / "first")
    named = sources.load(DataConfig(name="digits")).digest
    assert dense.spec.data.digest == named, "the contents are those of scikit-learn's digits"
    trained = Trained()
    assert run_study(config, tmp_path / "first", observer=trained) == [dense]
    assert not trained.runs
    with monkeypatch.context() as patch:
        patch.setitem(globals(), "digits", other_digits_of(digits()))
        with pytest.raises(LotteryError, match="test_load:digits differs.*the same arrays each time"):
            run_study(config, tmp_path / "first")
    # Another function with the same contents may go on, and so may the study beside it.
    notes = Notes()
    for name in ("first", "second"):
        (found,) = run_study(own("same_digits"), tmp_path / name, observer=notes)
        assert (found.key, found.digests) == (dense.key, dense.digests)
    assert [note.split(": ")[1] for note in notes.notes] == [f"taken over from {tmp_path / 'first'}"]
    assert not notes.trained


def same_digits():
    return tuple(digits()[name] for name in NAMES)


def other_digits_of(arrays):
    return lambda: arrays | {"x_train": arrays["x_train"] + 1}
