"""docs/licences.md is complete, and says what the installed packages say."""

from importlib import metadata

from packaging.utils import canonicalize_name

from tests import licences
from tf_lottery.data.sources import SOURCES

PAGE = licences.PAGE.read_text()


def test_the_table_has_every_pinned_package_and_says_what_it_says():
    written, here = licences.written(), licences.rows()
    assert list(written) == licences.pinned(), "python -m tests.licences"
    assert {name: written[name] for name in here} == here, "python -m tests.licences"
    assert all(row.split("|")[2].strip() and row.split("|")[3].strip() for row in written.values())


def test_what_everybody_needs_is_pinned_and_was_looked_at():
    own = {name for name, groups in licences.direct().items() if licences.ITSELF in groups}
    assert own <= {canonicalize_name(name) for name in licences.rows()}


def test_the_licence_of_tf_lottery_is_the_file():
    assert metadata.metadata("tf_lottery")["License-Expression"] == "Apache-2.0"
    assert "Apache License" in (licences.ROOT / "LICENSE").read_text()[:100]


def test_every_data_set_is_on_the_page():
    for name in {*SOURCES, "sentences"} - {"npz"}:
        assert f"`{name}`" in PAGE, name
