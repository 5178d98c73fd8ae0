"""The shop's pages for its staff: how the partners are, and what mail the shop sent."""
