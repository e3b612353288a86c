from itertools import product

import pytest

from tests.fakes import fake_study
from tf_lottery.method.arms import ARMS, CHAINS, Place, dense, random_reinit, ticket


def chain_of(study, replicate=0, rounds=3):
    chain = [dense(study, replicate)]
    for round in range(1, rounds + 1):
        chain.append(ticket(Place(study, "ticket", replicate, round, 0, chain[0], before=chain[-1])))
    return chain


def control(study, chain, round, trial=0):
    first = chain[0]
    place = Place(study, "random_reinit", first.replicate, round, trial, first, same=chain[round])
    return random_reinit(place)


def fresh():
    return fake_study(data={"name": "digits", "digest": "d" * 64, "order": "fresh"})


def every_run(study):
    """Dense, tickets and reinitializations of two replicates."""
    for replicate in range(2):
        chain = chain_of(study, replicate)
        yield from chain
        yield from (control(study, chain, round, trial) for round, trial in product((1, 2, 3), range(2)))


def test_the_dense_network_is_drawn_and_keeps_its_start_and_the_rewind_point():
    spec = dense(fake_study(rewind={"to": "500it"}), 2)
    assert (spec.arm, spec.round, spec.replicate, spec.start) == ("ticket", 0, 2, "initialize")
    assert spec.snapshots == ("0it", "500it")
    assert (spec.parent, spec.root, spec.pruning, spec.rewind) == (None, None, None, None)
    assert dense(fake_study(), 0).snapshots == ("0it",)


def test_a_ticket_is_pruned_from_the_round_before_and_rewound_to_the_dense_run():
    study = fake_study(
        pruning={"rounds": 3, "rate": 0.3, "layer_rates": {"output": 0.1}}, rewind={"to": "500it"}
    )
    chain = chain_of(study)
    spec = chain[3]
    assert (spec.parent, spec.root) == (chain[2].key, chain[0].key)
    assert (spec.start, spec.rewind, spec.init_seed) == ("rewind", study.rewind, None)
    assert (spec.pruning.rate, spec.pruning.layer_rates) == (0.3, {"output": 0.1})
    assert (spec.arm, spec.round, spec.trial, spec.snapshots) == ("ticket", 3, 0, ())


def test_a_reinitialization_has_the_tickets_masks_and_weights_of_its_own():
    study = fake_study(rewind={"to": "500it"})
    chain = chain_of(study)
    spec = control(study, chain, 2)
    assert (spec.parent, spec.pruning) == (chain[2].parent, chain[2].pruning)
    assert (spec.start, spec.rewind) == ("reinitialize", None)
    assert spec.training == chain[2].training


def test_no_two_draws_of_weights_share_a_seed():
    seeds = [spec.init_seed for spec in every_run(fake_study()) if spec.init_seed is not None]
    assert len(seeds) == 2 * (1 + 3 * 2)
    assert len(set(seeds)) == len(seeds)


def test_all_runs_have_keys_of_their_own():
    keys = [spec.key for spec in every_run(fake_study())]
    assert len(set(keys)) == len(keys) == 2 * (1 + 3 + 3 * 2)


def test_replay_gives_all_runs_of_a_replicate_one_order():
    orders = {(spec.replicate, spec.order_seed) for spec in every_run(fake_study())}
    assert len(orders) == 2
    assert len({order for _, order in orders}) == 2


def test_fresh_gives_every_run_an_order_of_its_own():
    orders = [spec.order_seed for spec in every_run(fresh())]
    assert len(set(orders)) == len(orders)


def test_the_studys_seed_changes_weights_and_order():
    one, other = dense(fake_study(seed=0), 0), dense(fake_study(seed=1), 0)
    assert one.init_seed != other.init_seed
    assert one.order_seed != other.order_seed


def test_a_criterion_that_draws_gets_a_seed_a_round_and_replicate_shared_with_the_control():
    study = fake_study(pruning={"rounds": 3, "criterion": "random"})
    chains = [chain_of(study, replicate) for replicate in range(2)]
    seeds = [spec.pruning.seed for chain in chains for spec in chain[1:]]
    assert len(set(seeds)) == 6
    assert control(study, chains[1], 3, 1).pruning.seed == seeds[-1]


def test_a_criterion_that_does_not_draw_gets_no_seed():
    assert {spec.pruning.seed for spec in every_run(fake_study()) if spec.pruning} == {0}


@pytest.mark.parametrize("arm", CHAINS | ARMS)
def test_every_arm_labels_its_runs_and_is_the_same_when_asked_again(arm):
    study = fake_study()
    chain = chain_of(study, replicate=1)
    before = {"before": chain[1]} if arm in CHAINS else {"same": chain[2]}
    place = Place(study, arm, 1, 2, 0, chain[0], **before)
    spec = (CHAINS | ARMS)[arm](place)
    assert (spec.arm, spec.replicate, spec.round, spec.trial) == (arm, 1, 2, 0)
    assert (CHAINS | ARMS)[arm](place).key == spec.key
