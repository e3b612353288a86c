"""The scripts of docs/start.md, as they stand there, only shorter."""

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parent.parent / "docs/start.md").read_text()


@pytest.mark.slow
def test_from_a_model_to_a_file_that_serves(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tf_lottery.exports.measure.SECONDS", 0.05)
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.S))
    for given, short in {
        "tolerance=0.02": "tolerance=1.0",
        "rounds=4": "rounds=2",
        "epochs=15": "epochs=2",
    }.items():
        assert given in code
        code = code.replace(given, short)
    exec(code, {})
    out = capsys.readouterr().out
    assert "* Sparsest matching ticket: round 2, 25.0% of the weights (5,550 of 22,200)" in out
    assert "1 of 1 export verified." in out
    assert (tmp_path / "exports/digits/saved_model.pb").exists()
