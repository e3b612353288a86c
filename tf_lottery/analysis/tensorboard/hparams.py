"""TensorBoard's HParams page: a line for each arm of a study, or for each candidate of a tuning.

What a line has is written with its curves. Which of its settings are columns depends on what stands beside
it, so that is written anew where several are shown: only settings that differ help to compare.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2, metadata  # its `api` would import TensorFlow
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionStartInfo

from tf_lottery.analysis.findings import test_accuracy
from tf_lottery.analysis.plots import by_density
from tf_lottery.config import OVERLAID, StudyConfig
from tf_lottery.method.arms import function_name
from tf_lottery.method.ledger import ledger, lines
from tf_lottery.method.results import Results
from tf_lottery.method.spec import Record
from tf_lottery.training.events import EventFile

DENSITIES = (50, 20, 5, 2)
"""At about how many percent of weights remaining arms are compared."""
NEAR = 1.2
"""By which factor a round may be denser or sparser than that."""
COLUMNS = "~hparams"
"""The name of the run that only says which columns there are. It comes last, and has no curve."""
_NOT_COMPARED = {"digest", "pipeline", "rounds", "threads"}
"""Settings that change no result, and the rule that ends rounds."""

Setting = str | bool | float


@dataclass(frozen=True)
class Line:
    """A line of the page.

    Attributes:
        name: Its name, which no other line has.
        settings: The name of a setting -> its value.
        metrics: What is compared -> its value.
    """

    name: str
    settings: dict[str, Setting]
    metrics: dict[str, float]


def arm_lines(study: StudyConfig, results: Results[Record], place: str) -> dict[str, Line]:
    """Return arm -> its line: its settings, and what it came to, as means over replicates.

    Args:
        study: The study.
        results: Its finished runs.
        place: The name of the study's directory, which tells it from others of the same name.
    """
    costs = {(line.arm, line.round): line.all.steps for line in lines(ledger(results.records))}
    return {
        arm: Line(f"{place}/{arm}", _settings(study, results, arm), _metrics(study, results, arm, costs))
        for arm in results.arms
    }


def write_line(file: EventFile, line: Line) -> None:
    """Write a line of the page.

    Args:
        file: The event file of its run.
        line: The line.
    """
    start = SessionStartInfo(group_name=line.name)
    for name, value in line.settings.items():
        found = start.hparams[name]
        if isinstance(value, bool):
            found.bool_value = value
        elif isinstance(value, str):
            found.string_value = value
        else:
            found.number_value = value
    file.summary(_summary(metadata.SESSION_START_INFO_TAG, session_start_info=start))
    for name, value in line.metrics.items():
        file.scalar(name, value, 0)


def setting(value: Any) -> Setting | None:
    """Return a setting's value as the page knows it; None where there is none.

    Args:
        value: What a config has: numbers are shown as such, lists and mappings as JSON.
    """
    if value is None or isinstance(value, str | bool):
        return value
    return float(value) if isinstance(value, int | float) else json.dumps(value)


def write_columns(root: Path, shown: Sequence[Line], settings: Iterable[str], metrics: Iterable[str]) -> None:
    """Write which columns the page has: the arm, settings that differ between lines, and all metrics.

    Args:
        root: The directory that TensorBoard shows.
        shown: The lines of arms in it.
        settings: Settings of tunings' lines in it.
        metrics: Metrics of these.
    """
    file = EventFile(root / COLUMNS)
    file.summary(_columns(shown, settings, metrics))
    file.close()


def _columns(shown: Sequence[Line], settings: Iterable[str], metrics: Iterable[str]) -> Summary:
    names = dict.fromkeys(name for line in shown for name in line.settings)
    values = {name: {line.settings.get(name) for line in shown} for name in names}
    named = {name: found for name, found in values.items() if name == "arm" or len(found) > 1}
    for name in settings:
        named.setdefault(name, values.get(name, set()) | {"unknown"})
    tags = dict.fromkeys([*(tag for line in shown for tag in line.metrics), *metrics])
    order = {tag: place for place, tag in enumerate(METRICS)}
    page = api_pb2.Experiment(
        hparam_infos=[_column(name, found - {None}) for name, found in named.items()],
        metric_infos=[_metric(tag) for tag in sorted(tags, key=lambda tag: order.get(tag, len(order)))],
    )
    return _summary(metadata.EXPERIMENT_TAG, experiment=page)


def _summary(tag: str, **content: Any) -> Summary:
    summary = Summary()
    summary.value.add(
        tag=tag,
        metadata=metadata.create_summary_metadata(HParamsPluginData(**content)),
        tensor=metadata.NULL_TENSOR,
    )
    return summary


def _metric(tag: str) -> api_pb2.MetricInfo:
    name, meaning = METRICS.get(tag, (tag, ""))
    return api_pb2.MetricInfo(name=api_pb2.MetricName(tag=tag), display_name=name, description=meaning)


def _column(name: str, values: set[Setting]) -> api_pb2.HParamInfo:
    column = api_pb2.HParamInfo(name=name, type=api_pb2.DATA_TYPE_STRING, differs=True)
    if values and all(isinstance(value, float) for value in values):
        column.type = api_pb2.DATA_TYPE_FLOAT64
        column.domain_interval.min_value, column.domain_interval.max_value = min(values), max(values)
    elif values and all(isinstance(value, bool) for value in values):
        column.type = api_pb2.DATA_TYPE_BOOL
    return column


def _settings(study: StudyConfig, results: Results[Record], arm: str) -> dict[str, Setting]:
    own = next(record.spec for record in reversed(results.records) if record.spec.arm == arm)
    found: dict[str, Any] = {"study": study.name, "arm": arm, "seed": study.seed, "start": own.start}
    if arm in study.arms:
        found["like"] = function_name(study, arm)
        study = study.of_arm(arm)
    for part in ("model", *OVERLAID):
        section = getattr(study, part).model_dump(mode="json", exclude=_NOT_COMPARED)
        found |= {f"{part}.{name}": value for name, value in section.items()}
    return {name: shown for name, value in found.items() if (shown := setting(value)) is not None}


METRICS = {
    "outcome/sparsest_matching_percent": ("sparsest match (%)", "Weights of the sparsest matching round."),
    **{
        f"outcome/accuracy_near_{each}_percent": (
            f"test near {each}%",
            f"Test accuracy at early stop, at the round next to {each}% of the weights, if one is near.",
        )
        for each in DENSITIES
    },
    "outcome/dense_accuracy": ("dense test (%)", "Test accuracy of the dense network at early stop."),
    "outcome/steps_to_sparsest_matching": (
        "steps to match",
        "Training steps up to the sparsest matching round, with all runs that it builds on.",
    ),
    "outcome/steps_to_last_round": (
        "steps to the last",
        "Training steps up to the last round, with all runs that it builds on.",
    ),
}
"""What arms are compared by, in the page's order -> name and meaning. TensorBoard shows the first five at
first, and has room for some 18 characters."""


def _metrics(
    study: StudyConfig, results: Results[Record], arm: str, costs: Mapping[tuple[str, int], float | None]
) -> dict[str, float]:
    tested = by_density(results, arm, test_accuracy)
    best = results.matching_round(study.tolerance, arm)
    pruned = {round: point for round, point in tested.items() if round}
    values = {
        "outcome/sparsest_matching_percent": tested[best][0] if best in tested else None,
        "outcome/steps_to_sparsest_matching": costs.get((arm, best)),
        "outcome/dense_accuracy": tested[0][1][0] if 0 in tested else None,
        "outcome/steps_to_last_round": costs.get((arm, max(pruned))) if pruned else None,
    }
    for wanted in DENSITIES:
        near = [(_factor(density, wanted), band[0]) for density, band in pruned.values() if density]
        if near and min(near)[0] <= NEAR:
            values[f"outcome/accuracy_near_{wanted}_percent"] = min(near)[1]
    return {name: values[name] for name in METRICS if values.get(name) is not None}


def _factor(first: float, second: float) -> float:
    return max(first / second, second / first)
