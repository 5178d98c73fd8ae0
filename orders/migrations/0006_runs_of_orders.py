"""An order's runs are found by their subject from now on: those that the shop remembered get theirs."""

from django.db import migrations

AT_ONCE = 500


def tell_runs(apps, schema_editor):
    remembered = apps.get_model("orders", "OrderRun").objects.order_by("pk").values_list("order_id", "run")
    runs = apps.get_model("jobs", "JobRun").objects
    for order, run in remembered.iterator(AT_ONCE):
        runs.filter(pk=run, subject=None).update(subject=f"orders.order:{order}")


class Migration(migrations.Migration):
    dependencies = [("orders", "0005_office"), ("jobs", "0029_subjects")]

    operations = [
        migrations.RunPython(tell_runs, migrations.RunPython.noop),
        migrations.DeleteModel(name="OrderRun"),
    ]
