import math

from tests.fakes import fake_record, fake_spec, fake_study, run_to_the_end
from tf_lottery.analysis.tensorboard.points import band, data_names, lines, unit
from tf_lottery.method.results import Results


def records(*places, **results):
    """Records of the main arm: (replicate, round, test accuracy)."""
    return [
        fake_record(fake_spec(replicate=replicate, round=round), early_stop_test_accuracy=accuracy, **results)
        for replicate, round, accuracy in places
    ]


def found(results, arm="ticket", per=10):
    """Tag -> points."""
    return {chart.tag: points for chart, points in lines(results, arm, "digits", per, "fake").items()}


def close(points, expected):
    assert list(points) == list(expected)
    for step, values in expected.items():
        assert all(math.isclose(a, b, rel_tol=1e-9) for a, b in zip(points[step], values, strict=True)), step


def test_a_band_is_mean_minimum_and_maximum():
    assert band([1.0, 2.0, 6.0]) == (3.0, 1.0, 6.0)
    assert band([5.0]) == (5.0, 5.0, 5.0), "one replicate has no band"
    assert all(map(math.isnan, band([1.0, math.nan, 2.0])))
    assert all(map(math.isnan, band([1.0, math.inf])))


def test_points_are_those_worked_out_by_hand_and_rise_on_both_axes():
    results = Results(records((0, 0, 0.9), (1, 0, 0.8), (0, 1, 0.7), (1, 1, 0.5), (0, 2, 0.6)))
    tags = found(results)
    by_round = {0: (85.0, 80.0, 90.0), 1: (60.0, 50.0, 70.0), 2: (60.0, 60.0, 60.0)}
    close(tags["accuracy_by_round, digits"], by_round)
    # 256, 512 and 1024 of 1024 weights: 25, 50 and 100 percent
    close(
        tags["accuracy_by_tenths_of_percent, digits"], {250: by_round[2], 500: by_round[1], 1000: by_round[0]}
    )
    close(tags["density_by_round, digits"], {0: (100.0,) * 3, 1: (50.0,) * 3, 2: (25.0,) * 3})
    close(tags["density_by_round, digits, hidden/kernel"], {0: (100.0,) * 3, 1: (50.0,) * 3, 2: (25.0,) * 3})
    assert tags["early_stop_by_round, digits"][1] == (600, 600, 600)


def test_trials_of_a_replicate_count_as_one():
    runs = records((0, 0, 0.9))
    for trial, accuracy in enumerate((0.2, 0.4)):
        spec = fake_spec("random_reinit", round=1, trial=trial)
        runs.append(fake_record(spec, early_stop_test_accuracy=accuracy))
    spec = fake_spec("random_reinit", round=1, replicate=1)
    runs.append(fake_record(spec, early_stop_test_accuracy=0.5))
    points = found(Results(runs), "random_reinit")["accuracy_by_round, digits"]
    close(points, {0: (90.0,) * 3, 1: (40.0, 30.0, 50.0)})


def test_rounds_that_a_coarse_unit_would_join_get_a_finer_one():
    def at(*remaining):
        runs = [
            fake_record(fake_spec(round=round), remaining=left, weights_total=100_000, layers={})
            for round, left in enumerate(remaining)
        ]
        return unit(Results(runs))

    assert at(100_000, 50_000, 1_200) == 10
    assert at(100_000, 1_240, 1_220) == 100
    assert at(100_000, 1_222, 1_221) == 1000
    assert at(100_000, 100_000) == 10, "what no unit tells apart takes the coarsest"


def test_arms_on_other_data_have_charts_of_their_own():
    data = fake_study().data
    others = {
        "same": data.model_copy(update={"share": 0.5}),
        "renamed": data.model_copy(update={"name": "mnist"}),
        "changed": data.model_copy(update={"digest": "e" * 64}),
        "own": data.model_copy(update={"name": "npz", "path": "a/pixels.npz", "digest": "f" * 64}),
    }
    runs = [fake_record(fake_spec())]
    for arm, own in others.items():
        runs.append(fake_record(fake_spec(arm, round=1, data=own)))
    names = data_names(Results(runs))
    assert names == {
        "ticket": "digits dddddddd",
        "same": "digits dddddddd",
        "renamed": "mnist",
        "changed": "digits eeeeeeee",
        "own": "pixels ffffffff",
    }


def test_every_arm_of_a_study_has_every_chart():
    arms = {"ticket": {}, "random_reinit": {}, "dense_longer": {}}
    results = Results(
        run_to_the_end(
            fake_study(arms=arms),
            remaining=lambda spec: 1024 if spec.arm == "dense_longer" else 1024 >> spec.round,
        )
    )
    tags = {arm: found(results, arm) for arm in arms}
    assert len({tuple(each) for each in tags.values()}) == 1
    longer = tags["dense_longer"]
    assert list(longer["accuracy_by_tenths_of_percent, digits"]) == [125, 250, 500, 1000], "above the tickets"
    assert longer["density_by_round, digits"][3] == (100.0,) * 3
