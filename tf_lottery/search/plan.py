"""A search as a study: the same planner says which runs come next."""

import hashlib
import json
from typing import Any

from pydantic import Field

from tf_lottery.config import (
    ArmConfig,
    DataConfig,
    ModelConfig,
    PruningConfig,
    RewindConfig,
    StudyConfig,
    TrainingConfig,
)


class SearchPruning(PruningConfig):
    """As a study's, where the drop is in units of what is monitored."""

    max_accuracy_drop: float | None = Field(None, ge=0)


def study_of(
    settings: dict[str, Any],
    pruning: SearchPruning,
    rewind: RewindConfig,
    epochs: int,
    controls: int,
    seed: int,
    digest: str,
) -> StudyConfig:
    """Return the study that a search is.

    Args:
        settings: all else that determines its runs, as JSON holds it.
        pruning: rates and stop rules.
        rewind: the rewind point.
        epochs: of a run.
        controls: random reinitializations of each ticket.
        seed: of the search.
        digest: of the data.
    """
    canonical = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
    return StudyConfig(
        name="search",
        data=DataConfig(name="fit", digest=digest),
        model=ModelConfig(name="fit", kwargs={"settings": canonical}),
        training=TrainingConfig(steps=f"{epochs}ep", evaluate_every="1ep"),
        pruning=pruning,
        rewind=rewind,
        arms={"random_reinit": ArmConfig(trials=controls)} if controls else {},
        seed=seed,
    )
