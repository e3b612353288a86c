"""What `run_study` returns: a list, which shows itself in a notebook."""

import base64
import copy
import pickle
import re

from IPython.lib.pretty import pretty

from tests.fakes import fake_record, fake_spec, fake_study, run_to_the_end
from tf_lottery.drivers import run_study as drivers
from tf_lottery.method.plan import collect
from tf_lottery.study_records import MOST_ROWS, StudyRecords, run_study


def records():
    study = fake_study()
    return collect(study, run_to_the_end(study))


def picture(page):
    return base64.b64decode(re.search(r'src="data:image/png;base64,([^"]+)"', page)[1])


def test_they_are_a_list_like_any_other():
    plain = records()
    made = StudyRecords(plain, "mine", 0.01)
    assert made == plain
    assert isinstance(made, list)
    assert repr(made) == repr(plain)
    for again in (pickle.loads(pickle.dumps(made)), copy.copy(made)):
        assert (again, again.name, again.tolerance) == (plain, "mine", 0.01)


def test_a_notebook_shows_the_table_the_findings_and_the_picture_without_a_script():
    page = StudyRecords(records(), "mine")._repr_html_()
    assert len(re.findall(r"<tr><td [^>]*>ticket</td><td [^>]*>0</td>", page)) == 4
    assert "<pre" not in page
    for name in ("replicate", "weights remaining", "density", "valid. acc.", "steps per s"):
        assert f">{name}</th>" in page
    assert "Sparsest matching ticket: round 3" in page
    assert picture(page).startswith(b"\x89PNG\r\n")
    assert "<script" not in page


def test_names_are_escaped():
    spec = fake_spec("<b>arm")
    assert "&lt;b&gt;arm" in StudyRecords([fake_record(spec)])._repr_html_()


def test_none_or_no_dense_network_is_no_error_and_many_are_cut_off():
    assert "No dense network is trained yet." in StudyRecords()._repr_html_()
    assert "<img" not in StudyRecords([fake_record(fake_spec(round=1))])._repr_html_()
    many = [fake_record(fake_spec(replicate=number)) for number in range(MOST_ROWS + 5)]
    assert "... and 5 more runs" in StudyRecords(many)._repr_html_()


def test_the_study_is_run_as_below_and_named(monkeypatch):
    found, asked = records(), []
    monkeypatch.setattr(drivers, "run_study", lambda *arguments: asked.append(arguments) or found)
    made = run_study("digits_quick", "here", ["tolerance=0.02"])
    assert (made, made.name, made.tolerance) == (found, "digits_quick", 0.02)
    ((study, directory, overrides, _, execution),) = asked
    assert (study.tolerance, directory, overrides, execution) == (0.02, "here", (), drivers.SERIAL)


def test_ipython_prints_what_was_found():
    made = StudyRecords(records(), "mine")
    printed = pretty(made)
    assert printed.startswith(f"{len(made)} runs of mine. Dense network:")
    assert "Sparsest matching ticket: round 3" in printed
    assert len(printed) < 2000
    assert "No dense network" in pretty(StudyRecords())
