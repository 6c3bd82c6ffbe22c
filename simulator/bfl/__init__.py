"""Black Forest Labs' FLUX API as its clients see it: submit here, poll at a regional host, signed samples."""
