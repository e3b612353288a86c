"""What a tuning says in the end: sentences, a table, and the best setting as a config to run."""

from typing import Any

import yaml

from tf_lottery.config import ArmConfig, StudyConfig
from tf_lottery.config_tune import TuneConfig
from tf_lottery.tuning.candidate import CHAIN
from tf_lottery.tuning.space import with_values
from tf_lottery.tuning.tuned import Tried, Tuned, finalists, held, loss

MOST_ROWS = 8
"""The most rows that the table of the front has."""

_UNITS = {"steps": "training steps", "flops": "FLOPs", "seconds": "seconds"}


def answer(tuned: Tuned) -> list[str]:
    """Return what a tuning found, in sentences."""
    tune, best = tuned.tuning.tune, tuned.best
    if best is None:
        return [f"No candidate has {_no_ticket(tune)}. Allow for more tolerance, or train longer."]
    own = tuned.tried[0]
    lines = [f"The study's own setting: {_came_to(own, tune)}."]
    among = finalists(tuned.tried, tune)
    lines += [f"{_finalist(tuned, own, each)}." for each in among]
    if not best.candidate.values:
        lines.append(_none_better(tuned))
    elif own.outcome is not None and own.outcome.ticket is not None:
        lines.append(_compared(tuned, own, best))
    most = min(_with_ticket(tuned), key=lambda each: loss(each.outcome, tune))
    if most not in among and most.candidate.values:
        lines.append(f"{_most(tune)}, {most.candidate.describe()}: {_came_to(most, tune)}.")
    return lines


def _none_better(tuned: Tuned) -> str:
    tune = tuned.tuning.tune
    if not any(each.outcome and each.candidate.share == 1 for each in tuned.tried[1:]):
        return (
            "No other candidate was trained in full, so nothing is known of them. Allow for more candidates."
        )
    if tune.cost:
        return f"No other candidate is {_as_good(tune)} at a lower cost."
    return f"No other candidate is {_better(tune)}."


def _finalist(tuned: Tuned, own: Tried, each: Tried) -> str:
    """Return what a finalist came to, and on the fresh seeds."""
    tune, pairs = tuned.tuning.tune, tuned.confirmed.get(each.candidate.number, [])
    text = f"Finalist {each.candidate.describe()}: {_came_to(each, tune)}"
    both = [(first.outcome, second.outcome) for first, second in pairs if first.outcome and second.outcome]
    if not both:
        return text
    values = [sum(loss(result, tune) for result in column) / len(both) for column in zip(*both, strict=True)]
    if tune.at_density is not None:
        values = [1 - value for value in values]
    return (
        f"{text}. On {len(pairs)} fresh seeds: {_value(values[1], tune)} on average (the study's own "
        f"setting: {_value(values[0], tune)}), {_as_good(tune)} on {held(tuned, each)}"
    )


def _compared(tuned: Tuned, own: Tried, best: Tried) -> str:
    """Return the sentence that answers which k and which p."""
    tune, setting, before = tuned.tuning.tune, best.candidate.describe(), _shown(own_values(tuned))
    cost = ""
    if tune.cost and best.outcome.cost and own.outcome.cost:
        cost = f" at {best.outcome.cost / own.outcome.cost:.0%} of the cost"
    sentence = f"For this network {setting} finds a ticket {_as_good(tune)} as {before}{cost}"
    if best.candidate.number not in tuned.confirmed:
        return f"{sentence}, on the seeds that it was chosen on; it wasn't tried on fresh ones."
    return f"{sentence} ({held(tuned, best)} of {tune.confirm} fresh seeds)."


def _shown(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def own_values(tuned: Tuned) -> dict[str, Any]:
    """Return the study's own values of the settings that were tuned; None where it has none."""
    settings, found = tuned.tuning.study.model_dump(mode="json"), {}
    for name in tuned.tuning.tune.ranges:
        value: Any = settings
        for key in name.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        if value is None and name == "search.steps":
            value = tuned.tuning.study.training.steps
        found[name] = value
    return found


def _came_to(tried: Tried, tune: TuneConfig) -> str:
    result = tried.outcome
    if result is None:
        return f"failed: {tried.failure}"
    if result.ticket is None:
        return f"no pruned ticket matches its dense network ({result.dense.accuracy:.2%} in validation)"
    cost = f", for {result.cost:,.0f} {_UNITS[tune.cost]}" if tune.cost and result.cost else ""
    ticket = result.ticket
    if tune.at_density is not None:
        return f"{_value(result.value, tune)} at a density of {tune.at_density:g} in validation{cost}"
    accuracies = f"{ticket.accuracy:.2%} in validation, {ticket.test_accuracy:.2%} in the test"
    return f"its sparsest matching ticket has {_value(ticket.density, tune)} ({accuracies}){cost}"


def in_short(tried: Tried, tune: TuneConfig) -> str:
    """Return a candidate that has a ticket in a line: `3 (pruning.rate 0.4): 12.00% of the weights, ...`."""
    result, setting = tried.outcome, tried.candidate.describe()
    value = result.ticket.density if tune.at_density is None else result.value
    cost = f", for {result.cost:,.0f} {_UNITS[tune.cost]}" if tune.cost and result.cost else ""
    test = f"{result.ticket.test_accuracy:.2%} test"
    return f"{tried.candidate.number} ({setting}): {_value(value, tune)}, {test}{cost}"


def _value(value: float, tune: TuneConfig) -> str:
    return f"{value:.2%} of the weights" if tune.at_density is None else f"an accuracy of {value:.2%}"


def _as_good(tune: TuneConfig) -> str:
    if tune.at_density is None:
        return f"as sparse (within {tune.margin:.0%})" if tune.margin else "as sparse"
    return f"as accurate (within {100 * tune.tolerance:g} points)" if tune.tolerance else "as accurate"


def _better(tune: TuneConfig) -> str:
    return "sparser" if tune.at_density is None else "more accurate"


def _most(tune: TuneConfig) -> str:
    return "Sparsest candidate" if tune.at_density is None else "Most accurate candidate"


def _no_ticket(tune: TuneConfig) -> str:
    return "a matching ticket" if tune.at_density is None else "a ticket at this density"


def _with_ticket(tuned: Tuned) -> list[Tried]:
    return [
        each for each in tuned.tried if each.outcome and each.outcome.ticket and each.candidate.share == 1
    ]


def front(tuned: Tuned) -> list[str]:
    """Return a table of the front: what is the best for its cost, from the cheapest to the dearest; nothing
    where cost doesn't count."""
    tune, entries = tuned.tuning.tune, sorted(tuned.front.entries, key=lambda entry: entry[1])
    if not tune.cost or not entries:
        return []
    last = len(entries) - 1
    places = sorted({round(place * last / max(1, MOST_ROWS - 1)) for place in range(MOST_ROWS)})
    value = "weights" if tune.at_density is None else "accuracy"
    lines = [f"{value:>9} {tune.cost:>15} {'test':>8}  setting (the front, from the cheapest on)"]
    for loss_, cost, candidate, point in (entries[place] for place in places):
        shown = loss_ if tune.at_density is None else 1 - loss_
        lines.append(f"{shown:9.2%} {cost:15,.0f} {point.test_accuracy:8.2%}  {candidate.describe()}")
    return lines


def savings(tuned: Tuned) -> str:
    """Return what the candidates cost together, and what they shared."""
    spent = f"{tuned.distinct:,} training steps"
    alone = sum(each.steps for each in tuned.tried)
    return f"{len(tuned.tried)} candidates took {spent}; {tuned.saved:.1%} of {alone:,} were shared."


def row(tried: Tried, tune: TuneConfig) -> dict[str, Any]:
    """Return a candidate and what it came to as one flat row, for tables and files."""
    result, ticket = tried.outcome, tried.outcome.ticket if tried.outcome else None
    return {
        "candidate": tried.candidate.number,
        **tried.candidate.values,
        "share": tried.candidate.share,
        "value": result.value if result else None,
        "cost": result.cost if result else None,
        "round": ticket.round if ticket else None,
        "density": ticket.density if ticket else None,
        "validation_accuracy": ticket.accuracy if ticket else None,
        "test_accuracy": ticket.test_accuracy if ticket else None,
        "dense_accuracy": result.dense.accuracy if result else None,
        "ended_early": bool(result and result.ended_early),
        "failure": tried.failure,
        "steps": tried.steps,
        "score": result.score(tune) if result else None,
    }


def best_study(tuned: Tuned) -> StudyConfig | None:
    """Return the study with the best setting, as one would run it: the ticket, what trains it in full, and
    its random reinitialization as the control. None if no candidate has a ticket."""
    best = tuned.best
    if best is None or best.outcome is None or best.outcome.ticket is None:
        return None
    study, round = with_values(tuned.tuning.study, best.candidate.values), best.outcome.ticket.round
    arm = best.candidate.arm
    arms = {name: study.arms[name] for name in (CHAIN, arm) if name in study.arms}
    arms.setdefault(CHAIN, ArmConfig())
    if arm != CHAIN:
        around = [each for each in range(round - 2, round + 2) if each > 0]
        arms[arm] = arms.get(arm, ArmConfig()).model_copy(update={"rounds": around})
    arms["reinit"] = ArmConfig(like="random_reinit", on=arm, rounds=[round])
    ending = {"rounds": round + 1, "target_density": None, "max_accuracy_drop": None}
    changes = {
        "name": f"{study.name}_best",
        "description": f"The best setting that the tuning of {study.name} found.",
        "arms": arms,
        "pruning": study.pruning.model_copy(update=ending),
        "tolerance": tuned.tuning.tune.tolerance or 0.0,
        "storage": study.storage.model_copy(update={"keep": "weights"}),
    }
    settings = study.model_copy(update=changes).model_dump(mode="json")
    return StudyConfig.model_validate(settings)


def best_text(study: StudyConfig) -> str:
    """Return a study as YAML without what is at its default."""
    return yaml.safe_dump(study.model_dump(mode="json", exclude_defaults=True), sort_keys=False)
