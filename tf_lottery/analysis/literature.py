"""Claims of the literature that came after the article. Their lines stand in `claims.py:CLAIMS`."""

from collections.abc import Callable, Sequence

from tf_lottery.analysis.claim import Answer, decided, most_against, untested
from tf_lottery.analysis.findings import Findings, test_accuracy
from tf_lottery.analysis.statistics import Interval
from tf_lottery.config import RewindConfig
from tf_lottery.method.arms import in_full
from tf_lottery.steps import END

INDIFFERENT = 0.5
"""Arms count as equally good if their accuracies surely differ by less than so many points."""


def iterative_beats_one_shot(findings: Findings) -> Answer:
    """Pruning in rounds finds better tickets than pruning once (Frankle & Carbin 2018)."""
    return _ticket_beats(findings, "one_shot", "one_shot: {}")


def more_than_its_layers(findings: Findings) -> Answer:
    """A ticket beats its mask shuffled within layers: it is more than densities (Frankle et al. 2021)."""
    return _ticket_beats(findings, "shuffled", "shuffled: {}")


def large_weights_matter(findings: Findings) -> Answer:
    """A ticket beats one whose last pruning took the highest scores (Frankle et al. 2021)."""
    return _ticket_beats(findings, "inverted", "inverted: {}")


def beats_random_pruning(findings: Findings) -> Answer:
    """A ticket beats as many rounds of random pruning at the same rates (Frankle & Carbin 2018)."""
    drawn = randomly_pruned(findings)
    if not drawn:
        return untested(
            "No such arm is trained. Add arms: {ticket: {}, drawn: {like: ticket, pruning: {criterion: "
            "random}}}."
        )
    return beats_each(findings, findings.main, drawn)


def beats_smart_ratios(findings: Findings) -> Answer:
    """A ticket beats a random mask with smart ratios (Su et al. 2020 doubt it)."""
    return _ticket_beats(findings, "smart_ratio", "smart_ratio: {}")


def beats_random_sparsity(findings: Findings) -> Answer:
    """A ticket beats a random mask with the layers' densities at ERK (Evci et al. 2020)."""
    return _ticket_beats(findings, "static", "static: {}")


def beats_small_dense(findings: Findings) -> Answer:
    """A ticket beats a dense network with as many weights (Evci et al. 2020)."""
    return _ticket_beats(findings, "small_dense", "small_dense: {}")


def beats_dense_longer(findings: Findings) -> Answer:
    """A ticket beats the dense network trained for as long as its whole search (cost-matched control)."""
    return _ticket_beats(findings, "dense_longer", "dense_longer: {}")


def beats_set(findings: Findings) -> Answer:
    """A ticket beats SET, whose mask changes within one training (Mocanu et al. 2018)."""
    return _ticket_beats(findings, "set", "set: {}")


def beats_rigl(findings: Findings) -> Answer:
    """A ticket beats RigL, whose mask changes within one training (Evci et al. 2020)."""
    return _ticket_beats(findings, "rigl", "rigl: {}")


def late_rewinding_helps(findings: Findings) -> Answer:
    """Rewinding to a later step finds better tickets than rewinding to step 0 (Frankle et al. 2020)."""
    late, early = _rewound(findings, True), _rewound(findings, False)
    if not late or not early:
        return untested(
            "It takes tickets of both kinds. Add arms: {ticket: {}, late: {like: ticket, rewind: {to: "
            "1000it}}}."
        )
    return beats(findings, late[0], early[0])


def learning_rate_rewinding_is_as_good(findings: Findings) -> Answer:
    """Learning-rate rewinding is as good as rewinding weights (Renda et al. 2020)."""
    rewinds = {arm: _rewind(findings, arm) for arm in findings.tickets(but="rewind")}
    kept = [arm for arm, rewind in rewinds.items() if rewind.weights == "trained" and rewind.to != END]
    rewound = [arm for arm, rewind in rewinds.items() if rewind.weights == "rewound"]
    pairs = [(one, other) for one in kept for other in rewound]
    if not pairs:
        return untested(
            "It takes tickets of both kinds. Add arms: {ticket: {}, lr_rewound: {like: ticket, rewind: "
            "{weights: trained}}}."
        )
    one, other = min(pairs, key=lambda pair: rewinds[pair[0]].to != rewinds[pair[1]].to)
    at, effect = _compared(findings, one, other)
    if effect is None:
        return _nothing_in_common(one, other)
    why = f"Test accuracy of {one} less that of {other} at round {at}: at least -{INDIFFERENT} points."
    return decided(effect.at_least(-INDIFFERENT), why, effect, round=at, arm=one)


def pruning_at_init_is_indifferent(findings: Findings) -> Answer:
    """Pruning at initialization gains nothing by its mask over the same shuffled (Frankle et al. 2021)."""
    pairs = [(arm, shuffled) for arm in findings.like("at_init") for shuffled in findings.on(arm, "shuffled")]
    if not pairs:
        return untested(
            "It takes a pruning at initialization and its mask shuffled. Add arms: {snip: {like: at_init, "
            "pruning: {criterion: snip}}, snip_shuffled: {like: shuffled, on: snip}}."
        )
    return most_against([_is_indifferent(findings, *pair) for pair in pairs], higher=True)


def _is_indifferent(findings: Findings, arm: str, shuffled: str) -> Answer:
    at, effect = _compared(findings, arm, shuffled)
    if effect is None:
        return _nothing_in_common(arm, shuffled)
    why = f"Test accuracy of {arm} less that of {shuffled} at round {at}: equal within {INDIFFERENT} points."
    return decided(effect.within(INDIFFERENT), why, effect, round=at, arm=arm)


def signs_are_enough(findings: Findings) -> Answer:
    """Weights drawn anew with their old signs are as good as the old weights (Zhou et al. 2019)."""
    kept, main = findings.on(findings.main, "keep_signs"), findings.main
    if not kept:
        return untested("No such arm is trained in the ticket's way. Add arms: {ticket: {}, keep_signs: {}}.")
    at, effect = _compared(findings, kept[0], main)
    if effect is None:
        return _nothing_in_common(kept[0], main)
    why = f"Test accuracy of {kept[0]} less that of {main} at round {at}: at least -{INDIFFERENT} points."
    return decided(effect.at_least(-INDIFFERENT), why, effect, round=at, arm=kept[0])


def beats(findings: Findings, arm: str, other: str) -> Answer:
    """Answer whether an arm has a higher test accuracy than another, at the round at which they are compared.

    Args:
        findings: The study's finished runs.
        arm: The arm.
        other: The other arm.
    """
    at, effect = _compared(findings, arm, other)
    if effect is None:
        return _nothing_in_common(arm, other)
    why = f"Test accuracy of {arm} less that of {other} at round {at} ({findings.density(at):.1%})."
    return decided(effect.above(0.0), why, effect, round=at, arm=other)


def beats_each(findings: Findings, arm: str, others: Sequence[str]) -> Answer:
    """Answer whether an arm has a higher test accuracy than each of some others of one kind.

    Args:
        findings: The study's finished runs.
        arm: The arm.
        others: The other arms, at least one.
    """
    return most_against([beats(findings, arm, other) for other in others])


def randomly_pruned(findings: Findings) -> list[str]:
    """Return the arms of tickets that differ from the main one in that they prune at random.

    Args:
        findings: The study's finished runs.
    """
    others = [arm for arm in findings.tickets(but="criterion") if arm != findings.main]
    return [arm for arm in others if in_full(findings.study, arm).pruning.criterion == "random"]


def _ticket_beats(findings: Findings, function: str, yaml: str) -> Answer:
    arms = findings.on(findings.main, function)
    if not arms:
        return untested(f"No such arm is trained in the ticket's way. Add arms: {{ticket: {{}}, {yaml}}}.")
    return beats_each(findings, findings.main, arms)


def _compared(findings: Findings, arm: str, other: str) -> tuple[int | None, Interval | None]:
    at = findings.round_to_compare(arm, other)
    return at, None if at is None else findings.effect(arm, other, test_accuracy, at)


def _nothing_in_common(arm: str, other: str) -> Answer:
    return untested(
        f"{arm} and {other} have no round of one replicate in common. Let the study go on, or give them the "
        "same rounds."
    )


def _rewound(findings: Findings, late: bool) -> list[str]:
    arms = findings.tickets(but="rewind")
    arms = [arm for arm in arms if _rewind(findings, arm).weights == "rewound"]
    return [arm for arm in arms if bool(int(_rewind(findings, arm).to[:-2])) is late]


def _rewind(findings: Findings, arm: str) -> RewindConfig:
    return in_full(findings.study, arm).rewind


LITERATURE: dict[str, Callable[[Findings], Answer]] = {
    "iterative_beats_one_shot": iterative_beats_one_shot,
    "more_than_its_layers": more_than_its_layers,
    "large_weights_matter": large_weights_matter,
    "beats_random_pruning": beats_random_pruning,
    "beats_smart_ratios": beats_smart_ratios,
    "beats_random_sparsity": beats_random_sparsity,
    "late_rewinding_helps": late_rewinding_helps,
    "learning_rate_rewinding_is_as_good": learning_rate_rewinding_is_as_good,
    "pruning_at_init_is_indifferent": pruning_at_init_is_indifferent,
    "signs_are_enough": signs_are_enough,
    "beats_set": beats_set,
    "beats_rigl": beats_rigl,
    "beats_dense_longer": beats_dense_longer,
    "beats_small_dense": beats_small_dense,
}
"""These claims, in the order in which a verdict tells them."""
