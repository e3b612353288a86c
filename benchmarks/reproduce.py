"""Writes docs/reproduction.md: published figures beside ours, from the finished runs of presets.

    python benchmarks/reproduce.py                      from the studies in saved_models/
    python benchmarks/reproduce.py --run                trains what isn't finished before, some two hours
    python benchmarks/reproduce.py --run lenet_small    only these

Figures that a study lacks are marked so; nothing in the document is written by hand.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import mean

sys.path.insert(0, str(Path(__file__).parent))

import yaml
from figures import READERS

from tf_lottery import config_file
from tf_lottery.analysis.connectivity import known
from tf_lottery.analysis.findings import DENSE, Findings, test_accuracy
from tf_lottery.atomic import write_text
from tf_lottery.config import StudyConfig
from tf_lottery.drivers.execution import Execution
from tf_lottery.errors import LotteryError
from tf_lottery.method.plan import collect, plan
from tf_lottery.method.spec import Record
from tf_lottery.paths import StudyPaths
from tf_lottery.store.store import Store
from tf_lottery.store.study_file import load

PUBLISHED = yaml.safe_load(Path(__file__).with_name("published.yaml").read_text())
TARGET = Path(__file__).parent.parent / "docs/reproduction.md"
HEADING = """# Reproduction: published figures beside ours

Made by `python benchmarks/reproduce.py` from the finished runs of presets; `--run` trains them. Accuracies
are test accuracies at early stop in percent, differences are in points, paired by replicate. In brackets: the
95% interval of the mean (Student's t below ten replicates) and the number of replicates, n. A paper's own
range is as it prints it, mostly one deviation. Tables of arms have means, minima and maxima of replicates.
"""


def main() -> None:
    """Write the document, or say what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--run", nargs="*", metavar="STUDY", help="train these presets first; all without names"
    )
    parser.add_argument("--studies", type=Path, default=Path("saved_models"), help="where studies lie")
    parser.add_argument("--output", type=Path, default=TARGET)
    parser.add_argument("--partial", action="store_true", help="write it though studies are missing")
    arguments = parser.parse_args()
    if arguments.run is not None:
        train(arguments.run, arguments.studies)
    missing = [
        name_of(each) for each in PUBLISHED["sections"] if not finished(arguments.studies / name_of(each))
    ]
    if missing and not arguments.partial:
        names = " ".join(missing)
        sys.exit(f"Error: Not finished in {arguments.studies}: {names}. Add --run {names}, or --partial.")
    write_text(arguments.output, document(PUBLISHED, arguments.studies))
    print(f"Wrote {arguments.output}.")


def name_of(section: dict) -> str:
    """Return the name of a preset's study and directory."""
    return section["study"].rpartition("/")[2]


def finished(directory: Path) -> bool:
    """Return whether a study lies in a directory and has no run left to train."""
    paths = StudyPaths(directory)
    if not paths.study.exists():
        return False
    study = load(paths)
    return not plan(study, Store(paths).records())


def train(names: Sequence[str], directory: Path) -> None:
    """Train presets as `tf-lottery run` and `tf-lottery connectivity` do.

    Raises:
        SystemExit: If one of the names is no section's.
    """
    known_names = {name_of(each): each for each in PUBLISHED["sections"]}
    if wrong := [name for name in names if name not in known_names]:
        sys.exit(f"Error: Expected some of {', '.join(known_names)}. Received: {wrong[0]}")
    from tf_lottery.analysis.connectivity import connectivity
    from tf_lottery.cli.study_run import run_and_report

    for name in names or known_names:
        study = config_file.load_config(known_names[name]["study"])
        run_and_report(study, directory / name, Execution())
        if any("fork" in (arm, settings.like) for arm, settings in study.arms.items()):
            paths = StudyPaths(directory / name)
            connectivity(load(paths), Store(paths))


def document(published: dict, directory: Path) -> str:
    """Return the document.

    Args:
        published: What is told, as in `published.yaml`.
        directory: Where the studies lie.
    """
    parts = [HEADING]
    for section in published["sections"]:
        paths = StudyPaths(directory / name_of(section))
        parts.append(_section(section, paths))
    lines = [
        "## Not run here",
        "",
        "These presets want a GPU; no figure of ours stands beside the papers'. `tf-lottery run` runs each.",
        "",
        "| preset | what | paper | source |",
        "|---|---|---|---|",
        *("| `{study}` | {what} | {paper} | {source} |".format(**each) for each in published["for_a_gpu"]),
    ]
    return "\n".join([*parts, *lines, ""])


def _section(section: dict, paths: StudyPaths) -> str:
    lines = [f"## {section['title']}", "", f"`tf-lottery run {section['study']}`. {section['differs']}"]
    study, store = (load(paths), Store(paths)) if paths.study.exists() else (None, None)
    records = collect(study, store.records()) if store else []
    if not records:
        return "\n".join([*lines, *_figures(section["figures"], None), ""])
    if plan(study, records):
        lines += ["", "**The study isn't finished: runs are missing from what follows.**"]
    findings = Findings(study, records, known(study, store, records))
    lines += ["", _circumstances(study, records), *_figures(section["figures"], findings)]
    return "\n".join([*lines, "", *_arms(findings, section["rounds"]), ""])


def _circumstances(study: StudyConfig, records: Sequence[Record]) -> str:
    """Say how many runs there are, how they were trained, on what, and for how long."""
    runs = list({record.key: record for record in records}.values())
    engines = Counter(str(record.resolved.get("engine", "dense")) for record in runs)
    machines = sorted({record.environment["processor"] for record in runs})
    seconds = sum(record.seconds["total"] for record in runs)
    told = ", ".join(f"{count} by the {engine} engine" for engine, count in sorted(engines.items()))
    return (
        f"{len(runs)} runs of {study.training.steps}, {study.replicates} "
        f"replicate{'s' if study.replicates > 1 else ''}; {told}; {seconds / 3600:.2f} core hours on "
        f"{' and '.join(machines)}; tensorflow {runs[0].environment['tensorflow']}, keras "
        f"{runs[0].environment['keras']}."
    )


def _figures(figures: Iterable[dict], findings: Findings | None) -> list[str]:
    lines = ["", "| what | paper | ours | source |", "|---|---|---|---|"]
    for figure in figures:
        reader, *arguments = figure["ours"]
        ours = None if findings is None else READERS[reader](*arguments)(findings)
        cells = figure["what"], figure["paper"], ours or "not run here", figure["source"]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return lines


def _arms(findings: Findings, rounds: Sequence[int]) -> list[str]:
    """Return a table of all arms: mean test accuracies, minimum and maximum over replicates."""
    dense = findings.values(findings.main, test_accuracy).get(DENSE, {})
    rounds = [at for at in rounds if at in findings.rounds(findings.main)]
    heading = " | ".join(f"{findings.density(at):.1%}" for at in rounds)
    lines = [f"| arm | {heading} |", "|---|" + "---|" * len(rounds)]
    if dense:
        lines.append(f"| dense network | {' | '.join([_spread(dense.values())] * len(rounds))} |")
    for arm in findings.arms:
        values = findings.values(arm, test_accuracy)
        cells = [_spread(values[at].values()) if at in values else "" for at in rounds]
        if any(cells):
            lines.append(f"| {arm} | {' | '.join(cells)} |")
    return lines


def _spread(values: Iterable[float]) -> str:
    values = list(values)
    return f"{mean(values):.2f} ({min(values):.2f} to {max(values):.2f})"


if __name__ == "__main__":
    try:
        main()
    except LotteryError as error:
        sys.exit(f"Error: {error}")
