"""Studies and finished runs without training, for what is pure."""

from tf_lottery import config_file
from tf_lottery.method.plan import collect, plan
from tf_lottery.method.spec import LayerCount, Record, RunSpec

WEIGHTS = 1024
BIASES = 16


def fake_study(**settings):
    """A study of three rounds and one replicate; `settings` replace whole groups."""
    data = {"name": "digits", "digest": "d" * 64}
    return config_file.validate({"name": "fake", "data": data, "pruning": {"rounds": 3}} | settings)


def fake_spec(arm="ticket", round=0, replicate=0, trial=0, **settings):
    """The spec of a run, labelled freely; `settings` replace any field."""
    study = fake_study()
    start = "rewind" if round else "initialize"
    required = {
        "data": study.data,
        "model": study.model,
        "training": study.training,
        "order_seed": 1,
        "start": "reinitialize" if arm == "random_reinit" else start,
    }
    return RunSpec(arm=arm, round=round, replicate=replicate, trial=trial, **required | settings)


def halved(spec):
    """Weights left, when each round takes half of 1024."""
    return WEIGHTS >> max(spec.round, 0)


def fake_record(spec, validation=0.97, remaining=None, **results):
    """The record of a finished run; half of the weights go each round."""
    remaining = halved(spec) if remaining is None else remaining
    fixed = {
        "weights_total": WEIGHTS,
        "parameters_total": WEIGHTS + BIASES,
        "layers": {"hidden/kernel": LayerCount(total=WEIGHTS, remaining=remaining)},
        "first_step": 0,
        "last_step": 1000,
        "early_stop_iteration": 600,
        "best_validation_loss": 0.1,
        "early_stop_test_loss": 0.2,
        "early_stop_test_accuracy": 0.96,
        "final_validation_loss": 0.15,
        "final_validation_accuracy": 0.965,
        "final_test_loss": 0.25,
        "final_test_accuracy": 0.955,
        "steps_per_second": 987.6,
        "seconds": {"train": 1.0},
        "resolved": {"threads": 1},
        "checks": {"zeros": True},
        "digests": {"masks": "a" * 64},
    }
    return Record(
        key=spec.key,
        spec=spec,
        weights_remaining=remaining,
        early_stop_validation_accuracy=validation,
        **fixed | results,
    )


def run_to_the_end(study, records=(), validation=lambda spec: 0.97, remaining=halved):
    """What an executor does, without training: the records, in the order of execution."""
    records = list(records)
    while waiting := plan(study, records):
        spec = waiting[0]
        records.append(fake_record(spec, validation(spec), remaining(spec)))
        assert len(records) < 200, "the study does not end"
    return records


def all_at_once(study, remaining=halved):
    """As `run_to_the_end`, for large studies: the records with their places, as `collect` returns them."""
    records = []
    while waiting := plan(study, records):
        records += [fake_record(spec, remaining=remaining(spec)) for spec in waiting]
    return collect(study, records)
