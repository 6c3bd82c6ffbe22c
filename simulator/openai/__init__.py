"""OpenAI's Images API: generations and edits that answer with their images, and the moderation endpoint."""
