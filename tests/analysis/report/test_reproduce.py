"""How to reproduce a study."""

import yaml

from tests.analysis.made_up import made_up, on_disk
from tf_lottery import config_file
from tf_lottery.analysis.report.gather import gather
from tf_lottery.analysis.report.reproduce import reproduce


def test_the_config_is_the_study_and_the_table_says_what_trained_it(tmp_path):
    findings = made_up(arms=["ticket"])
    environments = [{"python": "3.11.7", "processor": f"P{r.spec.replicate // 2}"} for r in findings.records]
    findings.records[:] = [
        record.model_copy(update={"environment": environment})
        for record, environment in zip(findings.records, environments, strict=True)
    ]
    paths = on_disk(findings, tmp_path)
    paths.log.write_text("2026-01-02 03:04:05 began\nnot a date\n2026-01-03 00:00:00 ended\n")
    blocks = reproduce(gather(paths)).blocks
    command, _, table, differing, folded = blocks
    assert command.text == "tf-lottery run study.yaml --output saved_models/fake_again"
    rows = dict(table.rows)
    assert rows["seed"] == "0"
    assert rows["data"] == f"digits, sha256 {'d' * 64}"
    assert rows["when"] == "2026-01-02 03:04:05 to 2026-01-03 00:00:00 (study.log)"
    assert rows["python"] == "3.11.7"
    assert rows["processor"] == "P0 (10 runs); P1 (5 runs)"
    assert rows["engine"] == "sparse (12 runs); dense (3 runs)"
    assert "2 environments" in differing.text
    study = config_file.validate(yaml.safe_load(folded.blocks[0].text))
    assert study == findings.study


def test_without_a_log_the_files_have_dates(tmp_path):
    rows = dict(reproduce(gather(on_disk(made_up(arms=["ticket"]), tmp_path))).blocks[2].rows)
    assert rows["when"].endswith("(dates of the records' files)")


def test_nothing_finished_has_a_command_all_the_same(tmp_path):
    blocks = reproduce(gather(on_disk(made_up(arms=["ticket"], keep=lambda spec: False), tmp_path))).blocks
    assert "when" not in dict(blocks[2].rows)
