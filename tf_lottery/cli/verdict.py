"""The command that tests papers' claims on studies: `verdict`."""

import json
import math
from typing import Annotated, Any

import typer

from tf_lottery.cli.app import app, find


@app.command()
def verdict(
    studies: Annotated[list[str], typer.Argument(help="Names under saved_models/, or directories.")],
    as_json: Annotated[bool, typer.Option("--json", help="A JSON list, an object for each claim.")] = False,
    all_: Annotated[bool, typer.Option("--all", help="Say what would test the others, too.")] = False,
) -> None:
    """Test the claims of papers on one or several studies, with intervals."""
    from tf_lottery.analysis.claims import combined, judge
    from tf_lottery.analysis.connectivity import known
    from tf_lottery.analysis.findings import Findings
    from tf_lottery.analysis.words import claim_lines
    from tf_lottery.method.plan import collect
    from tf_lottery.store.store import Store
    from tf_lottery.store.study_file import load

    judged = {}
    for study in studies:
        paths = find(study)
        config, store = load(paths), Store(paths)
        records = collect(config, store.records())
        judged[str(study)] = judge(Findings(config, records, known(config, store, records)))
    if as_json:
        rows = [{"study": study, **told.row()} for study, every in judged.items() for told in every]
        print(json.dumps(_finite(rows), indent=2))
        return
    if len(judged) == 1:
        (every,) = judged.values()
        print("\n".join(claim_lines(every, all_)))
        return
    for study, every in judged.items():
        print("\n".join([f"{study}:", *claim_lines(every, all_), ""]))
    print("\n".join(combined(judged)))


def _finite(value: Any) -> Any:
    """Return JSON values with None for what isn't finite, which JSON lacks."""
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
