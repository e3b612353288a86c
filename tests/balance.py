"""Balances the workers: files that took longest come first, so that none is left for one worker at the end.

python -m pytest -m "not exhaustive" -n 2 --dist loadfile --measure    writes `durations.json` anew
"""

import json
from collections import Counter
from pathlib import Path

import pytest

DURATIONS = Path(__file__).with_name("durations.json")


def pytest_addoption(parser):
    parser.addoption("--measure", action="store_true", help="write how long each file takes, for the balance")


def pytest_configure(config):
    if config.getoption("--measure") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Measure())


@pytest.hookimpl(trylast=True)  # when those that aren't asked for are gone
def pytest_collection_modifyitems(items):
    seconds = json.loads(DURATIONS.read_text())
    longest = Counter()
    for item in items:
        longest[item.path] = max(longest[item.path], seconds.get(_file(item), 0))
    items.sort(key=lambda item: -longest[item.path])  # stable: within a file nothing moves


class Measure:
    """Adds up the seconds of each file."""

    def __init__(self):
        self.seconds = Counter()

    def pytest_runtest_logreport(self, report):
        self.seconds[_file(report)] += report.duration

    def pytest_sessionfinish(self):
        known = json.loads(DURATIONS.read_text())
        known |= {file: round(seconds, 1) for file, seconds in self.seconds.items()}
        DURATIONS.write_text(json.dumps(dict(sorted(known.items())), indent=1) + "\n")


def _file(test):
    marks = (f" ({mark})" for mark in ("exhaustive", "slow") if mark in test.keywords)
    return test.nodeid.split("::")[0] + next(marks, "")
