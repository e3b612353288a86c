"""A tracker of one's own: an observer that keeps a study in an SQLite file, wherever its runs are trained.

It printed how many runs and evaluations the file has (10 and 1,010), and what a query for the best finds:

    arm            round  density  validation  test
    ticket             1    80.2%       99.0% 98.5%
    ticket             0   100.0%       98.5% 98.2%
"""

import argparse
import json
import sqlite3
import tempfile
from pathlib import Path

import tf_lottery as lottery

TABLES = """
CREATE TABLE IF NOT EXISTS runs (
    key TEXT PRIMARY KEY, arm TEXT, replicate INTEGER, round INTEGER, trial INTEGER, density REAL,
    early_stop INTEGER, validation REAL, test REAL, seconds REAL
);
CREATE TABLE IF NOT EXISTS points (
    key TEXT, step INTEGER, train_loss REAL, validation_loss REAL, validation_accuracy REAL,
    PRIMARY KEY (key, step)
);
CREATE TABLE IF NOT EXISTS messages (text TEXT);
"""


class Tracker(lottery.StudyObserver):
    """Keeps finished runs with their curves, failures and messages.

    Args:
        database: The SQLite file.
        directory: The study's directory, where the curves of finished runs lie.
    """

    def __init__(self, database, directory):
        self.database, self.directory, self.kept = sqlite3.connect(database), Path(directory), set()
        self.database.executescript(TABLES)

    def planned(self, finished, waiting):
        for record in finished:  # those of earlier commands and of other processes, too
            self._keep(record)

    def finished(self, record):
        self._keep(record)

    def failed(self, failure):
        self.noted(failure.describe())

    def noted(self, text):
        with self.database:
            self.database.execute("INSERT INTO messages VALUES (?)", (text,))

    def _keep(self, record):
        if record.key in self.kept:
            return
        spec = record.spec
        run = (record.key, spec.arm, spec.replicate, spec.round, spec.trial, record.density)
        run += (record.early_stop_iteration, record.early_stop_validation_accuracy)
        run += (record.early_stop_test_accuracy, record.seconds["total"])
        curves = json.loads((self.directory / "runs" / record.key[:16] / "curves.json").read_text())
        names = ("step", "train_loss", "validation_loss", "validation_accuracy")
        points = zip(*(curves[name] for name in names), strict=True)
        with self.database:  # one transaction: all of a run, or nothing
            self.database.execute(f"REPLACE INTO runs VALUES ({', '.join('?' * len(run))})", run)
            rows = ((record.key, *point) for point in points)
            self.database.executemany("REPLACE INTO points VALUES (?, ?, ?, ?, ?)", rows)
        self.kept.add(record.key)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--small", action="store_true", help="a few steps, for the tests")
    parser.add_argument("--workers", type=int, default=1, help="processes that train side by side")
    arguments = parser.parse_args()
    small = ["training.steps=40it", "pruning.rounds=1", "arms={ticket: {}}"] if arguments.small else []

    with tempfile.TemporaryDirectory() as folder:
        directory, file = Path(folder, "study"), Path(folder, "tracker.db")
        tracker, execution = Tracker(file, directory), lottery.Execution(workers=arguments.workers)
        lottery.run_study("digits_quick", directory, small, observer=tracker, execution=execution)

        with sqlite3.connect(file) as reader:  # as any other program would
            (runs,), (points,) = (
                next(reader.execute(f"SELECT count(*) FROM {table}")) for table in ("runs", "points")
            )
            print(f"The file has {runs} runs and {points} evaluations.\n")
            query = "SELECT arm, round, density, validation, test FROM runs ORDER BY validation DESC LIMIT 5"
            print("arm            round  density  validation  test")
            for arm, round, density, validation, test in reader.execute(query):
                print(f"{arm:14} {round:5} {density:8.1%} {validation:11.1%} {test:.1%}")
