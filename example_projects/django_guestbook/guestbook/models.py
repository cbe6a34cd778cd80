from __future__ import annotations

from django.db import models
from django.urls import reverse


class House(models.Model):
    """A house where guests stay, and whose guestbook they sign."""

    name = models.CharField(max_length=80, unique=True)
    slug = models.SlugField(max_length=80, unique=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("guestbook:house", kwargs={"slug": self.slug})


class Entry(models.Model):
    """What one guest wrote."""

    house = models.ForeignKey(House, on_delete=models.PROTECT, related_name="entries")
    name = models.CharField("your name", max_length=80)
    message = models.TextField(max_length=1000)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "entries"
        # The id settles ties, so that no entry is on two pages or on none.
        ordering = ("-created_at", "-id")
        indexes = (models.Index(fields=["-created_at", "-id"], name="guestbook_entry_newest"),)

    def __str__(self) -> str:
        return f"{self.name}: {self.message[:40]}"
