"""The one door to Redis or Valkey and to RQ's keys."""
