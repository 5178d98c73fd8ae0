from django.db import models


class Parcel(models.Model):
    code = models.CharField(max_length=20, unique=True)
    weight = models.DecimalField(max_digits=6, decimal_places=2, null=True)

    def __str__(self):
        return self.code

    def archive(self):
        Event.objects.create(code=self.code, what="archived")
        return f"{self.code} archived"


class Event(models.Model):
    """What happened to a parcel, in the order in which it did."""

    code = models.CharField(max_length=20)
    what = models.CharField(max_length=100)

    def __str__(self):
        return f"{self.code}: {self.what}"
