"""Google's Gemini API, as far as its image models answer `generateContent` with pictures."""
