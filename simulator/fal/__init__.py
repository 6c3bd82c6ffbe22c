"""fal's queue API as its clients see it: the wire format, its errors, its signed webhooks."""
