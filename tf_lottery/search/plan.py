"""A search described as a study, so that the same planner decides which runs come next."""

import hashlib
import json
from typing import Any

from tf_lottery.config import DataConfig, ModelConfig, StudyConfig, TrainingConfig
from tf_lottery.search.settings import SearchSettings


def study_of(settings: SearchSettings, described: dict[str, Any], epochs: int, digest: str) -> StudyConfig:
    """Return the study that describes a search.

    Args:
        settings: The search's settings.
        described: Everything else that determines its runs, as JSON holds it.
        epochs: The number of epochs of a run.
        digest: The digest of the data.
    """
    canonical = hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()
    return StudyConfig(
        name="search",
        data=DataConfig(name="fit", digest=digest),
        model=ModelConfig(name="fit", kwargs={"settings": canonical}),
        training=TrainingConfig(steps=f"{epochs}ep", evaluate_every="1ep"),
        pruning=settings.pruning,
        rewind=settings.rewind,
        arms=settings.arms.configs,
        seed=settings.seed,
    )
