"""Images are decoded, checked and rewritten in child processes, which a few requests share in turn.

Only `adapters/images/child/` imports Pillow, and only the children import that package.
"""
