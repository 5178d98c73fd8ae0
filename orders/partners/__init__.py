"""The demo's partners as services of their own: a payment gateway, a warehouse, a mailbox. No part of the shop."""
