"""The Python and the names of docs/export.md, as they stand there."""

import re
from pathlib import Path

import pytest

from tests.exports.models import trained_ticket
from tf_lottery.exports.formats.registry import FORMATS, missing

TEXT = (Path(__file__).parent.parent / "docs/export.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.S)


def test_every_format_is_described():
    rows = "\n".join(line for line in TEXT.splitlines() if line.startswith("|"))
    for format, kinds in FORMATS.items():
        assert f"`{format}`" in rows
        if len(kinds) > 1:
            assert all(f"`{weights}`" in rows for weights in kinds)


def test_every_extra_is_named():
    extras = {extra for kinds in FORMATS.values() for kind in kinds.values() for _, extra in kind.packages}
    assert all(f"`[{extra}]`" in TEXT for extra in {*extras, "serving"})
    assert all(missing(kind) is None for kinds in FORMATS.values() for kind in kinds.values())


@pytest.mark.slow
def test_the_python(digits, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {"small": trained_ticket(digits), "x_test": digits.test.x, "y_test": digits.test.y}
    names |= {"x_train": digits.train.x, "y_train": digits.train.y}
    for block in BLOCKS:
        exec(block, names)
    out = capsys.readouterr().out
    assert "savedmodel packed" in out
    assert "{'dense" in out
    assert (tmp_path / "exports/small/saved_model.pb").exists()
