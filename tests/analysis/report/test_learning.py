"""Learning curves: which rounds, and the means of replicates."""

from tests.analysis.made_up import made_up, on_disk
from tf_lottery.analysis.report.gather import gather
from tf_lottery.analysis.report.learning import averaged, chosen, learning


def test_a_curve_is_the_mean_at_steps_that_all_have():
    first = {"step": [0, 10, 20], "validation_accuracy": [0.1, 0.5, 0.9]}
    second = {"step": [0, 20, 40], "validation_accuracy": [0.3, 0.7, 1.0]}
    curve = averaged("x", [first, second], "validation_accuracy", 100.0)
    assert curve.steps == [0, 20]
    assert (curve.mean, curve.low, curve.high) == ([20.0, 80.0], [10.0, 70.0], [30.0, 90.0])


def test_values_that_were_not_measured_are_left_out():
    run = {"step": [0, 10], "train_loss": [None, 0.5]}
    assert averaged("x", [run], "train_loss", 1.0).steps == [10]
    assert averaged("x", [{"step": [0], "train_loss": [None]}], "train_loss", 1.0) is None
    assert averaged("x", [], "train_loss", 1.0) is None


def test_the_rounds_of_papers_the_matching_and_the_last_one(tmp_path):
    material = gather(on_disk(made_up(arms=["ticket", "random_reinit"]), tmp_path))
    assert chosen(material) == [1, 2, 4]  # 50%, 21%, and 1.2%, which matches and is the last


def test_pictures_of_accuracy_and_of_loss(tmp_path):
    material = gather(on_disk(made_up(arms=["ticket", "random_reinit"]), tmp_path))
    pair = learning(material).blocks[0]
    assert [picture.name for picture in pair.pictures] == ["learning", "learning_loss"]
    for label in ("dense network", "ticket, 50%", "ticket, 1.2%", "random_reinit, 1.2%"):
        assert label in pair.pictures[0].title


def test_damaged_curves_are_left_out_and_noted(tmp_path):
    paths = on_disk(made_up(arms=["ticket"]), tmp_path)
    material = gather(paths)
    for record in material.records:
        paths.run(record.key).curves.write_text("[]")
    assert learning(material).blocks == []
    assert len(material.damaged) == 3 * 4  # dense, 50%, 21%, 1.2%
