# ruff: noqa: PT009 - `manage.py test` explains these failures, and not a plain assert's
from __future__ import annotations

from django.test import Client, TestCase
from django.urls import reverse

from guestbook.models import Entry, House

LIST = reverse("guestbook:entries")
SIGN = reverse("guestbook:sign")


def house(name: str) -> House:
    """A house that a migration made, unless a test that empties all tables ran before."""
    return House.objects.get_or_create(slug=name.lower(), defaults={"name": name})[0]


class ListPage(TestCase):
    @classmethod
    def setUpTestData(cls) -> None:
        cls.lighthouse = house("Lighthouse")
        cls.orchard = house("Orchard")
        Entry.objects.bulk_create(
            Entry(house=cls.lighthouse, name=f"Guest {number}", message=f"Message {number}.")
            for number in range(12)
        )

    def test_newest_first_and_ten_to_a_page(self) -> None:
        first = self.client.get(LIST)
        self.assertEqual([e.name for e in first.context["page_obj"]][::9], ["Guest 11", "Guest 2"])
        self.assertContains(first, 'href="?page=2"')
        second = self.client.get(LIST, {"page": 2})
        self.assertEqual([e.name for e in second.context["page_obj"]], ["Guest 1", "Guest 0"])
        self.assertEqual(self.client.get(LIST, {"page": 3}).status_code, 404)

    def test_one_house_shows_only_its_own_entries(self) -> None:
        Entry.objects.create(house=self.orchard, name="Ada", message="Apples everywhere.")
        response = self.client.get(self.orchard.get_absolute_url())
        self.assertEqual([e.name for e in response.context["page_obj"]], ["Ada"])
        self.assertContains(response, "?house=orchard")
        self.assertEqual(self.client.get("/houses/castle/").status_code, 404)

    def test_the_number_of_queries_does_not_grow_with_the_entries(self) -> None:
        with self.assertNumQueries(3):  # how many there are, one page of them, the houses
            self.client.get(LIST)

    def test_markup_in_an_entry_is_shown_and_not_run(self) -> None:
        Entry.objects.create(house=self.orchard, name="Eve", message="<script>alert(1)</script>")
        self.assertContains(self.client.get(LIST), "&lt;script&gt;alert(1)")

    def test_an_empty_guestbook_invites(self) -> None:
        Entry.objects.all().delete()
        self.assertContains(self.client.get(LIST), "Be the first.")


class SignPage(TestCase):
    def test_an_entry_is_stored_and_thanked_for(self) -> None:
        boathouse = house("Boathouse")
        response = self.client.post(
            SIGN, {"house": boathouse.pk, "name": "Ada", "message": "We saw a heron."}, follow=True
        )
        self.assertRedirects(response, LIST)
        self.assertContains(response, "Thank you, Ada.")
        self.assertContains(response, "We saw a heron.")
        self.assertEqual(Entry.objects.get().house, boathouse)

    def test_a_missing_message_is_explained_next_to_its_field(self) -> None:
        response = self.client.post(SIGN, {"house": "", "name": "Ada", "message": " "})
        self.assertFormError(response.context["form"], "message", "This field is required.")
        self.assertContains(response, 'aria-invalid="true"')
        self.assertFalse(Entry.objects.exists())

    def test_the_house_can_be_chosen_by_a_link(self) -> None:
        orchard = house("Orchard")
        response = self.client.get(SIGN, {"house": "orchard"})
        chosen = f'<option value="{orchard.pk}" selected>Orchard</option>'
        self.assertContains(response, chosen, html=True)

    def test_a_post_without_the_csrf_token_is_refused(self) -> None:
        response = Client(enforce_csrf_checks=True).post(SIGN, {"name": "Eve"})
        self.assertEqual(response.status_code, 403)
