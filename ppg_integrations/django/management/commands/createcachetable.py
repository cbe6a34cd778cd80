"""``createcachetable`` on the direct endpoint."""

from ppg_integrations.django.commands import direct_command

Command = direct_command(__name__)
