"""Background jobs for Django, on RQ and Redis or Valkey."""
