"""The command line: parses, calls, prints. Imports TensorFlow only when a command needs it."""

import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Find, prove and ship winning lottery tickets on Keras 3.",
)

_Study = Annotated[str, typer.Argument(help="A study's name under saved_models/, or its directory.")]


@app.command()
def run(
    config: Annotated[str, typer.Argument(help="A shipped config's name (see `list`) or a YAML file.")],
    set_: Annotated[
        list[str], typer.Option("--set", metavar="KEY=VALUE", help="Override a setting: pruning.rounds=8.")
    ] = [],  # noqa: B006
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The study's directory \\[saved_models/NAME].")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", "-w", help="Processes that train side by side \\[one a core].")
    ] = None,
    executor: Annotated[str, typer.Option(help="local, or ray: a cluster.")] = "local",
    address: Annotated[str | None, typer.Option(help="Of a running Ray cluster \\[a local one].")] = None,
    gpus: Annotated[float | None, typer.Option(help="Of each run on a Ray cluster: 1, 0.25.")] = None,
    shard: Annotated[
        str | None, typer.Option(metavar="I/N", help="Train every N-th replicate, beginning with the I-th.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be trained, train nothing.")
    ] = False,
    strict_environment: Annotated[
        bool, typer.Option("--strict-environment", help="Refuse runs of other versions or processors.")
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Train runs again that failed for cause.")
    ] = False,
) -> None:
    """Run a study, or go on with one that was interrupted."""
    from tf_lottery import config_file
    from tf_lottery.experiment.execution import Execution

    study = config_file.load_config(config, set_)
    execution = Execution(executor, workers, address, gpus, shard, strict_environment, retry_failed)
    execution.chains(study)
    if dry_run:
        from tf_lottery.dry_run import dry_run as describe

        print("\n".join(describe(study, output, execution)))
        return
    from tf_lottery.study_run import run_and_report

    raise typer.Exit(run_and_report(study, output, execution))


@app.command()
def show(
    study: _Study,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON list, an object a finished run.")] = False,
) -> None:
    """Show the finished runs of a study."""
    from tf_lottery.analysis import table
    from tf_lottery.analysis.verdict import verdict
    from tf_lottery.experiment import environment, failures, upkeep
    from tf_lottery.experiment.plan import collect, plan
    from tf_lottery.experiment.store import Store
    from tf_lottery.experiment.study import load

    paths = _find(study)
    config = load(paths)
    every = Store(paths).records()
    records = collect(config, every)
    if as_json:
        print(json.dumps([record.row() for record in records], indent=2))
        return
    for line in [*table.header(), *map(table.row, records), "", *verdict(records, config.tolerance)]:
        print(line)
    failed = [failure for spec in plan(config, every) if (failure := failures.find(paths, spec.key))]
    for line in [*(failure.describe() for failure in failed), *environment.described(records)]:
        print(line)
    kinds = upkeep.sizes(paths)
    parts = ", ".join(f"{kind} {upkeep.readable(size)}" for kind, size in kinds.most_common())
    print(f"\nOn the disk: {upkeep.readable(sum(kinds.values()))} ({parts})")


@app.command(name="list")
def list_() -> None:
    """List the configs that come with tf_lottery, and the studies under saved_models/."""
    from tf_lottery import config_file
    from tf_lottery.experiment.upkeep import readable, sizes
    from tf_lottery.paths import OUTPUT, StudyPaths

    print("Configs (tf-lottery run NAME):")
    for name, path in config_file.shipped().items():
        print(f"  {name:20} {config_file.load_config(path).description}")
    print(f"\nStudies in {OUTPUT}/ (tf-lottery show NAME):")
    studies = sorted(path.parent for path in OUTPUT.glob("*/study.yaml"))
    for directory in studies:
        finished = len(list(directory.glob("runs/[!.]*/record.json")))
        size = readable(sum(sizes(StudyPaths(directory)).values()))
        print(f"  {directory.name:20} {finished:6,} finished runs {size:>10}")
    if not studies:
        print("  none yet")


@app.command()
def verify(study: _Study) -> None:
    """Check every file of a study's finished runs; set aside what is damaged."""
    from tf_lottery.errors import DamagedError
    from tf_lottery.experiment.store import Store
    from tf_lottery.experiment.study import load

    paths = _find(study)
    store = Store(paths, load(paths).storage)
    records, errors = [], []
    for name in store.names():
        try:
            record = store.find(name)
            if record is not None:
                records.append(record)
                errors += store.damaged(record)
        except DamagedError as error:
            errors.append(error)
    for error in errors:
        aside = store.set_aside(error)
        print(f"{error} {f'Set aside as {aside}.' if aside else ''}")
    whole = len(records) - len({error.key for error in errors} & {record.key for record in records})
    print(f"{whole:,} runs are as they were written, {len(errors)} files weren't.")
    if errors:
        print("`tf-lottery run` with the study's config trains those runs again.")
        raise typer.Exit(1)


@app.command()
def gc(
    study: _Study,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, delete nothing.")] = False,
) -> None:
    """Delete what a study has no use for: runs it no longer asks for, leftovers, what was set aside."""
    from tf_lottery.experiment import upkeep
    from tf_lottery.experiment.store import Store
    from tf_lottery.experiment.study import load

    paths = _find(study)
    config, store = load(paths), Store(paths)
    found = upkeep.rubbish(config, store) if dry_run else upkeep.collect_rubbish(config, store)
    for each in found:
        print(f"{each.path} ({each.why}, {upkeep.readable(each.size)})")
    done = "would be" if dry_run else "are"
    print(f"{upkeep.readable(sum(each.size for each in found))} {done} free.")


@app.command()
def rm(
    study: _Study,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
) -> None:
    """Delete a study and all its runs."""
    from tf_lottery.experiment import upkeep

    paths = _find(study)
    runs = len(list(paths.runs.glob("[!.]*/record.json")))
    if not yes:
        typer.confirm(f"Delete {paths.root} with {runs:,} finished runs?", abort=True)
    print(f"Deleted {paths.root}: {upkeep.readable(upkeep.remove(paths))}.")


@app.command()
def data(
    name: Annotated[str, typer.Argument(help="mnist, fashion_mnist, cifar10, digits, sentences")],
) -> None:
    """Fetch a data set, verify it, and say where it came from."""
    if name == "sentences":  # texts, so none of the sources of studies
        from tf_lottery.data import sentences

        labels = sentences.load_sentences()[1]
        print(f"sentences: {len(labels):,} labelled ones, in {sentences.published()}")
        return
    from tf_lottery.config import DataConfig
    from tf_lottery.data import sources

    examples = sources.load(DataConfig(name=name))
    print(
        f"{name}: {len(examples.y_train):,} training and {len(examples.y_test):,} test examples of shape "
        f"{examples.x_train.shape[1:]}, from {examples.source}"
    )


@app.command()
def export(
    source: Annotated[
        str, typer.Argument(metavar="STUDY|MODEL", help="A study's name or directory, or a .keras file.")
    ],
    format: Annotated[
        str, typer.Option("--format", "-f", help="all; savedmodel, compact, litert, onnx, openvino.")
    ] = "all",
    weights: Annotated[
        str | None,
        typer.Option(help="savedmodel: packed, dense. litert: float, sparse, dynamic, int8, int8_qat."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to \\[saved_models/STUDY_roundN].")
    ] = None,
    round: Annotated[int | None, typer.Option(help="Which round of a study.")] = None,
    density: Annotated[float | None, typer.Option(help="The round nearest to it: 0.036.")] = None,
    within: Annotated[
        float | None,
        typer.Option(metavar="POINTS", help="The sparsest round so near to dense on validation: 0.2."),
    ] = None,
    replicate: Annotated[int, typer.Option(help="Of a study.")] = 0,
    build: Annotated[
        str | None,
        typer.Option(metavar="MODULE:FUNCTION", help="Of a study with a builder of its own: that builder."),
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="Of a .keras file: a data set's name, or an npz file.")
    ] = None,
    pixels: Annotated[
        bool, typer.Option("--pixels", help="The file takes uint8 pixels and scales them itself.")
    ] = False,
    labels: Annotated[
        str | None, typer.Option(help="Names of the classes, by commas: a SavedModel answers them, too.")
    ] = None,
    warmup: Annotated[
        bool, typer.Option("--warmup", help="Requests for TensorFlow Serving to warm up with.")
    ] = False,
    compact: Annotated[
        bool, typer.Option("--compact", help="Remove dead units first, in every format.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier export.")] = False,
    latency: Annotated[bool, typer.Option(help="Measure it.")] = True,
    threads: Annotated[int, typer.Option(min=1, max=1024, help="Of each runtime.")] = 1,
) -> None:
    """Export a trained ticket: SavedModel, LiteRT, ONNX, ...; verified, and measured beside dense."""
    from tf_lottery.training.quiet_start import start_quietly

    start_quietly()
    from tf_lottery.export_run import Choice, export_and_report

    choice = Choice(round, density, None if within is None else within / 100, replicate, data, build)
    classes = tuple(labels.split(",")) if labels else ()
    export_and_report(
        source,
        output,
        format,
        weights,
        choice,
        pixels,
        force,
        classes=classes,
        warmup=warmup,
        compact=compact,
        latency=latency,
        threads=threads,
    )


def _find(study: str):
    from tf_lottery.errors import LotteryError
    from tf_lottery.paths import OUTPUT, find_study

    if (paths := find_study(study)) is not None:
        return paths
    present = ", ".join(sorted(path.parent.name for path in OUTPUT.glob("*/study.yaml"))) or "none"
    raise LotteryError(
        f"Expected a study's directory, or the name of one in {OUTPUT}/ ({present}). Received: {study!r}"
    )
