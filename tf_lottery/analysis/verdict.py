"""The findings of a study, in words."""

from collections.abc import Iterable

from tf_lottery.analysis.summary import Summary, summarize
from tf_lottery.method.results import Results
from tf_lottery.method.spec import Record


def verdict(records: Iterable[Record], tolerance: float) -> list[str]:
    """Return sentences about the dense network, the sparsest matching ticket, and its control.

    Args:
        records: The records of one study.
        tolerance: The tolerance of the matching rule, as a fraction.
    """
    results = Results(records)
    records, arms = results.records, summarize(results.records)
    tickets = arms.get(results.main, {})
    control = next((record.spec.arm for record in results.reinitialized()), None)
    controls = arms.get(control, {})
    if 0 not in tickets:
        return ["No dense network is trained yet."]
    dense = tickets[0]
    sentences = [f"Dense network: {_accuracy(dense)}."]
    round = results.matching_round(tolerance)
    if dense.iteration.low == 0:
        sentences.append(
            "Its validation loss was lowest before the first step: it didn't learn, and nothing below means "
            "anything. Lower training.learning_rate."
        )
    first = min((at for at in tickets if at), default=None)
    if first is None or tickets[first].replicates < dense.replicates:
        return [*sentences, "No pruned round is finished yet."]
    if round is None:
        sentences.append(
            f"No ticket matches: at the first pruned round ({first}) validation accuracy is below the dense "
            f"network's {100 * dense.validation_accuracy.mean:.2f}%{_less(tolerance)}."
        )
        return sentences
    ticket = tickets[round]
    record = results.rounds(records[0].spec.replicate)[round]
    needed = f"{100 * dense.validation_accuracy.mean:.2f}%{_less(tolerance)}"
    sentences.append(
        f"Sparsest matching ticket: round {round}, {100 * ticket.density:.1f}% of the weights "
        f"({record.weights_remaining:,} of {record.weights_total:,}): {_accuracy(ticket)}. "
        f"Its validation accuracy ({100 * ticket.validation_accuracy.mean:.2f}%), and that of every denser "
        f"ticket, is at least the dense network's {needed}."
    )
    sentences += _control(ticket, tickets, controls)
    if dense.replicates == 1:
        sentences.append("One replicate: differences of about half a point can be the luck of its seed.")
    return sentences


def _control(ticket: Summary, tickets: dict[int, Summary], controls: dict[int, Summary]) -> list[str]:
    rounds = [round for round in controls if round and round in tickets]
    if not rounds:
        return ["There is no random reinitialization to compare it with."]
    nearest = min(rounds, key=lambda at: (abs(at - ticket.round), -at))
    control, same = controls[nearest], tickets[nearest]
    difference = 100 * (same.test_accuracy.mean - control.test_accuracy.mean)
    compared = f"{abs(difference):.2f} points {'below' if difference >= 0 else 'above'} the ticket"
    if nearest == ticket.round:
        return [f"The same mask, randomly reinitialized: {_accuracy(control)}, {compared}."]
    return [
        f"Its mask was not reinitialized. The nearest that was, at round {nearest} "
        f"({100 * same.density:.1f}%), reached {_accuracy(control)}, {compared} of that round."
    ]


def _less(tolerance: float) -> str:
    return f" less the tolerance of {100 * tolerance:g} points" if tolerance else ""


def _accuracy(summary: Summary) -> str:
    spread = summary.test_accuracy
    text = f"{100 * spread.mean:.2f}% test accuracy at early stop (step {summary.iteration.mean:,.0f})"
    if summary.replicates > 1:
        text += f", {100 * spread.low:.2f} to {100 * spread.high:.2f} over {summary.replicates} replicates"
    return text
