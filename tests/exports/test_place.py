import os
from pathlib import Path

import pytest

from tf_lottery.errors import LotteryError
from tf_lottery.exports import place


def tree(root, **files):
    root.mkdir(parents=True)
    for name, content in files.items():
        (root / name.replace("__", ".")).write_text(content)
    return root


def test_an_existing_path_is_refused_and_left_alone(tmp_path):
    there = tree(tmp_path / "model", saved_model__pb="old")
    with pytest.raises(LotteryError, match=r"model already exists. Use --force \(force=True\)"):
        place.check(there, force=False)
    place.check(tmp_path / "other", force=False)
    assert (there / "saved_model.pb").read_text() == "old"


@pytest.mark.parametrize("exchange", [True, False])
def test_a_directory_is_replaced_whole(tmp_path, monkeypatch, exchange):
    if not exchange:
        monkeypatch.setattr(place, "_exchange", lambda first, second: False)
    there = tree(tmp_path / "model", saved_model__pb="old", old_only="x")
    made = tree(tmp_path / "new" / "model", saved_model__pb="new")
    place.put(made, there)
    assert [each.name for each in there.iterdir()] == ["saved_model.pb"]
    assert (there / "saved_model.pb").read_text() == "new"
    assert not made.exists()


def test_the_old_one_comes_back_if_the_new_one_can_t_be_moved(tmp_path, monkeypatch):
    there = tree(tmp_path / "model", saved_model__pb="old")
    made = tree(tmp_path / "new" / "model", saved_model__pb="new")
    rename = os.rename

    def failing(source, target):
        if source == made:
            raise OSError("no space")
        rename(source, target)

    monkeypatch.setattr(place, "_exchange", lambda first, second: False)
    monkeypatch.setattr(place.os, "rename", failing)
    with pytest.raises(OSError, match="no space"):
        place.put(made, there)
    assert (there / "saved_model.pb").read_text() == "old"


def test_files_and_directories_take_each_other_s_place(tmp_path):
    file = tmp_path / "made.tflite"
    file.write_text("new")
    there = tmp_path / "model.tflite"
    there.write_text("old")
    place.put(file, there)
    assert there.read_text() == "new"
    assert oct(there.stat().st_mode & 0o777) == "0o644"


def test_what_is_refused_lies_beside(tmp_path):
    for content, name in (("first", "model.refused.tflite"), ("second", "model.refused1.tflite")):
        made = tmp_path / "work.tflite"
        made.write_text(content)
        aside = place.keep_refused(made, tmp_path / "model.tflite")
        assert aside == tmp_path / name
    assert [path.read_text() for path in sorted(tmp_path.iterdir())] == ["first", "second"]


def test_temporary_directories_go_whatever_happens(tmp_path):
    def interrupted():
        with place.temporary_beside(tmp_path / "deep" / "model") as directory:
            tree(directory / "half", written="x")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list((tmp_path / "deep").iterdir()) == []


def test_sizes(tmp_path):
    directory = tree(tmp_path / "model", a="x" * 100000, b="y" * 23)
    assert place.size(directory) == 100023
    assert place.size(directory / "b") == 23
    assert 0 < place.compressed(directory) < 2000


@pytest.mark.parametrize("name", [".", "..", "/"])
def test_a_path_without_a_name_is_refused(name):
    with pytest.raises(LotteryError, match="Expected a path that ends in a name"):
        place.check(Path(name), force=True)


def test_of_a_link_the_link_is_replaced(tmp_path):
    target = tree(tmp_path / "target", saved_model__pb="old")
    link, broken = tmp_path / "link", tmp_path / "broken"
    link.symlink_to(target)
    broken.symlink_to(tmp_path / "nowhere")
    for there in (link, broken):
        with pytest.raises(LotteryError, match="already exists. Use --force"):
            place.check(there, force=False)
        place.check(there, force=True)
        place.put(tree(tmp_path / f"made_{there.name}", saved_model__pb="new"), there)
        assert not there.is_symlink()
        assert (there / "saved_model.pb").read_text() == "new"
    assert (target / "saved_model.pb").read_text() == "old"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["broken", "link", "target"]
