"""Densities of the ticket by layer and round."""

from tests.analysis.made_up import made_up, on_disk
from tf_lottery.analysis.report.gather import gather
from tf_lottery.analysis.report.layers import layers
from tf_lottery.method.spec import LayerCount


def with_layers(findings, count):
    """The findings with so many layers of equal size, of which the first one keeps everything."""

    def split(record):
        size, rest = record.weights_total // count, record.weights_remaining
        found = {"layer0/kernel": LayerCount(total=size, remaining=min(size, rest))}
        rest -= min(size, rest)
        for place in range(1, count):
            found[f"layer{place}/kernel"] = LayerCount(
                total=size, remaining=min(size, rest // (count - place))
            )
            rest -= rest // (count - place)
        return record.model_copy(update={"layers": found})

    findings.records[:] = [split(record) for record in findings.records]
    return findings


def test_a_table_and_a_line_for_each_layer(tmp_path):
    material = gather(on_disk(with_layers(made_up(arms=["ticket"]), 2), tmp_path))
    picture, table, _ = layers(material).blocks
    assert table.head == ["layer", "weights", "round 1", "round 2", "round 3", "round 4"]
    # Of 1,024 weights remain 512, 215, 138, 12: the first layer, of 512, has all of them.
    assert table.rows[0] == ["layer0/kernel", "512", "100.0%", "42.0%", "27.0%", "2.3%"]
    assert table.rows[1] == ["layer1/kernel", "512", "0.0%", "0.0%", "0.0%", "0.0%"]
    assert table.rows[2] == ["all", "1,024", "50.0%", "21.0%", "13.5%", "1.2%"]
    assert "Lines above the dashed one" in picture.caption


def test_many_layers_are_a_map(tmp_path):
    material = gather(on_disk(with_layers(made_up(arms=["ticket"]), 16), tmp_path))
    picture, table, _ = layers(material).blocks
    assert "A row for each layer" in picture.caption
    assert len(table.rows) == 17


def test_nothing_pruned_has_no_section(tmp_path):
    material = gather(on_disk(made_up(arms=["ticket"], keep=lambda spec: spec.round == 0), tmp_path))
    assert layers(material).blocks == []


def test_of_many_rounds_the_table_has_some_and_the_last(tmp_path, monkeypatch):
    monkeypatch.setattr("tf_lottery.analysis.report.layers.COLUMNS", 3)
    material = gather(on_disk(with_layers(made_up(arms=["ticket"]), 2), tmp_path))
    _, table, _ = layers(material).blocks
    assert table.head[2:] == ["round 1", "round 3", "round 4"]
    assert table.rows[2][2:] == ["50.0%", "13.5%", "1.2%"]
