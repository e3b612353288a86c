"""Reads a page as a browser would, far enough to prove what is in it."""

from html.parser import HTMLParser

VOID = {"meta", "link", "br", "img", "hr", "input"}


class Page(HTMLParser):
    """What a page holds.

    Attributes:
        ids: All ids, in order.
        links: Where its links and other references lead to.
        headings: (level, text).
        tables: caption -> rows of cells, the head first.
        texts: Tag -> the texts of its elements.
        attributes: Tag -> the attributes of its elements.
    """

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.headings, self.tables = [], [], [], {}
        self.texts, self.attributes = {}, {}
        self._open, self._caption, self._rows = [], "", []
        self.feed(text)
        self.close()
        assert self._open == [], self._open

    def handle_starttag(self, tag, attributes):
        known = dict(attributes)
        self.ids += [known["id"]] if "id" in known else []
        self.links += [known[name] for name in ("href", "src", "xlink:href", "action") if name in known]
        self.attributes.setdefault(tag, []).append(known)
        if tag == "table":
            self._caption, self._rows = "", []
        elif tag == "tr":
            self._rows.append([])
        if tag not in VOID:
            self._open.append([tag, ""])

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        name, text = self._open.pop()
        assert name == tag, (name, tag)
        text = " ".join(text.split())
        self.texts.setdefault(tag, []).append(text)
        if tag in ("th", "td"):
            self._rows[-1].append(text)
        elif tag == "caption":
            self._caption = text
        elif tag == "table":
            self.tables[self._caption] = self._rows
        elif tag in ("h1", "h2", "h3"):
            self.headings.append((int(tag[1]), text))
        if self._open:
            self._open[-1][1] += f" {text}" if tag in ("p", "tr", "div") else text

    def handle_data(self, data):
        if self._open:
            self._open[-1][1] += data

    @property
    def text(self):
        """All text of the page's body."""
        return self.texts["body"][0]


def told(page, tag, contained):
    """The texts of a tag's elements that contain something."""
    return [text for text in page.texts.get(tag, []) if contained in text]
