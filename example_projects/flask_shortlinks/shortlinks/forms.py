from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from flask import request
from flask_wtf import CSRFProtect, FlaskForm
from wtforms import Field, StringField, URLField, ValidationError
from wtforms.validators import InputRequired, Length

from .slugs import MAX_LENGTH, PATTERN

csrf = CSRFProtect()


def web_address(_form: FlaskForm, field: Field) -> None:
    """Only http and https: a link to ``javascript:`` would run in this site's name."""
    try:
        parts = urlsplit(field.data)
        host = parts.hostname
    except ValueError:  # such as a bracket that is never closed
        host = None
    if not host or parts.scheme not in ("http", "https"):
        raise ValidationError("A web address begins with https:// or http://.")
    if parts.netloc == request.host:
        raise ValidationError("This address is one of ours already.")


def possible_slug(_form: FlaskForm, field: Field) -> None:
    if field.data and not re.fullmatch(PATTERN, field.data):
        raise ValidationError(
            "Three characters or more: small letters, digits and dashes, with no dash in front."
        )


def stripped(text: str | None) -> str:
    return (text or "").strip()


class LinkForm(FlaskForm):
    class Meta(FlaskForm.Meta):
        def render_field(self, field: Field, render_kw: dict[str, Any]) -> str:
            """Ties a field to the lines below it, for those who hear the page."""
            notes = [f"{field.id}-error"] if field.errors else []
            notes += [f"{field.id}-help"] if field.description else []
            if notes:
                render_kw = {"aria-describedby": " ".join(notes), **render_kw}
            if field.errors:
                render_kw = {"aria-invalid": "true", **render_kw}
            return super().render_field(field, render_kw)

    target = URLField(
        "Long address",
        [InputRequired("An address is needed."), Length(max=2000), web_address],
        filters=[stripped],
        render_kw={"placeholder": "https://", "autocomplete": "url"},
    )
    slug = StringField(
        "Name",
        [Length(max=MAX_LENGTH), possible_slug],
        filters=[stripped],
        description="May be left empty: then it gets six random characters.",
        render_kw={"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"},
    )
