"""`deploy/try-images`: builds the images and runs the hardened set of docker-compose.yml.

For a machine that reaches registries of packages but none of images: what docker-compose.yml would pull is
made here, on Debian. It needs root, and is no part of the tests.
"""
