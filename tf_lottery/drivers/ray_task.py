"""The task of Ray that a node of a cluster performs: it attempts a run, or checks a study.

The driver's side is `ray_cluster.py`. TensorFlow isn't imported before the task sets its environment.
"""

import functools
import os
import re
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tf_lottery.config import StorageConfig, StudyConfig
from tf_lottery.errors import DamagedError
from tf_lottery.importing import import_modules
from tf_lottery.method.spec import RunSpec
from tf_lottery.paths import StudyPaths
from tf_lottery.runs.observe import StudyObserver
from tf_lottery.runs.observers import training_observer
from tf_lottery.runs.outcome import Outcome
from tf_lottery.store.store import Store

# The variables of the driver's environment that tasks need. `TF_CONFIG` concerns the driver alone.
_FORWARDED = re.compile(r"(TF|XLA|KERAS)_(?!CONFIG$).+|MPLBACKEND")


def task_settings(
    store: Store, strict_environment: bool, gpus: bool, imports: Sequence[str] = ()
) -> dict[str, Any]:
    """Return the settings that all tasks of a study share.

    Args:
        store: The store that holds the study's runs.
        strict_environment: Whether to refuse runs of other package versions or processors, as in `attempt`.
        gpus: Whether the tasks use GPUs.
        imports: The modules that the tasks import first.
    """
    # Several runs may share a GPU, so none may take all of its memory at once.
    environment = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}
    environment |= {name: value for name, value in os.environ.items() if _FORWARDED.fullmatch(name)}
    if not gpus:
        environment["CUDA_VISIBLE_DEVICES"] = "-1"  # Ray limits GPUs only for tasks that have some
    return {
        "directory": str(store.paths.root.absolute()),
        "storage": store.storage.model_dump(mode="json"),
        "strict_environment": strict_environment,
        "imports": list(imports),
        "here": os.getcwd(),
        "environment": environment,
    }


class _Notes(StudyObserver):
    def __init__(self):
        self.texts = []

    def noted(self, text: str) -> None:
        self.texts.append(text)


def task(
    settings: dict[str, Any], run: dict[str, Any] | None = None, study: dict[str, Any] | None = None
) -> tuple[dict[str, str], list[str]]:
    """Attempt a run, or check a study.

    Args:
        settings: What `task_settings` returned.
        run: The fields of a `RunSpec`.
        study: The fields of a `StudyConfig`, if there is no run.

    Returns:
        The fields of the `Outcome`, and the messages that came up.
    """
    os.environ.update(settings["environment"])
    if os.path.isdir(settings["here"]):
        os.chdir(settings["here"])  # a study's own functions and files are relative to it
        sys.path[:0] = [] if settings["here"] in sys.path else [settings["here"]]
    import_modules(settings["imports"])
    spec = RunSpec.model_validate(run) if run else None
    paths, notes = StudyPaths(Path(settings["directory"])), _Notes()
    store = Store(paths, StorageConfig(**settings["storage"]))
    there = os.listdir(paths.root) if paths.root.is_dir() else None
    if there is None or (spec and not {paths.study.name, "tuning.yaml"} & set(there)):
        unseen = (
            f"Node {socket.gethostname()} has no {paths.study}. Use --output to put the study on a file "
            "system that all nodes share."
        )
        outcome = Outcome(spec.key if spec else "", "ended", unseen)
    elif spec:
        outcome = _attempt(spec, store, notes, settings["strict_environment"])
    else:
        outcome = _check(StudyConfig.model_validate(study), store)
    return outcome.as_json(), notes.texts


def _attempt(spec: RunSpec, store: Store, notes: _Notes, strict_environment: bool) -> Outcome:
    from tf_lottery.runs.attempt import attempt

    return attempt(spec, store, _trainers(), training_observer(store, notes), strict_environment)


def _check(study: StudyConfig, store: Store) -> Outcome:
    from tf_lottery.runs.attempt import check

    try:
        wrong = check(study, store, _trainers())
    except DamagedError as error:
        return Outcome("", "damaged", str(error), error.key, str(error.path))
    return Outcome("", "ended" if wrong else "finished", wrong or "")


@functools.cache
def _trainers():
    """Return the compiled networks and data that later runs of this process use again."""
    from tf_lottery.runs.trainers import Trainers

    return Trainers()
