"""The look that all pages share."""

from importlib.resources import files

from markupsafe import Markup

PAGE_CSS = Markup(files(__package__).joinpath("page.css").read_text(encoding="utf-8"))  # noqa: S704 - a file of ours
