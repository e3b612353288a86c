"""Fixtures of whole tunings that are simulated."""

import itertools

import pytest

from tests.tuning.simulated import Simulation, simulate


@pytest.fixture
def another(monkeypatch, tmp_path):
    """A function that begins tunings in directories that take nothing over from each other."""
    simulate(monkeypatch)
    return (Simulation(tmp_path / str(number) / "tuning") for number in itertools.count()).__next__


@pytest.fixture
def simulation(another):
    return another()
