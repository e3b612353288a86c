"""`execute`: one run. Build, mask, start, train, measure, store."""

import time
from typing import cast

from tf_lottery.data.order import BatchOrder
from tf_lottery.importing import own_code
from tf_lottery.length import Length
from tf_lottery.method.spec import Record, RunSpec
from tf_lottery.runs import engines, resume
from tf_lottery.runs.keep import Training, keep_run
from tf_lottery.runs.observe import StudyObserver
from tf_lottery.runs.settling import early_bird, told
from tf_lottery.runs.start import start_run
from tf_lottery.runs.trainers import Trainers
from tf_lottery.runs.updating import mask_updates, update_steps
from tf_lottery.store.environment import environment
from tf_lottery.store.store import Store
from tf_lottery.training.checkpoint import Cadence
from tf_lottery.training.early_stop import EarlyStop
from tf_lottery.training.mask_updates import Changing
from tf_lottery.training.measured import train
from tf_lottery.training.own_stops import own_stops
from tf_lottery.training.replicas import check_agreement
from tf_lottery.training.rewind import RewindManager
from tf_lottery.training.stops import Checkpoints, Evaluations, Reports, Snapshots


def execute(
    spec: RunSpec, store: Store, trainers: Trainers | None = None, observer: StudyObserver | None = None
) -> Record:
    """Train one run and store it. An interrupted one is resumed from its checkpoint, to the same bits.

    Args:
        spec: A spec from `plan`. The runs that it builds on must be finished.
        store: The store that holds the study's runs.
        trainers: Compiled networks, which later runs use again. Default: new ones, for this run only.
        observer: The observer that hears of the run's progress. Default: none.

    Returns:
        The run's record, which is on disk by then.

    Raises:
        DamagedError: If a file of an earlier run fails its checksum.
        StudyError: If nothing can be written.
        LotteryError: If the settings don't fit the data or the model, or the training diverges.

    Examples:
        >>> import tf_lottery as lottery
        >>> from pathlib import Path
        >>> from tf_lottery.paths import StudyPaths
        >>> from tf_lottery.store.store import Store
        >>> from tf_lottery.store.study_file import prepare
        >>> small = ["training.steps=20it", "training.evaluate_every=20it", "pruning.rounds=0"]
        >>> paths = StudyPaths(Path("digits"))
        >>> study = prepare(lottery.load_config("digits_quick", small), paths)
        >>> (spec,) = lottery.plan(study, [])
        >>> record = lottery.execute(spec, Store(paths))
        >>> record.last_step, lottery.plan(study, [record])
        (20, [])
    """
    began = time.perf_counter()
    trainers, observer = trainers or Trainers(), observer or StudyObserver()
    dataset, trainer = trainers.dataset(spec.data), trainers.trainer(spec)
    length = Length.of(spec.training, len(dataset.train))
    snapshots = {length.step(point) for point in spec.snapshots}
    check_agreement(trainer.strategy, spec.key)
    context = {"environment": environment() | engines.packages(spec), "resolved": trainer.resolved}

    checkpoint = resume.checkpoint_of(spec, store, trainer, snapshots, context, observer)
    run = store.begin(spec.key, go_on=checkpoint is not None)
    start = start_run(spec, store, trainer, length)
    first = checkpoint.step if checkpoint else start.first_step
    _, last = length.span(spec.begins)
    observer.started(spec, first, last)

    choice = engines.choose(spec, trainer, dataset, last - start.first_step)
    engine = choice.engine
    order = BatchOrder(spec.order_seed, len(dataset.train), spec.training.batch_size)
    changing = cast(Changing, engine)  # as the dense engine is, which trains what has updates
    updates = mask_updates(spec, changing, trainer, length, order)
    rewind_points = Snapshots(engine, RewindManager(run.rewind), snapshots)
    early_stop = EarlyStop(_masks_are_last_at(spec, length))
    evaluations = Evaluations(engine, length.evaluate_every, observer, early_stop)
    # Masks change first, so that what is measured at the same step is measured with the new ones.
    settling = early_bird(spec, engine, trainer, length)
    looking = own_stops(spec, engine)
    measuring = [
        stop for stop in (updates, rewind_points, evaluations, *looking, settling) if stop is not None
    ]
    cadence = Cadence(store.checkpoint_every, length.per_epoch, first)
    checkpoints = Checkpoints(engine, run.checkpoint, cadence, context, measuring)
    stops = [*measuring, checkpoints, Reports(observer)]
    train(engine, start.first_step, last, order, stops, checkpoint)

    optimizer = engine.optimizer_state() if store.keeps_optimizer else None
    tester, checks = engines.bring_back(engine, trainer)
    if modules := own_code():  # of which the key knows nothing, so no other study takes the run over
        checks["own_code"] = modules
    training = Training(
        start.first_step,
        rewind_points,
        evaluations,
        optimizer,
        start.checks | checks | told(settling, last),
        tester,
        choice.resolved | trainers.narrowed(spec)[1],
        updates.changes if updates else [],
    )
    record = keep_run(spec, store, trainer, training, began)
    observer.finished(record)
    return record


def _masks_are_last_at(spec: RunSpec, length: Length) -> int:
    """Return the first step at which a run has its last masks."""
    if spec.supermask is not None:
        return length.last
    return max(update_steps(spec.updates, length)) if spec.updates else 0
