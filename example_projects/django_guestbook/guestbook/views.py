from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.messages.views import SuccessMessageMixin
from django.shortcuts import get_object_or_404
from django.urls import reverse_lazy
from django.views.generic import CreateView, ListView

from .forms import EntryForm
from .models import Entry, House

if TYPE_CHECKING:
    from django.db.models import QuerySet


class EntryList(ListView):
    """All entries, newest first; with a slug, those of one house."""

    model = Entry
    paginate_by = 10
    house: House | None = None

    def get_queryset(self) -> QuerySet[Entry]:
        entries = super().get_queryset().select_related("house")
        if "slug" in self.kwargs:
            self.house = get_object_or_404(House, slug=self.kwargs["slug"])
            entries = entries.filter(house=self.house)
        return entries

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(house=self.house, houses=House.objects.all(), **kwargs)


class SignGuestbook(SuccessMessageMixin, CreateView):
    """The form; ``?house=SLUG`` chooses a house in advance."""

    model = Entry
    form_class = EntryForm
    success_url = reverse_lazy("guestbook:entries")
    success_message = "Thank you, %(name)s. Your entry is the first one below."

    def get_initial(self) -> dict[str, Any]:
        house = House.objects.filter(slug=self.request.GET.get("house", "")).first()
        return {**super().get_initial(), "house": house}
