from tests.fakes import fake_spec
from tf_lottery.paths import StudyPaths
from tf_lottery.runs import progress
from tf_lottery.runs.observe import Progress
from tf_lottery.runs.progress import Heartbeat, read
from tf_lottery.store.store import Store


def test_who_watches_sees_how_far_a_run_is(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    paths, spec = StudyPaths(tmp_path), fake_spec()
    Store(paths).begin(spec.key)
    assert read(paths, [spec]) == []
    heart = Heartbeat(paths)
    now[0] = 10.0
    heart.started(spec, 100, 600)
    assert read(paths, [spec, fake_spec(order_seed=2)]) == [Progress(spec, 100, 100, 600)]
    now[0] += 0.1
    heart.advanced(200)
    assert read(paths, [spec])[0].step == 100, "twice a second at most"
    now[0] += 1
    heart.advanced(300)
    assert read(paths, [spec]) == [Progress(spec, 100, 300, 600)]


def test_a_full_disk_or_a_half_file_disturbs_nobody(tmp_path):
    paths, spec = StudyPaths(tmp_path), fake_spec()
    heart = Heartbeat(paths)
    heart.started(spec, 0, 600)  # its directory isn't there
    Store(paths).begin(spec.key).progress.write_text("[1,")
    assert read(paths, [spec]) == []
