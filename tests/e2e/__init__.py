"""The whole product in a browser: Chromium against `manage.py demo`, nothing arranged but what a person can click."""
