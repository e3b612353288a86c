"""The command that fetches data: `data`."""

from typing import Annotated

import typer

from tf_lottery.cli.app import app


@app.command()
def data(
    name: Annotated[str, typer.Argument(help="mnist, fashion_mnist, cifar10, digits, sentences")],
    as_json: Annotated[
        bool, typer.Option("--json", help="A JSON object: name, training, test, shape and source.")
    ] = False,
) -> None:
    """Fetch a data set, verify it, and say where it came from."""
    from tf_lottery.cli.rows import print_json

    if name == "sentences":  # texts, so they aren't among the sources of studies
        from tf_lottery.data import sentences

        labels = sentences.load_sentences()[1]
        if as_json:
            print_json({"name": name, "labelled": len(labels), "source": str(sentences.published())})
            return
        print(f"sentences: {len(labels):,} labelled ones, in {sentences.published()}")
        return
    from tf_lottery.config import DataConfig
    from tf_lottery.data import sources

    examples = sources.load(DataConfig(name=name))
    if as_json:
        counts = {"training": len(examples.y_train), "test": len(examples.y_test)}
        shape, source = list(examples.x_train.shape[1:]), str(examples.source)
        print_json({"name": name, **counts, "shape": shape, "source": source})
        return
    print(
        f"{name}: {len(examples.y_train):,} training and {len(examples.y_test):,} test examples of shape "
        f"{examples.x_train.shape[1:]}, from {examples.source}"
    )
