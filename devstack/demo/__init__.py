"""`make demo`: seven generations as a client sees them, from request to image, and a proof of each."""
