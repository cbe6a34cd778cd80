"""The Flask project: guests make a short link, and follow it; each click is counted."""

from __future__ import annotations

import re
from typing import Final

from .burst import Guest
from .example import Example

_CLICKS_PER_PAGE: Final = 3
_TOKEN: Final = re.compile(r'name="csrf_token" type="hidden" value="([^"]+)"')


class LinkGuest(Guest):
    """Opens the form, makes a link, then follows it, and now and then looks at its clicks."""

    token = ""
    made = False

    def act(self, turn: int) -> bool:
        if not self.token:
            return self._open_form()
        if not self.made:
            return self._make()
        return self._look() if turn % (_CLICKS_PER_PAGE + 1) == 0 else self._follow()

    def _open_form(self) -> bool:
        status, page = self.ask("GET", "/")
        token = _TOKEN.search(page)
        if status != 200 or not token:
            return False
        self.token = token[1]
        return True

    def _make(self) -> bool:
        form = {
            "csrf_token": self.token,
            "target": "https://www.postgresql.org/docs/",
            "slug": f"guest-{self.number}",
        }
        status, page = self.ask("POST", "/", form)
        # The slug is ours: if it is taken, an earlier answer was lost on its way.
        self.made = status == 302 or "Another link has this name" in page
        return status == 302

    def _follow(self) -> bool:
        return self.wrote(self.ask("GET", f"/guest-{self.number}")[0] == 302)

    def _look(self) -> bool:
        status, page = self.ask("GET", f"/guest-{self.number}+")
        return status == 200 and "Clicks of the last" in page


SHORTLINKS: Final = Example(
    framework="Flask",
    folder="flask_shortlinks",
    verbs=(("-m", "flask", "ppg"), "flask ppg"),
    migrate=(("-m", "flask", "db", "upgrade"), "flask db upgrade"),
    environ={"TRUSTED_HOSTS": "127.0.0.1", "PROXIES": "0"},
    guest=LinkGuest,
    writes="clicks",
    stored="SELECT coalesce(sum(count), 0) FROM clicks",
)
