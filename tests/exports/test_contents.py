"""What `--force` replaces: an export of ours, as it was written, and nothing else."""

import json

import keras
import pytest

import tf_lottery as lottery
from tests.exports.test_place import tree
from tf_lottery.errors import LotteryError
from tf_lottery.exports import place
from tf_lottery.exports.contents import files_of, report_path, with_digest


def exported(path, inside=True):
    """A directory as `all` leaves it, or a single export with its report beside it."""
    tree(path, saved_model__pb="model")
    tree(path / "variables", index="1")
    (path / "assets").mkdir()
    report = path / "report.json" if inside else report_path(path)
    report.write_text(
        json.dumps(with_digest({"format": "tf_lottery.export", "files": files_of(path)}), indent=2)
    )
    return path


def refused(path):
    with pytest.raises(LotteryError, match="or choose another path.$") as caught:
        place.check(path, force=True)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("inside", [True, False])
def test_an_export_is_replaced_and_so_is_an_empty_directory(tmp_path, inside):
    there, empty = exported(tmp_path / "d", inside), tmp_path / "empty"
    empty.mkdir()
    for path in (there, empty):
        place.check(path, force=True)
        place.put(tree(tmp_path / "new", saved_model__pb="newer"), path)
        assert [(each.name, each.read_text()) for each in path.rglob("*")] == [("saved_model.pb", "newer")]


def test_other_things_are_not(tmp_path):
    said = refused(tree(tmp_path / "p", holiday__jpg=""))
    assert "p is not an earlier export: it holds holiday.jpg. Move that" in said


@pytest.mark.parametrize("inside", [True, False])
def test_what_else_lies_there_is_named(tmp_path, inside):
    there = exported(tmp_path / "d", inside)
    tree(there / "mine", thesis="years")
    assert "holds mine/thesis, which its report doesn't list, or lists with other contents. Move" in refused(
        there
    )
    for name in "abcd":
        (there / name).write_text("x")
    assert "holds a, b, c and 2 more, which its report doesn't list" in refused(there)
    assert (there / "mine" / "thesis").read_text() == "years"


def test_what_was_changed_since_is_named(tmp_path):
    there = exported(tmp_path / "d")
    (there / "variables" / "index").write_text("2")
    assert "holds variables/index, which its report" in refused(there)


def test_links_in_it_are_named(tmp_path):
    there = exported(tmp_path / "d")
    (there / "photos").symlink_to(tmp_path)
    (there / "nowhere").symlink_to(tmp_path / "nowhere")
    assert "holds nowhere, photos, which its report" in refused(there)


@pytest.mark.parametrize(
    "report",
    [
        {"format": "tf_lottery.export", "version": 1},  # an older version's
        with_digest({"format": "tf_lottery.export"}) | {"files": {}},
        with_digest({"format": "another program's", "files": {}}),
        [],
        None,
    ],
)
def test_a_report_that_isn_t_whole_vouches_for_nothing(tmp_path, report):
    there = tree(tmp_path / "d", saved_model__pb="x", report__json=json.dumps(report))
    assert (
        "looks like an export, but has no intact report that lists its files, so it isn't replaced. Look at"
        in refused(there)
    )
    (there / "report.json").write_text("{")
    assert "has no intact report" in refused(there)
    (there / "report.json").unlink()
    assert "has no intact report" in refused(there)


def test_as_exported(tmp_path):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    path = tmp_path / "m"
    for force in (False, True):
        lottery.export(model, path, latency=False, force=force)
    written = json.loads((tmp_path / "m.report.json").read_text())
    assert written["files"] == files_of(path)
    assert "saved_model.pb" in written["files"]
    (path / "notes.txt").write_text("mine")
    with pytest.raises(LotteryError, match="holds notes.txt, which its report doesn't list"):
        lottery.export(model, path, latency=False, force=True)
    assert (path / "notes.txt").read_text() == "mine"


def test_what_is_refused_is_set_aside_where_nothing_is(tmp_path):
    (tmp_path / "d.refused").mkdir()
    (tmp_path / "d.refused/mine.txt").write_text("mine")
    for number in ("1", "2"):
        (tmp_path / "made").write_text(number)
        assert place.keep_refused(tmp_path / "made", tmp_path / "d").name == f"d.refused{number}"
    assert (tmp_path / "d.refused/mine.txt").read_text() == "mine"


def test_a_report_of_somebody_elses_is_not_replaced(tmp_path):
    (tmp_path / "d.report.json").write_text('{"mine": 1}')
    with pytest.raises(LotteryError, match="would replace .*d.report.json, which isn't one. Move it"):
        place.check(tmp_path / "d", force=False)
