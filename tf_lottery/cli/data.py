"""The command that fetches data: `data`."""

from typing import Annotated

import typer

from tf_lottery.cli.app import app


@app.command()
def data(
    name: Annotated[str, typer.Argument(help="mnist, fashion_mnist, cifar10, digits, sentences")],
) -> None:
    """Fetch a data set, verify it, and say where it came from."""
    if name == "sentences":  # texts, so they aren't among the sources of studies
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
