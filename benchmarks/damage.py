"""Changes single bytes of a finished study's files, and counts how many changes are noticed.

    python benchmarks/damage.py [--changes 20000] [--healed 12] [--seed 0]

LeNet on digits, one pruned round. Each change affects one byte of one file of a run: bytes of the record and
the curves, of the beginnings and ends of the arrays' files, and others at random. It must be found, with its
run and file, and the run set aside. After some changes the study is run again, which must give the same bits.
"""

import argparse
import json
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from same import differences

from tf_lottery import config_file
from tf_lottery.drivers.run_study import run_study
from tf_lottery.errors import DamagedError
from tf_lottery.paths import StudyPaths
from tf_lottery.store.store import Store

STUDY = {
    "name": "damage",
    "data": {"name": "digits", "validation": 200},
    "training": {"steps": "40it", "evaluate_every": "20it", "xla": False},
    "pruning": {"rate": 0.5, "rounds": 1},
}
EDGE = 1500


def trained(directory: Path) -> StudyPaths:
    """Train the study and return its paths."""
    run_study(config_file.validate(json.loads(json.dumps(STUDY))), directory)
    return StudyPaths(directory)


def places(paths: StudyPaths, changes: int, seed: int = 0) -> Iterator[tuple[Path, int]]:
    """Yield files and offsets in them, about `changes` in all, spread over the files of all runs."""
    chance = random.Random(seed)
    files = [path for path in sorted(paths.runs.rglob("*")) if path.is_file()]
    each = changes // len(files)
    for path in files:
        size = path.stat().st_size
        edges = {*range(min(EDGE, size)), *range(max(0, size - EDGE), size)}
        chosen = chance.sample(sorted(edges), min(each // 2 + each % 2, len(edges)))
        chosen += (chance.randrange(size) for _ in range(each - len(chosen)))
        yield from ((path, place) for place in chosen)


def change(path: Path, place: int, chance: random.Random) -> bytes:
    """Change one byte of a file and return the file's earlier content."""
    before = path.read_bytes()
    after = bytearray(before)
    after[place] ^= chance.randrange(1, 256)
    path.write_bytes(after)
    return before


def noticed(paths: StudyPaths, path: Path) -> DamagedError | None:
    """Return the error that names a changed file and its run, or None if the change isn't noticed."""
    store, name = Store(paths), path.relative_to(paths.runs).parts[0]
    try:
        record = store.find(name)
        errors = [] if record is None else list(store.damaged(record))
    except DamagedError as error:
        errors = [error]
    return next((error for error in errors if error.path == path and error.key[:16] == name), None)


def set_aside(paths: StudyPaths, error: DamagedError, path: Path, before: bytes) -> bool:
    """Return whether the damaged run is set aside; then put it back, with its file restored."""
    new_place = Store(paths).set_aside(error)
    run = paths.run(error.key)
    if new_place is None or run.root.exists():
        return False
    shutil.move(new_place, run.root)
    path.write_bytes(before)
    return True


def main() -> None:
    """Change files, look for the damage, heal it, and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--changes", type=int, default=20_000)
    parser.add_argument("--healed", type=int, default=12, help="changes after which the study is run again")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        # In separate folders, since a study takes over what its neighbours have trained.
        whole, paths = Path(folder, "whole/study"), trained(Path(folder, "changed/study"))
        shutil.copytree(paths.root, whole)
        counts, missed = Counter(), []
        for path, place in places(paths, arguments.changes, arguments.seed):
            before = change(path, place, chance)
            error = noticed(paths, path)
            counts[path.name] += 1
            if error is None or not set_aside(paths, error, path, before):
                missed.append(f"{path.relative_to(paths.root)} at {place}")
                path.write_bytes(before)
        for name, number in sorted(counts.items()):
            print(f"{name:24} {number:7,} changes")
        print(f"{sum(counts.values()):,} changes: {len(missed)} missed {missed[:5]}")
        files = sorted({path for path, _ in places(paths, 100)})
        healed = 0
        for number in range(arguments.healed):
            path = files[number % len(files)]
            change(path, chance.randrange(path.stat().st_size), chance)
            Store(paths).set_aside(noticed(paths, path))  # as `tf-lottery verify` does
            trained(paths.root)
            healed += not differences(whole, paths.root)
        print(f"{healed} of {arguments.healed} damaged studies run again to the same bits")
    sys.exit(bool(missed) or healed < arguments.healed)


if __name__ == "__main__":
    main()
