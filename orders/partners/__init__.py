"""The demo's partners, services of their own: payments, warehouse, list provider, mailbox. No part of the shop."""
