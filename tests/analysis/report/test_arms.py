"""Which arms share a figure, and that they can be told apart."""

from tests.analysis.made_up import ARMS, made_up
from tests.fakes import all_at_once, fake_study
from tf_lottery.analysis.findings import Findings
from tf_lottery.analysis.report.arms import MOST, groups, ordered, style


def test_the_ticket_and_its_reinitialization_come_first_then_those_of_claims():
    order = ordered(made_up())
    assert order[:5] == ["ticket", "random_reinit", "one_shot", "shuffled", "inverted"]
    assert sorted(order) == sorted(ARMS)
    assert order.index("rigl") < order.index("late"), "no claim names `late` as what the ticket is to beat"


def test_thirty_arms_are_drawn_in_figures_of_eight_with_the_ticket_in_each():
    arms = {"ticket": {}, "random_reinit": {}}
    arms |= {f"drawn{n}": {"like": "at_init", "pruning": {"criterion": "random"}} for n in range(28)}
    study = fake_study(pruning={"rounds": 1}, arms=arms)
    findings = Findings(study, all_at_once(study))
    found = groups(findings)
    assert [len(group.arms) for group in found] == [8, 8, 8, 8, 2]
    assert all(group.arms[0] == "ticket" for group in found)
    drawn = [arm for group in found for arm in group.arms if arm != "ticket"]
    assert sorted(["ticket", *drawn]) == sorted(arms)
    for group in found:
        styles = [style(findings, group, arm) for arm in group.arms]
        assert len({each["color"] for each in styles}) == len({each["marker"] for each in styles})
        assert len({each["color"] for each in styles}) == len(group.arms) <= MOST
        assert styles[0]["linestyle"] == "-"
        assert all(each["linestyle"] != "-" for each in styles[1:])


def test_arms_on_other_data_have_a_figure_of_their_own():
    other = {"like": "ticket", "data": {"name": "mnist", "digest": "e" * 64}}
    study = fake_study(pruning={"rounds": 1}, arms={"ticket": {}, "random_reinit": {}, "elsewhere": other})
    first, second = groups(Findings(study, all_at_once(study)))
    assert (first.arms, first.data) == (("ticket", "random_reinit"), None)
    assert (second.arms, second.data) == (("elsewhere",), "mnist")


def test_arms_that_are_trained_in_their_own_way_are_named():
    arms = {"ticket": {}, "slow": {"like": "ticket", "training": {"learning_rate": 0.1}}}
    study = fake_study(pruning={"rounds": 1}, arms=arms)
    (group,) = groups(Findings(study, all_at_once(study)))
    assert (group.arms, group.own) == (("ticket", "slow"), ("slow",))


def test_what_prunes_nothing_says_so():
    findings = made_up()
    group = next(group for group in groups(findings) if "dense_longer" in group.arms)
    assert style(findings, group, "random_reinit" if "random_reinit" in group.arms else "ticket")["label"]
    assert style(findings, group, "ticket")["label"] == "ticket"


def test_nothing_finished_has_no_figure():
    assert groups(Findings(fake_study(), [])) == []
