"""`make demo`: a day of complaints on the whole system, and what could be observed of it."""
