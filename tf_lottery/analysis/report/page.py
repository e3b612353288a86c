"""The page: sections and their blocks, written as HTML by a template."""

from collections.abc import Sequence
from functools import cache
from importlib import resources

from jinja2 import BaseLoader, Environment, StrictUndefined, TemplateNotFound
from markupsafe import Markup

from tf_lottery.analysis.report.blocks import Section

TEMPLATES = ("page.html.j2", "blocks.html.j2", "style.css")
"""The files of the template, which are part of the package."""
GENERATOR = '<meta name="generator" content="tf_lottery">'
"""The line by which a page is known as ours."""


class _Packaged(BaseLoader):
    """Reads templates of the package, however it is installed."""

    def get_source(self, environment: Environment, template: str):
        """Return the text of a template."""
        if template not in TEMPLATES:
            raise TemplateNotFound(template)
        return _text(template), None, lambda: True


def _text(name: str) -> str:
    return (resources.files(__package__) / "templates" / name).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=_Packaged(),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["generator"] = Markup(GENERATOR)
    environment.globals["style"] = Markup(_text("style.css"))
    return environment


def render(title: str, subtitle: str, sections: Sequence[Section], made: str) -> str:
    """Return a page as HTML that needs nothing else: styles and pictures are in it, and there is no script.

    Args:
        title: The title of the page.
        subtitle: What stands below it; may be empty.
        sections: The sections, in order; those without blocks are left out.
        made: What made the page, and when.
    """
    shown = [section for section in sections if section.blocks]
    template = _environment().get_template("page.html.j2")
    return template.render(title=title, subtitle=subtitle, sections=shown, made=made)
