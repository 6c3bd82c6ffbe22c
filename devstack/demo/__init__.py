"""`make demo`: seven generations as a client sees them, from request to image, each checked."""
