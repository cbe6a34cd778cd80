"""Apps whose migrations show what goes wrong when a migration's alias is not the ORM's.

Each case is one app with a table ``<app>_thing``; none of them is unusual.
"""

from __future__ import annotations

_HEAD = """
from django.db import connection, migrations, models, transaction

def fields(*more):
    return [
        ("id", models.BigAutoField(primary_key=True, serialize=False, auto_created=True, verbose_name="ID")),
        ("name", models.CharField(max_length=50)),
        *more,
    ]

def add(apps, schema_editor):
    thing = apps.get_model("{app}", "Thing")
    assert schema_editor.connection.alias == "default", schema_editor.connection.alias
    assert thing.objects.create(name="added")._state.db == "default"

def add_and_fail(apps, schema_editor):
    add(apps, schema_editor)
    raise RuntimeError("this migration fails")

def update(apps, schema_editor):
    assert apps.get_model("{app}", "Thing").objects.update(size=1) == 1

def by_hand(apps, schema_editor):
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE {app}_thing SET size = 2")

def only_on_default(apps, schema_editor):
    # Django's own documentation shows this guard.
    if schema_editor.connection.alias != "default":
        return
    apps.get_model("{app}", "Thing").objects.create(name="added")

def nothing(apps, schema_editor):
    pass
"""

_CREATE = '        migrations.CreateModel(name="Thing", fields=fields()),\n'
_ADD_FIELD = '        migrations.AddField("Thing", "size", models.IntegerField(null=True)),\n'


def _run(function: str) -> str:
    return f"        migrations.RunPython({function}, nothing),\n"


#: Migrations of each case, in order; names of functions above.
CASES = {
    "a": [_CREATE, _run("add")],
    "b": [_CREATE + _run("add")],
    "c": [_CREATE + _run("add"), _ADD_FIELD + _run("update")],
    "d": [_CREATE, _run("add_and_fail")],
    "e": [_CREATE + _run("add"), _ADD_FIELD + _run("by_hand")],
    "guard": [_CREATE, _run("only_on_default")],
}


def migrations(case: str) -> dict[str, str]:
    app = f"case_{case}"
    files = {}
    for number, operations in enumerate(CASES[case], 1):
        before = f'[("{app}", "{number - 1:04}_step")]' if number > 1 else "[]"
        files[f"{number:04}_step"] = (
            _HEAD.replace("{app}", app)
            + f"\nclass Migration(migrations.Migration):\n    dependencies = {before}\n"
            + f"    operations = [\n{operations}    ]\n"
        )
    return files
