"""The Django project: guests read a guestbook, and sign it."""

from __future__ import annotations

import re
from typing import Final

from .burst import Guest
from .example import Example

_PAGES_PER_ENTRY: Final = 4
_TOKEN: Final = re.compile(r'name="csrfmiddlewaretoken" value="(\w+)"')
_HOUSE: Final = re.compile(r'<option value="(\d+)"')


class HouseGuest(Guest):
    """Opens the form, then reads some pages for each entry that it writes."""

    token = house = ""

    def act(self, turn: int) -> bool:
        if not self.token:
            return self._open_form()
        return self._sign() if turn % (_PAGES_PER_ENTRY + 1) == 1 else self._read()

    def _read(self) -> bool:
        status, page = self.ask("GET", "/")
        return status == 200 and "What our guests wrote" in page

    def _open_form(self) -> bool:
        status, page = self.ask("GET", "/sign/")
        token, house = _TOKEN.search(page), _HOUSE.search(page)
        if status != 200 or not token or not house:
            return False
        self.token, self.house = token[1], house[1]
        return True

    def _sign(self) -> bool:
        form = {
            "csrfmiddlewaretoken": self.token,
            "house": self.house,
            "name": f"Guest {self.number}",
            "message": "A quiet place, and the heron came back.",
        }
        return self.wrote(self.ask("POST", "/sign/", form)[0] == 302)


GUESTBOOK: Final = Example(
    framework="Django",
    folder="django_guestbook",
    verbs=(("manage.py", "ppg_connect"), "ppg_connect"),
    migrate=(("manage.py", "migrate"), "migrate"),
    environ={"DEBUG": "0", "ALLOWED_HOSTS": "127.0.0.1", "CSRF_TRUSTED_ORIGINS": ""},
    guest=HouseGuest,
    writes="entries",
    stored="SELECT count(*) FROM guestbook_entry",
)
