"""What tests of locks may ask for."""

from tests.engine import make_job

__all__ = ["make_job"]
