"""A page to draw on: digits read or refused, an alphabet taught by one example each, same or different."""
