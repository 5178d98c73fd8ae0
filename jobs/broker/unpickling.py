"""Reads RQ's pickles with a short list of what they may name. A short list, no wall: see `docs/from-django-rq.md`."""

from __future__ import annotations

import builtins
import importlib
import io
import pickle
from types import ModuleType
from typing import Any

from jobs import conf
from jobs.errors import BadArguments
from jobs.policy.foreign import allows

_VALUES = {
    "builtins": {
        "bool", "bytearray", "bytes", "complex", "dict", "float", "frozenset", "int", "list", "object", "range", "set",
        "slice", "str", "tuple",
    },
    "collections": {"Counter", "OrderedDict", "defaultdict", "deque"},
    "copyreg": {"_reconstructor"},
    "_codecs": {"encode"},
    "datetime": {"date", "datetime", "time", "timedelta", "timezone"},
    "decimal": {"Decimal"},
    "fractions": {"Fraction"},
    "ipaddress": {"IPv4Address", "IPv4Interface", "IPv4Network", "IPv6Address", "IPv6Interface", "IPv6Network"},
    "pathlib": {"Path", "PosixPath", "PurePath", "PurePosixPath"},
    # Where Python 3.13 has them.
    "pathlib._local": {"Path", "PosixPath", "PurePath", "PurePosixPath"},
    "uuid": {"SafeUUID", "UUID"},
    "zoneinfo": {"ZoneInfo", "ZoneInfo._unpickle"},
    # A model's instance: by the name of its model, among those that are installed.
    "django.db.models.base": {"ModelState", "model_unpickle"},
    # Part of a model's state from Django 6.1 on.
    "django.db.models.fetch_modes": {"FETCH_ONE", "FETCH_PEERS", "FETCH_RAISE"},
    "django.utils.safestring": {"SafeString"},
}  # fmt: skip


class TrustedPickle:
    """RQ's serializer of pickles, reading what is plain data, models, or of the modules in `FOREIGN_JOBS` only."""

    @staticmethod
    def dumps(value: Any) -> bytes:
        return pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)

    @staticmethod
    def loads(data: bytes) -> Any:
        """Raises `BadArguments` where pickle is not opted into, or names what is not allowed."""
        if not conf.get().FOREIGN_PICKLE:
            raise BadArguments(
                "Its arguments are a pickle, and reading one runs what is in it. To work off jobs that were pickled "
                'before, set JOBS["FOREIGN_PICKLE"] = True for that time, and retry; see docs/from-django-rq.md.'
            )
        return _Reader(io.BytesIO(data)).load()


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if name in _VALUES.get(module, ()):
            return super().find_class(module, name)
        if module == "builtins" and _is_exception(getattr(builtins, name, None)):
            return getattr(builtins, name)
        if allows(conf.get().FOREIGN_JOBS, module):
            return own_name(importlib.import_module(module), name.split("."))
        raise BadArguments(
            f'An argument is a pickled {module}.{name}. Add "{module}" to JOBS["FOREIGN_JOBS"] if it is yours, and '
            "retry; or pass plain data."
        )


def own_name(module: Any, names: list[str]) -> Any:
    """What the names lead to in a module, through classes only, and only what an allowed module defined.

    A module also holds what it imported: without this, `shop.tasks.os.system` would be a function of `shop.tasks`.
    Raises `AttributeError` where there is none, `BadArguments` where it is somebody else's.
    """
    found = module
    for name in names:
        if found is not module and not isinstance(found, type):
            raise BadArguments(f"{module.__name__}.{'.'.join(names)} does not lead through classes only.")
        found = getattr(found, name)
        # A module is its own home, and another one than this.
        home = getattr(found, "__module__", getattr(found, "__name__", None))
        if isinstance(found, ModuleType) or not isinstance(home, str) or not allows(conf.get().FOREIGN_JOBS, home):
            raise BadArguments(
                f"{module.__name__}.{name} is defined in {home or 'no module'}, which "
                'JOBS["FOREIGN_JOBS"] does not allow. Add that module if it is yours, and retry.'
            )
    return found


def _is_exception(found: Any) -> bool:
    return isinstance(found, type) and issubclass(found, BaseException)
