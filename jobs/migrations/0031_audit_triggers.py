"""Let the database itself refuse to change or delete a row of the audit.

`flush` still empties the table: on PostgreSQL by TRUNCATE, which no trigger of rows sees; on SQLite by a deletion
that the trigger lets through when the process says that it is one. What has no such function is refused.
"""

from django.db import migrations

_TABLE = "jobs_auditentry"
_CHANGED = "an audit entry is never changed"
_DELETED = "an audit entry is never deleted"

MAKE = {
    "sqlite": (
        f"CREATE TRIGGER IF NOT EXISTS jobs_audit_no_update BEFORE UPDATE ON {_TABLE} "
        f"BEGIN SELECT RAISE(ABORT, '{_CHANGED}'); END",
        f"CREATE TRIGGER IF NOT EXISTS jobs_audit_no_delete BEFORE DELETE ON {_TABLE} WHEN NOT jobs_is_flushing() "
        f"BEGIN SELECT RAISE(ABORT, '{_DELETED}'); END",
    ),
    "postgresql": (
        "CREATE OR REPLACE FUNCTION jobs_audit_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'an audit entry is never changed or deleted' "
        "USING ERRCODE = 'restrict_violation'; END $$",
        f"CREATE TRIGGER jobs_audit_append_only BEFORE UPDATE OR DELETE ON {_TABLE} "
        "FOR EACH ROW EXECUTE FUNCTION jobs_audit_refuse()",
    ),
}
REMOVE = {
    "sqlite": ("DROP TRIGGER IF EXISTS jobs_audit_no_update", "DROP TRIGGER IF EXISTS jobs_audit_no_delete"),
    "postgresql": (
        f"DROP TRIGGER IF EXISTS jobs_audit_append_only ON {_TABLE}",
        "DROP FUNCTION IF EXISTS jobs_audit_refuse()",
    ),
}


def make(apps, schema_editor):
    for statement in MAKE.get(schema_editor.connection.vendor, ()):
        schema_editor.execute(statement, params=None)


def remove(apps, schema_editor):
    for statement in REMOVE.get(schema_editor.connection.vendor, ()):
        schema_editor.execute(statement, params=None)


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0030_role_grants"),
    ]

    operations = [migrations.RunPython(make, remove)]
