import stat
import sys

import pytest

from tf_lottery.data import debian
from tf_lottery.data.fetch import SourceFailed

DOWNLOAD = "assert sys.argv[1:] == ['download', 'shapes']; open('shapes_1_all.deb', 'wb').write(b'content')"
UNPACK = """
flag, package, target = sys.argv[1:]
assert flag == "-x"
folder = pathlib.Path(target, "usr/share")
folder.mkdir(parents=True)
(folder / "file").write_bytes(pathlib.Path(package).read_bytes())
"""


@pytest.fixture
def clients(tmp_path, monkeypatch):
    """Put clients on the path that run a few lines of Python."""

    def install(**scripts):
        folder = tmp_path / "bin"
        folder.mkdir()
        for name, lines in scripts.items():
            client = folder / name.replace("_", "-")
            client.write_text(f"#!{sys.executable}\nimport pathlib, sys\n{lines}\n")
            client.chmod(client.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", str(folder))

    return install


def test_files_of_a_package_are_read(clients):
    clients(apt_get=DOWNLOAD, dpkg_deb=UNPACK)
    assert debian.package_files("shapes", {"x": "usr/share/file"}) == {"x": b"content"}


@pytest.mark.parametrize(
    ("scripts", "reason"),
    [
        ({}, "apt-get isn't on the path"),
        ({"apt_get": DOWNLOAD}, "dpkg-deb isn't on the path"),
        ({"apt_get": "sys.exit('warning\\nUnable to locate')"}, r"apt-get failed \(Unable to locate\)"),
        ({"apt_get": "sys.exit(1)"}, r"apt-get failed \(no reason given\)"),
        ({"apt_get": ""}, "apt-get downloaded no shapes"),
        ({"apt_get": DOWNLOAD, "dpkg_deb": "sys.exit('not an archive')"}, "dpkg-deb failed"),
        ({"apt_get": DOWNLOAD, "dpkg_deb": ""}, "contents aren't as expected"),
    ],
    ids=["no apt-get", "no dpkg-deb", "error", "silent error", "no package", "junk", "no such file"],
)
def test_what_fails_says_why(clients, scripts, reason):
    clients(**scripts)
    with pytest.raises(SourceFailed, match=reason):
        debian.package_files("shapes", {"x": "usr/share/file"})


def test_a_client_that_hangs_is_given_up(clients, monkeypatch):
    clients(apt_get="import time; time.sleep(60)")
    monkeypatch.setattr(debian, "TIMEOUT_SECONDS", 0.2)
    with pytest.raises(SourceFailed, match="no answer"):
        debian.package_files("shapes", {})
