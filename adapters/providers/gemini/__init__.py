"""Google Gemini: adapter, settings and error table."""
