"""The demo's launcher: the whole product from one command. No part of it runs in production."""
