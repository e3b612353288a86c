from tests.fakes import fake_record, fake_spec
from tf_lottery.analysis.table import header, row, width_for
from tf_lottery.config import ArmConfig


def test_a_row_shows_the_run_in_percentages():
    record = fake_record(
        fake_spec("ticket", 3, 1),
        validation=0.97126,
        early_stop_iteration=12_300,
        early_stop_test_accuracy=0.9649,
        final_test_accuracy=0.9,
    )
    assert row(record).split() == [
        "ticket", "1", "3", "128", "12.5%", "12,300", "97.13", "96.49", "90.00", "988",
    ]  # fmt: skip


def test_the_first_trial_goes_without_a_number():
    def arm(trial):
        return row(fake_record(fake_spec("random_reinit", 1, trial=trial))).split()[0]

    assert [arm(trial) for trial in (0, 1, 2)] == ["random_reinit", "random_reinit#2", "random_reinit#3"]


def test_rows_and_header_are_of_one_width_that_fits_80_characters():
    specs = [fake_spec(), fake_spec("random_reinit", 20, 4, 2)]
    lines = [*header(), *(row(fake_record(spec)) for spec in specs)]
    assert len({len(line) for line in lines}) == 1
    assert len(lines[0]) <= 80


def test_columns_of_a_large_network_stay_apart():
    """VGG-19 has 20 million weights."""
    many = {"weights_total": 20_040_522, "layers": {}}
    large = fake_record(fake_spec("random_reinit", 20, 4, 2), remaining=20_040_522, **many)
    assert row(large).split()[:5] == ["random_reinit#3", "4", "20", "20,040,522", "100.0%"]


def test_a_long_name_of_an_arm_widens_the_first_column_of_all_lines():
    arms = {"ticket": ArmConfig(), "magnitude_at_initialization": ArmConfig(trials=12)}
    width = width_for(arms)
    assert width == len("magnitude_at_initialization#12")
    assert width_for({"ticket": ArmConfig()}) == 15
    lines = [*header(width), *(row(fake_record(fake_spec(arm, 1, trial=11)), width) for arm in arms)]
    assert len({len(line) for line in lines}) == 1
