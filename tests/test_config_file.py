import pytest

from tf_lottery import config_file
from tf_lottery.config_file import dump, load_config, shipped, validate
from tf_lottery.errors import LotteryError
from tf_lottery.method.check import check_arms
from tf_lottery.models.build import MODELS
from tf_lottery.training.learning_rates import make_learning_rates

MINIMAL = "pruning: {rounds: 3}\n"


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "mine.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def refused(path, *overrides):
    with pytest.raises(LotteryError) as refusal:
        load_config(path, overrides)
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def test_there_are_shipped_configs():
    assert {"digits_quick", "mnist_lenet", "mnist_lenet_demo", "papers/vgg19"} <= set(shipped())


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_config_validates_under_its_own_name(name):
    study = load_config(name)
    assert study.name == name.rpartition("/")[2]
    assert study.description
    assert study == load_config(shipped()[name])
    check_arms(study)
    make_learning_rates(study.training, steps_per_epoch=351)
    assert study.training.engine == "auto"
    assert study.model.name in MODELS


def test_no_two_shipped_configs_share_a_directory():
    names = [load_config(name).name for name in shipped()]
    assert len(set(names)) == len(names)


def test_configs_of_an_installed_package_lie_within_it(tmp_path, monkeypatch):
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers/vgg19.yaml").write_text(MINIMAL)
    monkeypatch.setattr(config_file, "_PACKAGED", tmp_path)
    assert load_config("papers/vgg19").pruning.rounds == 3
    assert list(shipped()) == ["papers/vgg19"]


def test_the_name_defaults_to_that_of_the_file(write):
    assert load_config(write(MINIMAL)).name == "mine"
    assert load_config(write(MINIMAL + "name: other\n")).name == "other"


@pytest.mark.parametrize(
    ("text", "key", "nearest"),
    [
        (MINIMAL + "replicas: 2", "replicas", "replicates"),
        ("pruning: {rounds: 3, rat: 0.2}", "pruning.rat", "rate"),
        (MINIMAL + "training: {batchsize: 60}", "training.batchsize", "batch_size"),
        (MINIMAL + "arms: {random_reinit: {trails: 3}}", "arms.random_reinit.trails", "trials"),
        ("prunning: {rounds: 3}", "prunning", "pruning"),
    ],
)
def test_an_unknown_key_fails_and_names_the_nearest_known_one(write, text, key, nearest):
    message = refused(write(text))
    assert f"'{key}'" in message
    assert f"'{nearest}'" in message


def test_an_unknown_key_like_no_other_lists_the_known_ones(write):
    message = refused(write("pruning: {rounds: 3, zzz: 1}"))
    assert "'pruning.zzz'" in message
    assert "target_density" in message


@pytest.mark.parametrize(
    ("text", "key", "received"),
    [
        ("pruning: {rounds: 3, rate: 1.5}", "pruning.rate", "1.5"),
        ("pruning: {rounds: -1}", "pruning.rounds", "-1"),
        ("pruning: {rounds: many}", "pruning.rounds", "'many'"),
        (MINIMAL + "training: {steps: 5000}", "training.steps", "5000"),
        (MINIMAL + "training: {steps: 5000iterations}", "training.steps", "'5000iterations'"),
        (MINIMAL + "arms: [ticket]", "arms", "['ticket']"),
        (MINIMAL + "name: ../outside", "name", "'../outside'"),
    ],
)
def test_a_wrong_value_is_named_with_its_key(write, text, key, received):
    path = write(text)
    message = refused(path)
    assert f"{path}: {key}: " in message
    assert f"eceived: {received}" in message


def test_a_missing_group_is_named(write):
    assert "'pruning'" in refused(write("seed: 3"))


def test_no_stop_rule_is_refused(write):
    assert "none says when to stop" in refused(write("pruning: {}"))


@pytest.mark.parametrize(
    ("text", "kind"), [("- a\n- b", "a list"), ("", "nothing"), ("words", "a text"), ("3", "a number")]
)
def test_what_is_no_mapping_is_refused(write, text, kind):
    assert f"Received: {kind}." in refused(write(text))


@pytest.mark.parametrize("text", ["pruning: {", "a: b: c", b"\xff\xfe\xff", "a: \x00"])
def test_what_is_no_yaml_is_refused_in_one_line(write, text):
    assert "Expected YAML in" in refused(write(text))


def test_an_unknown_config_suggests_the_nearest_shipped_one():
    assert "Did you mean 'mnist_lenet_demo'?" in refused("mnist_lenet_dmo")
    assert "Did you mean 'papers/vgg19'?" in refused("vgg19")
    assert "Did you mean 'tune/fashion_lenet'?" in refused("tune/fashion_lent")
    assert "Did you mean 'papers/vgg19'?" in refused("paper/vgg_19")


def test_a_directory_is_no_config(tmp_path):
    assert str(tmp_path) in refused(tmp_path)


def test_set_overrides_values_at_any_depth(write):
    overrides = [
        "pruning.rounds=8",
        "replicates=5",
        "training.steps=2ep",
        "training.xla=false",
        "pruning.layer_rates.output=0.1",
        "arms.random_reinit.rounds=[1, 2]",
        "description=a=b",
    ]
    study = load_config(write(MINIMAL), overrides)
    assert study.pruning.rounds == 8
    assert study.replicates == 5
    assert study.training.steps == "2ep"
    assert study.training.xla is False
    assert study.pruning.layer_rates == {"output": 0.1}
    assert study.arms["random_reinit"].rounds == [1, 2]
    assert study.description == "a=b"


def test_the_last_of_several_overrides_counts(write):
    assert load_config(write(MINIMAL), ["seed=1", "seed=2"]).seed == 2


def test_an_override_without_a_value_takes_the_setting_away(write):
    study = load_config(write(MINIMAL), ["pruning.rounds=", "pruning.target_density=0.1"])
    assert study.pruning.rounds is None


@pytest.mark.parametrize("override", ["replicates", "=3", "pruning.=3", ".rounds=3", "pruning..rounds=3"])
def test_an_override_out_of_form_is_refused(write, override):
    message = refused(write(MINIMAL), override)
    assert "--set KEY.KEY=VALUE" in message
    assert repr(override) in message


def test_an_override_with_broken_yaml_is_refused(write):
    assert "--set" in refused(write(MINIMAL), "pruning.rounds=[1")


def test_an_override_below_a_plain_value_is_refused(write):
    assert "'rounds'" in refused(write(MINIMAL), "pruning.rounds.x=1")


def test_an_override_is_validated_like_the_file(write):
    assert "pruning.rate" in refused(write(MINIMAL), "pruning.rate=1.5")
    assert "'rate'" in refused(write(MINIMAL), "pruning.rat=0.5")


def test_scientific_notation_is_a_number_wherever_it_stands(write):
    overrides = ["training.learning_rate=1e-3", "training.optimizer_options.weight_decay=1e-4"]
    training = load_config(write(MINIMAL), overrides).training
    assert training.learning_rate == 0.001
    assert training.optimizer_options == {"weight_decay": 0.0001}


@pytest.mark.parametrize("name", shipped())
def test_dump_is_read_back_as_the_same_study(write, name):
    study = load_config(name, ["training.learning_rate=1e-5", "training.xla=true", "tolerance=0.005"])
    assert load_config(write(dump(study))) == study


def test_validate_says_where_settings_came_from():
    with pytest.raises(LotteryError, match=r"the config: .*'pruning'"):
        validate({"name": "x"})
    assert config_file.validate({"name": "x", "pruning": {"rounds": 1}}).pruning.rounds == 1


@pytest.mark.parametrize(
    ("text", "received"),
    [
        ("pruning: {rounds: 1}\npruning: {rounds: 0}\n", "key 'pruning' twice"),
        ("pruning: {rounds: yes}\n", "pruning.rounds.*True"),
        ("pruning: {rounds: '3'}\n", "pruning.rounds.*'3'"),
        ("pruning: {rounds: 1}\ndata: {path: my.npz}\n", "expected name: npz"),
        ("description: 2020-99-99\n", "Expected YAML"),
        ("a: " + "[" * 5000, "Expected YAML"),
        ("pruning: {rounds: 1}\ntraining: {steps: 9999999999it}\n", "training.steps"),
    ],
)
def test_yaml_that_says_something_else_than_it_seems_is_refused(tmp_path, text, received):
    path = tmp_path / "study.yaml"
    path.write_text(text)
    with pytest.raises(LotteryError, match=received) as error:
        config_file.load_config(path)
    assert "\n" not in str(error.value)


LAUGHS = "".join(f"    a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9))


@pytest.mark.parametrize(
    ("kwargs", "received"),
    [
        (
            "\n    a0: &a0 [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]\n" + LAUGHS,
            "more than 10,000 values, including those of alias",
        ),
        (" {a: [" + "1," * 10_001 + "]}", "more than 10,000 values"),
        (" {a: &a [1, *a]}", "an alias within the value that it stands for"),
        (" {a: &a {b: *a}}", "an alias within the value that it stands for"),
        (" {a: " + "[" * 48 + "]" * 48 + "}", "values nested more than 50 deep"),
        (
            " {a0: &a0 " + "[" * 30 + "]" * 30 + ", a: " + "[" * 30 + "*a0" + "]" * 30 + "}",
            "nested more than 50 deep",
        ),
    ],
)
def test_values_without_end_are_refused_before_anything_walks_them(write, kwargs, received):
    path = write(f"{MINIMAL}model:\n  kwargs:{kwargs}")
    message = refused(path)
    assert message.startswith(f"Expected YAML in {path}. Received: ")
    assert received in message


def test_aliases_deep_values_and_long_lists_are_welcome(write):
    text = " {a: &a [1, 2], b: {c: *a, d: *a}, e: " + "[" * 40 + "]" * 40 + ", f: [" + "1," * 9000 + "]}"
    kwargs = load_config(write(f"{MINIMAL}model:\n  kwargs:{text}")).model.kwargs
    assert kwargs["b"] == {"c": [1, 2], "d": [1, 2]}
    assert len(kwargs["f"]) == 9000


def test_an_override_without_end_is_refused(write):
    path = write(MINIMAL)
    assert "nested more than 50 deep" in refused(path, "model.kwargs.a=" + "[" * 3000)
    assert "an alias within" in refused(path, "model.kwargs.a=&a [*a]")
    assert "keys at most 50 deep. Received: 52" in refused(path, "model.kwargs" + ".a" * 50 + "=1")


def test_a_number_that_python_cannot_write_is_refused_in_words(write):
    assert "Received: a number of thousands of digits" in refused(write(MINIMAL + "seed: 0x" + "f" * 5000))


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("2020-01-01", "timestamp"),
        ("!!set {a, b}", "set"),
        ("!!binary aGk=", "binary"),
        ("!!omap []", "omap"),
    ],
)
def test_what_a_worker_would_hear_as_something_else_is_refused(write, value, kind):
    path = write(f"{MINIMAL}model: {{kwargs: {{a: {value}}}}}")
    assert f"Received: a {kind}; settings are texts, numbers" in refused(path)
    assert f"a {kind}; settings" in refused(write(MINIMAL), f"model.kwargs.a={value}")
    quoted = write(f"{MINIMAL}model: {{kwargs: {{a: '{value}'}}}}")
    assert load_config(quoted).model.kwargs == {"a": value}


def test_the_key_on_is_a_text_though_yaml_1_1_takes_it_for_true(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "name: mine\npruning: {rounds: 2}\n"
        "arms:\n  mine: {like: ticket}\n  afresh: {like: random_reinit, on: mine}\n"
    )
    study = load_config(path)
    assert study.arms["afresh"].on == "mine"
    (tmp_path / "again.yaml").write_text(config_file.dump(study))
    assert load_config(tmp_path / "again.yaml") == study
    assert load_config(path, ["arms={a: {like: random_reinit, on: ticket}}"]).arms["a"].on == "ticket"
