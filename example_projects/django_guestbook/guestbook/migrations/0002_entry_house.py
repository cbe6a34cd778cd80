"""Entries belong to a house from here on; those written before were all for the first one.

Adding the column and filling it are one migration, so that at no moment the code has the column and
the old rows do not. That is safe here, and not everywhere: the column is added under a lock on the
table, and the ORM calls below name no alias, so they use ``default``. If ``default`` were still the
pooled connection, as with two plain aliases and ``migrate --database direct``, the update would
wait for that lock for ever, and PostgreSQL could not see the deadlock: half of it waits in Python.
While a direct command of ppg_integrations runs, ``default`` *is* the direct connection, so both
statements share one session and one transaction.
"""

import django.db.models.deletion
from django.db import migrations, models

HOUSES = (("Lighthouse", "lighthouse"), ("Boathouse", "boathouse"), ("Orchard", "orchard"))


def give_entries_a_house(apps, schema_editor):  # noqa: ANN001, ANN201 - Django's signature
    house_model = apps.get_model("guestbook", "House")
    first, *_ = [
        house_model.objects.get_or_create(slug=slug, defaults={"name": name})[0]
        for name, slug in HOUSES
    ]
    apps.get_model("guestbook", "Entry").objects.filter(house=None).update(house=first)


class Migration(migrations.Migration):
    dependencies = (("guestbook", "0001_initial"),)
    operations = (
        migrations.AddField(
            model_name="entry",
            name="house",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="entries",
                to="guestbook.house",
            ),
        ),
        # Going back drops the column; the houses stay, they may have been edited since.
        migrations.RunPython(give_entries_a_house, migrations.RunPython.noop),
        migrations.AlterField(
            model_name="entry",
            name="house",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="entries",
                to="guestbook.house",
            ),
        ),
    )
