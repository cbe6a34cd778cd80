"""One page for every error; for a JSON address, its description as JSON."""

from __future__ import annotations

from flask import Flask, jsonify, render_template, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response


def register(app: Flask) -> None:
    app.register_error_handler(HTTPException, _page)


def _page(error: HTTPException) -> Response | tuple[Response | str, int]:
    if error.code is None or error.code < 400:
        return error.get_response()  # a redirect that routing raised
    if request.path.endswith(".json"):
        return jsonify(error=error.description), error.code
    return render_template("error.html", error=error), error.code
