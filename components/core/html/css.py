"""The look that all pages share."""

from importlib.resources import files

PAGE_CSS = files(__package__).joinpath("page.css").read_text(encoding="utf-8")
