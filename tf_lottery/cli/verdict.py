"""The command that tests papers' claims on studies: `verdict`."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from tf_lottery.cli.app import app, find, finite
from tf_lottery.errors import LotteryError

if TYPE_CHECKING:
    from tf_lottery.analysis.findings import Findings


@app.command()
def verdict(
    studies: Annotated[list[str], typer.Argument(help="Names under saved_models/, or directories.")],
    as_json: Annotated[bool, typer.Option("--json", help="A JSON list, an object for each claim.")] = False,
    all_: Annotated[bool, typer.Option("--all", help="Say what would test the others, too.")] = False,
    iqm: Annotated[
        bool,
        typer.Option("--iqm", help="State effects as interquartile means; it takes ten replicates."),
    ] = False,
) -> None:
    """Test the claims of papers on one or several studies, with intervals."""
    from tf_lottery.analysis.claims import combined, judge
    from tf_lottery.analysis.connectivity import known
    from tf_lottery.analysis.findings import Findings
    from tf_lottery.analysis.statistics import interquartile_interval, interval
    from tf_lottery.analysis.words import claim_lines, failed_lines
    from tf_lottery.method.plan import collect, plan
    from tf_lottery.store import failures
    from tf_lottery.store.store import Store
    from tf_lottery.store.study_file import load

    judged, failed = {}, {}
    for study in studies:
        paths = find(study)
        config, store = load(paths), Store(paths)
        every = store.records()
        records = collect(config, every)
        estimate = interquartile_interval if iqm else interval
        findings = Findings(config, records, known(config, store, records), estimate)
        if iqm:
            _refuse_few(study, findings)
        judged[str(study)] = judge(findings)
        failed[str(study)] = sum(failures.find(paths, spec.key) is not None for spec in plan(config, every))
    if as_json:
        rows = [{"study": study, **told.row()} for study, every in judged.items() for told in every]
        print(json.dumps(finite(rows), indent=2))
        return
    if len(judged) == 1:
        ((study, every),) = judged.items()
        print("\n".join([*claim_lines(every, all_), *failed_lines(failed[study])]))
        return
    for study, every in judged.items():
        print("\n".join([f"{study}:", *claim_lines(every, all_), *failed_lines(failed[study]), ""]))
    print("\n".join(combined(judged)))


def _refuse_few(study: str, findings: "Findings") -> None:
    """Refuse interquartile means of too few replicates.

    Raises:
        LotteryError: If fewer than ten replicates have a finished run.
    """
    from tf_lottery.analysis.statistics import MANY

    finished = len({record.spec.replicate for record in findings.records})
    if finished < MANY:
        raise LotteryError(
            f"Expected {MANY} replicates for --iqm: intervals of interquartile means of fewer aren't to be "
            f"trusted. Received {finished} in {study}. Set replicates: {MANY} or more and run it again, "
            "which keeps what is finished, or leave --iqm out."
        )
