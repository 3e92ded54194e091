"""Text in Markdown."""

import re


def markdown_text(text: object) -> str:
    """Text whose signs mean nothing to Markdown, in a table too; what is HTML the template escapes."""
    return re.sub(r"([\\`*_\[\]|~#])", r"\\\1", str(text).replace("\n", " "))
