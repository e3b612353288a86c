"""The house of docs/architecture.md: a room imports only floors below it."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "tf_lottery"

FLOORS = {
    0: [
        "errors",
        "atomic",
        "lock",
        "terminal",
        "native",
        "steps",
        "seeding",
        "paths",
        "config_training",
        "config_pruning",
        "config",
        "config_file",
        "config_tune",
        "length",
        "importing",
        "workers",
    ],
    1: ["arrays", "pruning", "method"],
    2: ["layers", "models", "ticket", "tfmot", "data"],
    3: ["training"],
    4: ["store", "runs", "drivers"],
    5: ["analysis", "exports"],
    6: ["callbacks", "live", "study_records", "search", "tuning", "cli"],
    7: ["__main__", "__init__"],
}
FLOOR = {room: floor for floor, rooms in FLOORS.items() for room in rooms}
TENSORFLOW = {"tensorflow", "keras", "tf_keras"}
LIGHT = {0, 1}
MOST_LINES = 300
TENSORBOARD = {"training.events"}
"""Who imports TensorBoard beside `analysis/tensorboard/`: what writes an event file while a run trains."""


def modules():
    return sorted(path for path in PACKAGE.rglob("*.py"))


def name(path):
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__") or "__init__"


def imports(path):
    """Every module that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                is_module = (PACKAGE.parent / Path(*full.split("."))).with_suffix(".py").exists()
                yield full if is_module else node.module


def own_imports(path):
    return {m.removeprefix("tf_lottery.") for m in imports(path) if m.startswith("tf_lottery.")}


def room(module):
    return module.split(".")[0]


def test_every_room_has_a_floor():
    assert {room(name(path)) for path in modules()} == set(FLOOR)


@pytest.mark.parametrize("path", modules(), ids=name)
def test_no_import_points_upward_or_sideways(path):
    here = room(name(path))
    for module in own_imports(path):
        there = room(module)
        if there != here and FLOOR[there] >= FLOOR[here]:
            neighbours = FLOORS[FLOOR[here]]
            below = there in neighbours and neighbours.index(there) < neighbours.index(here)
            assert below, f"{name(path)} imports {module}, which is not below it"


def test_no_circle_within_a_room():
    graph = {name(path): own_imports(path) for path in modules()}

    def reaches(start, goal, seen):
        for module in graph.get(start, ()):
            if module == goal or (module not in seen and reaches(module, goal, seen | {module})):
                return True
        return False

    assert [module for module in graph if reaches(module, module, {module})] == []


@pytest.mark.parametrize("path", [p for p in modules() if FLOOR[room(name(p))] in LIGHT], ids=name)
def test_the_lower_floors_know_no_tensorflow(path):
    assert not {module.split(".")[0] for module in imports(path)} & TENSORFLOW


@pytest.mark.parametrize("path", modules(), ids=name)
def test_a_file_has_one_responsibility_and_no_more_lines_than_that_takes(path):
    assert len(path.read_text().splitlines()) <= MOST_LINES


@pytest.mark.parametrize("path", modules(), ids=name)
def test_what_is_written_for_tensorboard_lies_in_one_room(path):
    used = {module.split(".")[0] for module in imports(path)} & {"tensorboard"}
    assert not used or name(path) in TENSORBOARD or name(path).startswith("analysis.tensorboard.")
    assert "tf.summary" not in path.read_text() or name(path) == "training.events"
