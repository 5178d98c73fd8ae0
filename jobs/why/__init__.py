"""Why isn't it running? What keeps one run from starting: found out now, and said in words.

1. `gathering` looks at the rows and asks Redis, in a bounded way, and changes nothing.
2. `policy.why` decides by that evidence what counts first.
3. `wording` says it: what, since when, until when, and what helps.
"""

from jobs.why.gathering import Answer, of, of_id
from jobs.why.titles import title_of
from jobs.why.wording import Told, told

__all__ = ["Answer", "Told", "of", "of_id", "title_of", "told"]
