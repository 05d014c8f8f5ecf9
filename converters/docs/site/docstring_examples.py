"""An extension of Griffe: docstrings say `Example:`, and Griffe knows only `Examples:`."""

from __future__ import annotations

import re

import griffe


class DocstringExamples(griffe.Extension):
    """Shows the examples of docstrings as code."""

    def on_object(self, *, obj: griffe.Object, **_: object) -> None:
        """Rename the section of a docstring."""
        if obj.docstring:
            text = obj.docstring.value
            obj.docstring.value = re.sub(r"^Example:$", "Examples:", text, flags=re.MULTILINE)
