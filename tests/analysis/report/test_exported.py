"""What reports of exports say."""

import json

import pytest

from tests.analysis.made_up import made_up, on_disk
from tf_lottery.analysis.report.exported import exports_of, table
from tf_lottery.analysis.report.gather import gather
from tf_lottery.exports.contents import KIND as WRITTEN


def export(round=4, study="fake", **row):
    """What `tf-lottery export` writes, as far as it is read."""
    known = {"name": "litert int8", "status": "verified", "bytes": 12_345, "dense_bytes": 24_690}
    known |= {"latency": {"1": 1.5e-5, "32": 2.5e-4}}
    provenance = {"study": study, "round": round, "replicate": 0}
    return {"format": WRITTEN, "version": 2, "provenance": provenance, "rows": [known | row]}


@pytest.fixture
def material(tmp_path):
    """A made-up study without exports."""
    return gather(on_disk(made_up(arms=["ticket"]), tmp_path / "fake"))


def write(directory, content):
    """Write a report of an export."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "report.json").write_text(json.dumps(content))


def test_exports_in_the_directory_and_beside_it_are_found(material):
    write(material.paths.root / "exported", export())
    write(material.paths.root.parent / "fake_round03", export(round=3, dense_bytes=None, latency={}))
    found = exports_of(material)
    assert [(each.round, each.bytes, each.path) for each in found] == [
        (3, 12_345, "fake_round03/report.json"),
        (4, 12_345, "fake/exported/report.json"),
    ]
    shown = table(found)
    assert shown.head[3:] == ["size", "of dense", "microseconds, batch 1", "microseconds, batch 32"]
    assert shown.rows[1][1:] == ["4", "0", "12.3 kB", "50.0%", "15", "250"]
    assert shown.rows[0][1:] == ["3", "0", "12.3 kB", "-", "-", "-"]


@pytest.mark.parametrize(
    "content",
    [
        {},
        [],
        {"format": WRITTEN},
        export(study="other"),
        export(round=77),
        export(status="refused"),
        export(bytes=None),
        export(latency={"1": "soon"}),
    ],
)
def test_what_is_damaged_or_of_others_is_left_out(material, content):
    write(material.paths.root / "exported", content)
    assert exports_of(material) == []
    (material.paths.root / "exported/report.json").write_bytes(b"\xff{")
    assert exports_of(material) == []
