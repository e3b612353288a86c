"""Which runs a study of the literature's arms has, and when they can start."""

from itertools import groupby

import pytest

from tests.fakes import fake_record, fake_study, run_to_the_end
from tf_lottery.method.plan import collect, expected_runs, foreseen, plan, spent
from tf_lottery.method.results import Results

EVERY = {
    "ticket": {},
    "dense_longer": {},
    "one_shot": {"rounds": [1, 3]},
    "snip": {"like": "at_init", "pruning": {"criterion": "snip", "scope": "global"}, "rounds": [3]},
    "snip_shuffled": {"like": "shuffled", "on": "snip"},
    "smart_ratio": {},
    "random_reinit": {"trials": 2},
    "keep_signs": {},
    "constant_sign": {},
    "reshuffle": {},
    "shuffled": {},
    "inverted": {},
    "fork": {},
    "moved": {"like": "transfer", "training": {"optimizer": "sgd"}},
    "moved_reinit": {"like": "random_reinit", "on": "moved"},
}


def rounds_of(specs):
    """Arm -> the rounds in which it has runs, one entry for each trial."""
    in_order = sorted(specs, key=lambda spec: (spec.arm, spec.round))
    return {arm: [spec.round for spec in own] for arm, own in groupby(in_order, lambda spec: spec.arm)}


def of(specs, arm, round):
    return next(spec for spec in specs if (spec.arm, spec.round) == (arm, round))


def test_a_study_of_every_arm_ends_with_what_was_foreseen():
    study = fake_study(arms=EVERY, replicates=2)
    specs = [record.spec for record in collect(study, run_to_the_end(study))]
    assert rounds_of(specs[: len(specs) // 2]) == {
        **{arm: [1, 2, 3] for arm in EVERY},
        "ticket": [0, 1, 2, 3],
        "one_shot": [1, 3],
        "snip": [3],
        "snip_shuffled": [3],
        "random_reinit": [1, 1, 2, 2, 3, 3],
    }
    assert [spec.key for spec in foreseen(study)] == [spec.key for spec in specs]
    # One shot of one round is the ticket's first round: trained once, and counted once.
    assert expected_runs(study) == len({spec.key for spec in specs}) == len(specs) - 2


def test_a_transfer_waits_for_the_run_whose_masks_it_takes():
    study = fake_study(pruning={"rounds": 1}, arms={"moved": EVERY["moved"]})
    dense = fake_record(plan(study, [])[0])
    (ticket,) = plan(study, [dense])
    (moved,) = plan(study, [dense, fake_record(ticket)])
    assert (moved.arm, moved.masks_of, moved.training.optimizer) == ("moved", ticket.key, "sgd")
    assert ticket.training.optimizer == "adam"


@pytest.mark.parametrize(
    "rule", [{"rounds": 4}, {"target_density": 0.3}, {"max_accuracy_drop": 0.5}], ids=str
)
def test_a_longer_dense_network_has_as_many_rounds_as_the_tickets(rule):
    study = fake_study(pruning=rule, arms={"dense_longer": {}, "ticket": {}})
    records = run_to_the_end(
        study, remaining=lambda spec: 1024 if spec.arm == "dense_longer" else max(1024 >> spec.round, 64)
    )
    rounds = rounds_of(record.spec for record in collect(study, records))
    assert rounds["dense_longer"] == rounds["ticket"][1:]


def test_arms_that_share_a_dense_run_ask_for_all_its_rewind_points_at_once():
    arms = {
        "late": {"like": "ticket", "rewind": {"to": "500it"}},
        "once": {"like": "one_shot", "rewind": {"to": "200it"}},
        "replayed": {"like": "ticket", "rewind": {"weights": "trained", "to": "100it"}},
    }
    dense, *others = foreseen(fake_study(arms=arms))
    assert set(dense.snapshots) == {"0it", "500it", "200it"}
    assert dense.snapshots[0] == "0it"
    assert {spec.root for spec in others} == {dense.key}


SEARCH = {
    "search": {"steps": "1000it", "data": 0.25},
    "arms": {
        "final": {"rounds": [2, 3]},
        "random_reinit": {"rounds": [3]},
        "dense_longer": {},
        "one_shot": {"rounds": [3]},
    },
    "rewind": {"to": "500it"},
}


def test_only_the_rounds_that_find_masks_are_trained_cheaply():
    study = fake_study(**SEARCH)
    specs = foreseen(study)
    for spec in specs:
        cheap = spec.arm == "ticket"
        assert spec.training.steps == ("1000it" if cheap else study.training.steps)
        assert spec.data.share == (0.25 if cheap else 1.0)
    assert rounds_of(specs) == {
        "ticket": [0, 1, 2, 3],
        "final": [0, 2, 3],
        "random_reinit": [3],
        "dense_longer": [1, 2, 3],
        "one_shot": [3],
    }


def test_final_runs_train_the_masks_that_the_search_has_found_from_its_rewind_point():
    specs = foreseen(fake_study(**SEARCH))
    found, trained = of(specs, "ticket", 3), of(specs, "final", 3)
    assert (trained.parent, trained.pruning, trained.rewind) == (found.parent, found.pruning, found.rewind)
    assert trained.root == of(specs, "ticket", 0).key != of(specs, "final", 0).key
    assert of(specs, "dense_longer", 1).parent == of(specs, "final", 0).key, "the dense network in full"
    assert of(specs, "one_shot", 3).parent == of(specs, "ticket", 0).key


def test_the_tickets_of_a_cheap_search_are_those_trained_in_full():
    study = fake_study(**SEARCH)
    records = collect(study, run_to_the_end(study, validation=lambda s: 0.9 if s.arm == "ticket" else 0.97))
    results = Results(records)
    assert results.main == "final"
    assert list(results.rounds()) == [0, 2, 3]
    assert results.matching_round() == 3, "round 1 wasn't asked for"
    assert results.winner().spec.arm == "final"


def test_a_round_of_the_chain_that_is_missing_still_ends_the_matching_ones():
    study = fake_study(arms={"random_reinit": {}})
    records = [
        r for r in collect(study, run_to_the_end(study)) if (r.spec.arm, r.spec.round) != ("ticket", 1)
    ]
    assert Results(records).matching_round() is None


def test_an_arm_with_other_data_is_compared_with_the_dense_network_of_that_data():
    other = {"name": "mnist", "digest": "e" * 64}
    arms = {
        "there": {"like": "ticket", "data": other, "pruning": {"rounds": 0}},
        "moved": {"like": "transfer", "data": other},
        "lonely": {"like": "transfer", "data": {"name": "mnist", "digest": "f" * 64}},
    }
    study = fake_study(arms=arms)
    records = collect(study, run_to_the_end(study))
    dense = {
        arm: [r.spec.arm for r in Results(records).of_arm(arm) if not r.spec.round]
        for arm in ("moved", "lonely")
    }
    assert dense == {"moved": ["there"], "lonely": []}
    assert len({r.key for r in records}) == expected_runs(study)


def test_the_dense_networks_last_weights_are_kept_until_one_shot_is_done_with_them():
    study = fake_study(arms={"one_shot": {"rounds": [3]}})
    specs = foreseen(study)
    chain = [fake_record(of(specs, "ticket", round)) for round in range(4)]
    assert chain[0].key not in spent(study, chain[:3]), "one_shot comes after the ticket's third round"
    assert chain[0].key not in spent(study, chain)
    assert chain[0].key in spent(study, [*chain, fake_record(of(specs, "one_shot", 3))])


@pytest.mark.parametrize("steps", [None, "300it"])
def test_a_pretraining_run_comes_before_round_0_and_is_no_arm(steps):
    pretrain = {"training": {"learning_rate": 0.01}, "data": {"name": "mnist", "digest": "e" * 64}}
    study = fake_study(pretrain={"steps": steps, **pretrain}, replicates=2)
    first, second = plan(study, [])
    assert (first.arm, first.round, first.start, first.data.digest) == (
        "pretrain",
        -1,
        "initialize",
        "e" * 64,
    )
    assert (first.training.learning_rate, first.training.steps) == (0.01, steps or study.training.steps)
    assert first.init_seed != second.init_seed
    records = run_to_the_end(study)
    dense = [spec for spec in foreseen(study) if spec.round == 0]
    assert [spec.pretrained for spec in dense] == [first.key, second.key]
    assert {spec.start for spec in dense} == {"pretrained"}
    results = Results(collect(study, records))
    assert (results.arms, results.main) == (["ticket", "random_reinit"], "ticket")
    assert len(records) == expected_runs(study) == 2 * (1 + 1 + 3 + 3)
    assert first.key in spent(study, records)
    assert first.key not in spent(study, [record for record in records if record.key != dense[0].key])


def test_a_file_is_known_by_its_content():
    here, there, other = (
        foreseen(fake_study(pretrain={"file": path, "digest": digest * 64}))[0]
        for path, digest in (("a.keras", "a"), ("b.keras", "a"), ("a.keras", "b"))
    )
    assert here.key == there.key != other.key
    assert (here.start, here.weights.path) == ("pretrained", "a.keras")
    assert here.key != foreseen(fake_study())[0].key


def test_arms_are_compared_with_the_dense_network_of_their_own_data_and_training():
    sgd = {"training": {"optimizer": "sgd"}}
    arms = {
        "a": {"like": "ticket", **sgd},
        "b": {"like": "ticket", "pruning": {"criterion": "random"}, **sgd},
        "once": {"like": "one_shot", "on": "a", "rounds": [2]},
        "moved": {"like": "transfer", **sgd},
        "slow": {"like": "fork", "training": {"learning_rate": 0.1}},
    }
    study = fake_study(arms=arms)
    records = collect(
        study, run_to_the_end(study, validation=lambda s: 0.2 if s.training.optimizer == "sgd" else 0.97)
    )
    results = Results(records)
    dense = {arm: {r.spec.arm for r in results.of_arm(arm) if not r.spec.round} for arm in results.arms}
    assert {arm: min(of) for arm, of in dense.items()} == {
        **{"ticket": "ticket", "slow": "ticket"},
        **{"a": "a", "b": "a", "once": "a", "moved": "a"},
    }
    assert {len(of) for of in dense.values()} == {1}
    assert [results.matching_round(arm=arm) for arm in ("b", "once", "moved")] == [3, 2, 3]
    assert not results.reinitialized()


@pytest.mark.parametrize(
    ("arm", "own"), [("at_init", {}), ("one_shot", {}), ("at_init", {"like": "shuffled", "on": "x"})]
)
def test_an_arm_that_is_trained_in_some_rounds_only_may_match(arm, own):
    arms = {"x": {"like": "at_init"}, "y": {"like": arm, **own, "rounds": [2, 3]}}
    study = fake_study(arms=arms)
    records = collect(study, run_to_the_end(study, validation=lambda s: 0.9 if s.round == 3 else 0.97))
    assert Results(records).matching_round(arm="y") == 2


def test_a_reinitialization_trained_otherwise_is_no_control_of_the_ticket():
    own = {
        "sg": {"like": "random_reinit", "training": {"optimizer": "sgd"}},
        "random_reinit": {"rounds": [2]},
    }
    study = fake_study(arms=own)
    results = Results(collect(study, run_to_the_end(study)))
    assert {record.spec.arm for record in results.reinitialized()} == {"random_reinit"}


def test_the_density_of_an_arm_on_an_arm_is_that_of_the_chain_below():
    snip = {"like": "at_init", "pruning": {"criterion": "snip", "scope": "global"}}
    study = fake_study(
        arms={"snip": snip, "drawn": {"like": "at_init", "on": "snip", "pruning": {"criterion": "random"}}}
    )
    recipe = of(foreseen(study), "drawn", 2).pruning
    assert (recipe.scope, recipe.counted, recipe.rounds) == ("global", "layer", 2)


def test_a_longer_dense_network_is_trained_as_the_arm_that_it_follows():
    arms = {
        "longer": {"like": "dense_longer", "on": "a"},
        "a": {"like": "ticket", "training": {"optimizer": "sgd"}, "rewind": {"to": "40it"}},
    }
    specs = foreseen(fake_study(arms=arms))
    longer, ticket = of(specs, "longer", 1), of(specs, "a", 1)
    assert longer.training == ticket.training
    assert (longer.rewind.to, longer.root) == ("40it", ticket.root)
    assert specs[0].arm == "a", "the arm that prunes is the main one"


def test_weights_that_a_ticket_starts_from_are_never_spent():
    study = fake_study(rewind={"weights": "trained"}, arms={"ticket": {}})
    specs = foreseen(study)
    assert spent(study, [fake_record(spec) for spec in specs]) == set()


def test_data_that_was_not_looked_at_yet_is_told_apart():
    arms = {name: {"like": "transfer", "data": {"name": name}} for name in ("mnist", "fashion_mnist")}
    assert expected_runs(fake_study(arms=arms, pruning={"rounds": 1})) == 4
