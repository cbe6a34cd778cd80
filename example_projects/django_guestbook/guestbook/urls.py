from django.urls import path

from .views import EntryList, SignGuestbook

app_name = "guestbook"

urlpatterns = [
    path("", EntryList.as_view(), name="entries"),
    path("sign/", SignGuestbook.as_view(), name="sign"),
    path("houses/<slug:slug>/", EntryList.as_view(), name="house"),
]
