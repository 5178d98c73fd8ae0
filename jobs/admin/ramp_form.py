"""What a person chose for a bulk action: how many are meant, its canary, its rate, and when it stops."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from django.utils.translation import gettext as _

from jobs.admin.keyset import key_or_none
from jobs.policy.ages import parse_age
from jobs.policy.ramp import WINDOW, Ramp
from jobs.policy.rates import parse_rate, parse_share

# From so many on, a person types how many are meant, and a retry offers a canary.
MANY = 20
_OFFERED = {"canary": "5", "rate": "50/s", "max_failures": "20%", "max_wait": "5m"}


@dataclass
class RampForm:
    """The fields of a form, as they were sent or are offered first. `problems` say what was not understood."""

    sent: dict[str, str]
    ramp: Ramp = field(default_factory=Ramp)
    problems: list[str] = field(default_factory=list)

    @classmethod
    def offered(cls, *, ramps: bool) -> RampForm:
        """What is filled in when somebody is asked first."""
        return cls(dict(_OFFERED) if ramps else {})

    @classmethod
    def read(cls, query: Mapping[str, str], *, count: int | None, typed: bool) -> RampForm:
        """What was sent of it; with `typed`, a person had to type the count."""
        made = cls({name: query.get(name, "").strip()[:20] for name in (*_OFFERED, "typed")})
        made.ramp = made._ramp()
        if typed and made.sent["typed"].replace(",", "").replace(".", "").replace(" ", "") != str(count):
            made.problems.append(_("Type the number %(count)s: it is how many this is about.") % {"count": count})
        return made

    def _ramp(self) -> Ramp:
        canary, rate, share, wait = (self.sent[name] for name in _OFFERED)
        try:
            limit = parse_age(wait).total_seconds() if wait else None
            return Ramp(self._canary(canary), parse_rate(rate) if rate else None, parse_share(share or "20%"), limit)
        except ValueError as error:
            self.problems.append(str(error))
            return Ramp()

    def _canary(self, text: str) -> int:
        number = key_or_none(text or "0", int)
        if number is None or not 0 <= number <= WINDOW:
            raise ValueError(
                _('"%(value)s" is no canary. Write a whole number up to %(most)s.') % {"value": text, "most": WINDOW}
            )
        return int(number)
