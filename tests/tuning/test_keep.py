"""What a tuning keeps of its candidates' runs."""

from tests.tuning.simulated import STEPS, all_of
from tf_lottery.paths import StudyPaths
from tf_lottery.store.store import Store
from tf_lottery.store.study_file import load
from tf_lottery.tuning.paths import TuningPaths


def test_every_candidate_is_a_study_of_its_own(simulation):
    tuned = simulation.run()
    names = [each.candidate.name for each in all_of(tuned)]
    assert sorted(path.name for path in (simulation.directory / "candidates").iterdir()) == sorted(names)
    for each in all_of(tuned):
        paths = StudyPaths(simulation.directory / "candidates" / each.candidate.name)
        assert load(paths) == each.candidate.study
        assert sum(record.spent.steps for record in Store(paths).records()) == each.steps


def test_masks_are_kept_and_the_weights_of_tickets_alone(simulation):
    tuned = simulation.run({"storage": {"keep": "masks"}}, ranges=STEPS)
    store = Store(TuningPaths(simulation.directory))
    tickets = set()
    for each in all_of(tuned):
        own = Store(StudyPaths(simulation.directory / "candidates" / each.candidate.name))
        for record in own.records():
            run, ticket = own.paths.run(record.key), each.outcome.ticket
            is_ticket = (record.spec.arm, record.spec.round) == ("final", ticket and ticket.round)
            assert run.masks.exists()
            assert run.weights_early_stop.exists() is is_ticket
            assert not run.weights_last.exists()
            tickets |= {record.key} if is_ticket else set()
    for record in store.records():
        run, is_dense = store.paths.run(record.key), record.spec.round == 0
        assert run.weights_early_stop.exists() is (is_dense or record.key in tickets)
        assert run.weights_last.exists() is is_dense


def test_all_is_kept_if_that_is_asked_for(simulation):
    tuned = simulation.run({"storage": {"keep": "weights"}}, candidates=3, confirm=0)
    for each in tuned.tried:
        own = Store(StudyPaths(simulation.directory / "candidates" / each.candidate.name))
        for record in own.records():
            assert own.paths.run(record.key).weights_last.exists()
            assert own.paths.run(record.key).weights_early_stop.exists()
