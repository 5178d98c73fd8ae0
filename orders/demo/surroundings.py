"""The environment in which the demo's parts run. The only module beside the settings that reads it.

The settings cannot stand in for it: the parts must also get PATH, HOME and the like, and the launcher must
know whether REDIS_URL was given or is the default.
"""

from __future__ import annotations

import os
from collections.abc import Mapping


def is_given(name: str) -> bool:
    """Whether a setting comes from the environment, itself or by a file that holds it."""
    return bool(os.environ.get(name) or os.environ.get(f"{name}_FILE"))


def environment_with(settings: Mapping[str, str]) -> dict[str, str]:
    """This process's environment with `settings` in front."""
    return {**os.environ, "PYTHONUNBUFFERED": "1", **settings}
