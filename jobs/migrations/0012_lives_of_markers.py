"""Markers of effects and e-mails get a life, and a claim of an e-mail says until when it is held."""

from datetime import UTC, datetime, timedelta

from django.db import migrations, models
from django.db.models import F

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


def hold_claims(apps, schema_editor):
    """Claims of e-mails were held for two minutes."""
    emails = apps.get_model("jobs", "SentEmail").objects.using(schema_editor.connection.alias)
    emails.update(held_until=F("claimed_at") + timedelta(minutes=2))


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0011_unique_holds"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name='effect',
            options={'default_permissions': (), 'ordering': ['-id'], 'permissions': [('release_effect', 'Can release claims of effects and e-mails, and mark them as done')], 'verbose_name': 'effect', 'verbose_name_plural': 'effects'},
        ),
        migrations.AddField(
            model_name='effect',
            name='expires_at',
            field=models.DateTimeField(db_index=True, null=True, verbose_name='may happen again'),
        ),
        migrations.AddField(
            model_name='sentemail',
            name='expires_at',
            field=models.DateTimeField(db_index=True, null=True, verbose_name='may happen again'),
        ),
        migrations.AlterField(
            model_name='effect',
            name='run',
            field=models.UUIDField(help_text='The run that claimed it last', null=True, verbose_name='run'),
        ),
        migrations.AlterField(
            model_name='sentemail',
            name='run',
            field=models.UUIDField(help_text='The run that claimed it last', null=True, verbose_name='run'),
        ),
        migrations.AddField(
            model_name="sentemail",
            name="held_until",
            field=models.DateTimeField(default=LONG_AGO, verbose_name="held until"),
            preserve_default=False,
        ),
        migrations.RunPython(hold_claims, migrations.RunPython.noop),
    ]
