from django.apps import apps as installed
from django.conf import settings
from django.db import migrations, models


def let_cancellers_stop(apps, schema_editor):
    """To stop a running run has a permission of its own now: whoever could cancel could stop, and still can."""
    if not installed.is_installed("django.contrib.auth"):
        return
    using = schema_editor.connection.alias
    permissions = apps.get_model("auth", "Permission").objects.using(using)
    cancel = permissions.filter(content_type__app_label="jobs", codename="cancel_job").first()
    if cancel is None:
        # Nobody has it yet: permissions are made when all migrations are done.
        return
    stop, _ = permissions.get_or_create(
        content_type=cancel.content_type, codename="stop_job", defaults={"name": "Can stop running jobs"}
    )
    for relation in permissions.model._meta.related_objects:
        if relation.many_to_many:
            field = relation.field.name
            for holder in relation.related_model._default_manager.using(using).filter(**{field: cancel}):
                getattr(holder, field).add(stop)


def _auth():
    # Groups and users are looked at, where there are any.
    if not installed.is_installed("django.contrib.auth"):
        return []
    return [("auth", "0012_alter_user_first_name_max_length"), migrations.swappable_dependency(settings.AUTH_USER_MODEL)]


class Migration(migrations.Migration):

    dependencies = [("jobs", "0033_metric_rollups"), *_auth()]

    operations = [
        migrations.CreateModel(
            name='SavedView',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=60, verbose_name='name')),
                ('query', models.CharField(help_text="As the page's address carries it", max_length=2000, verbose_name='search')),
                ('owner', models.CharField(blank=True, help_text="A user's key; empty: shared with all", max_length=100)),
                ('made_by', models.CharField(max_length=200, verbose_name='saved by')),
                ('made_at', models.DateTimeField(auto_now_add=True, verbose_name='saved')),
            ],
            options={
                'verbose_name': 'saved view',
                'verbose_name_plural': 'saved views',
                'ordering': ['owner', 'name'],
                'default_permissions': (),
            },
        ),
        migrations.AlterModelOptions(
            name='jobrun',
            options={'default_permissions': (), 'ordering': ['-id'], 'permissions': [('view_console', 'Can see the console'), ('requeue_job', 'Can retry dead jobs'), ('discard_job', 'Can discard jobs'), ('cancel_job', 'Can cancel pending jobs'), ('stop_job', 'Can stop running jobs'), ('reschedule_job', 'Can change when pending jobs run'), ('edit_job', 'Can change the arguments of jobs and run them'), ('enqueue_job', 'Can enqueue registered jobs'), ('export_jobs', 'Can export lists of jobs'), ('share_view', 'Can share saved searches with everybody'), ('view_payload', 'Can see unmasked arguments')], 'verbose_name': 'run', 'verbose_name_plural': 'runs'},
        ),
        migrations.AddIndex(
            model_name='jobattempt',
            index=models.Index(condition=models.Q(('fingerprint', ''), _negated=True), fields=['fingerprint', '-run'], name='jobs_attempt_cause'),
        ),
        migrations.AddConstraint(
            model_name='savedview',
            constraint=models.UniqueConstraint(fields=('owner', 'name'), name='jobs_view_named_once'),
        ),
        migrations.RunPython(let_cancellers_stop, migrations.RunPython.noop),
    ]
