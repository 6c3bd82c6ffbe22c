"""OpenAI's Images API: generations and edits with their images in the response, and moderations."""
