from django.contrib import admin

from .models import Entry, House


@admin.register(House)
class HouseAdmin(admin.ModelAdmin):
    list_display = ("name", "slug")
    prepopulated_fields = {"slug": ("name",)}


@admin.register(Entry)
class EntryAdmin(admin.ModelAdmin):
    list_display = ("created_at", "house", "name", "message")
    list_filter = ("house", "created_at")
    list_select_related = ("house",)
    search_fields = ("name", "message")
