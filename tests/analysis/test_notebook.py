"""Results as HTML."""

import base64
from html.parser import HTMLParser

from tf_lottery.analysis.notebook import Table, page

TABLE = Table(["arm", "a<b"], [["<script>", "97.1"], ["ticket & co", "-"]])


class Read(HTMLParser):
    """The texts of a page by tag, and how its cells are aligned."""

    def __init__(self, text):
        super().__init__()
        self.texts, self.sides, self.open = {}, [], []
        self.feed(text)
        assert self.open == [], "every tag is closed"

    def handle_starttag(self, tag, attributes):
        if tag != "img":
            self.open.append(tag)
        style = dict(attributes).get("style", "")
        self.sides += [style.rpartition(": ")[2]] if tag in ("th", "td") else []
        assert not {"color", "background"} & set(style.replace(":", " ").split()), "dark ones have their own"

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.setdefault(self.open[-1], []).append(data)


def test_a_table_is_one_and_text_is_escaped():
    made = Read(page(TABLE, ['a <b> & "c"', ""]))
    assert made.texts == {
        "th": ["arm", "a<b"],
        "td": ["<script>", "97.1", "ticket & co", "-"],
        "p": ['a <b> & "c"'],
    }
    assert made.sides == ["left", "right"] * 3, "numbers stand below each other"


def test_a_picture_is_put_in_and_none_where_there_is_none():
    made = page(None, ["words"], lambda path: path.write_bytes(b"PNG"))
    assert f'src="data:image/png;base64,{base64.b64encode(b"PNG").decode()}"' in made
    assert page(None, ["words"]) == page(Table(["arm"], []), ["words"]) == "<p>words</p>"
