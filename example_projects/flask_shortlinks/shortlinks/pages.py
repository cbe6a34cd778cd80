from __future__ import annotations

from flask import Blueprint, Response, flash, jsonify, redirect, render_template, request, url_for
from sqlalchemy import select
from werkzeug.wrappers import Response as AnyResponse

from .database import db
from .forms import LinkForm
from .models import Link, add_link, clicks_by_day, count_click, latest, total_clicks

DAYS = 14
POLICY = "default-src 'self'; img-src data:; form-action 'self'; frame-ancestors 'none'"

blueprint = Blueprint("pages", __name__)


@blueprint.route("/", methods=["GET", "POST"])
def home() -> str | AnyResponse | tuple[str, int]:
    """The form, and the newest links."""
    form = LinkForm()
    if form.validate_on_submit():
        link = add_link(form.target.data, form.slug.data)
        if link is not None:
            db.session.commit()
            flash("Your short link is ready.")
            return redirect(url_for(".details", slug=link.slug))
        form.slug.errors = ["Another link has this name."]
    page = render_template("home.html", form=form, links=latest(20))
    return (page, 422) if form.errors else page


@blueprint.get("/<slug:slug>")
def follow(slug: str) -> AnyResponse:
    """Counts the click, then sends the visitor on: a write for each request."""
    link = _link(slug)
    target = link.target
    if request.method == "GET":  # and not HEAD: a program looks where the link leads
        count_click(link)
        db.session.commit()
    response = redirect(target)
    response.headers["Cache-Control"] = "no-store"  # or a second click would not come here
    return response


@blueprint.get("/<slug:slug>+")
def details(slug: str) -> str:
    """Where a link leads, and its clicks day by day."""
    link = _link(slug)
    days = clicks_by_day(link, DAYS)
    return render_template("link.html", link=link, days=days, total=total_clicks(link))


@blueprint.get("/<slug:slug>.json")
def details_json(slug: str) -> Response:
    link = _link(slug)
    days = {day.isoformat(): count for day, count in clicks_by_day(link, DAYS).items()}
    return jsonify(slug=slug, target=link.target, clicks=total_clicks(link), days=days)


@blueprint.get("/-/health")
def health() -> tuple[str, int]:
    """For a load balancer: a worker that cannot reach the database gets no request."""
    db.session.execute(select(1))
    return "", 204


@blueprint.after_app_request
def secure(response: AnyResponse) -> AnyResponse:
    response.headers.setdefault("Content-Security-Policy", POLICY)
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    return response


def _link(slug: str) -> Link:
    return db.first_or_404(
        select(Link).filter_by(slug=slug), description="There is no short link of this name."
    )
