"""An order's runs are found by their subject from now on: those that the shop remembered get theirs.

In a rolling deploy code of before takes orders while this has been done already, and remembers their runs: its table
stays, with nothing in the way of who knows it no longer. A later release drops it.
"""

import django.db.models.deletion
from django.db import migrations, models

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
        migrations.AlterField(
            model_name="orderrun",
            name="order",
            # An order may be deleted by who does not know of these rows.
            field=models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="runs",
                to="orders.order",
            ),
        ),
        migrations.SeparateDatabaseAndState(state_operations=[migrations.DeleteModel(name="OrderRun")]),
    ]
